"""Which judge decides on a source's clips."""

from __future__ import annotations

import numpy as np

from kineograph.data.clip import Clip, Source
from kineograph.data.grammar import CannotParse, parse
from kineograph.evaluation.corruptions import broken
from kineograph.evaluation.verifier import Judge, Verdict, verify


def judge_of(name: str, source: Source) -> Judge:
    """The judge of a source's captions.

    Captions of a person's own clips say what no judge knows, and are declined. A source from a
    file of its own is judged by what its captions say, where the grammar knows that.
    """
    if name == "folder":
        return _decline
    return verify


def breaks(name: str, clip: Clip) -> bool:
    """Whether a corruption makes a clip's caption false, where the grammar knows it.

    Of captions that it does not know it is taken to, save for playing backwards.
    """
    try:
        return broken(name, parse(clip.caption))
    except CannotParse:
        return name != "reversed"


def _decline(frames: np.ndarray, prompt: str, fps: float) -> Verdict:
    why = "The captions are a person's own: what they say cannot be measured."
    return Verdict("cannot judge", [why])
