"""Which judge decides on a source's clips, and what makes their captions false."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from kineograph.core import config, registry
from kineograph.core.errors import RequestError
from kineograph.data.clip import Clip, Source
from kineograph.data.grammar import CannotParse, parse
from kineograph.data.sources import digits as digits_source
from kineograph.data.sources import sprites as sprites_source
from kineograph.evaluation import digits, sprites
from kineograph.evaluation.corruptions import broken, wrong_captions
from kineograph.evaluation.tracker import track
from kineograph.evaluation.verifier import Judge, Verdict, cannot_judge, judge, verify


@dataclass(frozen=True)
class SourceJudge:
    """The judge of a source's captions, called like any other: (frames, prompt, fps) => verdict."""

    by_each: Callable[[np.ndarray, Sequence[str], float], list[Verdict]]
    """(frames, several prompts, fps) => a verdict for each, from one look at the video."""
    breaks: Callable[[str, Clip], bool]
    """(corruption, real clip) => whether that makes its caption false."""
    wrong_captions: Callable[[Clip], list[str]]
    """Real clip => captions like its own that are false."""

    def __call__(self, frames: np.ndarray, prompt: str, fps: float) -> Verdict:
        """Does a video do what a prompt says?"""
        return self.by_each(frames, [prompt], fps)[0]


def judge_of(source: Source) -> SourceJudge:
    """The judge of a source's captions.

    Digits are read by a classifier trained on the source's own images, sprites compared with the
    source's own sheets. Captions of a source that states no facts, such as a person's own clips,
    say what no judge knows, and are declined.
    """
    if isinstance(source, digits_source.Source):
        path = source.config.path
        return SourceJudge(
            lambda frames, prompts, fps: digits.verify_each(frames, prompts, fps, path),
            lambda name, clip: digits.broken(name),
            lambda clip: digits.wrong_captions(clip.caption),
        )
    if isinstance(source, sprites_source.Source):
        return SourceJudge(
            lambda frames, prompts, fps: sprites.verify_each(frames, prompts, source),
            sprites.breaks,
            lambda clip: [*chain(*sprites.wrong_captions(_attributes(clip), source).values())],
        )
    if source.clip(0, 0).facts is None:
        return SourceJudge(_decline, lambda name, clip: False, lambda clip: [])
    return SourceJudge(_of_shapes, _breaks, _wrong_captions)


def source_by_name(
    name: str, path: str | Path | None = None, settings: Mapping[str, Any] | None = None
) -> Source:
    """A source with the folder that it reads, and ``settings`` where it knows them.

    Raises RequestError where there is no such source or folder, or a folder that is not wanted.
    """
    module = registry.load("kineograph.data.sources", name)
    known = {field.name: field for field in fields(module.Config)}
    chosen = {key: value for key, value in (settings or {}).items() if key in known}
    if path is not None:
        if "path" not in known:
            raise RequestError(f"The source {name} reads no folder.", "Leave --path out.")
        chosen["path"] = str(path)
    elif "path" in known and "path" not in chosen and known["path"].default is MISSING:
        raise RequestError(f"The source {name} needs a folder.", "Add --path FOLDER.")
    source: Source = module.Source(config.build(module.Config, chosen, path="data"))
    return source


def judge_by_name(name: str | None, path: str | Path | None = None) -> Judge:
    """The judge of a source by its name, or ``verify_any``. Raises as ``source_by_name`` does."""
    if name is None:
        if path is not None:
            raise RequestError("--path was given without a source.", "Add --source NAME.")
        return verify_any
    return judge_of(source_by_name(name, path))


def verify_any(frames: np.ndarray, prompt: str, fps: float) -> Verdict:
    """Judge by whichever grammar knows the prompt: of shapes, or of digits.

    What a character looks like is known to its sheets alone, so that is declined.
    """
    if re.search(r"\bcharacters?\b", prompt, re.IGNORECASE):
        why = "A character is compared with the sheets that it is drawn from."
        return Verdict("cannot judge", [f"{why} Add --source sprites --path FOLDER."])
    judge = digits.verify if digits_source.about_digits(prompt) else verify
    return judge(frames, prompt, fps)


def _of_shapes(frames: np.ndarray, prompts: Sequence[str], fps: float) -> list[Verdict]:
    """Two objects are told apart by their captions; one is tracked once for all of them."""
    if len(prompts) == 1 or any(_not_of_one(frames, prompt) for prompt in prompts):
        return [verify(frames, prompt, fps) for prompt in prompts]
    seen = track(frames)
    return [judge(seen, parse(prompt), fps) for prompt in prompts]


def _not_of_one(frames: np.ndarray, prompt: str) -> bool:
    return bool(cannot_judge(frames, prompt, parse)) or len(parse(prompt).objects) > 1


def _breaks(name: str, clip: Clip) -> bool:
    try:
        return broken(name, parse(clip.caption))
    except CannotParse:  # a plugin may say what this grammar does not know
        return False


def _wrong_captions(clip: Clip) -> list[str]:
    try:
        return wrong_captions(parse(clip.caption))
    except CannotParse:
        return []


def _attributes(clip: Clip) -> Mapping[str, str]:
    return clip.facts.attributes if clip.facts else {}


def _decline(frames: np.ndarray, prompts: Sequence[str], fps: float) -> list[Verdict]:
    why = "Its captions are a person's own: what they say cannot be measured."
    return [Verdict("cannot judge", [why])] * len(prompts)
