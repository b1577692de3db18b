"""MNIST from IDX files, and scikit-learn's digits where there are neither files nor a network.

The files are looked for in the folder given (``--data``), else in the one SYMGRAPH_DATA names, else in the user's cache
folder, to which missing ones are downloaded. A folder that was named must hold the files: another data set in their
place would be a wrong answer, not a convenience.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import math
import os
import tempfile
import zlib
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import numpy.typing as npt

from symgraph.config import cache_folder
from symgraph.errors import DataError, layout

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
TIMEOUT = 5.0  # seconds without an answer before the next mirror; a user without a network waits for all of them
LARGEST = 16 * 2**20  # bytes: the largest gzip file has 10 MB, so an answer that goes on past this is none of ours
DIGITS_TRAIN = 1440  # of scikit-learn's 1797; the rest, by writers not seen in training, is for the test
DIGITS = "scikit-learn's 8x8 digits, enlarged"
GZIP_MAGIC = b"\x1f\x8b"


class MissingDataError(FileNotFoundError):
    """A data set was asked for whose files are nowhere to be had."""


@dataclass(frozen=True)
class IdxFile:
    """An IDX file as it should be: big-endian magic number and extents, then unsigned bytes."""

    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def header(self) -> bytes:
        """Magic number 0x0000080d, d extents, then the extents."""
        return np.array([0x0800 + len(self.shape), *self.shape], ">u4").tobytes()

    @property
    def size(self) -> int:
        """Bytes, header included."""
        return len(self.header) + math.prod(self.shape)


TRAIN_IMAGES = IdxFile(
    "train-images-idx3-ubyte", (60000, 28, 28), "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
)
TRAIN_LABELS = IdxFile(
    "train-labels-idx1-ubyte", (60000,), "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
)
TEST_IMAGES = IdxFile(
    "t10k-images-idx3-ubyte", (10000, 28, 28), "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
)
TEST_LABELS = IdxFile(
    "t10k-labels-idx1-ubyte", (10000,), "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
)
MNIST = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)


@dataclass(frozen=True)
class Dataset:
    """Images as rows of 784 pixels, and their labels.

    Attributes
    ----------
    name : str
        "mnist" or "digits".
    train_x, test_x : float32, shape (n, 784), in [0, 1]
    train_y, test_y : int64, shape (n,), in 0..9
    note : str
        What a reader of a result must know of the data; "" if nothing.
    """

    name: str
    train_x: npt.NDArray[np.float32]
    train_y: npt.NDArray[np.int64]
    test_x: npt.NDArray[np.float32]
    test_y: npt.NDArray[np.int64]
    note: str = ""


def load(dataset: str | None = None, path: str | os.PathLike[str] | None = None) -> Dataset:
    """The training and test images.

    Parameters
    ----------
    dataset : "mnist", "digits" or None
        None takes MNIST where it can be had and digits otherwise.
    path : str, optional
        Folder with the four MNIST files, gzip or raw, or with a folder ``mnist`` that holds them. Digits need none.

    Raises
    ------
    MissingDataError
        If ``path`` or SYMGRAPH_DATA names a folder without the files, or if "mnist" has no files and no network.
    DataError
        If a file is damaged or is not MNIST's.
    """
    if dataset == "digits":
        return _digits(DIGITS)
    if dataset not in ("mnist", None):
        raise ValueError(f"dataset is {dataset!r}; it must be 'mnist' or 'digits'")
    named = path or os.environ.get("SYMGRAPH_DATA")
    if named:
        return _mnist(_from_folder(Path(named), "--data" if path else "SYMGRAPH_DATA"))
    try:
        return _mnist(_from_cache(cache_folder() / "mnist"))
    except MissingDataError as error:
        if dataset == "mnist":
            raise
        return _digits(f"{DIGITS}, because {str(error).splitlines()[0]}")


def one_hot(labels: npt.ArrayLike, n: int = 10, dtype: npt.DTypeLike = "float32") -> npt.NDArray[np.generic]:
    """A row for each label: 1 in the label's column, 0 elsewhere."""
    return np.asarray(np.asarray(labels)[:, None] == np.arange(n), dtype)


def read_idx(path: Path, expected: IdxFile) -> npt.NDArray[np.uint8]:
    """The array in an IDX file, gzip or raw, if it is the file expected."""
    return decode(path.read_bytes(), expected, str(path))


def decode(content: bytes, expected: IdxFile, source: str) -> npt.NDArray[np.uint8]:
    """The array in the bytes of an IDX file, gzip or raw; ``source`` names the file in errors."""
    raw = _decompress(content, expected, source) if content.startswith(GZIP_MAGIC) else content
    header = raw[: len(expected.header)]
    if header != expected.header:
        raise _damaged(source, f"header {header.hex(' ', 4)}", f"header {expected.header.hex(' ', 4)}")
    if len(raw) != expected.size:
        raise _damaged(source, _count(len(raw), expected.size), f"{expected.size} bytes for shape {expected.shape}")
    digest = hashlib.sha256(raw).hexdigest()
    if digest != expected.sha256:
        raise _damaged(source, f"SHA-256 {digest}", f"SHA-256 {expected.sha256}")
    return np.frombuffer(raw, np.uint8, offset=len(header)).reshape(expected.shape)


def _decompress(content: bytes, expected: IdxFile, source: str) -> bytes:
    # one byte past the end is enough to see that a file is too long, and no bomb goes off
    try:
        return gzip.GzipFile(fileobj=io.BytesIO(content)).read(expected.size + 1)
    except (OSError, EOFError, zlib.error) as error:
        found = f"{len(content)} bytes that gzip cannot read: {error}"
        raise _damaged(source, found, f"a gzip file of {expected.size} bytes") from None


def _count(found: int, needed: int) -> str:
    return f"{found} bytes" if found <= needed else f"more than {needed} bytes"


def _damaged(source: str, found: str, needed: str) -> DataError:
    mend = "Delete the file; it is downloaded anew into the cache folder, or name a folder with good files by --data."
    return DataError(
        layout(f"{source}: not the MNIST file it should be", [f"found   {found}", f"needed  {needed}"], mend=mend)
    )


def _missing(headline: str, details: list[str]) -> MissingDataError:
    mend = "Name a folder with the four files by --data or SYMGRAPH_DATA, go online, or take --dataset digits."
    return MissingDataError(layout(headline, details, mend=mend))


def _find(folder: Path, name: str) -> Path | None:
    candidates = [folder / name, folder / f"{name}.gz", folder / "mnist" / name, folder / "mnist" / f"{name}.gz"]
    return next((path for path in candidates if path.is_file()), None)


def _from_folder(folder: Path, origin: str) -> list[npt.NDArray[np.uint8]]:
    """The four arrays from a folder the user named."""
    paths = [_find(folder, file.name) for file in MNIST]
    missing = [file.name for file, path in zip(MNIST, paths, strict=True) if path is None]
    if missing:
        raise _missing(f"{folder}, the folder {origin} names, lacks MNIST files", [f"{name}[.gz]" for name in missing])
    return [read_idx(path, file) for file, path in zip(MNIST, paths, strict=True) if path]


def _from_cache(folder: Path) -> list[npt.NDArray[np.uint8]]:
    """The four arrays from the cache folder, downloading those it lacks."""
    arrays = []
    for file in MNIST:
        path = _find(folder, file.name)
        arrays.append(read_idx(path, file) if path else _download(file, folder))
    return arrays


def _download(file: IdxFile, folder: Path) -> npt.NDArray[np.uint8]:
    """The array from the first mirror that has it; the file is kept in ``folder``."""
    failures = []
    for mirror in MIRRORS:
        url = f"{mirror}{file.name}.gz"
        try:
            with urlopen(url, timeout=TIMEOUT) as response:
                content = response.read(LARGEST)
            array = decode(content, file, url)
        except (OSError, HTTPException, DataError) as error:
            failures.append(f"{url}: {str(error).splitlines()[0]}")
            continue
        # a home that cannot be written to costs a download each time, nothing more
        with contextlib.suppress(OSError):
            _write(folder / f"{file.name}.gz", content)
        return array
    raise _missing("MNIST is in no folder known here and could not be downloaded", failures)


def _write(path: Path, content: bytes) -> None:
    """All of the file or nothing of it, whoever else writes it at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _mnist(arrays: list[npt.NDArray[np.uint8]]) -> Dataset:
    train_x, train_y, test_x, test_y = arrays
    return Dataset("mnist", _rows(train_x, 255), train_y.astype("int64"), _rows(test_x, 255), test_y.astype("int64"))


def _rows(images: npt.NDArray[np.uint8] | npt.NDArray[np.float64], white: float) -> npt.NDArray[np.float32]:
    """One row an image, black 0 and white 1."""
    return np.divide(images.reshape(len(images), -1), white, dtype="float32")


def _digits(note: str) -> Dataset:
    """scikit-learn's 8x8 digits, each pixel repeated 3x3 and padded to 28x28, so that every model runs unchanged."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        headline = "the digits come with scikit-learn, which is not installed"
        raise MissingDataError(layout(headline, [note], mend="Install it: pip install scikit-learn")) from None
    bunch = load_digits()
    x = _rows(np.pad(bunch.images.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2))), 16)
    y = bunch.target.astype("int64")
    train, test = slice(DIGITS_TRAIN), slice(DIGITS_TRAIN, None)
    return Dataset("digits", x[train], y[train], x[test], y[test], note)
