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
from codegen.cuda.matrices import MatrixProduct
from symgraph.shared_variable import SharedVariable
from symgraph.types import TensorType, check_storage, is_tensor

ALLOCATION_ALIGNMENT = 256  # every piece of memory begins at a multiple of so many bytes
Multiplier = Callable[[Sequence[int]], None]
"""What asks for a product of matrices, given where y, a and b are."""


class Memory(Protocol):
    """A piece of the device's memory, given back when nobody holds it any more."""

    @property
    def address(self) -> int:
        """Where it begins; a multiple of ``ALLOCATION_ALIGNMENT``."""
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

    @property
    def capability(self) -> tuple[int, int]:
        """Which instructions it has, by NVIDIA's numbers."""
        ...

    @property
    def place(self) -> tuple[int, int]:
        """Its memory, as DLPack names it."""
        ...

    @property
    def library(self) -> str:
        """What multiplies large matrices, or why nothing but our kernels does, for messages."""
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

    def gemm(self, product: MatrixProduct) -> Multiplier | None:
        """A product of matrices by the device's library, made ready once; None where it does not do it.

        What comes back is asked for like a launch, in a capture too: all memory that it needs it has.
        """
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

    def as_array(self, value: Any, dtype: np.dtype | None = None) -> Any:
        """A tensor on this device as a contiguous array like those of ``Memory``; ready for what is asked for next.

        It is converted to ``dtype`` if that is another one than its own.
        """
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

    def settle(self) -> None:
        """Come back when all is done that other libraries asked the device for, too."""
        ...

    def seconds(self, work: Callable[[], None]) -> float:
        """How long the device takes for what ``work`` asks for."""
        ...


def is_on(device: Device, value: object) -> bool:
    """Whether ``value`` is an array of any library in the memory of a device."""
    if not is_tensor(value):
        return False
    kind, number = value.__dlpack_device__()  # type: ignore[attr-defined]
    return (int(kind), int(number)) == device.place


class Lent:
    """Memory that an array of another library keeps."""

    def __init__(self, device: Device, array: Any) -> None:
        self.address, self._array = device.address(array), array

    def array(self, dtype: np.dtype, shape: tuple[int, ...]) -> Any:
        """The array itself."""
        return self._array


class Resident:
    """The value of a shared variable while a device has it: ``SharedVariable.away``.

    Its memory is the device's own and *unseen*, which programs alone use; or own and *seen*, once ``array`` has given
    it to another library; or *lent* by another library (``Lent``), which makes it seen too. Who reads or writes what
    is seen waits for the other libraries first. A value of another shape, or any new one where the memory is lent,
    gets memory that is own and unseen again: ``make_room``.

    Attributes
    ----------
    memory : Memory
    is_seen : bool
        Whether other libraries may be reading the memory, or writing to it.
    """

    def __init__(self, owner: Residents, dtype: str, shape: tuple[int, ...]) -> None:
        self.owner, self.dtype, self.shape = owner, np.dtype(dtype), shape
        self.memory: Memory = owner.allocate(max(self.size, 1))
        self.is_seen = False

    @property
    def size(self) -> int:
        """Bytes of the value."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def make_room(self, shape: tuple[int, ...]) -> None:
        """Memory of its own for a value of ``shape``."""
        if shape != self.shape or isinstance(self.memory, Lent):
            made = Resident(self.owner, self.dtype.name, shape)
            self.memory, self.shape, self.is_seen = made.memory, shape, False

    def _settle(self) -> None:
        """Wait for what other libraries do with the memory."""
        if self.is_seen:
            self.owner.device.settle()

    def fetch(self) -> np.ndarray:
        """The value as an array of the host."""
        value = np.empty(self.shape, self.dtype)
        with self.owner.lock:
            self._settle()
            self.owner.device.read(self.memory.address, value)
        return value

    @property
    def array(self) -> Any:
        """The memory itself; every call has finished with it when it returned."""
        self.is_seen = True
        return self.memory.array(self.dtype, self.shape)

    def receive(self, value: Any, type: TensorType, name: str, borrow: bool) -> bool:
        """Take a tensor that is on the device too; False for any other value.

        Its elements are copied; or, if it is ``borrow``ed, its memory is the value's from now on, where it can be.

        Raises
        ------
        ShapeError, DTypeError
            If the tensor is no value of that type.
        """
        device = self.owner.device
        if not is_on(device, value):
            return False
        with self.owner.lock:
            given = device.as_array(value)
            check_storage(value, given, type, name)
            given = device.as_array(given, self.dtype)
            lent = self.owner.borrow(given, self.memory) if borrow else None
            if lent is not None:
                self.memory, self.shape, self.is_seen = lent, given.shape, True
                return True
            self.make_room(given.shape)
            self._settle()
            device.copy(self.memory.address, device.address(given), self.size)
            device.wait()
        return True


class Residents:
    """The memory on a device of shared variables and of programs.

    Shared variables keep it when the host has their value for a while.

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
        self._sizes: weakref.WeakKeyDictionary[Memory, int] = weakref.WeakKeyDictionary()

    def allocate(self, size: int) -> Memory:
        """Memory of ``size`` bytes for a shared variable or a program, as the device's ``allocate``."""
        memory = self.device.allocate(size)
        self._sizes[memory] = size
        return memory

    def address(self, s: SharedVariable) -> int:
        """Where the value of ``s`` is on the device; brings it there, and only there, if it is elsewhere."""
        held = self._held.get(s)
        if s.away is held is not None:
            return held.memory.address
        value = s.get_value(borrow=True)
        if held is None:
            held = self._held[s] = Resident(self, s.dtype, value.shape)
        held.make_room(value.shape)
        self.device.write(held.memory.address, value)
        s.lend(held)
        return held.memory.address

    def are_seen(self, shared: Sequence[SharedVariable]) -> bool:
        """Whether other libraries may be using the memory of some of ``shared``."""
        return any(held.is_seen for s in shared if (held := self._held.get(s)) is not None)

    def borrow(self, array: Any, own: Memory) -> Lent | None:
        """The memory of a device's array for a shared variable that has ``own``; None where it cannot be.

        It must begin as ours does and be no other variable's, and no program's: a kernel's parameters never overlap.
        """
        lent = Lent(self.device, array)
        others = [(m.address, m.address + size) for m, size in self._sizes.items() if m is not own]
        is_free = all(end <= lent.address or lent.address + array.nbytes <= begin for begin, end in others)
        if lent.address % ALLOCATION_ALIGNMENT or not is_free:
            return None
        self._sizes[lent] = array.nbytes
        return lent
