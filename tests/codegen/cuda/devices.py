"""Ways to run kernels and expressions on the device that simulates a GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from codegen.cuda.backend import CudaExecutable
from codegen.cuda.device import Residents
from codegen.cuda.emit import emit
from codegen.cuda.schedule import GPU, schedule
from codegen.cuda.simulate import SimulatedDevice
from codegen.kernel import Kernel
from symgraph.graph import Variable
from tests.programs import Values, interpreted, task_of

Arrays = Mapping[str, np.ndarray]
RESIDENTS = Residents(SimulatedDevice())


class Tensor:
    """An array of another library, on the host and so on the simulated device: it speaks DLPack and nothing else."""

    def __init__(self, data):
        self.__dlpack__, self.__dlpack_device__ = data.__dlpack__, data.__dlpack_device__


def run_kernels(kernels: Sequence[Kernel], arrays: Sequence[Arrays], backwards: bool = False) -> None:
    """Each kernel, with blocks and threads bound, on its arrays in place; all of them are one module."""
    device = SimulatedDevice(backwards)
    module = emit(kernels)
    loaded = device.load(module)
    for kernel, held in zip(kernels, arrays, strict=True):
        memory = {b.name: device.allocate(held[b.name].nbytes) for b in kernel.buffers}
        for name, m in memory.items():
            device.write(m.address, held[name])
        for f in module.kernels[kernel.name]:
            loaded.launch(f, [memory[b.name].address for b in f.parameters])
        for name, m in memory.items():
            device.read(m.address, held[name])


def simulated(outputs: Sequence[Variable], values: Values) -> list[np.ndarray]:
    """Rewritten, fused, scheduled for a GPU, and run by the device that simulates one."""
    task, signature, arrays = task_of(outputs, values)
    return CudaExecutable(task, signature, RESIDENTS)(arrays, task.shared)


def interpreted_for_gpu(outputs: Sequence[Variable], values: Values) -> list[np.ndarray]:
    """The same kernels, run by the interpreter."""
    return interpreted(outputs, values, GPU, schedule)
