"""Memory of large outputs, used again, as LLVM IR: an allocator for NumPy's arrays.

The C library gives large blocks back to the system, at the latest past 32 MB, and each output costs its page faults
again: more than the work that fills it. So a few blocks are kept. NumPy asks for them through ``PyDataMem_Handler``
(NEP 49); the arrays are as any other. Functions of the handler may run on any thread: a slot is taken and filled
atomically.

    block = ..., capacity, what malloc gave, data
"""

from __future__ import annotations

import sys

LARGE = 1 << 20  # below it the page faults are few
SLOTS = 8
LIMIT_BYTES = 1 << 28  # kept at most

_ADVISE = """
  %page = add i64 %n, 4095
  %first = and i64 %page, -4096
  %first.p = inttoptr i64 %first to ptr
  %whole = sub i64 %size, 4096
  call i32 @madvise(ptr %first.p, i64 %whole, i32 14)  ; MADV_HUGEPAGE
"""

_TEXT = """
@kept = internal global [SLOTS x ptr] zeroinitializer
@kept_bytes = internal global i64 0
declare ptr @malloc(i64)
declare void @free(ptr)
declare i32 @madvise(ptr, i64, i32)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare i64 @llvm.umin.i64(i64, i64)

define internal ptr @new_block(i64 %size) {
  %room = add i64 %size, 128
  %raw = call ptr @malloc(i64 %room)
  %none = icmp eq ptr %raw, null
  br i1 %none, label %no, label %yes
no:
  ret ptr null
yes:
  %n = ptrtoint ptr %raw to i64
ADVISE
  %behind = add i64 %n, 79
  %at = and i64 %behind, -64
  %data = inttoptr i64 %at to ptr
  %capacity.p = getelementptr i8, ptr %data, i64 -16
  store i64 %size, ptr %capacity.p
  %raw.p = getelementptr i8, ptr %data, i64 -8
  store ptr %raw, ptr %raw.p
  ret ptr %data
}

define internal i64 @capacity(ptr %data) {
  %capacity.p = getelementptr i8, ptr %data, i64 -16
  %capacity = load i64, ptr %capacity.p
  ret i64 %capacity
}

; Free a block that was counted as kept.
define internal void @drop(ptr %data) {
  %capacity = call i64 @capacity(ptr %data)
  %before = atomicrmw sub ptr @kept_bytes, i64 %capacity seq_cst
  %raw.p = getelementptr i8, ptr %data, i64 -8
  %raw = load ptr, ptr %raw.p
  call void @free(ptr %raw)
  ret void
}

define ptr @sg_recycle_malloc(ptr %context, i64 %size) {
entry:
  %quarter = lshr i64 %size, 2
  %most = add i64 %size, %quarter
  br label %look
look:
  %k = phi i64 [ 0, %entry ], [ %next, %other ]
  %next = add i64 %k, 1
  %more = icmp ult i64 %k, SLOTS
  br i1 %more, label %take, label %new
take:
  %slot = getelementptr ptr, ptr @kept, i64 %k
  %data = atomicrmw xchg ptr %slot, ptr null seq_cst
  %empty = icmp eq ptr %data, null
  br i1 %empty, label %other, label %weigh
weigh:
  %capacity = call i64 @capacity(ptr %data)
  %enough = icmp uge i64 %capacity, %size
  %close = icmp ule i64 %capacity, %most
  %fits = and i1 %enough, %close
  br i1 %fits, label %found, label %back
found:
  %before = atomicrmw sub ptr @kept_bytes, i64 %capacity seq_cst
  ret ptr %data
back:
  %there = atomicrmw xchg ptr %slot, ptr %data seq_cst
  %alone = icmp eq ptr %there, null
  br i1 %alone, label %other, label %pushed
pushed:
  call void @drop(ptr %there)
  br label %other
other:
  br label %look
new:
  %made = call ptr @new_block(i64 %size)
  ret ptr %made
}

define void @sg_recycle_free(ptr %context, ptr %data, i64 %size) {
entry:
  %none = icmp eq ptr %data, null
  br i1 %none, label %done, label %count
count:
  %capacity = call i64 @capacity(ptr %data)
  %before = atomicrmw add ptr @kept_bytes, i64 %capacity seq_cst
  %total = add i64 %before, %capacity
  %small = icmp ult i64 %capacity, LARGE
  %much = icmp ugt i64 %total, LIMIT
  %away = or i1 %small, %much
  br i1 %away, label %throw, label %look
throw:
  call void @drop(ptr %data)
  ret void
look:
  %k = phi i64 [ 0, %count ], [ %next, %try ]
  %next = add i64 %k, 1
  %more = icmp ult i64 %k, SLOTS
  br i1 %more, label %try, label %push
try:
  %slot = getelementptr ptr, ptr @kept, i64 %k
  %tried = cmpxchg ptr %slot, ptr null, ptr %data seq_cst seq_cst
  %stored = extractvalue { ptr, i1 } %tried, 1
  br i1 %stored, label %done, label %look
push:
  %old = atomicrmw xchg ptr @kept, ptr %data seq_cst
  %gone = icmp eq ptr %old, null
  br i1 %gone, label %done, label %drop
drop:
  call void @drop(ptr %old)
  ret void
done:
  ret void
}

define ptr @sg_recycle_calloc(ptr %context, i64 %count, i64 %each) {
  %size = mul i64 %count, %each
  %data = call ptr @sg_recycle_malloc(ptr %context, i64 %size)
  %none = icmp eq ptr %data, null
  br i1 %none, label %done, label %clear
clear:
  call void @llvm.memset.p0.i64(ptr %data, i8 0, i64 %size, i1 false)
  br label %done
done:
  ret ptr %data
}

define ptr @sg_recycle_realloc(ptr %context, ptr %data, i64 %size) {
  %new = call ptr @sg_recycle_malloc(ptr %context, i64 %size)
  %none = icmp eq ptr %new, null
  %first = icmp eq ptr %data, null
  %done = or i1 %none, %first
  br i1 %done, label %give, label %move
move:
  %capacity = call i64 @capacity(ptr %data)
  %bytes = call i64 @llvm.umin.i64(i64 %capacity, i64 %size)
  call void @llvm.memcpy.p0.p0.i64(ptr %new, ptr %data, i64 %bytes, i1 false)
  call void @sg_recycle_free(ptr %context, ptr %data, i64 %capacity)
  br label %give
give:
  ret ptr %new
}
"""


def recycle_text() -> str:
    """The module."""
    text = _TEXT.replace("ADVISE", _ADVISE if sys.platform == "linux" else "").replace("SLOTS", str(SLOTS))
    return text.replace("LARGE", str(LARGE)).replace("LIMIT", str(LIMIT_BYTES))
