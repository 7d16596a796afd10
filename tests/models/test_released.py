"""Model folders of every released version open, and make the clips that they made then.

Before a release, `python tests/models/test_released.py` writes those of its version anew; after it
they stay as they are.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kineograph import api, recipes
from kineograph.training.environment import version

RELEASED = Path(__file__).parent / "released"
FOLDERS = sorted(RELEASED.glob("*/*"))
PROMPT, SEED = "circle moving up-right", 7
TINY: dict[str, Any] = {
    "data": {"num_frames": 4, "height": 16, "width": 16, "num_clips": 36},
    "model": {"width": 16, "depth": 1, "appearance": 4, "drawing_width": 8, "detail": 8},
    "training": {"steps": 2, "batch_size": 4, "evaluate_every": 0, "device": "cpu"},
}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f"{f.parent.name} {f.name}")
def test_it_opens_and_makes_the_clip_that_it_made(folder: Path) -> None:
    (clip,) = api.load(folder)(PROMPT, seed=SEED)
    then = np.load(folder / "clip.npy", allow_pickle=False)
    assert np.abs(clip.frames.astype(int) - then).max() <= 2


def test_the_next_version_has_one_of_each_family_that_one_would_keep() -> None:
    assert {f.name for f in FOLDERS if f.parent.name == version()} == {"tutorial", "tutorial-gan"}


def write() -> None:
    """Those of this version."""
    for name in ("tutorial", "tutorial-gan"):
        place = RELEASED / version() / name
        shutil.rmtree(place, ignore_errors=True)
        with tempfile.TemporaryDirectory() as folder:
            api.train(recipes.resolve(name, TINY), Path(folder, "run"))
            api.load(Path(folder, "run")).save(place, inference_only=True)
        (clip,) = api.load(place)(PROMPT, seed=SEED)
        np.save(place / "clip.npy", clip.frames)


if __name__ == "__main__":
    write()
