"""Compiled programs on disk: a folder of bytes by key, which may be deleted at any time.

    entry = magic, format version, length of the payload, digest of key and payload, payload

The digest makes an entry that was cut, altered or renamed a miss. It is no signature: whoever can write the folder can
run code as its owner, so the folder must belong to the user and be closed to others. The state of a disk never raises
here: a cache that cannot be used is no cache.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import stat
import struct
import tempfile
import warnings
from pathlib import Path

import symgraph
from symgraph.config import cache_folder

FORMAT_VERSION = 1
LIMIT_BYTES = 512 << 20

_MAGIC = b"symgraph"
_HEADER = struct.Struct("<8sIQ32s")

# Only files of these names are counted or removed: the user may name any folder.
_KEY = re.compile(r"[0-9a-f]{64}")
_OURS = re.compile(rf"{_KEY.pattern}\.(program|runtime|\w+\.part)")


class CacheWarning(UserWarning):
    """The cache of compiled programs is damaged or cannot be used."""


_warned: set[str] = set()
_room: dict[tuple[Path, int], int] = {}
"""Bytes that this process may still write to a folder of a limit before it looks what is in it."""


def _warn_once(subject: str, message: str) -> None:
    """Warn of ``subject`` once in a process: a thousand damaged entries are one event."""
    if subject not in _warned:
        _warned.add(subject)
        warnings.warn(message, CacheWarning, stacklevel=4)


class Cache:
    """Payloads by key, in a private folder of bounded size that any number of processes may share.

    Parameters
    ----------
    folder : str or path
        "" means ``cache_folder()``; "off" means none, where every ``get`` is a miss. Made by the first ``put``.
    limit_bytes : int
        What the folder holds at most; the entries used longest ago go first.
    kind : "program" or "runtime"
        The ending of the files' names: what is for one function, or for all.
    """

    def __init__(
        self, folder: str | os.PathLike[str] = "", limit_bytes: int = LIMIT_BYTES, kind: str = "program"
    ) -> None:
        self._off = folder == "off"
        self._kind = kind
        self.folder = Path(folder or cache_folder())
        self.limit = limit_bytes

    @staticmethod
    def key(*parts: bytes | str) -> str:
        """A digest that differs wherever the parts do, or the places where one ends and the next begins."""
        digest = hashlib.sha256()
        for part in parts:
            data = part.encode() if isinstance(part, str) else part
            digest.update(struct.pack("<?Q", isinstance(part, str), len(data)) + data)
        return digest.hexdigest()

    def get(self, key: str) -> bytes | None:
        """The payload put under ``key``, or None. An entry that is not what was put is a miss, and removed."""
        if self._off or not _is_private(self.folder):
            return None
        path = self._path(key)
        try:
            payload = _unpack(key, path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            _remove(path)
            _warn_once("entry", f"{path} is not a compiled program of ours ({error}): it is removed and made anew")
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the time of modification is that of the last use, for _evict
        return payload

    def put(self, key: str, payload: bytes) -> None:
        """Keep ``payload`` under ``key`` if the disk allows; other processes see all of it or nothing."""
        if self._off or _HEADER.size + len(payload) > self.limit:
            return
        with contextlib.suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _is_private(self.folder):
                _write(self._path(key), _header(key, payload) + payload)
                self._evict(_HEADER.size + len(payload))

    def info(self) -> tuple[int, int]:
        """How many files of ours there are, and their bytes."""
        files = self._all()
        return len(files), sum(size for _, size, _ in files)

    def clear(self) -> int:
        """Remove all of them; gives how many there were."""
        files = self._all()
        for _, _, path in files:
            _remove(path)
        return len(files)

    def verify(self) -> tuple[int, int]:
        """How many entries are what was put, and how many were not and are removed now."""
        whole = damaged = 0
        for _, _, path in self._all():
            try:
                _unpack(Path(path).stem, Path(path).read_bytes())
                whole += 1
            except (OSError, ValueError):
                _remove(path)
                damaged += 1
        return whole, damaged

    def _all(self) -> list[tuple[int, int, str]]:
        return _files(self.folder) if not self._off and self.folder.is_dir() else []

    def _path(self, key: str) -> Path:
        assert _KEY.fullmatch(key), key
        return self.folder / f"{key}.{self._kind}"

    def _evict(self, written: int) -> None:
        """Remove what was used longest ago until the rest fits; what a crash left behind ages like an entry.

        A folder may hold many thousands of files, so it is looked through when a part of the room that was found is
        taken: the rest is for other processes.
        """
        room = _room.get((self.folder, self.limit), 0) - written
        if room < 0:
            files = _files(self.folder)
            total = sum(size for _, size, _ in files)
            for _, size, path in sorted(files):
                if total <= self.limit:
                    break
                _remove(path)
                total -= size
            room = (self.limit - total) // 16
        _room[self.folder, self.limit] = room


def _header(key: str, payload: bytes) -> bytes:
    digest = hashlib.sha256(key.encode())
    digest.update(payload)
    return _HEADER.pack(_MAGIC, FORMAT_VERSION, len(payload), digest.digest())


def _unpack(key: str, data: bytes) -> bytes:
    """The payload of an entry; ValueError if a byte of it is missing, added or changed."""
    if len(data) < _HEADER.size:
        raise ValueError("it is shorter than a header")
    header, payload = data[: _HEADER.size], data[_HEADER.size :]
    if header != _header(key, payload):
        raise ValueError("its header does not fit its contents")
    return payload


def _write(path: Path, data: bytes) -> None:
    """Write a file under its final name in one step."""
    handle, part = tempfile.mkstemp(prefix=f"{path.stem}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(part, path)
    finally:
        _remove(part)  # there is none unless something failed


def _remove(path: str | Path) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _files(folder: Path) -> list[tuple[int, int, str]]:
    """Time of last use, size and path of each file of ours."""
    files = []
    with os.scandir(folder) as found:
        for entry in found:
            if _OURS.fullmatch(entry.name):
                with contextlib.suppress(FileNotFoundError):  # another process removed it
                    status = entry.stat(follow_symlinks=False)
                    files.append((status.st_mtime_ns, status.st_size, entry.path))
    return files


def _is_private(folder: Path) -> bool:
    """Whether only this user can write ``folder``; Windows keeps what is in a user's folder to the user."""
    try:
        status = folder.stat()
    except OSError:
        return False
    if os.name != "posix":
        return stat.S_ISDIR(status.st_mode)
    private = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022
    if not private:
        _warn_once(
            "folder",
            f"compiled programs are not kept: {folder} must be a folder that belongs to you and that only you can "
            f"write\nchmod 700 it, or name another with SYMGRAPH_CACHE",
        )
    return private


@functools.cache
def source_digest() -> str:
    """A digest of all our own source: what an older or edited version compiled is never used again."""
    parts: list[bytes | str] = []
    for root in (symgraph.__path__[0], os.path.dirname(__file__)):
        # no Path: each process does this for some hundred files
        found = [os.path.join(folder, n) for folder, _, names in os.walk(root) for n in names if n.endswith(".py")]
        for path in sorted(found):
            with open(path, "rb") as file:
                parts += [os.path.relpath(path, os.path.dirname(root)), file.read()]
    return Cache.key(*parts)
