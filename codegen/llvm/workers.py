"""The workers of the pool as LLVM IR: how they take pieces of a job, wait for the next one, and are hired.

Their caller, and the state that they share with it, is in ``parallel``.
"""

from __future__ import annotations

import signal

from codegen.llvm.processor import processor
from codegen.llvm.target import Target

# What the processor sends to a thread for its own doing: a worker must not block these.
_FAULTS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT")

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


def workers_text(target: Target) -> str:
    """The IR; SHARES stands in it for how many shares there are."""
    own = _PROCESSOR.format(**vars(processor(target)))
    faults = (int(getattr(signal, name)) for name in _FAULTS)
    unblock = "\n  ".join(f"call i32 @sigdelset(ptr %all, i32 {number})" for number in faults)
    return own + _WORK + _HIRE.format(unblock=unblock, set_mask=int(signal.SIG_SETMASK))
