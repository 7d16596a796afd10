"""What every source promises; a new file in data/sources is tested here without another line."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from kineograph.core import registry
from kineograph.data.clip import Source

PACKAGE = "kineograph.data.sources"


def needs_a_folder(name: str) -> bool:
    """Those have the same tests in files of their own, on folders that these make."""
    settings = dataclasses.fields(registry.load(PACKAGE, name).Config)
    return any(s.default is s.default_factory is dataclasses.MISSING for s in settings)


NAMES = [name for name in registry.names(PACKAGE) if not needs_a_folder(name)]


def make(name: str) -> Source:
    module = registry.load(PACKAGE, name)
    source: Source = module.Source(module.Config())
    return source


@pytest.mark.parametrize("name", NAMES)
def test_clips_are_a_pure_function_of_index_and_seed(name: str) -> None:
    source = make(name)
    indices = np.array([0, len(source) - 1, 1])
    batch = source.batch(indices, 3)
    assert batch.frames.dtype == np.uint8
    assert batch.frames.ndim == 5
    for row, index in enumerate(indices):
        clip = make(name).clip(int(index), 3)
        assert np.array_equal(clip.frames, batch.frames[row])
        assert clip.caption == batch.captions[row]


@pytest.mark.parametrize("name", NAMES)
def test_facts_cover_every_frame(name: str) -> None:
    clip = make(name).clip(0, 0)
    if clip.facts is not None:
        for thing in clip.facts.objects:
            assert thing.position.shape == (len(clip.frames), 2)
            assert thing.size.shape == (len(clip.frames),)


@pytest.mark.parametrize("name", NAMES)
def test_it_has_captions(name: str) -> None:
    captions = make(name).captions
    assert len(captions) > 0
    assert all(caption.strip() for caption in captions)


@pytest.mark.parametrize("name", NAMES)
def test_another_process_makes_the_same_clip(name: str) -> None:
    code = (
        "import hashlib; from kineograph.core import registry; "
        f"m = registry.load({PACKAGE!r}, {name!r}); "
        "print(hashlib.sha256(m.Source(m.Config()).clip(5, 9).frames.tobytes()).hexdigest())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(said) == 1
