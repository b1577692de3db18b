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

from codegen.llvm.target import Target
from codegen.llvm.workers import workers_text

# The field of @state that counts workers has 16 bits.
MOST_CAPACITY = 0xFFFF

SHARES = 64  # at most; more threads than that have shares in common

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
    return "".join((_STATE, workers_text(target), _CALL, _CONTROL)).replace("SHARES", str(SHARES))
