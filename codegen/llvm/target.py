"""The target machine: LLVM IR as text in, machine code out, and machine code loaded into this process.

    text --optimize--> module --emit--> object code (bytes, may be kept on disk) --load--> addresses

Nothing here knows of graphs or kernels. Vectors are explicit in the text, so the passes are only those that clean up
what an emitter writes plainly. Arithmetic is IEEE: no fast-math flag, no contraction, subnormals kept.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import llvmlite
import llvmlite.binding as llvm

from codegen.llvm.soft import NAMES, probe, stand_in
from symgraph.errors import BackendError

COMPILER = f"llvmlite {llvmlite.__version__}"
"""What another version compiles is another program."""

# Measured on a register-tiled product (16 KB of code): these three 7 ms, the default pipeline 150 ms, the code as fast.
PASSES = ("sroa", "instruction_combine", "simplify_cfg")

# Code generation at 3 costs what 2 does and gave the same speed; 1 saves a tenth of the time. From 1 up each function
# costs 0.3 ms before its first instruction: emit few functions.
CODEGEN_LEVEL = 2

# llvmlite serialises single calls; this holds a whole compilation together, and a fork waits for it: a child that
# inherits a lock of llvmlite, held by a thread that it does not have, could never compile. So whatever calls llvmlite
# holds it, and an object of llvmlite's is dropped while it is held.
llvm_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=llvm_lock.acquire, after_in_parent=llvm_lock.release, after_in_child=llvm_lock.release)


@dataclass(frozen=True)
class Target:
    """A machine to emit for.

    Attributes
    ----------
    triple : str
        As LLVM spells it, e.g. ``"aarch64-linux-gnu"``.
    cpu : str
        LLVM's name of the processor, e.g. ``"x86-64-v3"``.
    features : str
        Differences to that processor, e.g. ``"+avx2,-avx512f"``.
    vector_bytes : int
        Width of the vectors an emitter should write.
    """

    triple: str
    cpu: str = "generic"
    features: str = ""
    vector_bytes: int = 16


@functools.cache
def host() -> Target:
    """The machine this process runs on."""
    with llvm_lock:
        features = llvm.get_host_cpu_features()
        triple = str(llvm.get_process_triple()) + ("-elf" if os.name == "nt" else "")
        return Target(triple, str(llvm.get_host_cpu_name()), str(features.flatten()), _vector_bytes(features))


def _vector_bytes(features: dict[str, bool]) -> int:
    if all(features.get(f"avx512{part}") for part in ("f", "bw", "dq", "vl")):
        return 64
    return 32 if features.get("avx2") else 16


@functools.cache
def _machine(target: Target, level: int) -> Any:
    if target == host():
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
    else:
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
    # small and pic: constants are memory operands and calls are direct; the linker adds stubs for what is far away
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=level, reloc="pic", codemodel="small", jit=True
    )


@functools.cache
def lacking(target: Target) -> frozenset[str]:
    """The intrinsics for which ``target`` has no instruction: LLVM would call the C library."""
    with llvm_lock:
        module = llvm.parse_assembly(probe(), llvm.create_context())
        called = undefined_symbols(bytes(_machine(target, CODEGEN_LEVEL).emit_object(module)))
        return frozenset(called.intersection(NAMES))


def optimize(text: str, target: Target) -> Any:
    """The verified and cleaned-up module of an IR text; to be called, and its value dropped, under ``llvm_lock``.

    Raises
    ------
    RuntimeError
        If LLVM cannot parse or verify the text: a fault of the emitter.
    """
    machine = _machine(target, CODEGEN_LEVEL)
    # a context of its own: types and constants of a context are never freed, so a shared one would only grow
    module = llvm.parse_assembly(stand_in(text, lacking(target)), llvm.create_context())
    module.triple, module.data_layout = target.triple, str(machine.target_data)
    module.verify()
    tuning = llvm.create_pipeline_tuning_options(speed_level=CODEGEN_LEVEL)
    manager = llvm.create_new_module_pass_manager()
    for name in PASSES:
        getattr(manager, f"add_{name}_pass")()
    manager.run(module, llvm.create_pass_builder(machine, tuning))
    return module


def optimized_text(text: str, target: Target) -> str:
    """The IR text after the passes."""
    with llvm_lock:
        return str(optimize(text, target))


def emit_object(text: str, target: Target, level: int = CODEGEN_LEVEL) -> bytes:
    """Relocatable object code of an IR text; ``level`` 0 takes a fifth of the time, where speed is no matter."""
    with llvm_lock:
        return bytes(_machine(target, level).emit_object(optimize(text, target)))


def emit_assembly(text: str, target: Target) -> str:
    """Assembly of an IR text, as the object code of ``emit_object`` would read."""
    with llvm_lock:
        return str(_machine(target, CODEGEN_LEVEL).emit_assembly(optimize(text, target)))


class Library:
    """Object code loaded into this process. Its addresses are valid as long as it is referenced."""

    def __init__(self, engine: Any, tracker: Any, addresses: dict[str, int]) -> None:
        self._addresses = addresses
        # not at exit: threads of the process may still be running this code then
        weakref.finalize(self, _unload, engine, tracker).atexit = False

    def address(self, name: str) -> int:
        """Where the global function or variable ``name`` lies.

        Raises
        ------
        KeyError
            If no object of the library defines ``name``.
        """
        return self._addresses[name]


def _unload(engine: Any, tracker: Any) -> None:
    with llvm_lock:
        # the engine frees what the tracker points at, so the tracker goes first
        tracker.close()
        engine.close()


def load(objects: Sequence[bytes]) -> Library:
    """Link objects with each other and with this process.

    Each library has an engine of its own: two may define the same names, and one that is dropped gives all its memory
    back. (One engine for all would load in 0.35 ms instead of 0.85, but keeps 10 KB of each library for ever. LLVM's
    older MCJIT takes 0.9 ms and ends the process on a symbol it cannot find.)

    Parameters
    ----------
    objects : sequence of bytes
        From ``emit_object`` for ``host()``.

    Raises
    ------
    BackendError
        If a symbol is defined neither in the objects nor in the process, or the bytes are no object code.
    """
    tables = [symbol_table(data) for data in objects]
    defined = set().union(*(table.defined for table in tables))
    builder = llvm.JITLibraryBuilder()
    for data in objects:
        builder.add_object_img(data)
    for name in set().union(*(table.undefined for table in tables)) - defined:
        builder.import_symbol(name, _process_address(name))
    for name in defined:
        builder.export_symbol(name)
    return _link(builder, defined)


def _link(builder: Any, exports: set[str]) -> Library:
    with llvm_lock:
        engine = llvm.create_lljit_compiler(_machine(host(), CODEGEN_LEVEL), use_jit_link=True)
        try:
            tracker = builder.link(engine, "library")
        except RuntimeError as error:
            raise BackendError(f"load: LLVM cannot link this object code: {error}") from error
        return Library(engine, tracker, {name: tracker[name] for name in exports})


def define_symbol(name: str, address: int) -> None:
    """Let object code loaded from now on refer to ``address`` by name, whatever else the process calls so."""
    with llvm_lock:
        llvm.add_symbol(name, address)


def _process_address(name: str) -> int:
    """Where a name is: as given to ``define_symbol``, else as the dynamic linker finds it."""
    with llvm_lock:
        address = llvm.address_of_symbol(name)
    if address:
        return int(address)
    try:
        return ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, name))
    except ValueError:
        raise BackendError(
            f"load: the object code refers to {name!r}, which this process does not have\n"
            f"define_symbol({name!r}, address) makes it known; a library loaded with dlopen needs RTLD_GLOBAL"
        ) from None


class SymbolTable(NamedTuple):
    """Global names of an object: those it gives and those it needs."""

    defined: set[str]
    undefined: set[str]


def undefined_symbols(data: bytes) -> set[str]:
    """The names an object needs from elsewhere."""
    return symbol_table(data).undefined


def symbol_table(data: bytes) -> SymbolTable:
    """The global symbols of object code, read from its bytes.

    Raises
    ------
    NotImplementedError
        If the bytes are neither 64-bit little-endian ELF nor 64-bit Mach-O.
    BackendError
        If they begin as such an object but are cut short.
    """
    for magic, read in ((b"\x7fELF\x02\x01", _elf_symbols), (b"\xcf\xfa\xed\xfe", _macho_symbols)):
        if data.startswith(magic):
            try:
                return read(data)
            except (struct.error, ValueError) as error:
                raise BackendError(f"the object code of {len(data)} bytes is damaged: {error}") from error
    raise NotImplementedError(f"object code that begins with {data[:6]!r}; only ELF and Mach-O, 64-bit little-endian")


def _name_at(data: bytes, offset: int) -> str:
    return data[offset : data.index(b"\0", offset)].decode()


def _elf_symbols(data: bytes) -> SymbolTable:
    """Symbols of binding global or weak; section number 0 means undefined (System V ABI, chapter 4)."""
    table = SymbolTable(set(), set())
    headers, count = struct.unpack_from("<40xQ12xH", data)
    sections = [struct.unpack_from("<4xI16xQQI12xQ", data, headers + 64 * i) for i in range(count)]
    for kind, start, size, strings, entry in sections:
        if kind != 2:  # SHT_SYMTAB
            continue
        for at in range(start + entry, start + size, entry):  # the first entry is always empty
            name, info, section = struct.unpack_from("<IBxH", data, at)
            if info >> 4:
                names = table.defined if section else table.undefined
                names.add(_name_at(data, sections[strings][1] + name))
    return table


def _macho_symbols(data: bytes) -> SymbolTable:
    """External symbols without C's leading underscore; type 0 means undefined (mach-o/loader.h, nlist.h)."""
    table = SymbolTable(set(), set())
    (count,), at = struct.unpack_from("<16xI", data), 32
    for _ in range(count):
        command, size = struct.unpack_from("<II", data, at)
        if command == 2:  # LC_SYMTAB
            start, symbols, strings = struct.unpack_from("<8xIII", data, at)
            for i in range(symbols):
                name, kind = struct.unpack_from("<IB", data, start + 16 * i)
                if kind & 0x01 and not kind & 0xE0:  # external, and no debugging entry
                    names = table.defined if kind & 0x0E else table.undefined
                    names.add(_name_at(data, strings + name).removeprefix("_"))
        at += size
    return table
