"""Where the storages of a program are on a device, whose memory that is, and how the values of a call get there.

``in``, ``out``, ``c``
    Each a piece of the program's own. Its address never changes, so a capture may have it written in.
``m``
    A part of the program's arena.
``sh``
    The shared variable's, see ``Resident``. It may move from call to call: each call asks for the address, and what was
    captured for others is captured anew.

An input is *staged*, *sent* or *on the device*. Up to ``STAGED`` bytes it is put into memory of the host that a capture
copies from; a larger one is sent before the steps are done; one that is on the device already is copied there. An
output is staged or read likewise; one that is *borrowed* is given as the program's piece itself, and the next call
writes to it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from codegen.cuda.device import Device, Memory, Residents, is_on
from codegen.memory import ALIGNMENT, constant_data, size_of
from codegen.program import Program
from symgraph.shared_variable import SharedVariable
from symgraph.types import SIZES, TensorType

STAGED = 1 << 20  # bytes of an input or output up to which a copy within the host is cheaper than one more request


class Places:
    """The storages of one program on one device; whoever uses them holds the lock of ``residents``.

    Parameters
    ----------
    inputs : sequence of TensorType
    borrowed : sequence of int
        The outputs that are given as they are on the device.
    """

    def __init__(
        self, program: Program, inputs: Sequence[TensorType], borrowed: Sequence[int], residents: Residents
    ) -> None:
        self._residents, self._device = residents, residents.device
        self._outputs, self._borrowed = program.outputs, frozenset(borrowed)
        self._memory = _allocated(program, residents)
        self._addresses = {name: m.address for name, m in self._memory.items()}
        self._addresses |= {name: self._addresses["arena"] + offset for name, offset in program.offsets.items()}
        types = {f"in{k}": t for k, t in enumerate(inputs)}
        types |= {f"out{k}": t for k, t in enumerate(program.outputs) if k not in self._borrowed}
        self._staged = _staged(types, self._device)
        for k, a in enumerate(constant_data(program.constants)):
            self._device.write(self._addresses[f"c{k}"], a)

    def __getitem__(self, storage: str) -> int:
        """The address of a storage, in this call."""
        return self._addresses[storage]

    def find_shared(self, shared: Sequence[SharedVariable]) -> tuple[int, ...]:
        """Where shared variables are in this call; they are brought to the device."""
        where = tuple(map(self._residents.address, shared))
        self._addresses |= {f"sh{k}": address for k, address in enumerate(where)}
        return where

    def give(self, inputs: Sequence[np.ndarray]) -> tuple[str, ...]:
        """Put the inputs where the program finds them; gives those that are staged, which wait for ``send``."""
        staged = []
        for k, a in enumerate(inputs):
            name = f"in{k}"
            if is_on(self._device, a):
                self._device.copy(self[name], self._device.address(a), a.nbytes)
            elif name in self._staged:
                self._staged[name][...] = a
                staged.append(name)
            else:
                self._device.write(self[name], a)
        return tuple(staged)

    def send(self, staged: Sequence[str]) -> None:
        """Staged inputs to the device."""
        for name in staged:
            self._device.write(self[name], self._staged[name])

    def bring(self) -> None:
        """Outputs to where they are staged, by the time of ``take``."""
        for name in [n for n in self._staged if n.startswith("out")]:
            self._device.bring(self[name], self._staged[name])

    def take(self) -> list[np.ndarray]:
        """The outputs: the caller's own, or what is on the device of those that are borrowed."""
        outputs: list[Any] = [np.empty(extents(t), t.dtype) for t in self._outputs]
        for k in self._borrowed:
            outputs[k] = self._memory[f"out{k}"].array(outputs[k].dtype, outputs[k].shape)
        kept = [(f"out{k}", a) for k, a in enumerate(outputs) if k not in self._borrowed]
        for name, a in kept:
            if name not in self._staged:
                self._device.read(self[name], a)
        self._device.wait()
        for name, a in kept:
            if name in self._staged:
                a[...] = self._staged[name]
        return outputs


def extents(t: TensorType) -> tuple[int, ...]:
    """The shape of a type in a program, whose extents are all known."""
    return tuple(n or 0 for n in t.shape)


def _allocated(program: Program, residents: Residents) -> dict[str, Memory]:
    """The program's own memory: its arena, and a piece for each storage of the caller's but shared variables."""
    sizes = {"arena": max(program.arena, 1)}
    for name, b in program.memory.buffers.items():
        if name.rstrip("0123456789") in ("in", "out", "c"):
            sizes[name] = size_of(b)
    return {name: residents.allocate(size) for name, size in sizes.items()}


def _staged(types: Mapping[str, TensorType], device: Device) -> dict[str, np.ndarray]:
    """Where the host puts small inputs and finds small outputs, so that their copies are part of what is captured."""
    sizes = {name: int(np.prod(extents(t))) * SIZES[t.dtype] for name, t in types.items()}
    small = [name for name, size in sizes.items() if 0 < size <= STAGED]
    bytes_ = device.stage(sum(-(-sizes[name] // ALIGNMENT) * ALIGNMENT for name in small))
    found, offset = {}, 0
    for name in small:
        part = bytes_[offset : offset + sizes[name]]
        found[name] = part.view(types[name].dtype).reshape(extents(types[name]))
        offset += -(-sizes[name] // ALIGNMENT) * ALIGNMENT
    return found
