"""How it works, in pictures: the page shows what its script draws, and says what is in them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from kineograph import api, recipes

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "how-it-works.md").read_text(encoding="utf-8")
SHOWN = dict(re.findall(r"!\[([^\]]*)\]\(media/(\S+)\)", PAGE))  # alternative text => file
MOST_BYTES = 150_000
SMALL = {
    "model": {"width": 16, "drawing_width": 8, "turns_a_step": 1, "autoencoder_share": 0.5},
    "training": {"steps": 2, "batch_size": 18, "evaluate_every": 0, "precision": "fp32"},
}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pictures", DOCS / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_any_trained_models_will_do(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps of training: what is drawn means nothing, but everything is drawn."""
    monkeypatch.setattr(script, "MANY", 36)
    for name in ("shapes", "tutorial-gan"):
        api.train(recipes.resolve(name, SMALL), tmp_path / name)
    runs = ["--flow", str(tmp_path / "shapes"), "--gan", str(tmp_path / "tutorial-gan")]
    (tmp_path / "media").mkdir()
    script.main([*runs, "--out", str(tmp_path / "media")])
    drawn = {file.name: file for file in (tmp_path / "media").iterdir()}
    assert set(drawn) == set(SHOWN.values()), "the page shows all of them, and no others"
    for name, file in drawn.items():
        with Image.open(file) as new, Image.open(DOCS / "media" / name) as kept:
            assert new.size == kept.size, f"{name} is of another script: draw it again"


def test_every_picture_is_light_and_told_in_words() -> None:
    assert SHOWN
    for words, name in SHOWN.items():
        assert len(words) > 60, name
        assert (DOCS / "media" / name).stat().st_size < MOST_BYTES, name


def test_the_page_says_how_to_make_them(script: ModuleType) -> None:
    commands = [line.strip() for line in (script.__doc__ or "").splitlines() if "--" in line]
    assert len(commands) == 3
    for command in commands:
        assert command in PAGE


def test_every_link_leads_somewhere() -> None:
    for place in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (DOCS / place).exists(), place
