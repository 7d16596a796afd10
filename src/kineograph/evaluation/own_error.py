"""How often a judge is wrong: on clips that are right, and on the same clips broken on purpose."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kineograph.data.clip import Clip
from kineograph.evaluation.corruptions import CORRUPTIONS, MILD, WRONG_CAPTION, Corruption
from kineograph.evaluation.judges import SourceJudge
from kineograph.evaluation.statistics import Share

TRUE = "true"
"""The version of a clip that nothing was done to."""
RIGHT = (TRUE, *MILD)
"""The versions that should be accepted."""
BROKEN = (WRONG_CAPTION, *CORRUPTIONS)
"""Those that should be refused."""


@dataclass(frozen=True)
class OwnError:
    """The judge's own error: per caption, and per version ("true", the corruptions, …).

    Only versions that really break the caption are counted, and the mild ones, which do not.
    """

    table: dict[str, dict[str, Share]]

    def total(self, version: str) -> Share:
        """Over all captions."""
        rows = (row[version] for row in self.table.values() if version in row)
        return sum(rows, Share(0, 0))

    @property
    def totals(self) -> dict[str, Share]:
        """Version => the total."""
        return {version: self.total(version) for version in self.versions}

    @property
    def versions(self) -> list[str]:
        """The columns, those that should be accepted first."""
        found = dict.fromkeys(version for row in self.table.values() for version in row)
        return [version for version in (*RIGHT, *BROKEN) if version in found]

    def as_json(self) -> dict[str, dict[str, dict[str, float | int | list[float]]]]:
        """Numbers for a file: caption => version => accepted, of, and the 95 % interval."""
        return {
            caption: {
                version: {"accepted": s.accepted, "of": s.of, "interval": list(s.interval)}
                for version, s in row.items()
            }
            for caption, row in (self.table | {"all": self.totals}).items()
        }

    def format(self) -> str:
        """A table for people: accepted clips in per cent, "-" where nothing is broken."""
        rows = self.table | {"all": self.totals}
        wide = max(len(caption) for caption in rows)
        heads = [v.replace(" ", "-") for v in self.versions]
        lines = [" " * wide + "".join(f"{head:>{max(len(head), 6) + 2}}" for head in heads)]
        for caption, row in rows.items():
            cells = [
                f"{100 * row[v].share:.2f}" if v in row and row[v].of else "-"
                for v in self.versions
            ]
            pairs = zip(cells, heads, strict=True)
            line = "".join(f"{cell:>{max(len(head), 6) + 2}}" for cell, head in pairs)
            lines.append(f"{caption:<{wide}}{line}")
        return "\n".join(lines)


def own_error(
    clips: Iterable[Clip],
    judge: SourceJudge,
    *,
    corruptions: Sequence[str] = (*CORRUPTIONS, *MILD),
    most_wrong: int | None = None,
    alter: Corruption | None = None,
) -> OwnError:
    """Judge clips of a source as they are, under captions that are wrong, and broken.

    A clip is tried with at most ``most_wrong`` of its wrong captions, which take turns. ``alter``
    is applied last to whatever is judged, such as a round trip through a codec. Clips that the
    judge declines as they are count for nothing.
    """
    table: dict[str, dict[str, Share]] = {}
    for index, clip in enumerate(clips):
        wrong = judge.wrong_captions(clip)
        if most_wrong is not None and len(wrong) > most_wrong:
            apart = math.ceil(len(wrong) / most_wrong)
            wrong = wrong[index % apart :: apart]
        for version, share in _tried(clip, judge, index, wrong, corruptions, alter):
            row = table.setdefault(clip.caption, {})
            row[version] = row.get(version, Share(0, 0)) + share
    return OwnError(table)


def _tried(
    clip: Clip,
    judge: SourceJudge,
    index: int,
    wrong: Sequence[str],
    corruptions: Sequence[str],
    alter: Corruption | None,
) -> Iterator[tuple[str, Share]]:
    """Each version of a clip => how often it was accepted."""
    last = alter or (lambda frames, seed: frames)
    whole, *others = judge.by_each(last(clip.frames, index), [clip.caption, *wrong], clip.fps)
    if whole.verdict == "cannot judge":
        return
    yield TRUE, Share(bool(whole), 1)
    if others:
        yield WRONG_CAPTION, Share(sum(map(bool, others)), len(others))
    for name in corruptions:
        if name in MILD or judge.breaks(name, clip):
            altered = last((CORRUPTIONS | MILD)[name](clip.frames, index), index)
            yield name, Share(bool(judge(altered, clip.caption, clip.fps)), 1)
