from __future__ import annotations

import gzip
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kineograph.core.errors import RequestError
from kineograph.data import digit_images
from kineograph.data.digit_images import SIDE, load, others, part, read_idx

COUNT = 400


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def numbered(count: int = COUNT) -> tuple[np.ndarray, np.ndarray]:
    """Images that can be told apart: the first two pixels spell an image's number."""
    pixels = np.full((count, SIDE, SIDE), 200, np.uint8)
    pixels[:, 0, 0], pixels[:, 0, 1] = np.divmod(np.arange(count), 256)
    return pixels, (np.arange(count) % 10).astype(np.uint8)


def numbers(pixels: np.ndarray) -> set[int]:
    return set((pixels[:, 0, 0].astype(int) * 256 + pixels[:, 0, 1]).tolist())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pixels, labels = numbered()
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(pixels)))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    return tmp_path


@pytest.mark.parametrize("dot", "-.")
@pytest.mark.parametrize("zipped", [True, False])
def test_both_spellings_are_read_zipped_or_not(tmp_path: Path, dot: str, zipped: bool) -> None:
    pixels, labels = numbered()
    for stem, array in (("images", pixels), ("labels", labels)):
        name = f"train-{stem}{dot}idx{array.ndim}-ubyte{'.gz' * zipped}"
        data = gzip.compress(idx(array)) if zipped else idx(array)
        (tmp_path / name).write_bytes(data)
    found = load(str(tmp_path))
    assert np.array_equal(found.pixels, pixels)
    assert np.array_equal(found.labels, labels)


def test_a_name_may_say_gz_where_the_file_was_unpacked(folder: Path) -> None:
    file = folder / "t10k-images-idx3-ubyte.gz"
    file.write_bytes(gzip.decompress(file.read_bytes()))
    assert len(load(str(folder)).pixels) == COUNT


def test_training_and_test_files_are_read_one_after_the_other(folder: Path) -> None:
    pixels, labels = numbered(50)
    (folder / "train-images-idx3-ubyte").write_bytes(idx(pixels))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(labels[::-1].copy()))
    found = load(str(folder))
    assert len(found.pixels) == len(found.labels) == COUNT + 50
    assert found.labels[:3].tolist() == [9, 8, 7]


def test_a_changed_file_is_noticed(folder: Path) -> None:
    before = load(str(folder))
    pixels, labels = numbered(300)
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(pixels)))
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    after = load(str(folder))
    assert len(after.pixels) == 300
    assert before.key != after.key


def test_the_parts_have_nothing_in_common_and_are_all_there_is(folder: Path) -> None:
    digits = load(str(folder))
    parts = [part(digits, name) for name in ("train", "held-out", "judge")]
    seen = [numbers(p.pixels) for p in parts]
    assert sum(map(len, seen)) == len(set.union(*seen)) == COUNT
    for p, share in zip(parts, (0.6, 0.1, 0.3), strict=True):
        assert len(p.labels) / COUNT == pytest.approx(share, abs=0.06)
        assert set(p.labels.tolist()) == set(range(10))
    assert numbers(others(digits, "judge").pixels) == seen[0] | seen[1]


def test_a_part_without_some_digit_is_refused(folder: Path) -> None:
    labels = numbered()[1]
    labels[labels == 7] = 1
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    with pytest.raises(RequestError, match="no digit 7"):
        part(load(str(folder)), "train")


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    return data[:-6] + bytes([data[-6] ^ 255]) + data[-5:]


PIXELS, LABELS = numbered(20)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no IDX file"),
        (b"\x1f\x8b", "damaged"),
        (b"<html>not found</html>", "3c 68 74 6d"),
        (idx(LABELS), "no IDX file of images"),
        (b"\0\0\x0d\3" + idx(PIXELS)[4:], "no IDX file"),
        (idx(PIXELS)[:9], "within its first bytes"),
        (truncated(idx(PIXELS)), "cut short"),
        (idx(PIXELS) + b"more", "too long"),
        (truncated(gzip.compress(idx(PIXELS))), "damaged"),
        (flipped(gzip.compress(idx(PIXELS))), "damaged"),
        (gzip.compress(idx(PIXELS) + b"more"), "too long"),
        (gzip.compress(idx(PIXELS)[:-1]), "cut short"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 28), "Between 1 and"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 0, 28, 28), "Between 1 and"),
        (idx(np.full((20, 20, 20), 9, np.uint8)), "20×20 pixels"),
        (idx(PIXELS[:19]), "19 images, .* 20 labels"),
        (idx(np.zeros_like(PIXELS)), "is black"),
    ],
    ids=lambda given: given if isinstance(given, str) else "data",  # zipped ones hold the time
)
def test_a_wrong_file_of_images_is_explained(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(data)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(LABELS))
    with pytest.raises(RequestError, match=says) as error:
        load(str(tmp_path))
    assert error.value.remedy


def test_labels_that_are_no_digits_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(PIXELS))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.full(20, 13, np.uint8)))
    with pytest.raises(RequestError, match="image 0 a 13"):
        load(str(tmp_path))


def test_a_zip_bomb_is_read_no_further_than_it_promises(tmp_path: Path) -> None:
    file = tmp_path / "labels"
    file.write_bytes(gzip.compress(idx(LABELS) + bytes(50_000_000)))
    with pytest.raises(RequestError, match="too long"):
        read_idx(file, 1)


def test_half_a_set_or_none_is_explained(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no folder"):
        load(str(folder / "nowhere"))
    with pytest.raises(RequestError, match="is a file"):
        load(str(folder / "t10k-labels-idx1-ubyte.gz"))
    (folder / "t10k-labels-idx1-ubyte.gz").rename(folder / "elsewhere")
    with pytest.raises(RequestError, match="not its labels"):
        load(str(folder))
    (folder / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(RequestError, match="no handwritten digits"):
        load(str(folder))


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    digit_images._bundled.cache_clear()
    with pytest.raises(RequestError, match="scikit-learn") as error:
        load()
    assert "pip install" in error.value.remedy
    assert "data.path" in error.value.remedy


def looks_like_digits(pixels: np.ndarray) -> None:
    """Bright strokes on black, off the border, their mass in the middle."""
    assert pixels.shape[1:] == (SIDE, SIDE)
    assert pixels.dtype == np.uint8
    mass = pixels.astype(float).sum(axis=(1, 2))
    along = np.arange(SIDE) + 0.5
    for axis in (1, 2):
        centre = pixels.astype(float).sum(axis=axis) @ along / mass
        assert np.abs(centre - SIDE / 2).max() < 1.6
    assert (pixels.reshape(len(pixels), -1).max(axis=1) > 150).all()
    assert (pixels[:, [0, -1]].max(axis=(1, 2)) > 0).mean() < 0.01


def test_the_bundled_digits_are_scaled_up_to_look_like_digits() -> None:
    pytest.importorskip("sklearn")
    found = load()
    assert len(found.pixels) == 1797
    looks_like_digits(found.pixels)
    height = (found.pixels > 64).any(axis=2).sum(axis=1)
    assert 18 <= np.median(height) <= 22
    grey = ((found.pixels > 50) & (found.pixels < 200)).sum() / (found.pixels > 50).sum()
    assert grey < 0.5  # strokes with edges, no clouds


def test_mnist_is_read(dataset: Callable[[str], Path]) -> None:
    found = load(str(dataset("mnist")))
    assert found.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(found.labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009
    ]  # fmt: skip
    looks_like_digits(found.pixels)
