"""Programs on disk: what comes back is what was put, or nothing."""

import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen import cache
from codegen.cache import Cache, CacheWarning, source_digest
from symgraph.config import cache_folder

ROOT = Path(__file__).resolve().parents[2]
KEY = Cache.key("a program")
PAYLOAD = bytes(range(40))

parts = st.lists(st.one_of(st.binary(max_size=4), st.text("ab\0", max_size=4)), max_size=4)
posix_only = pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")


@pytest.fixture(autouse=True)
def _not_yet_warned(monkeypatch):
    monkeypatch.setattr(cache, "_warned", set())


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "below" / "symgraph"


def entry(folder: Path) -> Path:
    """The file of the only program in ``folder``."""
    (path,) = folder.iterdir()
    return path


def silent_get(store: Cache, key: str = KEY) -> bytes | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        return store.get(key)


@given(st.binary(max_size=2000), st.text())
def test_what_was_put_comes_back(tmp_path_factory, payload, name):
    folder = tmp_path_factory.mktemp("cache")
    Cache(folder).put(Cache.key(name), payload)
    assert Cache(folder).get(Cache.key(name)) == payload
    assert Cache(folder).get(Cache.key(name, "")) is None


@given(parts, parts)
def test_keys_are_equal_only_for_equal_parts(one, other):
    assert (Cache.key(*one) == Cache.key(*other)) == (one == other)


def test_kinds_share_a_folder_and_its_bound(folder):
    Cache(folder).put(KEY, PAYLOAD)
    assert Cache(folder, kind="runtime").get(KEY) is None
    Cache(folder, kind="runtime").put(KEY, PAYLOAD[::-1])
    assert (Cache(folder).get(KEY), Cache(folder, kind="runtime").get(KEY)) == (PAYLOAD, PAYLOAD[::-1])
    assert len(list(folder.iterdir())) == 2
    Cache(folder, limit_bytes=2 * len(PAYLOAD) + 60).put(Cache.key("more"), PAYLOAD)
    assert len(list(folder.iterdir())) == 1


def test_nothing_is_made_before_something_is_put(folder):
    assert Cache(folder).get(KEY) is None
    assert not folder.exists()


def test_a_later_payload_replaces_an_earlier_one(folder):
    store = Cache(folder)
    store.put(KEY, PAYLOAD)
    store.put(KEY, b"")
    assert store.get(KEY) == b""


def test_every_cut_of_an_entry_is_a_miss_and_removed(folder):
    store = Cache(folder)
    store.put(KEY, PAYLOAD)
    path, whole = entry(folder), entry(folder).read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert silent_get(store) is None
        assert not path.exists()


def test_every_changed_byte_of_an_entry_is_a_miss_and_removed(folder):
    store = Cache(folder)
    store.put(KEY, PAYLOAD)
    path, whole = entry(folder), entry(folder).read_bytes()
    for at in range(len(whole)):
        for flip in (0x01, 0x80, 0xFF):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
            assert silent_get(store) is None
            assert not path.exists()


@given(st.binary(max_size=200))
def test_a_foreign_file_is_a_miss_and_removed(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cache")
    (folder / f"{KEY}.program").write_bytes(data)
    assert silent_get(Cache(folder)) is None
    assert not any(folder.iterdir())


def test_a_longer_or_renamed_entry_is_a_miss(folder):
    store = Cache(folder)
    store.put(KEY, PAYLOAD)
    whole = entry(folder).read_bytes()
    entry(folder).write_bytes(whole + b"\0")
    assert silent_get(store) is None
    (folder / f"{Cache.key('another')}.program").write_bytes(whole)
    assert silent_get(store, Cache.key("another")) is None


def test_a_folder_in_place_of_an_entry_is_a_miss(folder):
    (folder / f"{KEY}.program").mkdir(parents=True)
    store = Cache(folder)
    assert silent_get(store) is None
    store.put(KEY, PAYLOAD)
    assert silent_get(store) is None
    assert [path.name for path in folder.iterdir()] == [f"{KEY}.program"]


def test_damage_is_told_once(folder):
    folder.mkdir(parents=True)
    for name in ("a", "b", "c"):
        (folder / f"{Cache.key(name)}.program").write_bytes(b"?")
    with pytest.warns(CacheWarning, match="not a compiled program of ours") as told:
        assert [Cache(folder).get(Cache.key(name)) for name in ("a", "b", "c")] == [None] * 3
    assert len(told) == 1


def test_off_keeps_nothing(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Cache("off").put(KEY, PAYLOAD)
    assert Cache("off").get(KEY) is None
    assert not any(tmp_path.iterdir())


@posix_only
def test_the_folder_and_its_files_are_for_their_owner_alone(folder):
    Cache(folder).put(KEY, PAYLOAD)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert entry(folder).stat().st_mode & 0o777 == 0o600


@posix_only
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_can_write_is_not_used(folder, mode):
    store = Cache(folder)
    store.put(KEY, PAYLOAD)
    folder.chmod(mode)
    with pytest.warns(CacheWarning, match="chmod 700") as told:
        assert [store.get(KEY), store.get(KEY)] == [None, None]
        store.put(Cache.key("another"), PAYLOAD)
    assert len(told) == 1
    assert len(list(folder.iterdir())) == 1, "nothing in it may be touched either"


@posix_only
def test_a_folder_of_another_user_is_not_used(folder, monkeypatch):
    store = Cache(folder)
    store.put(KEY, PAYLOAD)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    assert silent_get(store) is None


def test_a_file_in_place_of_the_folder_is_not_used(tmp_path):
    (tmp_path / "file").write_text("mine")
    store = Cache(tmp_path / "file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        store.put(KEY, PAYLOAD)
        assert store.get(KEY) is None
        Cache(tmp_path / "file" / "below").put(KEY, PAYLOAD)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("call", ["mkdir", "open", "replace"])
def test_a_disk_that_takes_nothing_is_no_error(folder, monkeypatch, call):
    """Read-only or full: no folder, no file, or no place for it."""

    def refuse(*args, **kwargs):
        raise OSError(28, "No space left on device")

    store = Cache(folder)
    if call != "mkdir":
        store.put(Cache.key("earlier"), PAYLOAD)
    monkeypatch.setattr(os, call, refuse)
    store.put(KEY, PAYLOAD)
    monkeypatch.undo()
    assert store.get(KEY) is None
    assert not list(folder.glob("*.part"))


def test_a_disk_that_is_full_after_half_a_file_keeps_nothing_of_it(folder, monkeypatch):
    class HalfFull:
        def __init__(self, handle, mode):
            self.handle = handle

        def __enter__(self):
            return self

        def __exit__(self, *error):
            os.close(self.handle)

        def write(self, data):
            os.write(self.handle, data[: len(data) // 2])
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdopen", HalfFull)
    Cache(folder).put(KEY, PAYLOAD)
    assert not any(folder.iterdir())


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 300)), max_size=30), st.integers(0, 1500))
def test_the_folder_never_holds_more_than_its_limit(tmp_path_factory, puts, limit):
    folder = tmp_path_factory.mktemp("cache")
    store = Cache(folder, limit)
    for name, size in puts:
        store.put(Cache.key(str(name)), bytes(size))
        assert sum(path.stat().st_size for path in folder.iterdir()) <= limit
        fits = size + cache._HEADER.size <= limit
        assert not fits or store.get(Cache.key(str(name))) == bytes(size)


def test_what_was_used_longest_ago_goes_first(folder):
    keys = [Cache.key(str(i)) for i in range(4)]
    store = Cache(folder, 3 * (cache._HEADER.size + len(PAYLOAD)))
    for age, key in enumerate(keys[:3]):
        store.put(key, PAYLOAD)
        long_ago = time.time() - 1000 + age
        os.utime(folder / f"{key}.program", (long_ago, long_ago))
    store.get(keys[0])
    store.put(keys[3], PAYLOAD)
    assert [store.get(key) is not None for key in keys] == [True, False, True, True]


def test_only_files_of_ours_are_ever_removed(folder):
    folder.mkdir(parents=True)
    others = ["thesis.tex", "notes.program", f"{KEY}.py", KEY, f"{KEY}.program.bak"]
    for name in others:
        (folder / name).write_bytes(bytes(500))
        os.utime(folder / name, (0, 0))
    leftover = folder / f"{KEY}.abc_1234.part"
    leftover.write_bytes(bytes(500))
    os.utime(leftover, (0, 0))
    store = Cache(folder, 200)
    for name in "abcdef":
        store.put(Cache.key(name), PAYLOAD)
    assert all((folder / name).exists() for name in others)
    assert not leftover.exists()


RACE = """
import sys, warnings
from codegen.cache import Cache
warnings.simplefilter("error")
folder, seed = sys.argv[1], int(sys.argv[2])
store = Cache(folder, 40_000)
for turn in range(150):
    name = str((turn * 7 + seed * turn) % 40)
    found = store.get(Cache.key(name))
    assert found is None or found == name.encode() * 500, found
    if found is None:
        store.put(Cache.key(name), name.encode() * 500)
"""


def test_eight_processes_share_one_empty_folder(folder):
    """Every look-up finds nothing or the right bytes, without a warning, while others write and evict."""
    command = [sys.executable, "-c", RACE, str(folder)]
    racing = [subprocess.Popen([*command, str(seed)], cwd=ROOT, stderr=subprocess.PIPE) for seed in range(8)]
    said = [process.communicate(timeout=120)[1] for process in racing]
    assert [process.returncode for process in racing] == [0] * 8, said
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 40_000
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize(
    ("platform", "variable", "value", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "/xdg", "/xdg/symgraph"),
        ("linux", "XDG_CACHE_HOME", "", "/home/u/.cache/symgraph"),
        ("darwin", "XDG_CACHE_HOME", "/xdg", "/home/u/Library/Caches/symgraph"),
        ("win32", "LOCALAPPDATA", "/local", "/local/symgraph"),
    ],
)
def test_the_default_is_the_cache_folder_of_the_user(monkeypatch, platform, variable, value, expected):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("HOME", "/home/u")
    monkeypatch.setenv(variable, value)
    assert cache_folder() == Path(expected)


def test_the_digest_of_our_source_changes_with_any_of_it(tmp_path, monkeypatch):
    def digest() -> str:
        source_digest.cache_clear()
        return source_digest()

    for package in ("symgraph", "codegen"):
        (tmp_path / package / "deep").mkdir(parents=True)
        (tmp_path / package / "deep" / "module.py").write_text("x = 1")
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "codegen" / "cache.py"))
    monkeypatch.setattr(cache.symgraph, "__path__", [str(tmp_path / "symgraph")])
    seen = [digest()]
    for package in ("symgraph", "codegen"):
        (tmp_path / package / "deep" / "module.py").write_text("x = 2")
        seen.append(digest())
        (tmp_path / package / "deep" / "module.py").rename(tmp_path / package / "module.py")
        seen.append(digest())
    assert len(set(seen)) == 5
    (tmp_path / "codegen" / "notes.txt").write_text("no source")
    assert digest() == seen[-1]
    source_digest.cache_clear()


def test_the_digest_of_our_source_is_the_same_in_another_process():
    code = "from codegen.cache import source_digest; print(source_digest())"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    source_digest.cache_clear()
    assert said.strip() == source_digest()
