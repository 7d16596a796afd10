"""Which judge decides on a source's clips, and what breaks their captions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kineograph.data.clip import Clip, Source
from kineograph.data.grammar import CannotParse, parse
from kineograph.data.sources import digits as digits_source
from kineograph.data.sources import sprites as sprites_source
from kineograph.evaluation import digits, sprites
from kineograph.evaluation.corruptions import broken
from kineograph.evaluation.verifier import Judge, Verdict, verify

Breaks = Callable[[str, Clip], bool]
"""(corruption, real clip) => whether that makes its caption false."""


def judge_of(source: Source) -> Judge:
    """The judge of a source's captions.

    Digits are read by a classifier trained on the source's own images, sprites compared with the
    source's own sheets. Captions of a source that states no facts, such as a person's own clips,
    say what no judge knows, and are declined.
    """
    if isinstance(source, digits_source.Source):
        path = source.config.path
        return lambda frames, prompt, fps: digits.verify(frames, prompt, fps, path)
    if isinstance(source, sprites_source.Source):
        return lambda frames, prompt, fps: sprites.verify(frames, prompt, source)
    return verify if source.clip(0, 0).facts is not None else _decline


def verify_any(frames: np.ndarray, prompt: str, fps: float) -> Verdict:
    """Judge by whichever grammar knows the prompt: of shapes, or of digits."""
    judge = digits.verify if digits_source.about_digits(prompt) else verify
    return judge(frames, prompt, fps)


def breaks_of(source: Source) -> Breaks:
    """What a corruption breaks, of a source."""
    if isinstance(source, digits_source.Source):
        return lambda name, clip: digits.broken(name)
    if isinstance(source, sprites_source.Source):
        return lambda name, clip: sprites.breaks(name, clip.facts.attributes if clip.facts else {})
    return _breaks


def _breaks(name: str, clip: Clip) -> bool:
    try:
        return broken(name, parse(clip.caption))
    except CannotParse:
        return False


def _decline(frames: np.ndarray, prompt: str, fps: float) -> Verdict:
    why = "Its captions are a person's own: what they say cannot be measured."
    return Verdict("cannot judge", [why])
