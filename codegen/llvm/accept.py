"""Arguments of a call as LLVM IR: the records of a call, and where the data of what Python gives lies.

    ptr @argument(ptr %object, ptr %input)

is where the data of an argument lies that an input takes as it is: an array of its dtype and shape, contiguous and
aligned, or for rank 0 a number of Python or NumPy. For anything else it is null. (``calling`` has the rest of a call.)
"""

from __future__ import annotations

# The records; their twins are the ctypes structures of codegen.llvm.native.
RECORDS = """
%Object = type { i64, ptr, i64 }                                         ; references, type, the value of a number
%Array = type { i64, ptr, ptr, i32, ptr, ptr, ptr, ptr, i32 }            ; ..., data, rank, extents, _, _, dtype, flags
%Type = type { ptr, i64, ptr, i64 }                                      ; dtype, rank, extents, bytes
%Input = type { %Type, ptr, i64, i64 }                                   ; type, NumPy's scalar type, number, place
%Shared = type { %Type, ptr, i64 }                                       ; type, where its array is named, is written
%Output = type { %Type, ptr, ptr }                                       ; type, array, allocator or null
%Lock = type { ptr, ptr, ptr }                                           ; owner, acquire, release
%Length = type { i64, i64, i64, i64, ptr }                               ; input, least, most, count and places of it
%Table = type { i64, ptr }                                               ; count, records
%Call = type { ptr, ptr, ptr, ptr, i64, i64, i64, ptr, %Table, %Table, %Table, %Table, %Table }
"""
# The fields of %Call by number: entry, fallback, prepare, pointers, heavy, result, busy, list, inputs, shared, outputs,
# locks, lengths. ``pointers`` is what the entry takes: arena, inputs, shared variables, outputs, constants, lengths.

NUMBERS = {"int8": 1, "int16": 2, "int32": 3, "int64": 4, "uint8": 5, "uint16": 6, "uint32": 7, "uint64": 8,
           "float32": 9, "float64": 10}  # fmt: skip

_FITS = """
; Whether %a is a contiguous and aligned array of a type. C_CONTIGUOUS is 1, ALIGNED 256.
define internal i1 @fits(ptr %a, ptr %type) {
  %descr.p = getelementptr %Array, ptr %a, i32 0, i32 7
  %descr = load ptr, ptr %descr.p
  %wanted = load ptr, ptr %type
  %same.dtype = icmp eq ptr %descr, %wanted
  %flags.p = getelementptr %Array, ptr %a, i32 0, i32 8
  %flags = load i32, ptr %flags.p
  %plain = and i32 %flags, 257
  %is.plain = icmp eq i32 %plain, 257
  %rank.p = getelementptr %Array, ptr %a, i32 0, i32 3
  %rank32 = load i32, ptr %rank.p
  %rank = zext i32 %rank32 to i64
  %axes.p = getelementptr %Type, ptr %type, i32 0, i32 1
  %axes = load i64, ptr %axes.p
  %same.rank = icmp eq i64 %rank, %axes
  %both = and i1 %same.dtype, %is.plain
  %three = and i1 %both, %same.rank
  br i1 %three, label %shapes, label %no
shapes:
  %shape.p = getelementptr %Array, ptr %a, i32 0, i32 4
  %shape = load ptr, ptr %shape.p
  %extents.p = getelementptr %Type, ptr %type, i32 0, i32 2
  %extents = load ptr, ptr %extents.p
  %number = alloca i64
  store i64 0, ptr %number
  br label %head
head:
  %k = load i64, ptr %number
  %more = icmp slt i64 %k, %axes
  br i1 %more, label %turn, label %yes
turn:
  %next = add i64 %k, 1
  store i64 %next, ptr %number
  %given.p = getelementptr i64, ptr %shape, i64 %k
  %given = load i64, ptr %given.p
  %extent.p = getelementptr i64, ptr %extents, i64 %k
  %extent = load i64, ptr %extent.p
  %same = icmp eq i64 %given, %extent
  br i1 %same, label %head, label %no
yes:
  ret i1 true
no:
  ret i1 false
}
"""


def _integer(width: int, signed: bool) -> str:
    """A case of @from_integer: store %n where it fits."""
    name, back = f"{'i' if signed else 'u'}{width}", "sext" if signed else "zext"
    kept = f"  %{name}.n = trunc i64 %n to i{width}\n  %{name}.b = {back} i{width} %{name}.n to i64\n"
    if width == 64:  # an unsigned one fits where it is not negative
        kept = f"  %{name}.n = add i64 %n, 0\n  %{name}.b = {'add' if signed else 'and'} i64 %n, "
        kept += "0\n" if signed else f"{2**63 - 1}\n"
    return f"""
{name}:
{kept}  %{name}.fits = icmp eq i64 %{name}.b, %n
  store i{width} %{name}.n, ptr %place
  br i1 %{name}.fits, label %done, label %no"""


_CASES = [(width, signed) for signed in (True, False) for width in (8, 16, 32, 64)]
_SCALARS = f"""
; The value of a Python or NumPy number in the dtype of an input of rank 0, or null: what NumPy's conversion gives.
define internal ptr @number(ptr %a, ptr %kind, ptr %r) {{
  %rank.p = getelementptr %Input, ptr %r, i32 0, i32 0, i32 1
  %rank = load i64, ptr %rank.p
  %is.scalar = icmp eq i64 %rank, 0
  br i1 %is.scalar, label %scalar, label %no
scalar:
  %value.p = getelementptr %Object, ptr %a, i32 0, i32 2
  %own.p = getelementptr %Input, ptr %r, i32 0, i32 1
  %own = load ptr, ptr %own.p
  %is.own = icmp eq ptr %kind, %own
  br i1 %is.own, label %there, label %foreign
there:
  ret ptr %value.p
foreign:
  %code.p = getelementptr %Input, ptr %r, i32 0, i32 2
  %code = load i64, ptr %code.p
  %place = getelementptr %Input, ptr %r, i32 0, i32 3
  %is.float = icmp eq ptr %kind, @PyFloat_Type
  br i1 %is.float, label %float, label %other
float:
  %x = load double, ptr %value.p
  switch i64 %code, label %no [ i64 {NUMBERS["float32"]}, label %narrow i64 {NUMBERS["float64"]}, label %there ]
narrow:
  %x32 = fptrunc double %x to float
  store float %x32, ptr %place
  %bits = bitcast float %x32 to i32
  %size = and i32 %bits, {0x7FFFFFFF}
  %is.infinite = icmp eq i32 %size, {0x7F800000}
  br i1 %is.infinite, label %no, label %done
other:
  %is.int = icmp eq ptr %kind, @PyLong_Type
  br i1 %is.int, label %int, label %no
int:
  %overflow = alloca i32
  %n = call i64 @PyLong_AsLongLongAndOverflow(ptr %a, ptr %overflow)
  %beyond = load i32, ptr %overflow
  %within = icmp eq i32 %beyond, 0
  br i1 %within, label %cases, label %no
cases:
  switch i64 %code, label %no [
    {" ".join(f"i64 {k}, label %{'iu'[k > 4]}{8 << (k - 1) % 4}" for k in range(1, 9))}
    i64 {NUMBERS["float32"]}, label %f32 i64 {NUMBERS["float64"]}, label %f64
  ]
f32:
  %n.double = sitofp i64 %n to double
  %n32 = fptrunc double %n.double to float
  store float %n32, ptr %place
  br label %done
f64:
  %n64 = sitofp i64 %n to double
  store double %n64, ptr %place
  br label %done{"".join(_integer(width, signed) for width, signed in _CASES)}
done:
  ret ptr %place
no:
  ret ptr null
}}
"""

_ARGUMENT = """
; Where the data of an argument lies, or null if it is not what the input wants.
define internal ptr @argument(ptr %a, ptr %r) {
  %kind.p = getelementptr %Object, ptr %a, i32 0, i32 1
  %kind = load ptr, ptr %kind.p
  %is.array = icmp eq ptr %kind, @PyArray_Type
  br i1 %is.array, label %array, label %other
array:
  %fine = call i1 @fits(ptr %a, ptr %r)
  %data.p = getelementptr %Array, ptr %a, i32 0, i32 2
  %data = load ptr, ptr %data.p
  %found = select i1 %fine, ptr %data, ptr null
  ret ptr %found
other:
  %value = call ptr @number(ptr %a, ptr %kind, ptr %r)
  ret ptr %value
}
"""

ARGUMENTS = "\n".join([_FITS, _SCALARS, _ARGUMENT])
