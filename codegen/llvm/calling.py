"""A call from Python as LLVM IR: one function for all programs, which a table says everything about.

    ptr @sg_call(ptr %self, ptr %arguments, i64 %count, ptr %names)

has the calling convention ``METH_FASTCALL | METH_KEYWORDS``. The first item of the tuple ``self`` is an array that
begins with a ``%Call``; ``codegen.llvm.native`` fills it. Where the arguments are those that the table describes, the
function makes the outputs, runs the program and returns. Anything else it hands, before anything has been written, to
the Python function ``fallback``, which converts or explains.

Where a program takes lengths at run time, these are read first: they go to where the extents of the records stand, and
to the program.

Whoever runs light work keeps the interpreter's lock, under which nobody else can take the lock of a shared variable: it
is enough that each is free. Heavy work takes them, in order, and gives the interpreter's lock away.
"""

from __future__ import annotations

from codegen.llvm.accept import ARGUMENTS, RECORDS
from codegen.llvm.entry import INTERRUPTED

# What NumPy and CPython export, by the names used here.
FUNCTIONS = """
declare ptr @PyArray_NewFromDescr(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)
declare ptr @PyDataMem_SetHandler(ptr)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare i64 @PyLong_AsLongLongAndOverflow(ptr, ptr)
declare ptr @PyList_New(i64)
declare i32 @PyList_SetItem(ptr, i64, ptr)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare void @PyErr_Clear()
declare void @PyErr_Fetch(ptr, ptr, ptr)
declare void @PyErr_Restore(ptr, ptr, ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
@PyArray_Type = external global i8
@PyFloat_Type = external global i8
@PyLong_Type = external global i8
@_Py_NoneStruct = external global i8
"""

RESULTS = {"none": 0, "one": 1, "list": 2}


def _each(name: str, table: int, record: str, body: str, parameters: str = "ptr %c") -> str:
    """A function that runs ``body`` for each record ``%r``, number ``%k``, of a table, until one is not ``%fine``."""
    return f"""
define internal i1 @{name}({parameters}) {{
start:
  %count.p = getelementptr %Call, ptr %c, i32 0, i32 {table}, i32 0
  %count = load i64, ptr %count.p
  %records.p = getelementptr %Call, ptr %c, i32 0, i32 {table}, i32 1
  %records = load ptr, ptr %records.p
  %number = alloca i64
  store i64 0, ptr %number
  br label %head
head:
  %k = load i64, ptr %number
  %more = icmp slt i64 %k, %count
  br i1 %more, label %turn, label %all
turn:
  %next = add i64 %k, 1
  store i64 %next, ptr %number
  %r = getelementptr {record}, ptr %records, i64 %k
{body}
  br i1 %fine, label %head, label %stop
all:
  ret i1 true
stop:
  ret i1 false
}}"""


def _pointer(table: str, k: str = "k") -> str:
    """IR that makes ``%slot``, where the pointer of record ``k`` of inputs, shared or outputs goes."""
    before = {"inputs": [], "shared": [8], "outputs": [8, 9]}[table]
    lines = ["  %pointers.p = getelementptr %Call, ptr %c, i32 0, i32 3", "  %pointers = load ptr, ptr %pointers.p"]
    last = k
    for t in before:
        lines += [
            f"  %before{t}.p = getelementptr %Call, ptr %c, i32 0, i32 {t}, i32 0",
            f"  %before{t} = load i64, ptr %before{t}.p",
            f"  %at{t} = add i64 %{last}, %before{t}",
        ]
        last = f"at{t}"
    lines += [f"  %at = add i64 %{last}, 1", "  %slot = getelementptr ptr, ptr %pointers, i64 %at"]
    return "\n".join(lines)


_READ = [
    _each("lengths", 12, "%Length", """
  %which = load i64, ptr %r
  %a.p = getelementptr ptr, ptr %given, i64 %which
  %a = load ptr, ptr %a.p
  %kind.p = getelementptr %Object, ptr %a, i32 0, i32 1
  %kind = load ptr, ptr %kind.p
  %is.array = icmp eq ptr %kind, @PyArray_Type
  br i1 %is.array, label %array, label %stop
array:
  %rank.p = getelementptr %Array, ptr %a, i32 0, i32 3
  %rank = load i32, ptr %rank.p
  %has.axes = icmp ne i32 %rank, 0
  br i1 %has.axes, label %axes, label %stop
axes:
  %shape.p = getelementptr %Array, ptr %a, i32 0, i32 4
  %shape = load ptr, ptr %shape.p
  %n = load i64, ptr %shape
  %least.p = getelementptr %Length, ptr %r, i32 0, i32 1
  %least = load i64, ptr %least.p
  %most.p = getelementptr %Length, ptr %r, i32 0, i32 2
  %most = load i64, ptr %most.p
  %not.less = icmp sle i64 %least, %n
  %not.more = icmp sle i64 %n, %most
  %within = and i1 %not.less, %not.more
  br i1 %within, label %write, label %stop
write:
  %places.p = getelementptr %Length, ptr %r, i32 0, i32 4
  %places = load ptr, ptr %places.p
  %written.p = getelementptr %Length, ptr %r, i32 0, i32 3
  %written = load i64, ptr %written.p
  br label %places.head
places.head:
  %i = phi i64 [ 0, %write ], [ %i.next, %place ]
  %some = icmp slt i64 %i, %written
  br i1 %some, label %place, label %places.done
place:
  %place.pp = getelementptr ptr, ptr %places, i64 %i
  %place.p = load ptr, ptr %place.pp
  store i64 %n, ptr %place.p
  %i.next = add i64 %i, 1
  br label %places.head
places.done:
  %fine = icmp eq i64 0, 0""", "ptr %c, ptr %given"),
    _each("arguments", 8, "%Input", f"""
  %a.p = getelementptr ptr, ptr %given, i64 %k
  %a = load ptr, ptr %a.p
  %data = call ptr @argument(ptr %a, ptr %r)
{_pointer("inputs")}
  store ptr %data, ptr %slot
  %fine = icmp ne ptr %data, null""", "ptr %c, ptr %given"),
    _each("shared", 9, "%Shared", f"""
  %named.p = getelementptr %Shared, ptr %r, i32 0, i32 1
  %named = load ptr, ptr %named.p
  %a = load ptr, ptr %named
  %data.p = getelementptr %Array, ptr %a, i32 0, i32 2
  %data = load ptr, ptr %data.p
{_pointer("shared")}
  store ptr %data, ptr %slot
  %fits = call i1 @fits(ptr %a, ptr %r)
  br i1 %fits, label %meets, label %stop
meets:
  %bytes.p = getelementptr %Type, ptr %r, i32 0, i32 3
  %bytes = load i64, ptr %bytes.p
  %end = getelementptr i8, ptr %data, i64 %bytes
  %written.p = getelementptr %Shared, ptr %r, i32 0, i32 2
  %written = load i64, ptr %written.p
  %is.written = icmp ne i64 %written, 0
  br i1 %is.written, label %look, label %head
look:
  %fine = call i1 @apart(ptr %c, ptr %data, ptr %end)"""),
    _each("apart", 8, "%Input", f"""
{_pointer("inputs")}
  %low = load ptr, ptr %slot
  %bytes.p = getelementptr %Type, ptr %r, i32 0, i32 3
  %bytes = load i64, ptr %bytes.p
  %high = getelementptr i8, ptr %low, i64 %bytes
  %before = icmp ule ptr %high, %begin
  %behind = icmp ule ptr %end, %low
  %fine = or i1 %before, %behind""", "ptr %c, ptr %begin, ptr %end"),
]  # fmt: skip

_NEW_ARRAY = """
define internal ptr @new_array(ptr %r) {
  %descr = load ptr, ptr %r
  %rank.p = getelementptr %Type, ptr %r, i32 0, i32 1
  %rank = load i64, ptr %rank.p
  %rank32 = trunc i64 %rank to i32
  %extents.p = getelementptr %Type, ptr %r, i32 0, i32 2
  %extents = load ptr, ptr %extents.p
  call void @Py_IncRef(ptr %descr)
  %a = call ptr @PyArray_NewFromDescr(ptr @PyArray_Type, ptr %descr, i32 %rank32, ptr %extents, ptr null, ptr null,
                                      i32 0, ptr null)
  ret ptr %a
}

; The same under another allocator of NumPy's.
define internal ptr @new_array_from(ptr %allocator, ptr %r) {
  %old = call ptr @PyDataMem_SetHandler(ptr %allocator)
  %failed = icmp eq ptr %old, null
  br i1 %failed, label %no, label %yes
no:
  ret ptr null
yes:
  %a = call ptr @new_array(ptr %r)
  %ours = call ptr @PyDataMem_SetHandler(ptr %old)
  call void @Py_DecRef(ptr %ours)
  call void @Py_DecRef(ptr %old)
  ret ptr %a
}
"""

_WRITE = [
    _NEW_ARRAY,
    _each("make_outputs", 10, "%Output", f"""
  %allocator.p = getelementptr %Output, ptr %r, i32 0, i32 2
  %allocator = load ptr, ptr %allocator.p
  %usual = icmp eq ptr %allocator, null
  br i1 %usual, label %small, label %large
small:
  %a.small = call ptr @new_array(ptr %r)
  br label %made
large:
  %a.large = call ptr @new_array_from(ptr %allocator, ptr %r)
  br label %made
made:
  %a = phi ptr [ %a.small, %small ], [ %a.large, %large ]
  %array.p = getelementptr %Output, ptr %r, i32 0, i32 1
  store ptr %a, ptr %array.p
  %is.made = icmp ne ptr %a, null
  br i1 %is.made, label %keep, label %stop
keep:
  %data.p = getelementptr %Array, ptr %a, i32 0, i32 2
  %data = load ptr, ptr %data.p
{_pointer("outputs")}
  store ptr %data, ptr %slot
  %fine = icmp eq i64 0, 0"""),
    _each("drop_outputs", 10, "%Output", """
  %array.p = getelementptr %Output, ptr %r, i32 0, i32 1
  %a = load ptr, ptr %array.p
  store ptr null, ptr %array.p
  call void @Py_DecRef(ptr %a)
  %fine = icmp eq i64 0, 0"""),
    _each("fill", 10, "%Output", """
  %array.p = getelementptr %Output, ptr %r, i32 0, i32 1
  %a = load ptr, ptr %array.p
  store ptr null, ptr %array.p
  %set = call i32 @PyList_SetItem(ptr %list, i64 %k, ptr %a)
  %fine = icmp eq i64 0, 0""", "ptr %c, ptr %list"),
]  # fmt: skip

_LOCKS = [
    _each("are_free", 11, "%Lock", """
  %owner.p = load ptr, ptr %r
  %owner = load i64, ptr %owner.p
  %fine = icmp eq i64 %owner, 0"""),
    _each("acquire", 11, "%Lock", """
  %acquire.p = getelementptr %Lock, ptr %r, i32 0, i32 1
  %acquire = load ptr, ptr %acquire.p
  %done = call ptr @PyObject_Vectorcall(ptr %acquire, ptr null, i64 0, ptr null)
  %fine = icmp ne ptr %done, null
  call void @Py_DecRef(ptr %done)
  %now = select i1 %fine, i64 %next, i64 %k
  store i64 %now, ptr %taken""", "ptr %c, ptr %taken"),
    _each("release", 11, "%Lock", """
  %is.taken = icmp slt i64 %k, %taken
  br i1 %is.taken, label %give, label %all
give:
  %release.p = getelementptr %Lock, ptr %r, i32 0, i32 2
  %release = load ptr, ptr %release.p
  %done = call ptr @PyObject_Vectorcall(ptr %release, ptr null, i64 0, ptr null)
  call void @Py_DecRef(ptr %done)
  %fine = icmp eq i64 0, 0""", "ptr %c, i64 %taken"),
]  # fmt: skip


def _field(name: str, path: str, kind: str) -> str:
    """IR that loads a field of the call; its address is ``%name.p``."""
    return f"""  %{name}.p = getelementptr %Call, ptr %c, i32 0, i32 {path}
  %{name} = load {kind}, ptr %{name}.p"""


_RESULT = f"""
define internal i1 @new_list(ptr %c) {{
{_field("result", "5", "i64")}
  %is.list = icmp eq i64 %result, {RESULTS["list"]}
  br i1 %is.list, label %make, label %fine
make:
{_field("count", "10, i32 0", "i64")}
{_field("list", "7", "ptr")}
  %new = call ptr @PyList_New(i64 %count)
  store ptr %new, ptr %list.p
  %made = icmp ne ptr %new, null
  ret i1 %made
fine:
  ret i1 true
}}

define internal ptr @result(ptr %c) {{
{_field("result", "5", "i64")}
  switch i64 %result, label %none [ i64 {RESULTS["one"]}, label %one i64 {RESULTS["list"]}, label %list ]
one:
{_field("first", "10, i32 1", "ptr")}
  %array.p = getelementptr %Output, ptr %first, i32 0, i32 1
  %array = load ptr, ptr %array.p
  store ptr null, ptr %array.p
  ret ptr %array
list:
{_field("made", "7", "ptr")}
  store ptr null, ptr %made.p
  %filled = call i1 @fill(ptr %c, ptr %made)
  ret ptr %made
none:
  call void @Py_IncRef(ptr @_Py_NoneStruct)
  ret ptr @_Py_NoneStruct
}}

define internal void @undo(ptr %c, i64 %taken) {{
  %released = call i1 @release(ptr %c, i64 %taken)
  %dropped = call i1 @drop_outputs(ptr %c)
{_field("list", "7", "ptr")}
  store ptr null, ptr %list.p
  call void @Py_DecRef(ptr %list)
{_field("busy", "6", "i64")}
  store i64 0, ptr %busy.p
  ret void
}}
"""

# A call that finds the table busy, by another thread or from inside itself, is one for the fallback. The list comes
# before locks and pointers are looked at: making it may run the garbage collector, and that anything.
_CALL = f"""
define ptr @sg_call(ptr %self, ptr %given, i64 %count, ptr %names) {{
  %holder.p = getelementptr i8, ptr %self, i64 ITEMS
  %holder = load ptr, ptr %holder.p
  %c.p = getelementptr %Array, ptr %holder, i32 0, i32 2
  %c = load ptr, ptr %c.p
{_field("wanted", "8, i32 0", "i64")}
{_field("busy", "6", "i64")}
  %is.all = icmp eq i64 %count, %wanted
  %is.plain = icmp eq ptr %names, null
  %is.free = icmp eq i64 %busy, 0
  %both = and i1 %is.all, %is.plain
  %three = and i1 %both, %is.free
  br i1 %three, label %read, label %slow
read:
  store i64 1, ptr %busy.p
  %sized = call i1 @lengths(ptr %c, ptr %given)
  br i1 %sized, label %check, label %back
check:
  %known = call i1 @arguments(ptr %c, ptr %given)
  br i1 %known, label %list, label %back
list:
  %listed = call i1 @new_list(ptr %c)
  br i1 %listed, label %weigh, label %clear
weigh:
{_field("entry", "0", "ptr")}
{_field("pointers", "3", "ptr")}
{_field("heavy", "4", "i64")}
  %is.heavy = icmp ne i64 %heavy, 0
  br i1 %is.heavy, label %hard, label %easy

easy:
  %unlocked = call i1 @are_free(ptr %c)
  br i1 %unlocked, label %easy.shared, label %back
easy.shared:
  %easy.fit = call i1 @shared(ptr %c)
  br i1 %easy.fit, label %easy.outputs, label %back
easy.outputs:
  %easy.made = call i1 @make_outputs(ptr %c)
  br i1 %easy.made, label %easy.run, label %clear
easy.run:
  %easy.failed = call i64 %entry(ptr %pointers)
  %easy.done = icmp eq i64 %easy.failed, 0
  br i1 %easy.done, label %done, label %back

hard:
  %taken.p = alloca i64
  store i64 0, ptr %taken.p
{_field("prepare", "2", "ptr")}
  %prepared = call ptr @PyObject_Vectorcall(ptr %prepare, ptr null, i64 0, ptr null)
  call void @Py_DecRef(ptr %prepared)
  %ready = icmp ne ptr %prepared, null
  br i1 %ready, label %lock, label %raise
lock:
  %locked = call i1 @acquire(ptr %c, ptr %taken.p)
  %taken = load i64, ptr %taken.p
  br i1 %locked, label %hard.shared, label %raise
hard.shared:
  %hard.fit = call i1 @shared(ptr %c)
  br i1 %hard.fit, label %hard.outputs, label %hard.back
hard.outputs:
  %hard.made = call i1 @make_outputs(ptr %c)
  br i1 %hard.made, label %hard.run, label %hard.clear
hard.run:
  %state = call ptr @PyEval_SaveThread()
  %hard.failed = call i64 %entry(ptr %pointers)
  call void @PyEval_RestoreThread(ptr %state)
  switch i64 %hard.failed, label %hard.back [ i64 0, label %unlock i64 {INTERRUPTED}, label %raise ]
unlock:
  %unlocking = call i1 @release(ptr %c, i64 %taken)
  br label %done
hard.clear:
  call void @PyErr_Clear()
  br label %hard.back
hard.back:
  call void @undo(ptr %c, i64 %taken)
  br label %slow
raise:
  %held = load i64, ptr %taken.p
  %error = alloca [3 x ptr]
  %value = getelementptr ptr, ptr %error, i64 1
  %traceback = getelementptr ptr, ptr %error, i64 2
  call void @PyErr_Fetch(ptr %error, ptr %value, ptr %traceback)
  call void @undo(ptr %c, i64 %held)
  %error0 = load ptr, ptr %error
  %error1 = load ptr, ptr %value
  %error2 = load ptr, ptr %traceback
  call void @PyErr_Restore(ptr %error0, ptr %error1, ptr %error2)
  ret ptr null

done:
  %result = call ptr @result(ptr %c)
  store i64 0, ptr %busy.p
  ret ptr %result
clear:
  call void @PyErr_Clear()
  br label %back
back:
  call void @undo(ptr %c, i64 0)
  br label %slow
slow:
{_field("fallback", "1", "ptr")}
  %slowly = call ptr @PyObject_Vectorcall(ptr %fallback, ptr %given, i64 %count, ptr %names)
  ret ptr %slowly
}}
"""


def calling_text(items: int) -> str:
    """The module; the items of a tuple begin at byte ``items``."""
    parts = [RECORDS, FUNCTIONS, ARGUMENTS, *_READ, *_WRITE, *_LOCKS, _RESULT, _CALL]
    return "\n".join(parts).replace("ITEMS", str(items))
