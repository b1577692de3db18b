"""Shared values on disk: ``save(path, [w, b])``, ``load(path, into=[w, b])``.

The file is an uncompressed NumPy archive (npz) without pickles: reading it runs no code, and ``numpy.load`` opens it.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from symgraph.errors import ArgumentError, DataError, DTypeError, ShapeError
from symgraph.function import Function
from symgraph.graph import describe
from symgraph.shared_variable import SharedVariable
from symgraph.types import TensorType

__all__ = ["load", "save"]

Where = str | os.PathLike[str]
Variables = SharedVariable | Sequence[SharedVariable] | Mapping[str, SharedVariable] | Function
SUFFIX = ".npy"
DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, ValueError, EOFError, OSError, NotImplementedError, RuntimeError,
    MemoryError, OverflowError,
)  # fmt: skip
"""What zipfile and NumPy raise at a file that is not what it should be."""


def save(path: Where, variables: Variables) -> None:
    """Write the values of shared variables to a file, all of one moment.

    Parameters
    ----------
    path : str or path
        Replaced as a whole once everything is written: a reader sees the old file or the new one.
    variables : SharedVariable, sequence, dict or Function
        Of a sequence each value is stored under the variable's name, or under its position if it has none; of a dict
        under the key; of a function, all that it reads or updates, random states included.

    Raises
    ------
    ArgumentError
        If two variables of a sequence have one name, or something is not a shared variable.
    OSError
        If the file cannot be written.
    """
    named = _named(variables)
    with contextlib.ExitStack() as held:
        for v in sorted(named.values(), key=id):
            held.enter_context(v.lock)
        values = {key: v.get_value() for key, v in named.items()}
    with _replacing(Path(path)) as file:
        _write(file, values)


def load(path: Where, into: Variables | None = None) -> dict[str, np.ndarray]:
    """Read a file that ``save`` wrote.

    Parameters
    ----------
    path : str or path
    into : SharedVariable, sequence, dict or Function, optional
        Variables that get the values stored under their names (see ``save``): all of them, or none if there is an
        error. What else the file holds is left alone.

    Returns
    -------
    dict of str to ndarray
        Everything in the file.

    Raises
    ------
    DataError
        If the file is damaged, or lacks the value of a variable.
    ShapeError, DTypeError
        If a value does not fit its variable.
    OSError
        If the file cannot be read.
    """
    values = _read(Path(path))
    named = {} if into is None else _named(into)
    for key, v in named.items():
        _check(key, v, values, path)
    for key, v in named.items():
        v.set_value(values[key])
    return values


# ------------------------------------------------------------------------------------------------ names


def _named(variables: Variables) -> dict[str, SharedVariable]:
    """The variables by the keys they are stored under."""
    if isinstance(variables, Mapping):
        found = dict(variables)
    elif isinstance(variables, Function):
        found = _of_function(variables.task.shared)
    else:
        found = _of_sequence([variables] if isinstance(variables, SharedVariable) else variables)
    for key, v in found.items():
        if not isinstance(key, str) or not isinstance(v, SharedVariable):
            raise ArgumentError(f"{key!r}: {v!r} is not a shared variable under a name\nmake one: symgraph.shared(...)")
    return found


def _of_sequence(variables: Sequence[SharedVariable]) -> dict[str, SharedVariable]:
    found: dict[str, SharedVariable] = {}
    for position, v in enumerate(variables):
        key = getattr(v, "name", None) or str(position)
        if key in found:
            raise ArgumentError(
                f"two variables are called {key!r}\n  {describe(found[key])}\n  {describe(v)}\n"
                "give them different names, or pass a dict of key to variable"
            )
        found[key] = v
    return found


def _of_function(shared: Sequence[SharedVariable]) -> dict[str, SharedVariable]:
    """Names that several have (random states do) are told apart by the variables' positions in the function."""
    count = Counter(v.name for v in shared)
    alone = {v: v.name if v.name and count[v.name] == 1 else None for v in shared}
    return {alone[v] or f"{v.name or ''}#{position}": v for position, v in enumerate(shared)}


def _check(key: str, v: SharedVariable, values: Mapping[str, np.ndarray], path: Where) -> None:
    if key not in values:
        held = ", ".join(sorted(values)) or "nothing"
        raise DataError(f"{os.fspath(path)}: there is no value for {key!r}; the file holds {held}\n  {describe(v)}")
    value = values[key]
    if v.type.accepts(TensorType(value.dtype.name, value.shape)):
        return
    kind = DTypeError if value.dtype.name != v.dtype else ShapeError
    raise kind(
        f"{os.fspath(path)}: {key!r} is {value.dtype.name} {value.shape} in the file, its variable {v.type}\n"
        f"  {describe(v)}\nload it without into=, convert it, and use set_value"
    )


# ------------------------------------------------------------------------------------------------ files


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file beside ``path`` that takes its place when the body ends without an error."""
    beside = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    try:
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _write(file: BinaryIO, values: Mapping[str, np.ndarray]) -> None:
    """What ``numpy.savez`` writes; that takes no array called "file" or "allow_pickle"."""
    with zipfile.ZipFile(file, "w") as archive:
        for key, value in values.items():
            with archive.open(zipfile.ZipInfo(key + SUFFIX), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, value, allow_pickle=False)


def _read(path: Path) -> dict[str, np.ndarray]:
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return {name.removesuffix(SUFFIX): _entry(archive, name) for name in archive.namelist()}
        except DAMAGE as error:
            raise DataError(f"{path} is damaged, or was not written by symgraph.save: {error}") from error


def _entry(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(name) as entry:
        value: np.ndarray = np.lib.format.read_array(entry, allow_pickle=False)
        # the checksum is compared when the end is reached, and trailing bytes would belong to nothing
        if entry.read():
            raise ValueError(f"{name} goes on beyond its array")
        return value
