"""Complex arrays at the boundary of a function: arguments, results, shared variables, copies of functions."""

from __future__ import annotations

import copy
import pickle
from contextlib import suppress

import numpy as np
import pytest

import symgraph as sg
from symgraph import parts, shared_variable
from symgraph.complexes import has_complex
from symgraph.reference import evaluate
from symgraph.types import storage

BACKENDS = ["numpy", "llvm"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_any_layout_and_byte_order_of_an_argument(backend, dtype):
    z = sg.tensor("z", dtype, (None, None))
    f = sg.function([z], 2 * z.T, backend=backend)
    base = (np.arange(24) + 1j * np.arange(24, 0, -1)).reshape(4, 6).astype(dtype)
    for a in (base, base.T, base[::2, ::-1], np.asfortranarray(base), base.astype(np.dtype(dtype).newbyteorder()),
    base[:0]):
        found = f(a)
        assert found.dtype == np.dtype(dtype) and found.flags.c_contiguous and np.array_equal(found, 2 * a.T)
    unaligned = np.frombuffer(b"\0" + base.tobytes(), np.uint8)[1:].view(dtype).reshape(4, 6)
    assert np.array_equal(f(unaligned), 2 * base.T)


def test_python_numbers_lists_and_real_arrays_become_complex_arguments():
    z, s = sg.cvector("z"), sg.cscalar("s")
    f, g = sg.function([z], z * 1j), sg.function([s], s + 1)
    assert np.array_equal(f([1, 2j]), [1j, -2]) and np.array_equal(f(np.array([1.5, 2], "float32")), [1.5j, 2j])
    assert g(1j) == 1 + 1j and g(2) == 3 and g(np.complex64(1j)).shape == ()
    with pytest.raises(sg.DTypeError, match="converting may lose values"):
        f(np.array([1j]))
    assert sg.function([z], z, allow_input_downcast=True)(np.array([1j])).dtype == "complex64"


@pytest.mark.parametrize("downcast", [False, True])
def test_a_real_input_takes_no_complex_array(downcast):
    x = sg.fvector("x")
    f = sg.function([x], x + 1, allow_input_downcast=downcast)
    with pytest.raises(sg.DTypeError, match="complex64.*must be float32(.|\n)*give one of its parts"):
        f(np.array([1j], "complex64"))
    with pytest.raises(sg.DTypeError, match="give one of its parts"):
        sg.shared(np.zeros(2)).set_value(np.array([1j, 2]))


def test_the_parts_of_an_argument_are_no_arguments():
    z = sg.zvector("z")
    f = sg.function([z], z)
    for _ in range(3):
        assert np.array_equal(f(np.array([1j, 2])), [1j, 2])
        with pytest.raises(sg.ShapeError, match="2 axes"):
            f(np.zeros((2, 2)))
        with pytest.raises(sg.ArgumentError, match="takes 1 input"):
            f(np.zeros(2), np.zeros(2))
    with pytest.raises(sg.ArgumentError, match=r"no input named 'z.real'"):
        f(**{"z.real": np.zeros(2)})


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_form_of_results(backend):
    z, x = sg.zvector("z"), sg.dvector("x")
    a, b = np.array([1 + 2j, 3j]), np.array([0.5, 2.0])
    one = sg.function([z, x], z * x, backend=backend)(a, b)
    many = sg.function([z, x], [x + 1, z * x, abs(z), z], backend=backend)(a, b)
    named = sg.function([z, x], {"p": z * x, "x": x}, backend=backend)(a, b)
    assert np.array_equal(one, a * b) and np.array_equal(named["p"], a * b) and np.array_equal(named["x"], b)
    assert [v.dtype.kind for v in many] == ["f", "c", "f", "c"] and np.allclose(many[2], abs(a))
    assert np.array_equal(many[3], a) and many[3] is not a


@pytest.mark.parametrize("backend", BACKENDS)
def test_borrowed_results_beside_complex_ones(backend):
    z, x = sg.zvector("z"), sg.dvector("x")
    a, b = np.array([1 + 2j, 3j]), np.array([0.5, 2.0])
    f = sg.function([z, x], [sg.Out(z * x, borrow=True), abs(z), sg.Out(x + 1, borrow=True)], backend=backend)
    product, size, more = f(a, b)
    assert np.array_equal(product, a * b) and np.allclose(size, abs(a)) and np.array_equal(more, b + 1)
    assert f.task.borrowed == (3,)


def test_defaults_names_givens_eval_and_printing(capsys):
    z, w = sg.zscalar("z"), sg.zscalar("w")
    f = sg.function([sg.In(z, 2j), w], z * w)
    assert f(w=3) == 6j and f(1, 1j) == 1j
    assert sg.function([w], z + 1, givens={z: w * 2})(1j) == 1 + 2j
    assert (z + w).eval({z: 1j, "w": 2}) == 2 + 1j
    sg.function([z], sg.Print("z is")(z) * 2)(1 - 1j)
    assert capsys.readouterr().out == "z is (1-1j) complex128 ()\n"


def test_other_shapes_reuse_a_function():
    z = sg.zmatrix("z")
    f = sg.function([z], (z @ z.T.conj()).sum(0))
    for n in (5, 3, 5, 9, 1, 0):
        a = np.random.default_rng(n).normal(size=(n, 4)) + 1j
        assert np.allclose(f(a), (a @ a.T.conj()).sum(0))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_shared_variables_are_read_updated_and_set(backend, dtype):
    start = np.array([1 + 1j, -2j, 3]).astype(dtype)
    w = sg.shared(start, name="w")
    count = sg.shared(0, name="count")
    z = sg.tensor("z", dtype, (3,))
    f = sg.function([z], w + z, updates={w: w * 1j + z, count: count + 1}, backend=backend)
    a = np.array([0.5, 1j, 2 - 1j]).astype(dtype)
    assert w.type == sg.TensorType(dtype, (3,))
    assert np.array_equal(f(a), start + a) and np.array_equal(w.get_value(), start * 1j + a)
    assert count.get_value() == 1
    w.set_value([1j, 2, 3])
    assert np.array_equal(f(a), np.array([1j, 2, 3]) + a)
    w.get_value()[:] = 0
    assert w.get_value().any() and w.get_value().dtype == dtype
    with pytest.raises(sg.ShapeError, match="w: the value has shape"):
        w.set_value(np.zeros(4, dtype))
    with pytest.raises(sg.UpdateError, match="complex"):
        sg.function([], [], updates={count: w.sum()})


@pytest.mark.parametrize("allowed", range(3))
def test_a_value_that_cannot_be_stored_leaves_no_half_of_it(allowed, monkeypatch):
    w, calls = sg.shared(np.array([1 + 2j])), []

    def short_of_memory(*arguments, **options):
        calls.append(arguments)
        if len(calls) > allowed:
            raise MemoryError
        return storage(*arguments, **options)

    for place in (parts, shared_variable):
        monkeypatch.setattr(place, "storage", short_of_memory)
    with suppress(MemoryError):
        w.set_value(np.array([3 + 4j]), True)
    assert complex(w.get_value()[0]) in (1 + 2j, 3 + 4j)


def test_a_shared_variable_of_open_extents_and_updates_of_two_by_each_other():
    w = sg.shared(np.array([1j]), name="w", shape=(None,))
    grow = sg.function([], w.sum(), updates={w: sg.concatenate([w, w + 1])})
    assert [complex(grow()) for _ in range(3)] == [1j, 1 + 2j, 4 + 4j] and w.get_value().shape == (8,)
    a, b = sg.shared(np.array([1 + 1j, 2])), sg.shared(np.array([3j, 4]))
    sg.function([], [], updates={a: b, b: a * 1j})()
    assert np.array_equal(a.get_value(), [3j, 4]) and np.array_equal(b.get_value(), [-1 + 1j, 2j])


def test_pickles_copies_and_files(tmp_path):
    w = sg.shared(np.array([1 + 2j, 3]), name="w")
    z = sg.zvector("z")
    f = sg.function([z], [w * z, abs(z)], updates={w: w + z})
    a = np.array([1j, 2])
    g = pickle.loads(pickle.dumps(f))
    assert np.array_equal(g(a)[0], w.get_value() * a)
    again = pickle.loads(pickle.dumps(w))
    assert np.array_equal(again.get_value(), w.get_value()) and again.name == "w" and again.type == w.type
    assert copy.deepcopy(w).get_value().dtype == "complex128"
    sg.save(tmp_path / "w.npz", [w])
    before = w.get_value()
    f(a)
    sg.load(tmp_path / "w.npz", into=[w])
    assert np.array_equal(w.get_value(), before)
    sg.save(tmp_path / "f.npz", f)
    f(a)
    sg.load(tmp_path / "f.npz", into=f)
    assert np.array_equal(w.get_value(), before)


def test_numpys_own_functions_build_graphs():
    z = sg.zvector("z")
    a = np.array([1 + 2j, -3j])
    built = [np.exp(z), np.conjugate(z), np.real(z), np.imag(z), np.angle(z), np.abs(z), np.multiply(a, z),
    z.conjugate(), +z]
    expected = [np.exp(a), a.conj(), a.real, a.imag, np.angle(a), abs(a), a * a, a.conj(), a]
    for found, e in zip(sg.function([z], built)(a), expected, strict=True):
        assert np.allclose(found, e, rtol=1e-14)


def test_measures_pictures_and_explanations(tmp_path):
    z, x = sg.tensor("z", "complex64", (4,)), sg.fvector("x")
    y = sg.exp(z).sum() * x.sum()
    f = sg.function([z, x], [y, abs(z)])
    assert f.profile(np.ones(4, "complex64"), np.ones(3, "float32"), runs=2).rows
    assert "exp_times(z.real, cos(z.imag))" in str(sg.explain(f)) and "exp(z)" in sg.pprint(y)
    sg.draw(y, tmp_path / "y.svg")
    with pytest.raises(sg.ArgumentError, match="of complex numbers"):
        sg.accuracy(abs(z), {z: np.ones(4)})


def test_masks_and_selections():
    z = sg.zvector("z")
    a = np.array([1 + 2j, 3j, -1, 0, 2 - 2j])
    f = sg.function([z], [z[z.real > 0], z[z.real > 0].sum(), sg.set_subtensor(z[z.real > 0], 1j), z.nonzero()[0]])
    for b in (a, a.conj() * -1, np.zeros(5, complex)):
        chosen = b.real > 0
        expected = [b[chosen], b[chosen].sum(), np.where(chosen, 1j, b), b.nonzero()[0]]
        for found, e in zip(f(b), expected, strict=True):
            assert np.allclose(found, e) and found.shape == e.shape


def test_a_program_without_complex_values_is_what_it_was():
    x = sg.dvector("x")
    f = sg.function([x], sg.exp(x))
    assert f.task.inputs == (x,) and not has_complex(f.task.results) and f.form.is_native


def test_shape_errors_name_the_users_variable():
    z = sg.tensor("z", "complex64", (3,))
    f = sg.function([z], z)
    with pytest.raises(sg.ShapeError, match=r"the input z has shape \(4,\), its type is complex64 \(3,\)"):
        f(np.zeros(4, "complex64"))


def test_singular_matrices_are_told():
    z = sg.zmatrix("z")
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        sg.function([z], sg.linalg.inv(z))(np.zeros((2, 2)))


@pytest.mark.parametrize("seed", range(8))
def test_drawn_formulas_are_the_reference(seed):
    """Arithmetic, functions and products in drawn order, on drawn values: compiled as the reference has it."""
    rng = np.random.default_rng(seed)
    z, w = sg.zmatrix("z"), sg.zmatrix("w")
    steps = [
        lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y / 4, lambda x, y: x / (y + 3), lambda x,
        y: sg.tanh(x),
        lambda x, y: sg.sin(x / 4), lambda x, y: x.conj() + y, lambda x, y: (x @ y.T) @ y / 32, lambda x, y: x[::-1],
        lambda x, y: sg.sqrt(x), lambda x, y: abs(x) * y / 4, lambda x, y: x - x.mean(0), lambda x,
        y: x.T.reshape(x.shape),
        lambda x, y: sg.switch(x.real > y.imag, x, y), lambda x, y: sg.complex(y.imag, x.real),
    ]  # fmt: skip
    made = [z, w]
    for _ in range(12):
        step = steps[rng.integers(len(steps))]
        made.append(step(made[rng.integers(len(made))], made[rng.integers(len(made))]))
    a, b = (rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4)) for _ in range(2))
    cost = (abs(made[-1]) ** 2).sum()
    results = [made[-1], *sg.grad(cost, [z, w], disconnected_inputs="ignore")]
    f, slow = (sg.function([z, w], results, backend=name, on_unused_input="ignore") for name in ("llvm", "numpy"))
    (native,) = evaluate([made[-1]], {z: a, w: b})
    assert np.allclose(f(a, b)[0], native, rtol=1e-9, atol=1e-9)
    for found, expected in zip(f(a, b), slow(a, b), strict=True):
        assert np.allclose(found, expected, rtol=1e-9, atol=1e-9)
