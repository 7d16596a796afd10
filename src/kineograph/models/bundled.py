"""The models that come with the package, each a model folder for generating alone.

`benchmarks/bundle.py` trains and measures them; what they reach stands in their MODEL_CARD.md.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from kineograph.core.files import read_json

FOLDER = Path(__file__).resolve().parents[1] / "bundled"
NAMES = ("shapes", "tutorial-gan")
"""The one that knows most comes first."""


def place(model: str | Path) -> Path:
    """The folder of one of them, by its name, where there is no folder here that has it; any other
    as it is."""
    path = Path(model)
    return FOLDER / path if str(path) in NAMES and not path.exists() else path


def that_knows(prompt: str) -> str:
    """The name of the one with the fewest words, as long as it has learned all those of a prompt;
    of one with other words the name of the first."""
    asked = _words(prompt)
    for name in reversed(NAMES):
        told: Any = read_json(FOLDER / name / "config.json")["info"]
        if asked <= _words(" ".join(told["captions"])):
            return name
    return NAMES[0]


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))
