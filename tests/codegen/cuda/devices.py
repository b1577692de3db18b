"""Ways to run kernels and expressions on the device that simulates a GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from codegen.cuda.backend import CudaExecutable
from codegen.cuda.device import Residents
from codegen.cuda.emit import Function, emit
from codegen.cuda.schedule import GPU, schedule
from codegen.cuda.simulate import SimulatedArray, SimulatedDevice
from codegen.kernel import Kernel
from symgraph.graph import Variable
from tests.programs import Values, interpreted, task_of

Arrays = Mapping[str, np.ndarray]
RESIDENTS = Residents(SimulatedDevice())


class Tensor:
    """An array of another library in the memory of the simulated device: it speaks DLPack and nothing else."""

    def __init__(self, data):
        self._array = SimulatedArray(np.asarray(data))
        self.__dlpack__, self.__dlpack_device__ = self._array.__dlpack__, self._array.__dlpack_device__


def seen(tensor):
    """What a library that computes on the simulated device sees of a tensor there, without a copy."""
    return RESIDENTS.device.as_array(tensor).data


def run_kernels(kernels: Sequence[Kernel], arrays: Sequence[Arrays], backwards: bool = False) -> None:
    """Each kernel, with blocks and threads bound, on its arrays in place; all of them are one module."""
    device = SimulatedDevice(backwards)
    module = emit(kernels)
    loaded = device.load(module)
    for kernel, held in zip(kernels, arrays, strict=True):
        memory = {b.name: device.allocate(held[b.name].nbytes) for b in kernel.buffers}
        for name, m in memory.items():
            device.write(m.address, held[name])
        for top in module.kernels[kernel.name]:
            addresses = [memory[b.name].address for b in top.parameters]
            if isinstance(top, Function):
                loaded.launch(top, addresses)
            else:
                device.gemm(top.product)(addresses)
        for name, m in memory.items():
            device.read(m.address, held[name])


def simulated(outputs: Sequence[Variable], values: Values) -> list[np.ndarray]:
    """Rewritten, fused, scheduled for a GPU, and run by the device that simulates one."""
    task, signature, arrays = task_of(outputs, values)
    return CudaExecutable(task, signature, RESIDENTS)(arrays, task.shared)


def interpreted_for_gpu(outputs: Sequence[Variable], values: Values) -> list[np.ndarray]:
    """The same kernels, run by the interpreter."""
    return interpreted(outputs, values, GPU, schedule)
