"""What the tutorials' loader must do with good, damaged and absent files. No test here touches a network."""

import dataclasses
import gzip
import hashlib
import io
import urllib.error

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgraph.errors import DataError
from tutorials import data

SHAPES = {"train-images": (6, 28, 28), "train-labels": (6,), "t10k-images": (3, 28, 28), "t10k-labels": (3,)}


def idx(array):
    """The bytes of an IDX file as its definition has it: two zeros, 8 for unsigned bytes, the rank, the extents."""
    extents = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + extents + array.tobytes()


def small_mnist():
    """File name -> array, small enough to write in each test."""
    draws = np.random.default_rng(0)
    images = {
        f"{part}-images-idx3-ubyte": draws.integers(0, 256, SHAPES[f"{part}-images"], "uint8")
        for part in ("train", "t10k")
    }
    labels = {
        f"{part}-labels-idx1-ubyte": draws.integers(0, 10, SHAPES[f"{part}-labels"], "uint8")
        for part in ("train", "t10k")
    }
    return images | labels


ARRAYS = small_mnist()
TRAIN_LABELS = "train-labels-idx1-ubyte"


def specification(name):
    content = idx(ARRAYS[name])
    return data.IdxFile(name, ARRAYS[name].shape, hashlib.sha256(content).hexdigest())


@pytest.fixture(autouse=True)
def small_and_offline(monkeypatch, tmp_path):
    """The loader expects the small files, finds no folder of this machine's and no network."""

    def unreachable(url, timeout):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(data, "MNIST", tuple(specification(file.name) for file in data.MNIST))
    monkeypatch.setattr(data, "urlopen", unreachable)
    monkeypatch.setattr(data, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv("SYMGRAPH_DATA", raising=False)


def write_all(folder, packed):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in ARRAYS.items():
        content = idx(array)
        (folder / f"{name}{'.gz' if packed else ''}").write_bytes(gzip.compress(content) if packed else content)
    return folder


def assert_is_small_mnist(dataset):
    assert dataset.name == "mnist" and dataset.note == ""
    for part, x, y in (("train", dataset.train_x, dataset.train_y), ("t10k", dataset.test_x, dataset.test_y)):
        images, labels = ARRAYS[f"{part}-images-idx3-ubyte"], ARRAYS[f"{part}-labels-idx1-ubyte"]
        assert x.dtype == np.float32 and y.dtype == np.int64
        np.testing.assert_array_equal(x, images.reshape(-1, 784).astype("float32") / np.float32(255))
        np.testing.assert_array_equal(y, labels)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("inside", ["", "mnist"])
def test_gzip_and_raw_files_read_alike_from_the_folder_or_mnist_inside_it(tmp_path, packed, inside):
    write_all(tmp_path / inside, packed)
    assert_is_small_mnist(data.load(path=tmp_path))


def test_the_argument_comes_before_the_environment_and_that_before_the_cache(tmp_path, monkeypatch):
    good, empty = write_all(tmp_path / "good", packed=True), tmp_path / "empty"
    empty.mkdir()
    write_all(tmp_path / "cache" / "mnist", packed=True)
    assert_is_small_mnist(data.load())
    monkeypatch.setenv("SYMGRAPH_DATA", str(empty))
    assert_is_small_mnist(data.load(path=good))
    with pytest.raises(data.MissingDataError, match="SYMGRAPH_DATA names"):
        data.load()
    with pytest.raises(FileNotFoundError, match="--data names"):
        data.load(path=empty)


@pytest.mark.parametrize("dataset", [None, "mnist"])
def test_a_named_folder_that_lacks_one_file_is_an_error_that_names_the_file(tmp_path, dataset):
    write_all(tmp_path, packed=False)
    (tmp_path / TRAIN_LABELS).unlink()
    with pytest.raises(data.MissingDataError) as caught:
        data.load(dataset, tmp_path)
    assert TRAIN_LABELS in str(caught.value) and str(tmp_path) in str(caught.value)
    assert "train-images" not in str(caught.value)


CONTENT = idx(ARRAYS[TRAIN_LABELS])
PACKED = gzip.compress(CONTENT, mtime=0)
DAMAGE = {
    "another magic number": (b"\0\0\x08\x03" + CONTENT[4:], "00000803 00000006", "00000801 00000006"),
    "another extent": (CONTENT[:7] + b"\x05" + CONTENT[8:], "00000801 00000005", "00000801 00000006"),
    "one byte too few": (CONTENT[:-1], "13 bytes", "14 bytes"),
    "one byte too many": (CONTENT + b"\0", "more than 14 bytes", "14 bytes"),
    "another byte": (CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]), "SHA-256", "SHA-256"),
    "a page of text": (b"<html>not found</html>", "header 3c68746d 6c3e6e6f", "00000801"),
    "nothing": (b"", "header", "header 00000801"),
    "a stream cut short": (PACKED[:-9], "bytes that gzip cannot read", "a gzip file of 14 bytes"),
    "a stream flipped": (PACKED[:12] + bytes([PACKED[12] ^ 255]) + PACKED[13:], "gzip cannot read", "of 14 bytes"),
    "a bomb": (gzip.compress(CONTENT + bytes(1 << 20)), "more than 14 bytes", "14 bytes"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_an_error_with_file_found_and_needed(tmp_path, damage):
    content, found, needed = DAMAGE[damage]
    path = write_all(tmp_path, packed=False) / TRAIN_LABELS
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        data.load(path=tmp_path)
    headline, found_line, needed_line, _mend = str(caught.value).splitlines()
    assert str(path) in headline
    assert found_line.startswith("  found ") and found in found_line
    assert needed_line.startswith("  needed ") and needed in needed_line


@given(position=st.integers(0, len(CONTENT) - 1), mask=st.integers(1, 255))
def test_no_changed_byte_goes_unseen(position, mask):
    changed = CONTENT[:position] + bytes([CONTENT[position] ^ mask]) + CONTENT[position + 1 :]
    with pytest.raises(DataError):
        data.decode(changed, specification(TRAIN_LABELS), "file")


def test_without_files_and_network_the_default_is_digits_and_says_why():
    dataset = data.load()
    assert dataset.name == "digits"
    assert "because MNIST" in dataset.note


def test_mnist_without_files_and_network_is_an_error_with_each_way_to_mend_it():
    with pytest.raises(data.MissingDataError) as caught:
        data.load("mnist")
    for way in ("--data", "SYMGRAPH_DATA", "online", "--dataset digits", *data.MIRRORS):
        assert way in str(caught.value)


def test_an_unknown_data_set_is_an_error_that_names_the_known_ones():
    with pytest.raises(ValueError, match=r"'cifar'.*'mnist' or 'digits'"):
        data.load("cifar")


def test_digits_are_enlarged_scaled_and_split_the_same_way_each_time():
    from sklearn.datasets import load_digits

    dataset, again = data.load("digits"), data.load("digits")
    for field in dataclasses.fields(data.Dataset):
        np.testing.assert_array_equal(getattr(dataset, field.name), getattr(again, field.name))
    x = np.concatenate([dataset.train_x, dataset.test_x])
    assert x.shape == (1797, 784) and x.dtype == np.float32 and x.min() == 0 and x.max() == 1
    images = x.reshape(-1, 28, 28)
    for row in range(3):
        np.testing.assert_array_equal(images[:, 2 + row : 26 : 3, 2 + row : 26 : 3] * 16, load_digits().images)
    assert images[:, :2].max() == images[:, 26:].max() == images[:, :, :2].max() == images[:, :, 26:].max() == 0
    labels = np.concatenate([dataset.train_y, dataset.test_y])
    np.testing.assert_array_equal(labels, load_digits().target)


class Mirrors:
    """An opener that answers from memory and notes what it was asked."""

    def __init__(self, answers):
        self.answers, self.asked = answers, []

    def __call__(self, url, timeout):
        assert 0 < timeout <= 10  # an opener without a time-out waits for ever
        self.asked.append(url)
        answer = self.answers(url)
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer)


def served(url):
    return gzip.compress(idx(ARRAYS[url.rsplit("/")[-1].removesuffix(".gz")]))


def test_downloaded_files_are_kept_and_not_asked_for_again(monkeypatch, tmp_path):
    mirrors = Mirrors(served)
    monkeypatch.setattr(data, "urlopen", mirrors)
    assert_is_small_mnist(data.load())
    assert len(mirrors.asked) == 4
    assert_is_small_mnist(data.load("mnist"))
    assert len(mirrors.asked) == 4
    assert sorted(p.name for p in (tmp_path / "cache" / "mnist").iterdir()) == sorted(f"{n}.gz" for n in ARRAYS)


FAILURES = {
    "unreachable": urllib.error.URLError("down"),
    "slow": TimeoutError("timed out"),
    "a page of text": b"<html>",
    "cut short": PACKED[:20],
}


@pytest.mark.parametrize("failure", FAILURES)
def test_the_second_mirror_serves_where_the_first_fails_or_lies(monkeypatch, failure):
    mirrors = Mirrors(lambda url: FAILURES[failure] if url.startswith(data.MIRRORS[0]) else served(url))
    monkeypatch.setattr(data, "urlopen", mirrors)
    assert_is_small_mnist(data.load("mnist"))
    assert len(mirrors.asked) == 8


def test_nothing_is_kept_of_a_download_that_is_wrong_or_a_write_that_fails(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "urlopen", Mirrors(lambda url: b"<html>"))
    with pytest.raises(data.MissingDataError):
        data.load("mnist")
    assert not (tmp_path / "cache").exists()

    def full(source, target):
        raise OSError("no space left")

    monkeypatch.setattr(data, "urlopen", Mirrors(served))
    monkeypatch.setattr(data.os, "replace", full)
    assert_is_small_mnist(data.load("mnist"))
    assert not list((tmp_path / "cache" / "mnist").iterdir())


@given(labels=st.lists(st.integers(0, 9), max_size=20), dtype=st.sampled_from(["float32", "float64", "int64"]))
def test_one_hot_is_inverted_by_argmax(labels, dtype):
    rows = data.one_hot(labels, dtype=dtype)
    assert rows.shape == (len(labels), 10) and rows.dtype == dtype
    np.testing.assert_array_equal(rows.argmax(axis=1), labels)
    np.testing.assert_array_equal(rows.sum(axis=1), np.ones(len(labels)))
