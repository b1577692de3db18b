"""NVIDIA's compiler takes every family of kernels, and what it makes of them fits a GPU. It needs no GPU for that."""

from __future__ import annotations

import ctypes
import re
import struct
from collections.abc import Iterator

import numpy as np
import pytest

import symgraph as sg
from codegen.cuda import nvrtc
from codegen.cuda import tensors as tensor_tiles
from codegen.cuda.emit import Module, emit
from codegen.cuda.products import TILES
from codegen.cuda.schedule import GPU, schedule
from codegen.kernel import Buffer, Kernel, Loop, Store
from codegen.numerics import EXPANSIONS
from codegen.program import build
from symgraph.backend import prepare
from symgraph.errors import BackendError
from symgraph.expression import PRIMS, apply, axis, load
from tests.codegen.cuda.test_products import product_kernel
from tests.laws import symbols
from tests.programs import task_of
from tests.test_laws import EACH

ARCHITECTURES = ("sm_80", "sm_90")
REGISTERS = 128  # of a thread: two blocks of 256 on a processor, which has 65536
MOST = 224  # where 64 results of a thread, and as many of a block of terms, leave room for one


@pytest.fixture(autouse=True)
def compiler():
    try:
        nvrtc.library()
    except BackendError as error:
        pytest.skip(str(error).splitlines()[0])


def program(outputs, values):
    task, signature, _ = task_of(outputs, values)
    return emit(build(prepare(task, signature), GPU, schedule).kernels)


def a_net():
    """A step of a convolutional net: products of all kinds, pools and their gradients, masks, rows, updates."""
    x, w, v = sg.ftensor4("x"), sg.ftensor4("w"), sg.fmatrix("v")
    maps = sg.nn.max_pool2d(sg.nn.relu(sg.nn.conv2d(x, w, border_mode="full")), (2, 2), ceil_mode=True)
    kept = sg.random.RandomStream(1).bernoulli(maps.shape, p=0.8, dtype="float32")
    p = sg.nn.softmax((maps * kept).flatten(2) @ v)
    cost = -sg.log(p[:, 0]).mean()
    random = np.random.default_rng(0)
    shapes = {x: (32, 3, 14, 14), w: (32, 3, 3, 3), v: (32 * 8 * 8, 10)}
    values = {k: random.random(s, "float32") for k, s in shapes.items()}
    return program([cost, p.argmax(axis=1), *sg.grad(cost, [x, w, v])], values)


def rows_and_scatters():
    """Long and short rows, columns, running sums, gathers, scatters, in several dtypes."""
    x, k = sg.fmatrix("x"), sg.lvector("k")
    d, h = x.astype("float64"), x.astype("float16")
    outputs = [
        sg.nn.log_softmax(x), x.sum(axis=0), d.std(axis=1), sg.cumsum(x, axis=1), x[k], x.sum(), h.max(axis=1),
        sg.inc_subtensor(x[k], x[: k.shape[0]]), x.argmin(axis=0), x.T + 1, (x > 0).all(axis=1),
    ]  # fmt: skip
    return program(outputs, {x: np.ones((300, 1000), "float32"), k: np.arange(5)})


def products(tiles=TILES, dtype="float32"):
    """Each tile."""
    kernels = []
    for n, tile in enumerate(tiles):
        for condition in (False, True):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("codegen.cuda.products.TILES", (tile,))
                kernel = schedule(product_kernel(2, 256, 250, 1100, condition, dtype))
            kernels.append(Kernel(f"k{n}_{int(condition)}", kernel.buffers, kernel.body))
    return emit(kernels)


def tensors(precisions):
    """Each tile of tensor cores."""
    kernels = []
    for precision in precisions:
        for n, tile in enumerate(tensor_tiles.TILES):
            for condition in (False, True):
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr("codegen.cuda.schedule.TENSOR_TILES", (tile,))
                    patch.setattr("codegen.cuda.tensors.TILES", (tile,))
                    kernel = schedule(product_kernel(2, 256, 250, 1100, condition), GPU, precision)
                kernels.append(Kernel(f"k_{precision}_{n}_{int(condition)}", kernel.buffers, kernel.body))
    return emit(kernels)


def functions(dtype):
    """Every function that no instruction does."""
    i, kernels = axis("i"), []
    for name in sorted(EXPANSIONS):
        operands = [load(b, (i,), dtype) for b in "ab"[: PRIMS[name].arity]]
        body = (Loop("i", 1000, "serial", (Store("o", (i,), apply(name, *operands)),)),)
        buffers = [Buffer(b, dtype, (1000,)) for b in ("o", *[str(e.value) for e in operands])]
        kernels.append(schedule(Kernel(f"k_{name}", tuple(buffers), body)))
    return emit(kernels)


FAMILIES = {
    "a net": a_net, "rows and scatters": rows_and_scatters, "the largest tile": lambda: products(TILES[:1]),
    "functions of float32": lambda: functions("float32"), "tensor cores": lambda: tensors(["bf16"]),
}  # fmt: skip

MORE = {
    "products": products, "products of float64": lambda: products(TILES[1:], "float64"),
    "functions of float64": lambda: functions("float64"), "all tensor cores": lambda: tensors(["tf32", "fp16"]),
}  # fmt: skip


def sections(elf: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of each section of an object file (64 bits, little-endian)."""
    start, size, count, names = struct.unpack_from("<Q10xHHH", elf, 0x28)
    heads = [struct.unpack_from("<IIQQQQ", elf, start + k * size) for k in range(count)]
    table = elf[heads[names][4] : heads[names][4] + heads[names][5]]
    for name, kind, _, _, offset, length in heads:
        if kind != 8:  # one without content
            yield table[name : table.index(b"\0", name)].decode(), elf[offset : offset + length]


def parameters(elf: bytes) -> dict[str, list[int]]:
    """Where each parameter of each kernel begins, in bytes: its entries of kind KPARAM_INFO."""
    found: dict[str, list[int]] = {}
    for name, data in sections(elf):
        if name.startswith(".nv.info."):
            at, offsets = 0, []
            while at < len(data):
                form, attribute, value = struct.unpack_from("<BBH", data, at)
                if attribute == 0x17:
                    offsets.append(struct.unpack_from("<IHH", data, at + 4)[2])
                at += 4 + (value if form == 4 else 0)
            found[name.removeprefix(".nv.info.")] = sorted(offsets)
    return found


def check(module: Module, architecture: str) -> None:
    """Nothing spilled, no stack, a budget of registers, and pointers for parameters: what a launch gives."""
    cubin = nvrtc.compile_text(module.text(), architecture)
    assert cubin.usage.keys() == {f.name for f in module.functions}
    found = parameters(cubin.code)
    for f in module.functions:
        u = cubin.usage[f.name]
        assert (u.stack, u.spilled) == (0, 0), f"{f.name}: {u}"
        assert u.registers <= (MOST if "__launch_bounds__(256, 1)" in f.text else REGISTERS), f"{f.name}: {u}"
        assert found[f.name] == [8 * k for k in range(len(f.parameters))]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_fits(family):
    check(FAMILIES[family](), "sm_90")


@pytest.mark.deep
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("family", [*FAMILIES, *MORE])
def test_a_family_fits_each_architecture(family, architecture):
    check({**FAMILIES, **MORE}[family](), architecture)


@pytest.mark.deep
@pytest.mark.parametrize("case", EACH[::5])
def test_an_op_fits(case):
    arrays = [np.asarray(a) for a in case.draw(np.random.default_rng(0), "float32")]
    inputs = symbols(arrays)
    check(program([case.build(*inputs)], dict(zip(inputs, arrays, strict=True))), "sm_90")


def test_without_the_compiler_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(nvrtc, "in_packages", lambda pattern: [])
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(BackendError, match=r"(?s)NVRTC, which was not found.*pip install nvidia-cuda-nvrtc"):
        nvrtc.library.__wrapped__()


def test_a_text_that_is_wrong_is_refused_with_the_compilers_words():
    with pytest.raises(BackendError, match=r'(?s)refuses a module for sm_90:.*identifier "y" is undefined'):
        nvrtc.compile_text('extern "C" __global__ void k(float* x) { x[0] = y; }', "sm_90")


def test_what_a_kernel_puts_off_to_memory_is_read_from_the_log():
    array = 'extern "C" __global__ void k(float* x, int n) { float a[99]; for (int i = 0; i < 99; ++i) a[i] = x[i * n];'
    usage = nvrtc.compile_text(array + " for (int i = 0; i < n; ++i) x[i] = a[(i * i) % 99]; }", "sm_80").usage["k"]
    assert usage.stack >= 4 * 99 and usage.registers > 0


def ptx(text: str) -> str:
    """What the compiler gives its assembler."""
    lib, handle = nvrtc.library(), ctypes.c_void_p()
    assert lib.nvrtcCreateProgram(ctypes.byref(handle), text.encode(), b"m.cu", 0, None, None) == 0
    options = [b"--gpu-architecture=compute_90", *[o.encode() for o in nvrtc.OPTIONS[:-1]]]
    assert lib.nvrtcCompileProgram(handle, len(options), (ctypes.c_char_p * len(options))(*options)) == 0
    found = nvrtc._taken(lib.nvrtcGetPTXSize, lib.nvrtcGetPTX, handle).decode()
    assert lib.nvrtcDestroyProgram(ctypes.byref(handle)) == 0
    return found


def test_large_maps_move_sixteen_bytes_at_a_time():
    x, y = sg.fmatrices("x y")
    value = np.ones((1024, 1024), "float32")
    text = ptx(program([sg.exp(x) * y + 1], {x: value, y: value}).text())
    assert len(re.findall(r"ld\.global(\.nc)?\.v4\.(f|b|u)32", text)) == 2
    assert len(re.findall(r"st\.global\.v4\.(f|b|u)32", text)) == 1


def test_tiles_are_read_from_shared_storage_several_neighbours_at_a_time():
    for tile in TILES[1:2]:
        assert "ld.shared.v4" in (text := ptx(products([tile]).text())) and "ld.shared.f32" not in text


@pytest.mark.parametrize(("precision", "shape"), [("tf32", "k8"), ("bf16", "k16"), ("fp16", "k16")])
def test_tensor_cores_multiply_what_a_precision_lets_them(precision, shape):
    kernel = schedule(product_kernel(1, 256, 256, 256), GPU, precision)
    text = ptx(emit([kernel]).text())
    assert f"mma.sync.aligned.m16n8{shape}." in text and "fma.rn.f32" not in text


def test_a_row_is_merged_by_shuffles_and_one_barrier():
    x = sg.fmatrix("x")
    text = ptx(program([x.sum(axis=1)], {x: np.ones((64, 5000), "float32")}).text())
    assert text.count("shfl.sync.bfly") == 5 and text.count("bar.sync") == 1


def test_no_product_is_added_without_rounding_unless_the_kernel_says_so():
    x, y = sg.fmatrices("x y")
    value = np.ones((32, 32), "float32")
    assert "fma.rn.f32" not in ptx(program([x * y + x], {x: value, y: value}).text())
    assert "fma.rn.f32" in ptx(program([x @ y], {x: value, y: value}).text())
