from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from kineograph.data.digit_images import SIDE, Digits, load, others
from kineograph.evaluation import digit_classifier
from kineograph.evaluation.digit_classifier import Classifier, classifier_for, train, upright


@pytest.fixture(scope="module")
def printed_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like MNIST's, with digits from a printer: 600, each turned by some degrees."""
    rng, font = np.random.default_rng(0), ImageFont.load_default(24)
    pixels = np.zeros((600, SIDE, SIDE), np.uint8)
    for k in range(len(pixels)):
        image = Image.new("L", (SIDE, SIDE))
        ImageDraw.Draw(image).text((14, 14), str(k % 10), 255, font, anchor="mm")
        pixels[k] = image.rotate(rng.uniform(-12, 12), Image.Resampling.BICUBIC)
    labels = (np.arange(len(pixels)) % 10).astype(np.uint8)
    folder = tmp_path_factory.mktemp("printed")
    for name, array in (("images", pixels), ("labels", labels)):
        head = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        file = folder / f"t10k-{name}-idx{array.ndim}-ubyte"
        file.write_bytes(head + array.tobytes())
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, and nothing remembered by this process."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    classifier_for.cache_clear()
    return tmp_path / "cache/kineograph"


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each training."""
    done: list[str] = []

    def counted(digits: Digits) -> Classifier:
        done.append(digits.key)
        return train(digits)

    monkeypatch.setattr(digit_classifier, "train", counted)
    return done


# ---- what it reads --------------------------------------------------------------------------


def test_it_reads_digits_that_it_never_saw(printed_digits: Path) -> None:
    digits = load(str(printed_digits))
    classifier = train(digits)
    assert classifier.error <= 0.02
    assert classifier.tested == len(others(digits, "judge").labels)


def test_a_picture_of_no_digit_scores_low(printed_digits: Path) -> None:
    classifier = train(load(str(printed_digits)))
    noise = np.random.default_rng(0).random((50, SIDE, SIDE)).astype(np.float32)
    digits = load(str(printed_digits))
    known = classifier.scores(digits.pixels[:50] / np.float32(255)).max(axis=1)
    assert np.median(known) > 0.9
    assert np.median(classifier.scores(noise).max(axis=1)) < 0.5
    assert classifier.scores(noise[:0]).shape == (0, 10)
    assert np.isfinite(classifier.scores(np.zeros((1, SIDE, SIDE), np.float32))).all()


def test_place_size_and_slant_are_taken_out() -> None:
    """The same stroke, moved, enlarged and slanted, comes out the same."""
    plain = np.zeros((1, 30, 30), np.float32)
    plain[0, 8:20, 12:15] = 1
    plain[0, 8:10, 12:19] = 1
    moved = np.roll(plain, (5, -7), axis=(1, 2))
    slanted = np.stack([[np.roll(row, (14 - y) // 5) for y, row in enumerate(plain[0])]])
    large = plain.repeat(2, axis=1).repeat(2, axis=2)
    first, *rest = (upright(p)[0].ravel() for p in (plain, moved, slanted, large))
    for other in rest:
        cosine = first @ other / np.linalg.norm(first) / np.linalg.norm(other)
        assert cosine > 0.93


def test_training_again_gives_the_same(printed_digits: Path) -> None:
    first, second = (train(load(str(printed_digits))) for _ in range(2))
    assert first.error == second.error
    assert np.allclose(first.weights, second.weights, atol=1e-4)


def test_real_digits_are_read_by_99_in_100(dataset: Callable[[str], Path]) -> None:
    classifier = train(load(str(dataset("mnist"))))
    assert classifier.tested == 4000
    assert classifier.error <= 0.009


def test_scikit_learns_digits_are_read_by_98_in_100() -> None:
    pytest.importorskip("sklearn")
    classifier = train(load())
    assert classifier.tested > 1000
    assert classifier.error <= 0.02


# ---- the cache ------------------------------------------------------------------------------


def test_it_is_trained_once(printed_digits: Path, cache: Path, trainings: list[str]) -> None:
    first = classifier_for(str(printed_digits))
    classifier_for.cache_clear()
    again = classifier_for(str(printed_digits))
    assert len(trainings) == 1
    assert np.array_equal(first.weights, again.weights)
    assert (first.error, first.tested) == (again.error, again.tested)
    assert len(list(cache.iterdir())) == 1


def test_other_digits_are_learnt_anew(
    printed_digits: Path, cache: Path, trainings: list[str], tmp_path: Path
) -> None:
    classifier_for(str(printed_digits))
    for file in printed_digits.iterdir():
        data = bytearray(file.read_bytes())
        if "images" in file.name:
            data[-100] ^= 1
        (tmp_path / file.name).write_bytes(data)
    classifier_for(str(tmp_path))
    assert len(set(trainings)) == 2


class _Trap:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (Path("sprung"),)


def _pickled(file: Path) -> None:
    file.write_bytes(pickle.dumps(_Trap()))


def _pickled_inside(file: Path) -> None:
    trap = np.array([_Trap()], object)
    np.savez(file, anchors=trap, weights=trap, error=trap, tested=trap)


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


def _other_shape(file: Path) -> None:
    np.savez(
        file, anchors=np.zeros((3, 5), "f4"), weights=np.zeros((3, 10), "f4"), error=0, tested=9
    )


def _not_finite(file: Path) -> None:
    found = dict(np.load(file))
    found["weights"][3, 3] = np.nan
    np.savez(file, **found)


@pytest.mark.parametrize(
    "damage", [_pickled, _pickled_inside, _empty, _truncated, _other_shape, _not_finite]
)
def test_a_damaged_cache_is_replaced_and_nothing_in_it_is_run(
    printed_digits: Path, cache: Path, trainings: list[str], damage: Callable[[Path], None]
) -> None:
    classifier_for(str(printed_digits))
    (file,) = cache.iterdir()
    damage(file)
    for _ in range(2):
        classifier_for.cache_clear()
        assert classifier_for(str(printed_digits)).error <= 0.02
    assert len(trainings) == 2
    assert not Path("sprung").exists()


def test_without_a_cache_it_is_trained_all_the_same(
    printed_digits: Path, cache: Path, trainings: list[str]
) -> None:
    cache.parent.write_text("in the way of the folder")
    for _ in range(2):
        classifier_for.cache_clear()
        assert classifier_for(str(printed_digits)).error <= 0.02
    assert len(trainings) == 2


def test_a_kept_classifier_needs_no_scikit_learn(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    first = classifier_for()
    classifier_for.cache_clear()
    monkeypatch.setattr(digit_classifier, "load", None)
    assert classifier_for().error == first.error
