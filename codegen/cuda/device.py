"""What a GPU must be able to do for a program: memory, copies, launches, and a row of these replayed as one.

Addresses are integers. A device has one stream: what is asked for is done in order, and may be done later than asked;
``read`` and ``wait`` come back when all before them is done.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from codegen.cuda.emit import Function, Module
from symgraph.graph import SharedVariable
from symgraph.types import is_tensor


class Memory(Protocol):
    """A piece of the device's memory, given back when nobody holds it any more."""

    @property
    def address(self) -> int:
        """Where it begins; a multiple of 256."""
        ...

    def array(self, dtype: np.dtype, shape: tuple[int, ...]) -> Any:
        """Its elements, as an array that other libraries take by DLPack; it keeps the memory."""
        ...


class Loaded(Protocol):
    """A module on a device."""

    def launch(self, function: Function, addresses: Sequence[int]) -> None:
        """Run a function of the module on the storages of its parameters."""
        ...


class Device(Protocol):
    """A GPU, or what takes the place of one."""

    @property
    def name(self) -> str:
        """What it is, for messages."""
        ...

    def allocate(self, size: int) -> Memory:
        """Memory of ``size`` bytes, its content undefined.

        Raises
        ------
        BackendError
            If there is not enough.
        """
        ...

    def load(self, module: Module) -> Loaded:
        """The module, compiled for the device; a text that was compiled before comes from the disk."""
        ...

    def stage(self, size: int) -> np.ndarray:
        """Bytes of the host that a capture may copy from and to."""
        ...

    def write(self, address: int, array: np.ndarray) -> None:
        """Copy a contiguous array to the device; in a capture one that is staged, with what it holds at each replay."""
        ...

    def read(self, address: int, array: np.ndarray) -> None:
        """Fill a contiguous array from the device."""
        ...

    def bring(self, address: int, array: np.ndarray) -> None:
        """Fill a staged array, until ``wait``."""
        ...

    def copy(self, target: int, source: int, size: int) -> None:
        """Copy bytes on the device."""
        ...

    def as_array(self, value: Any) -> Any:
        """A tensor on this device as a contiguous array like those of ``Memory``; ready for what is asked for next."""
        ...

    def address(self, array: Any) -> int:
        """Where such an array begins."""
        ...

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """What replays the launches and copies that ``work`` asks for, which are not done now."""
        ...

    def wait(self) -> None:
        """Come back when all is done."""
        ...

    def seconds(self, work: Callable[[], None]) -> float:
        """How long the device takes for what ``work`` asks for."""
        ...


class Resident:
    """The value of a shared variable while a device has it: ``SharedVariable.away``."""

    def __init__(self, owner: Residents, dtype: str, shape: tuple[int, ...]) -> None:
        self.owner, self.dtype, self.shape = owner, np.dtype(dtype), shape
        self.size = int(np.prod(shape)) * self.dtype.itemsize
        self.memory = owner.device.allocate(max(self.size, 1))

    def fetch(self) -> np.ndarray:
        """The value as an array of the host."""
        value = np.empty(self.shape, self.dtype)
        with self.owner.lock:
            self.owner.device.read(self.memory.address, value)
        return value

    @property
    def array(self) -> Any:
        """The memory itself; every call has finished with it when it returned."""
        return self.memory.array(self.dtype, self.shape)

    def receive(self, value: Any) -> bool:
        """Copy a tensor of this shape and dtype that is on the device too; False for any other value."""
        if not is_tensor(value) or value.__dlpack_device__() != self.array.__dlpack_device__():
            return False
        device = self.owner.device
        with self.owner.lock:
            given = device.as_array(value)
            if given.dtype != self.dtype or given.shape != self.shape:
                return False
            device.copy(self.memory.address, device.address(given), self.size)
            device.wait()
        return True


class Residents:
    """The shared variables that have memory on a device. They keep it when the host has their value for a while.

    Attributes
    ----------
    device : Device
    lock : RLock
        Of the device: it has one stream, and what one thread captures must be nobody else's. Who takes locks of shared
        variables takes them before.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.lock = threading.RLock()
        self._held: weakref.WeakKeyDictionary[SharedVariable, Resident] = weakref.WeakKeyDictionary()

    def address(self, s: SharedVariable) -> int:
        """Where the value of ``s`` is on the device; brings it there, and only there, if it is elsewhere."""
        held = self._held.get(s)
        if s.away is held is not None:
            return held.memory.address
        value = s.get_value(borrow=True)
        if held is None or held.shape != value.shape:
            held = self._held[s] = Resident(self, s.dtype, value.shape)
        self.device.write(held.memory.address, value)
        s.lend(held)
        return held.memory.address
