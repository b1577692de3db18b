"""The pool of threads as LLVM IR over POSIX threads: ``sg_parallel`` and what controls it.

The caller publishes a job, then opens it by one store to ``@state``. A worker that sees an open job of a new generation
enters by adding one to ``@state``; each takes pieces from its own share of the turns, then from the others'; at the end
the caller closes the job and waits for the workers that entered, and for no other. One that is still asleep, or not
scheduled, costs nothing: the pool works with no worker at all, which is what a child has after fork. A worker that
finds no job spins for a while, then sleeps on a condition variable.

A share is the same turns in every job, so what a thread wrote it reads and writes again: between processors that share
no cache, to write what another one has read takes longer than to compute it.
"""

from __future__ import annotations

import signal

from codegen.llvm.processor import processor
from codegen.llvm.target import Target

# The field of @state that counts workers has 16 bits.
MOST_CAPACITY = 0xFFFF

SHARES = 64  # at most; more threads than that have shares in common

# What the processor sends to a thread for its own doing: a worker must not block these.
_FAULTS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT")

# Each variable that several threads write has its own pair of cache lines. Mutexes and conditions are at most 64 bytes
# on the platforms we know; their true size is not visible here.
_STATE = """
@mutex = internal global [128 x i8] zeroinitializer, align 128
@wake = internal global [128 x i8] zeroinitializer, align 128     ; sleepers: a job is open
@hired = internal global [128 x i8] zeroinitializer, align 128    ; surplus workers: the number of threads has changed
@drained = internal global [128 x i8] zeroinitializer, align 128  ; the caller: the last worker has left
@state = internal global i64 0, align 128                         ; generation << 32 | open << 16 | workers inside
@taken = internal global [SHARES x [16 x i64]] zeroinitializer, align 128  ; of each share: job << 32 | pieces taken
@sleepers = internal global i32 0, align 128
@busy = internal global i32 0, align 128
@waiting = internal global i32 0, align 128                       ; the caller sleeps until workers have left
@threads = internal global i64 1, align 128
@created = internal global i64 0                                  ; the rest: written only by the owner of @busy
@spins = internal global i64 0
@task = internal global ptr null
@context = internal global ptr null
@extent = internal global i64 0
@piece = internal global i64 0
@pieces = internal global i64 0
@job = internal global i64 0                                      ; counts jobs, modulo 2^32
@members = internal global i64 0                                  ; @threads when the job was opened
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(i64)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sigfillset(ptr)
declare i32 @sigdelset(ptr, i32)
"""

_PROCESSOR = """
define internal void @pause() nounwind {{
{pause}  ret void
}}

define internal void @use_ieee() nounwind {{
{ieee}  ret void
}}
{declares}"""

_WORK = """
define internal void @announce(ptr %condition) nounwind {
  call i32 @pthread_mutex_lock(ptr @mutex)
  call i32 @pthread_cond_broadcast(ptr %condition)
  call i32 @pthread_mutex_unlock(ptr @mutex)
  ret void
}

; The number of a piece of a share with so many, or -1 if all are taken. What an earlier job left counts as none.
define internal i64 @claim(i64 %share, i64 %pieces) nounwind {
entry:
  %job = load i64, ptr @job
  %high = shl i64 %job, 32
  %taken = getelementptr [16 x i64], ptr @taken, i64 %share
  %first = load atomic i64, ptr %taken monotonic, align 8
  br label %look
look:
  %now = phi i64 [%first, %entry], [%other, %claim]
  %of = lshr i64 %now, 32
  %same = icmp eq i64 %of, %job
  %low = and i64 %now, 4294967295
  %count = select i1 %same, i64 %low, i64 0
  %left = icmp ult i64 %count, %pieces
  br i1 %left, label %claim, label %none
claim:
  %one = add i64 %count, 1
  %next = or i64 %high, %one
  %exchange = cmpxchg ptr %taken, i64 %now, i64 %next monotonic monotonic
  %other = extractvalue { i64, i1 } %exchange, 0
  %mine = extractvalue { i64, i1 } %exchange, 1
  br i1 %mine, label %found, label %look
found:
  ret i64 %count
none:
  ret i64 -1
}

define internal void @take_pieces(i64 %worker) nounwind {
entry:
  %task = load ptr, ptr @task
  %context = load ptr, ptr @context
  %extent = load i64, ptr @extent
  %piece = load i64, ptr @piece
  %pieces = load i64, ptr @pieces
  %members = load i64, ptr @members
  %shares = call i64 @llvm.umin.i64(i64 %members, i64 SHARES)
  br label %share
share:
  %turn = phi i64 [0, %entry], [%turn1, %none]
  %away = add i64 %worker, %turn
  %which = urem i64 %away, %shares
  %after = add i64 %which, 1
  %scaled = mul i64 %which, %pieces
  %scaled1 = mul i64 %after, %pieces
  %first = udiv i64 %scaled, %shares
  %last = udiv i64 %scaled1, %shares
  %own = sub i64 %last, %first
  br label %take
take:
  %number = call i64 @claim(i64 %which, i64 %own)
  %found = icmp sge i64 %number, 0
  br i1 %found, label %run, label %none
run:
  %index = add i64 %first, %number
  %begin = mul i64 %index, %piece
  %rest = sub i64 %extent, %begin
  %size = call i64 @llvm.umin.i64(i64 %rest, i64 %piece)
  %end = add i64 %begin, %size
  call void %task(ptr %context, i64 %begin, i64 %end, i64 %worker)
  br label %take
none:
  %turn1 = add i64 %turn, 1
  %more = icmp ult i64 %turn1, %shares
  br i1 %more, label %share, label %done
done:
  ret void
}
declare i64 @llvm.umin.i64(i64, i64)

; An open job of another generation than %seen.
define internal i1 @is_new(i64 %now, i64 %seen) nounwind {
  %generation = lshr i64 %now, 32
  %other = icmp ne i64 %generation, %seen
  %bit = and i64 %now, 65536
  %open = icmp ne i64 %bit, 0
  %new = and i1 %other, %open
  ret i1 %new
}

; The worker counts itself as a sleeper before it looks at @state a last time, and the caller opens a job before it
; looks at @sleepers: whichever comes second sees the other, so none sleeps on while a caller takes it to be awake.
define internal void @nap(i64 %worker, i64 %seen) nounwind {
entry:
  call i32 @pthread_mutex_lock(ptr @mutex)
  %threads = load atomic i64, ptr @threads monotonic, align 8
  %surplus = icmp uge i64 %worker, %threads
  br i1 %surplus, label %wait, label %count
count:
  atomicrmw add ptr @sleepers, i32 1 seq_cst
  %now = load atomic i64, ptr @state seq_cst, align 8
  %new = call i1 @is_new(i64 %now, i64 %seen)
  br i1 %new, label %uncount, label %sleep
sleep:
  call i32 @pthread_cond_wait(ptr @wake, ptr @mutex)
  br label %uncount
uncount:
  atomicrmw sub ptr @sleepers, i32 1 seq_cst
  br label %done
wait:
  call i32 @pthread_cond_wait(ptr @hired, ptr @mutex)
  br label %done
done:
  call i32 @pthread_mutex_unlock(ptr @mutex)
  ret void
}

; Run what is left of an entered job and leave it; the last to leave a closed job wakes a caller that sleeps.
define internal void @join(i64 %worker) nounwind {
entry:
  %members = load i64, ptr @members
  %member = icmp ult i64 %worker, %members
  br i1 %member, label %run, label %leave
run:
  call void @take_pieces(i64 %worker)
  br label %leave
leave:
  %before = atomicrmw sub ptr @state, i64 1 seq_cst
  %inside = and i64 %before, 131071
  %last = icmp eq i64 %inside, 1
  br i1 %last, label %look, label %done
look:
  %waiting = load atomic i32, ptr @waiting seq_cst, align 4
  %asleep = icmp ne i32 %waiting, 0
  br i1 %asleep, label %tell, label %done
tell:
  call void @announce(ptr @drained)
  br label %done
done:
  ret void
}

; The life of a worker. A woken one spins before it sleeps again, even if it came too late: short jobs come in rows.
define internal ptr @work(ptr %argument) nounwind {
entry:
  %worker = ptrtoint ptr %argument to i64
  %spins = load i64, ptr @spins
  call void @use_ieee()
  br label %rest
rest:
  %seen = phi i64 [0, %entry], [%generation, %entered], [%seen, %asleep]
  br label %spin
spin:
  %count = phi i64 [0, %rest], [%count1, %idle], [%count, %enter]
  %now = load atomic i64, ptr @state acquire, align 8
  %new = call i1 @is_new(i64 %now, i64 %seen)
  br i1 %new, label %enter, label %idle
idle:
  call void @pause()
  %count1 = add i64 %count, 1
  %again = icmp ult i64 %count1, %spins
  br i1 %again, label %spin, label %asleep
asleep:
  call void @nap(i64 %worker, i64 %seen)
  br label %rest
enter:
  %more = add i64 %now, 1
  %exchange = cmpxchg ptr @state, i64 %now, i64 %more acquire monotonic
  %success = extractvalue { i64, i1 } %exchange, 1
  br i1 %success, label %entered, label %spin
entered:
  %generation = lshr i64 %now, 32
  call void @join(i64 %worker)
  br label %rest
}
"""

_HIRE = """
; Workers block signals, so that Ctrl-C interrupts the thread it is meant for; a fault of their own is still seen.
define internal void @hire(i64 %threads) nounwind {{
entry:
  %handle = alloca i64
  %all = alloca [128 x i8], align 16
  %old = alloca [128 x i8], align 16
  call i32 @sigfillset(ptr %all)
  {unblock}
  call i32 @pthread_sigmask(i32 {set_mask}, ptr %all, ptr %old)
  %created = load i64, ptr @created
  br label %next
next:
  %last = phi i64 [%created, %entry], [%worker, %started]
  %worker = add i64 %last, 1
  %more = icmp ult i64 %worker, %threads
  br i1 %more, label %start, label %done
start:
  %argument = inttoptr i64 %worker to ptr
  %error = call i32 @pthread_create(ptr %handle, ptr null, ptr @work, ptr %argument)
  %failed = icmp ne i32 %error, 0
  br i1 %failed, label %fewer, label %started
started:
  %thread = load i64, ptr %handle
  call i32 @pthread_detach(i64 %thread)
  br label %next
fewer:
  store atomic i64 %worker, ptr @threads monotonic, align 8
  br label %done
done:
  store i64 %last, ptr @created
  call i32 @pthread_sigmask(i32 {set_mask}, ptr %old, ptr null)
  ret void
}}
"""

_CALL = """
; About four pieces for each thread: few enough to cost nothing, enough that a slow processor gets less of them.
define internal void @publish(ptr %task, ptr %context, i64 %extent, i64 %threads) nounwind {
  %wanted = shl i64 %threads, 2
  %last = sub i64 %extent, 1
  %share = udiv i64 %last, %wanted
  %piece = add i64 %share, 1
  %whole = udiv i64 %last, %piece
  %pieces = add i64 %whole, 1
  store ptr %task, ptr @task
  store ptr %context, ptr @context
  store i64 %extent, ptr @extent
  store i64 %piece, ptr @piece
  store i64 %pieces, ptr @pieces
  store i64 %threads, ptr @members
  %before = load i64, ptr @job
  %after = add i64 %before, 1
  %job = and i64 %after, 4294967295
  store i64 %job, ptr @job
  ret void
}

; Nobody is inside and the job is closed, so no worker writes @state and a plain store of the next generation will do.
define internal void @open() nounwind {
entry:
  %before = load atomic i64, ptr @state monotonic, align 8
  %generation = lshr i64 %before, 32
  %next = add i64 %generation, 1
  %high = shl i64 %next, 32
  %now = or i64 %high, 65536
  store atomic i64 %now, ptr @state seq_cst, align 8
  %sleepers = load atomic i32, ptr @sleepers seq_cst, align 4
  %any = icmp ne i32 %sleepers, 0
  br i1 %any, label %rouse, label %done
rouse:
  call void @announce(ptr @wake)
  br label %done
done:
  ret void
}

define internal i1 @is_empty() nounwind {
  %now = load atomic i64, ptr @state seq_cst, align 8
  %inside = and i64 %now, 65535
  %empty = icmp eq i64 %inside, 0
  ret i1 %empty
}

; Close the job and wait for those inside: spinning first, then asleep, since a last piece may be long.
define internal void @close() nounwind {
entry:
  %spins = load i64, ptr @spins
  atomicrmw and ptr @state, i64 -65537 seq_cst
  br label %spin
spin:
  %count = phi i64 [0, %entry], [%count1, %idle]
  %empty = call i1 @is_empty()
  br i1 %empty, label %done, label %idle
idle:
  call void @pause()
  %count1 = add i64 %count, 1
  %again = icmp ult i64 %count1, %spins
  br i1 %again, label %spin, label %asleep
asleep:
  call i32 @pthread_mutex_lock(ptr @mutex)
  store atomic i32 1, ptr @waiting seq_cst, align 4
  br label %check
check:
  %gone = call i1 @is_empty()
  br i1 %gone, label %awake, label %sleep
sleep:
  call i32 @pthread_cond_wait(ptr @drained, ptr @mutex)
  br label %check
awake:
  store atomic i32 0, ptr @waiting seq_cst, align 4
  call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %done
done:
  ret void
}

define void @sg_parallel(ptr %task, ptr %context, i64 %extent) nounwind {
entry:
  %some = icmp sgt i64 %extent, 0
  br i1 %some, label %choose, label %return
choose:
  %threads = load atomic i64, ptr @threads monotonic, align 8
  %smaller = call i64 @llvm.umin.i64(i64 %threads, i64 %extent)
  %several = icmp ugt i64 %smaller, 1
  br i1 %several, label %claim, label %alone
claim:
  %exchange = cmpxchg ptr @busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue { i32, i1 } %exchange, 1
  br i1 %mine, label %own, label %alone
alone:
  call void %task(ptr %context, i64 0, i64 %extent, i64 0)
  br label %return
own:
  %created = load i64, ptr @created
  %have = add i64 %created, 1
  %enough = icmp uge i64 %have, %threads
  br i1 %enough, label %run, label %grow
grow:
  call void @hire(i64 %threads)
  br label %run
run:
  call void @publish(ptr %task, ptr %context, i64 %extent, i64 %threads)
  call void @open()
  call void @take_pieces(i64 0)
  call void @close()
  store atomic i32 0, ptr @busy release, align 4
  br label %return
return:
  ret void
}
"""

_CONTROL = """
; A pool with no workers: at the start, and in the child of a fork, where the parent's are gone and locks may be held.
define void @sg_pool_reset() nounwind {
  call i32 @pthread_mutex_init(ptr @mutex, ptr null)
  call i32 @pthread_cond_init(ptr @wake, ptr null)
  call i32 @pthread_cond_init(ptr @hired, ptr null)
  call i32 @pthread_cond_init(ptr @drained, ptr null)
  store i32 0, ptr @sleepers
  store i32 0, ptr @waiting
  store i64 0, ptr @created
  store i64 0, ptr @state
  store atomic i32 0, ptr @busy seq_cst, align 4
  ret void
}

define void @sg_pool_set_threads(i64 %threads) nounwind {
  store atomic i64 %threads, ptr @threads seq_cst, align 8
  call void @announce(ptr @hired)
  ret void
}

define i64 @sg_pool_threads() nounwind {
  %threads = load atomic i64, ptr @threads monotonic, align 8
  ret i64 %threads
}

define void @sg_pool_set_spins(i64 %spins) nounwind {
  store i64 %spins, ptr @spins
  ret void
}

; What a worker does while it waits, for a given number of turns.
define void @sg_pool_spin(i64 %turns) nounwind {
entry:
  br label %spin
spin:
  %count = phi i64 [0, %entry], [%count1, %spin]
  %now = load atomic i64, ptr @state acquire, align 8
  %new = call i1 @is_new(i64 %now, i64 -1)
  call void @pause()
  %count1 = add i64 %count, 1
  %again = icmp ult i64 %count1, %turns
  br i1 %again, label %spin, label %done
done:
  ret void
}
"""

# For platforms without POSIX threads: the same names, one thread.
_SERIAL = """
define void @sg_parallel(ptr %task, ptr %context, i64 %extent) nounwind {
entry:
  %some = icmp sgt i64 %extent, 0
  br i1 %some, label %run, label %return
run:
  call void %task(ptr %context, i64 0, i64 %extent, i64 0)
  br label %return
return:
  ret void
}
define void @sg_pool_reset() nounwind {
  ret void
}
define void @sg_pool_set_threads(i64 %threads) nounwind {
  ret void
}
define i64 @sg_pool_threads() nounwind {
  ret i64 1
}
define void @sg_pool_set_spins(i64 %spins) nounwind {
  ret void
}
define void @sg_pool_spin(i64 %turns) nounwind {
  ret void
}
"""


def pool_text(target: Target, parallel: bool) -> str:
    """The IR of a pool: of POSIX threads if ``parallel``, else of the calling thread alone."""
    if not parallel:
        return _SERIAL
    own = _PROCESSOR.format(**vars(processor(target)))
    faults = (int(getattr(signal, name)) for name in _FAULTS)
    unblock = "\n  ".join(f"call i32 @sigdelset(ptr %all, i32 {number})" for number in faults)
    hire = _HIRE.format(unblock=unblock, set_mask=int(signal.SIG_SETMASK))
    return "".join((_STATE, own, _WORK, hire, _CALL, _CONTROL)).replace("SHARES", str(SHARES))
