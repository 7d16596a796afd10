"""Pictures of handwritten digits: MNIST's IDX files, or the small ones bundled with scikit-learn.

An image's place in the files decides by a hash what it is for: six in ten are for training, one is
held out, and three are the judge's, so that neither it nor the held-out clips ever show what a
model was trained on.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import importlib
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image

from kineograph.core import seeds
from kineograph.core.errors import RequestError
from kineograph.core.files import translate_os_errors

SIDE = 28
"""Height and width of a digit's picture, whatever its source."""

BUNDLED_KEY = "scikit-learn's 1797"
"""The key of scikit-learn's digits, so that it need not be imported to know it."""

Part = Literal["train", "held-out", "judge"]
_TENTHS: dict[Part, range] = {"held-out": range(1), "judge": range(1, 4), "train": range(4, 10)}

_SETS = ("train", "t10k")
_LARGEST = 1 << 29  # bytes of one file's content; 280,000 images of EMNIST are 220 million
_ANOTHER_COPY = "Get another copy of the file."


@dataclass(frozen=True)
class Digits:
    """``pixels`` (N, 28, 28) uint8, white on black; ``labels`` (N,) int64, 0 to 9.

    ``key`` changes whenever an image or a label does.
    """

    pixels: np.ndarray
    labels: np.ndarray
    key: str


def load(path: str = "") -> Digits:
    """All digits of a folder with IDX files, or scikit-learn's where ``path`` is empty.

    Raises RequestError where the folder or its files are missing, damaged or something else, and
    where scikit-learn is needed and missing.
    """
    if not path:
        return _bundled()
    folder = Path(path).expanduser()
    pairs = _find(folder)
    with translate_os_errors(folder):
        stats = [file.stat() for pair in pairs for file in pair]
    return _read_pairs(pairs, tuple((s.st_size, s.st_mtime_ns) for s in stats))


def part(digits: Digits, name: Part) -> Digits:
    """The images of one part. Raises RequestError where it holds none of some digit."""
    chosen = _in_part(digits, name)
    labels = digits.labels[chosen]
    missing = sorted(set(range(10)) - set(labels.tolist()))
    if missing:
        raise RequestError(
            f'Among the images for "{name}" there is no digit {missing[0]}.',
            "Use a larger set of digits, with all ten in any order.",
        )
    return Digits(digits.pixels[chosen], labels, digits.key)


def others(digits: Digits, name: Part) -> Digits:
    """All images that are not of that part."""
    chosen = ~_in_part(digits, name)
    return Digits(digits.pixels[chosen], digits.labels[chosen], digits.key)


def _in_part(digits: Digits, name: Part) -> np.ndarray:
    """A hash, as in some files the digits themselves come in turns of ten."""
    tenth = seeds.fold(np.arange(len(digits.labels))) % np.uint64(10)
    return np.isin(tenth, _TENTHS[name])


# ---- scikit-learn's -----------------------------------------------------------------------------


@functools.cache
def _bundled() -> Digits:
    try:
        datasets = importlib.import_module("sklearn.datasets")
    except ImportError as error:
        raise RequestError(
            "The bundled digits come with scikit-learn, which is not installed.",
            "Run `pip install 'kineograph[digits]'`, or name a folder of MNIST's files with "
            "data.path.",
        ) from error
    bunch = datasets.load_digits()
    pixels = np.stack([enlarged(image) for image in bunch.images])
    return Digits(pixels, bunch.target.astype(np.int64), BUNDLED_KEY)


def enlarged(image: np.ndarray) -> np.ndarray:
    """A digit of 8×8 shades from 0 to 16 => (28, 28) uint8, its strokes as crisp as MNIST's.

    Scaled to 20×20 by cubic interpolation, with more contrast, its mass in the middle.
    """
    bordered = np.pad(np.asarray(image, np.float32) * (255 / 16), 2)  # room for the soft edge
    large = Image.fromarray(bordered).resize((30, 30), Image.Resampling.BICUBIC)
    crisp = np.clip((np.asarray(large) - 70.0) * (255 / 130.0), 0, 255)
    rows, columns = (np.arange(30) @ crisp.sum(axis=axis) / crisp.sum() for axis in (1, 0))
    canvas = np.pad(crisp, SIDE)
    top, left = (round(float(centre) + SIDE - 13.5) for centre in (rows, columns))
    return np.rint(canvas[top : top + SIDE, left : left + SIDE]).astype(np.uint8)


# ---- IDX files ----------------------------------------------------------------------------------


def _find(folder: Path) -> tuple[tuple[Path, Path], ...]:
    """The (images, labels) of the sets that a folder holds."""
    with translate_os_errors(folder):
        if not folder.is_dir():
            problem = f"{folder} is a file." if folder.exists() else f"There is no folder {folder}."
            raise RequestError(problem, "data.path is the folder that holds MNIST's IDX files.")
        pairs = []
        for name in _SETS:
            images = _one(folder, f"{name}-images", "idx3-ubyte")
            labels = _one(folder, f"{name}-labels", "idx1-ubyte")
            if images and labels:
                pairs.append((images, labels))
            elif images or labels:
                has, lacks = ("images", "labels") if images else ("labels", "images")
                raise RequestError(
                    f"{folder} has the {has} of {name}, but not its {lacks}.",
                    f"Put {name}-{lacks}-idx{1 if images else 3}-ubyte.gz beside them.",
                )
    if not pairs:
        raise RequestError(
            f"{folder} holds no handwritten digits.",
            "It needs train-images-idx3-ubyte and train-labels-idx1-ubyte, or the same with t10k "
            "for train, with .gz or without.",
        )
    return tuple(pairs)


def _one(folder: Path, stem: str, kind: str) -> Path | None:
    names = [f"{stem}{dot}{kind}{end}" for end in ("", ".gz") for dot in "-."]
    return next((folder / name for name in names if (folder / name).is_file()), None)


@functools.lru_cache(maxsize=2)
def _read_pairs(
    pairs: tuple[tuple[Path, Path], ...], stamps: tuple[tuple[int, int], ...]
) -> Digits:
    """``stamps``, sizes and times of the files, only keep this cache from outliving a change."""
    pixels, labels, digest = [], [], hashlib.sha256()
    for image_file, label_file in pairs:
        images, names = read_idx(image_file, 3), read_idx(label_file, 1)
        _check(image_file, images, label_file, names)
        pixels.append(images)
        labels.append(names.astype(np.int64))
        digest.update(images.tobytes() + names.tobytes())
    return Digits(np.concatenate(pixels), np.concatenate(labels), digest.hexdigest())


def _check(image_file: Path, images: np.ndarray, label_file: Path, labels: np.ndarray) -> None:
    if images.shape[1:] != (SIDE, SIDE):
        raise RequestError(
            f"{image_file} holds images of {images.shape[2]}×{images.shape[1]} pixels.",
            f"MNIST's have {SIDE}×{SIDE}; scale yours to that.",
        )
    if len(images) != len(labels):
        raise RequestError(
            f"{image_file} holds {len(images):,} images, {label_file.name} {len(labels):,} labels.",
            "Use two files that belong together.",
        )
    wrong = np.flatnonzero(labels > 9)
    if len(wrong):
        raise RequestError(
            f"{label_file} calls image {wrong[0]} a {labels[wrong[0]]}.",
            "Labels must be the digits 0 to 9; letters and other things are not for this source.",
        )
    empty = np.flatnonzero(images.reshape(len(images), -1).max(axis=1) < 64)
    if len(empty):
        raise RequestError(f"In {image_file} image {empty[0]} is black.", _ANOTHER_COPY)


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """An IDX file of bytes, gzip or not, with that many dimensions => uint8 array.

    Raises RequestError where it is something else, too large, cut short or too long.
    """
    with translate_os_errors(path):
        try:
            with path.open("rb") as file:
                return _parse(path, _unzipped(file), dimensions)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise RequestError(f"{path} is damaged: {error}.", _ANOTHER_COPY) from error


def _unzipped(file: BinaryIO) -> BinaryIO:
    """By what the file holds, not by its name: browsers unpack .gz and keep the name."""
    zipped = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if zipped else file  # type: ignore[return-value]  # reads alike


def _parse(path: Path, file: BinaryIO, dimensions: int) -> np.ndarray:
    head = file.read(4 + 4 * dimensions)
    if head[:4] != bytes((0, 0, 8, dimensions)):
        what = "images" if dimensions == 3 else "labels"
        raise RequestError(
            f"{path} is no IDX file of {what}: it begins with {head[:4].hex(' ') or 'nothing'}, "
            f"not 00 00 08 {dimensions:02x}.",
            "Check that the files have not changed places, or get another copy.",
        )
    if len(head) < 4 + 4 * dimensions:
        raise RequestError(f"{path} is cut short within its first bytes.", _ANOTHER_COPY)
    shape = [int(n) for n in np.frombuffer(head, ">u4", offset=4)]
    size = math.prod(shape)
    if not 0 < size <= _LARGEST:
        raise RequestError(
            f"{path} says that it holds {' × '.join(f'{n:,}' for n in shape)} bytes.",
            f"Between 1 and {_LARGEST:,} can be read; get another copy.",
        )
    data = file.read(size + 1)
    if len(data) != size:
        word = "cut short" if len(data) < size else "too long"
        raise RequestError(
            f"{path} is {word}: its first bytes promise {size:,} more, not "
            f"{f'{len(data):,}' if len(data) < size else 'more than that'}.",
            _ANOTHER_COPY,
        )
    return np.frombuffer(data, np.uint8).reshape(shape)
