"""How well a model follows prompts of a split, fact by fact, beside what real clips reach.

A prompt of one clip each, drawn from the split. Each number stands between two of the same judge
on the source's own clips: the *ceiling*, with their captions, and the *floor*, with the captions
of other clips.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kineograph.core.sharing import each
from kineograph.data.clip import Clip, Facts, Source
from kineograph.data.grammar import DIRECTIONS
from kineograph.data.motion import PACES
from kineograph.evaluation import novelty
from kineograph.evaluation.accuracy import numbers
from kineograph.evaluation.frechet import FrechetOptions
from kineograph.evaluation.frechet import frechet as distance_of
from kineograph.evaluation.statistics import Share
from kineograph.evaluation.verifier import Judge, Verdict

_PROMPTS, _OPEN_PROMPTS, _SAMPLES, _POOL = 6, 2, 64, 2048  # for diversity
_LEAST_SAMPLES = 8
_LEAST_SPREAD = 0.05  # units; where real clips hardly differ there is nothing to compare
_TRAINING = 2048  # clips that are searched for copies
_SAME = 0.1  # of 255: clips that differ by less are one, in float32


@dataclass(frozen=True)
class Trial:
    """A clip, the prompt it was made for (its caption), what that says, and the verdict."""

    clip: Clip
    verdict: Verdict
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class FactScore:
    """Trials by the facts of their prompts."""

    trials: list[Trial]

    @property
    def joint(self) -> Share:
        """Clips in which every fact is right, of those that could be judged."""
        return _share(bool(t.verdict) for t in self._judged)

    @property
    def facts(self) -> dict[str, Share]:
        """Fact ("shape", "motion", ...) => how often it is right, of either object."""
        found: dict[str, list[bool]] = {}
        for trial in self._judged:
            for fact, right in trial.verdict.facts.items():
                found.setdefault(fact.removeprefix("second "), []).append(right)
        return {fact: _share(rights) for fact, rights in found.items()}

    @property
    def product(self) -> float:
        """Product of the shares of all facts: the joint share if they failed independently."""
        return math.prod(share.share for share in self.facts.values())

    @property
    def values(self) -> dict[str, dict[str, Share]]:
        """Fact => what was asked ("red") => how often that fact is right then."""
        found: dict[str, dict[str, list[bool]]] = {}
        for trial in self._judged:
            for fact, right in trial.verdict.facts.items():
                if fact in trial.attributes:
                    kind = found.setdefault(fact.removeprefix("second "), {})
                    kind.setdefault(trial.attributes[fact], []).append(right)
        return {f: {v: _share(r) for v, r in sorted(kind.items())} for f, kind in found.items()}

    def pairs(self, first: str, second: str) -> dict[str, Share]:
        """What was asked of two facts of one object ("red star") => how often both are right."""
        found: dict[str, list[bool]] = {}
        for trial, prefix in itertools.product(self._judged, ("", "second ")):
            names = [prefix + first, prefix + second]
            if all(name in trial.attributes for name in names):
                asked = ", ".join(trial.attributes[name] for name in names)
                right = all(trial.verdict.facts.get(name, False) for name in names)
                found.setdefault(asked, []).append(right)
        return {asked: _share(rights) for asked, rights in sorted(found.items())}

    @property
    def captions(self) -> dict[str, Share]:
        """Caption => clips that do what it says, the worst first."""
        found: dict[str, list[bool]] = {}
        for trial in self._judged:
            found.setdefault(trial.clip.caption, []).append(bool(trial.verdict))
        shares = {caption: _share(rights) for caption, rights in found.items()}
        return dict(sorted(shares.items(), key=lambda item: item[1].share))

    @property
    def _judged(self) -> list[Trial]:
        return [t for t in self.trials if t.verdict.verdict != "cannot judge"]

    def as_json(self, pairs: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
        """Numbers for a file."""
        return {
            "clips": len(self.trials),
            "joint": numbers(self.joint),
            "facts": {fact: numbers(share) for fact, share in self.facts.items()},
            "product_of_facts": None if math.isnan(self.product) else self.product,
            "values": {f: {v: numbers(s) for v, s in k.items()} for f, k in self.values.items()},
            "pairs": {
                f"{a} × {b}": {asked: numbers(s) for asked, s in self.pairs(a, b).items()}
                for a, b in pairs
            },
            "captions": {caption: numbers(share) for caption, share in self.captions.items()},
        }


def score(clips: Iterable[Clip], facts: Iterable[Facts | None], judge: Judge) -> FactScore:
    """Judge clips by their own captions; ``facts`` are those of the captions."""
    clips = list(clips)
    verdicts = each(lambda clip: judge(clip.frames, clip.caption, clip.fps), clips)
    return FactScore(
        [
            Trial(clip, verdict, told.attributes if told else {})
            for clip, verdict, told in zip(clips, verdicts, facts, strict=True)
        ]
    )


def real_clips(source: Source, count: int, seed: int) -> list[Clip]:
    """The first ``count`` clips of ``seed``, with captions and facts."""
    batch = source.batch(np.arange(count) % len(source), seed)
    rows = zip(batch.frames, batch.captions, batch.facts, strict=True)
    return [Clip(frames, caption, facts) for frames, caption, facts in rows]


def shuffled(clips: Sequence[Clip]) -> list[Clip]:
    """The same clips, each under the caption of the next that has another one."""
    captions = [clip.caption for clip in clips]
    result = []
    for k, clip in enumerate(clips):
        others = (captions[(k + step) % len(clips)] for step in range(1, len(clips)))
        other = next((caption for caption in others if caption != clip.caption), None)
        if other is not None:
            result.append(Clip(clip.frames, other, None, clip.fps))
    return result


def ceiling_and_floor(real: Sequence[Clip], judge: Judge) -> dict[str, Share]:
    """What a judge says of real clips, under their own captions and under those of others."""
    wrong = shuffled(real)
    ceiling = score(real, [None] * len(real), judge).joint
    floor = score(wrong, [None] * len(wrong), judge).joint
    return {"real clips": ceiling, "real clips, others' captions": floor}


Generate = Callable[[Sequence[str]], list[Clip]]
"""Prompts => a clip for each."""


@dataclass(frozen=True)
class SplitEvaluation:
    """A model on a split of a source, with the ceiling and the floor of the judge."""

    source: str
    split: str
    model: FactScore
    ceiling: FactScore
    floor: FactScore
    measures: Mapping[str, float]
    """What else was measured, by name: see ``velocity_errors`` and ``novelty``."""
    pairs: Sequence[tuple[str, str]] = ()
    about: str = ""
    """What sets the split apart, where its source says so."""

    def as_json(self) -> dict[str, Any]:
        """Numbers for a file."""
        return {
            "source": self.source,
            "split": self.split,
            "about": self.about,
            "model": self.model.as_json(self.pairs),
            "ceiling": self.ceiling.as_json(),
            "floor": numbers(self.floor.joint),
            "measures": dict(self.measures),
        }

    def format(self) -> str:
        """A table for a terminal, at most 80 columns wide."""
        if not self.model.joint.of:
            why = self.model.trials[0].verdict.reasons[0] if self.model.trials else ""
            lines = [f"{self.source}, {self.split}: cannot be judged. {why}"]
        else:
            head = _line("", "model", "95 % interval", "real clips")
            about = textwrap.wrap(self.about, 78, initial_indent="  ", subsequent_indent="  ")
            lines = [f"{self.source}, {self.split}", *about, head]
            ceilings = self.ceiling.facts
            for fact, share in self.model.facts.items():
                lines.append(_cells(fact, share, ceilings.get(fact)))
            lines.append(_cells("all of them", self.model.joint, self.ceiling.joint))
            product = f"{100 * self.model.product:.1f} %"
            lines.append(_line("product of the facts", product, "", ""))
            lines.append(_cells("real clips, shuffled captions", self.floor.joint, None))
        for name, value in self.measures.items():
            *above, last = textwrap.wrap(name, 64)
            lines += [f"  {line}" for line in above] + [f"  {last:<66}{measure_text(value):>10}"]
        return "\n".join(lines)


def measure_text(value: float) -> str:
    """Three digits of a measure; what is as good as 0 is 0."""
    return f"{value:.3g}" if abs(value) >= 1e-4 else "0"


def _line(name: str, share: str, interval: str, ceiling: str) -> str:
    return f"  {name:<32}{share:>10}  {interval:>16}  {ceiling:>12}"


def _cells(name: str, share: Share, ceiling: Share | None) -> str:
    low, high = share.interval
    real = f"{100 * ceiling.share:.1f} %" if ceiling and ceiling.of else ""
    between = f"{100 * low:.1f} to {100 * high:.1f} %"
    return _line(name, f"{100 * share.share:.1f} %", between, real)


def _share(rights: Iterable[bool]) -> Share:
    known = list(rights)
    return Share(sum(known), len(known))


@dataclass(frozen=True)
class Split:
    """What a model is tried on."""

    name: str
    """The source's."""
    split: str
    source: Source
    training: Source
    """What the model was trained on: its clips are compared with some of these."""
    pairs: Sequence[tuple[str, str]] = ()
    """Pairs of facts whose scores are told one by one."""
    about: str = ""
    """What sets the split apart."""


def evaluate_split(
    generate: Generate,
    data: Split,
    judge: Judge,
    *,
    count: int,
    seed: int,
    frechet: FrechetOptions | None = None,
) -> SplitEvaluation:
    """Generate a clip for each of ``count`` captions of a split and judge them.

    With ``frechet`` the Fréchet video distance to the real clips is among the measures.
    """
    if frechet is not None:
        frechet.check(count)
    real = real_clips(data.source, count, seed)
    told = [clip.facts for clip in real]
    made = generate([clip.caption for clip in real])
    model, ceiling = score(made, told, judge), score(real, told, judge)
    wrong = shuffled(real)
    floor = score(wrong, [None] * len(wrong), judge)
    measures = velocity_errors(model, ceiling) | _fidelity(model)
    measures |= _diversity(generate, data.source, ceiling, judge, seed)
    own = type(data.source) is type(data.training)
    fresh = real if own else real_clips(data.training, min(count, _SAMPLES), seed)
    measures |= _memory(made, fresh, data.training)
    if frechet is not None:
        theirs, ours = (np.stack([clip.frames for clip in clips]) for clips in (real, made))
        taken = distance_of(theirs, ours, frechet)
        measures[taken.name] = taken.distance
    return SplitEvaluation(
        *(data.name, data.split, model, ceiling, floor, measures, data.pairs, data.about)
    )


def _diversity(
    generate: Generate, source: Source, real: FactScore, judge: Judge, seed: int
) -> dict[str, float]:
    """Spread of right samples of a prompt, in that of real clips that are asked for the same."""
    alone = [t for t in real.trials if t.clip.facts and len(t.clip.facts.objects) == 1]
    if not alone:
        return _open_facts(generate, real, judge)
    pool = [f for f in source.batch(np.arange(_POOL) % len(source), seed + 1).facts if f]
    shares: dict[str, list[float]] = {}
    for clip in _of_many_kinds([t.clip for t in alone]):
        asked = _manner(clip.facts)
        unit = min(clip.frames.shape[1:3]) / 64
        known = novelty.spread_of_facts([f for f in pool if _manner(f) == asked], unit)
        ours = novelty.spread(_right_samples(generate, clip.caption, judge))
        for what in known.keys() & ours.keys():
            if known[what] > _LEAST_SPREAD:
                shares.setdefault(what, []).append(ours[what] / known[what])
    return {
        f"spread of the {what} among samples of a prompt, times the source's": float(np.mean(found))
        for what in ("start", "speed", "phase")
        if (found := shares.get(what))
    }


def _right_samples(generate: Generate, caption: str, judge: Judge) -> list[Verdict]:
    """What the judge says of the right ones of 64 samples; none where there are few.

    A clip that is broken differs from others, too, but that is no diversity.
    """
    samples = generate([caption] * _SAMPLES)
    right = [v for c in samples if (v := judge(c.frames, c.caption, c.fps))]
    return right if len(right) >= _LEAST_SAMPLES else []


def _manner(facts: Facts | None) -> tuple[object, ...]:
    """What is said of how one object moves: clips of the same should spread alike."""
    assert facts is not None
    said = facts.attributes
    moves = [o.motion for o in facts.objects]
    return (*moves, said.get("size"), said.get("speed"))


def _of_many_kinds(clips: Sequence[Clip]) -> list[Clip]:
    """A few clips: one of each verb first, then other motions of the same."""
    motions = {str(c.facts.objects[0].motion): c for c in reversed(clips) if c.facts}
    verbs = {motion.split()[0]: motion for motion in reversed(motions)}
    first = [motions.pop(motion) for motion in verbs.values()]
    return [*first, *motions.values()][:_PROMPTS]


def _open_facts(generate: Generate, real: FactScore, judge: Judge) -> dict[str, float]:
    """The same of what a judge sees that says what it sees: of the facts that a prompt leaves open.

    Real clips under any caption are what they are compared with.
    """
    shares = []
    told = {t.clip.caption: t.attributes for t in real.trials if "seen" in t.verdict.measured}
    for caption, said in sorted(told.items(), key=lambda item: len(item[1]))[:_OPEN_PROMPTS]:
        known = novelty.variety([t.verdict for t in real.trials], said)
        ours = novelty.variety(_right_samples(generate, caption, judge), said)
        shares += [ours[f] / of for f, of in known.items() if of > _LEAST_SPREAD and f in ours]
    name = "spread of what a prompt leaves open among its samples, times the source's"
    return {name: float(np.mean(shares))} if shares else {}


def _memory(made: Sequence[Clip], real: Sequence[Clip], training: Source) -> dict[str, float]:
    """Distance to the nearest of some training clips, beside that of real clips never seen."""
    if not made or made[0].frames.shape != real[0].frames.shape:
        return {}

    def batches() -> Iterable[np.ndarray]:
        for first in range(0, _TRAINING, 256):
            yield training.batch(np.arange(first, first + 256) % len(training), 0).frames

    ours, theirs = (float(np.median(novelty.nearest(c, batches()))) for c in (made, real))
    if theirs < _SAME:  # a folder has no others
        return {}
    name = f"distance to the nearest of {_TRAINING:,} training clips, times that of real clips"
    return {name: ours / theirs}


def _fidelity(model: FactScore) -> dict[str, float]:
    """Mean PSNR to the rendering of what was asked, where the judge can draw that."""
    found = [t.verdict.measured["psnr"] for t in model.trials if "psnr" in t.verdict.measured]
    return {"PSNR to the true rendering, dB": float(np.mean(found))} if found else {}


# ---- velocity -------------------------------------------------------------------------------


def velocity_errors(model: FactScore, real: FactScore) -> dict[str, float]:
    """Mean error of the velocity of what moves straight, pixels a frame (PhyWorld, Kang 2024).

    A prompt leaves a range of speeds open, so a clip's error is its distance from the nearest
    velocity that the prompt allows. The judge's own floor is what it measures of real clips
    against their facts.
    """
    found = {}
    away = [e for t in model.trials if (e := _beyond_allowed(t)) is not None]
    own = [e for t in real.trials if (e := _beyond_facts(t)) is not None]
    if away:
        found["velocity error, px/frame"] = float(np.mean(away))
    if own:
        found["velocity error of the judge itself, px/frame"] = float(np.mean(own))
    return found


def _velocity(trial: Trial) -> np.ndarray | None:
    """In pixels a frame, where one object was asked to move straight and was seen to."""
    alone = trial.attributes.get("objects", "1") == "1"
    seen = trial.verdict.measured.get("velocity")
    if seen is None or not alone or not trial.attributes.get("motion", "").startswith("moving"):
        return None
    velocity: np.ndarray = np.array(seen) * min(trial.clip.frames.shape[1:3]) / 64
    return velocity


def _beyond_allowed(trial: Trial) -> float | None:
    velocity = _velocity(trial)
    if velocity is None:
        return None
    way = np.array(DIRECTIONS[trial.attributes["motion"].split()[1]], float)
    way /= np.linalg.norm(way)
    frames, height, width, _ = trial.clip.frames.shape
    pixels = min(height, width) / 64 / (frames - 1)
    least, most = PACES["moving"][trial.attributes.get("speed", "")]
    speed = float(np.clip(velocity @ way, least * pixels, most * pixels))
    return float(np.linalg.norm(velocity - speed * way))


def _beyond_facts(trial: Trial) -> float | None:
    velocity, facts = _velocity(trial), trial.clip.facts
    if velocity is None or facts is None or not facts.objects:
        return None
    true = np.diff(facts.objects[0].position, axis=0).mean(axis=0)
    return float(np.linalg.norm(velocity - true))
