"""dtypes of complex results, and what complex numbers are refused for."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph as sg
from symgraph.op import scratch_registry

Z, C, D, F, I = sg.zvector("z"), sg.cvector("c"), sg.dvector("d"), sg.fvector("f"), sg.ivector("i")


@pytest.mark.parametrize(
    ("y", "dtype"),
    [
        (F + 1j, "complex64"), (D * 1j, "complex128"), (sg.vector("h", "float16") * 1j, "complex64"),
        (I + 1j, "complex128"),
        (C + 1.5, "complex64"), (C + 1, "complex64"), (C * I, "complex64"), (C * F, "complex64"), (C * D, "complex128"),
        (C + Z, "complex128"), (C / 2, "complex64"), (abs(C), "float32"), (Z.real, "float64"), (C.imag, "float32"),
        (sg.angle(C), "float32"), (sg.angle(F), "float32"), (sg.angle(I), "float64"), (sg.complex(F, F), "complex64"),
        (sg.complex(F, D), "complex128"), (sg.complex(1, I), "complex128"), (F.conj(), "float32"), (F.imag, "float32"),
        (C.mean(), "complex64"), (C.var(), "float32"), (C.sum(), "complex64"), (C @ C, "complex64"),
        (C @ D, "complex128"),
        (sg.as_variable(1j), "complex128"), (sg.as_variable([1j, 2.0]), "complex128"), (sg.eq(C, 1j), "bool"),
        (C.astype("complex128"), "complex128"), (F.astype("complex64"), "complex64"),
        (sg.zeros(3, "complex64"), "complex64"),
        (sg.eye(2, dtype="complex64"), "complex64"), (sg.switch(F > 0, F, 1j), "complex64"), (sg.norm(C), "float32"),
        (sg.constant(np.array([1j], ">c8")), "complex64"),
    ],
)  # fmt: skip
def test_dtypes_are_numpys_with_weak_python_numbers(y, dtype):
    assert y.dtype == dtype


def test_floatX_decides_about_python_numbers():
    with sg.using(floatX="float32"):
        assert sg.as_variable(1j).dtype == (sg.shared(2j)).dtype == (I * 1j).dtype == "complex64"
    assert sg.shared(2j).dtype == "complex128"


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("floor", lambda: sg.floor(C)), ("maximum", lambda: sg.maximum(C, 0)), ("lt", lambda: C < 1),
        ("ge", lambda: C >= 1),
        ("max", lambda: C.max()), ("argmax", lambda: C.argmax()), ("sort", lambda: sg.sort(C)),
        ("clip", lambda: C.clip(0, 1)),
        ("mod", lambda: C % 2), ("int_div", lambda: C // 2), ("erf", lambda: sg.erf(C)),
        ("arctan2", lambda: sg.arctan2(C, C)),
        ("and_", lambda: C & 1), ("sigmoid", lambda: sg.sigmoid(C)), ("softmax", lambda: sg.nn.softmax(C)),
        ("round", lambda: C.round()),
        ("searchsorted", lambda: sg.searchsorted(C, 1)),
        ("conv", lambda: sg.nn.conv1d(sg.ctensor3("a"), sg.ctensor3("b"))),
        ("complex", lambda: sg.complex(C, 1)), ("arange", lambda: sg.arange(1j)),
    ],
)  # fmt: skip
def test_what_is_not_defined_for_complex_numbers_names_op_and_dtype(name, call):
    with pytest.raises(TypeError, match=rf"^{name} does not take complex|^{name}: .*complex"):
        call()


@pytest.mark.parametrize("dtype", ["float32", "int64", "float64"])
def test_a_complex_number_becomes_no_real_one_by_a_cast(dtype):
    with pytest.raises(sg.DTypeError, match=rf"c is complex64, it cannot become {dtype}(.|\n)*c.real, c.imag or abs"):
        C.astype(dtype)


def test_a_real_base_takes_no_complex_value():
    with pytest.raises(sg.DTypeError, match="complex128 does not fit float32"):
        sg.set_subtensor(F[:2], 1j)
    assert sg.set_subtensor(C[:2], 1.0).dtype == "complex64"


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(sg.DTypeError, match="does not fit complex64"):
        C + complex(0, 1e300)
    with pytest.raises(sg.DTypeError, match="complex256 is not supported"):
        sg.constant(np.zeros(1, "clongdouble"))


def test_a_cost_must_be_real():
    with pytest.raises(TypeError,
    match=r"grad: the cost .* is complex64, it must be a real number(.|\n)*real, .*imag or abs"):
        sg.grad((C * C).sum(), C)
    with pytest.raises(TypeError, match="jacobian: .* is complex64"):
        sg.jacobian(C * C, C)
    with pytest.raises(TypeError, match="hessian: c is complex64"):
        sg.hessian(abs(C).sum(), C)


def test_an_elementwise_op_of_the_users_takes_real_operands():
    with scratch_registry():
        half_of = sg.elementwise(name="half_of")(lambda x: x / 2)
        with pytest.raises(TypeError, match="half_of does not take complex64"):
            half_of(C)


@pytest.mark.parametrize(("letter", "dtype"), [("c", "complex64"), ("z", "complex128")])
def test_constructors_by_prefix(letter, dtype):
    assert getattr(sg, f"{letter}matrix")("m").type == sg.TensorType(dtype, (None, None))
    assert [v.dtype for v in getattr(sg, f"{letter}scalars")("a b")] == [dtype] * 2
