"""Which device a name means."""

from __future__ import annotations

from codegen.cuda.device import Device
from codegen.cuda.gpu import Gpu
from codegen.cuda.simulate import SimulatedDevice
from symgraph.errors import BackendError

SIMULATE = "simulate"


def open_device(name: str) -> Device:
    """The device called ``name``: a number counts GPUs, "simulate" is the test device.

    Raises
    ------
    BackendError
        If there is no such device, or what it needs is missing.
    """
    if name == SIMULATE:
        return SimulatedDevice()
    if name.isdecimal():
        return Gpu(int(name))
    raise BackendError(
        f"there is no device {name!r}\nname a GPU by its number in SYMGRAPH_DEVICE; {SIMULATE!r} is the test device, "
        "which needs none"
    )
