"""How often is the judge wrong? True clips of every caption, and the same clips broken on purpose.

    python benchmarks/judge.py                 # 600 clips a caption, over an hour on a core
    python benchmarks/judge.py --clips 50      # a quick look

Prints the share accepted in per cent and writes ``benchmarks/results/judge.json``. Beside the
plain clips it judges them after H.264, enlarged, in other colours, sizes and lengths, and clips of
the source "shapes", of one object and of two.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from kineograph.data.clip import Clip
from kineograph.data.sources import shapes
from kineograph.data.sources.tutorial import Config, Source
from kineograph.data.video_io import read_video, video_bytes
from kineograph.evaluation.accuracy import numbers
from kineograph.evaluation.by_fact import real_clips, score, shuffled
from kineograph.evaluation.corruptions import CORRUPTIONS, MILD, WRONG_CAPTION, Corruption
from kineograph.evaluation.judges import judge_of
from kineograph.evaluation.own_error import RIGHT, TRUE, OwnError, own_error
from kineograph.evaluation.statistics import Share
from kineograph.evaluation.verifier import verify
from kineograph.training.environment import environment

ROOT = Path(__file__).resolve().parent.parent
FEW = ("frozen", "shuffled", "teleporting", "vanishing", "ghosted")


@dataclass(frozen=True)
class Condition:
    """Clips under which the judge is tried."""

    config: Config
    alter: Corruption | None = None


def through_h264(scale: int) -> Corruption:
    """Written as MP4 as `kineograph generate` does, and read again."""

    def alter(frames: np.ndarray, seed: int) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "clip.mp4")
            path.write_bytes(video_bytes(Clip(frames, ""), "mp4", scale=scale))
            return read_video(path).frames

    return alter


def in_colors(ink: tuple[int, int, int], paper: tuple[int, int, int]) -> Corruption:
    """Black on white => ``ink`` on ``paper``."""

    def alter(frames: np.ndarray, seed: int) -> np.ndarray:
        share = frames / 255.0
        return np.rint(share * paper + (1 - share) * ink).astype(np.uint8)

    return alter


CONDITIONS = {
    "H.264, 512×512": Condition(Config(), through_h264(8)),
    "H.264, 64×64": Condition(Config(), through_h264(1)),
    "red on black": Condition(Config(), in_colors((255, 0, 0), (0, 0, 0))),
    "yellow on white": Condition(Config(), in_colors((255, 255, 0), (255, 255, 255))),
    "grey on grey": Condition(Config(), in_colors((90, 90, 90), (160, 160, 160))),
    "128×96": Condition(Config(height=96, width=128)),
    "256×256": Condition(Config(height=256, width=256)),
    "5 frames": Condition(Config(num_frames=5)),
    "16 frames": Condition(Config(num_frames=16)),
    "30 frames": Condition(Config(num_frames=30)),
}


def clips_per_second() -> float:
    """Processor time of ``verify`` on 10×64×64 clips, one core."""
    batch = Source(Config()).batch(np.arange(180), seed=1)
    start = time.process_time()
    for frames, caption in zip(batch.frames, batch.captions, strict=True):
        verify(frames, caption)
    return len(batch.captions) / (time.process_time() - start)


def of_tutorial(
    config: Config,
    clips: int,
    seed: int,
    corruptions: Sequence[str] = (*CORRUPTIONS, *MILD),
    alter: Corruption | None = None,
) -> OwnError:
    """So many clips of each caption, made one by one."""
    source = Source(config)
    real = (source.clip(index, seed) for index in range(clips * len(source.captions)))
    return own_error(real, judge_of(source), corruptions=corruptions, alter=alter)


def of_shapes(clips: int) -> dict[str, dict[str, Share]]:
    """The source "shapes", one object and two, in the splits: what is accepted of each version."""
    found = {}
    for name, two in (("one object", 0.0), ("two objects", 1.0)):
        for split in ("train", "held-out", "out-of-range"):
            source = shapes.Source(shapes.Config(split=split, two_objects=two))
            real = real_clips(source, clips, seed=2026)
            wrong = score(shuffled(real), [None] * len(real), verify)
            table = own_error(real, judge_of(source), most_wrong=8).totals
            found[f"shapes, {name}, {split}"] = table | {"shuffled captions": wrong.joint}
    return found


def percent(share: Share) -> str:
    """Accepted of tried, with the 95 % interval."""
    low, high = share.interval
    return f"{100 * share.share:7.3f} % of {share.of:6d}  ({100 * low:.2f} to {100 * high:.2f} %)"


def main() -> None:
    """Try the judge, print the tables, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=600, help="clips a caption")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/judge.json")
    arguments = parser.parse_args()
    began = time.perf_counter()

    plain = of_tutorial(Config(), arguments.clips, seed=2026)
    print(f"Accepted, in per cent ({', '.join(RIGHT)} should be 100, the others 0):\n")
    print(plain.format())
    print("\nAll captions, with 95 % intervals:")
    for version in plain.versions:
        print(f"  {version:14} {percent(plain.total(version))}")

    print("\nOther conditions: true clips; their clips under wrong captions; broken clips:")
    conditions = {}
    for name, condition in CONDITIONS.items():
        clips = max(1, arguments.clips // 15)
        trial = of_tutorial(condition.config, clips, 7, FEW, condition.alter)
        spoilt = sum((trial.total(version) for version in FEW), Share(0, 0))
        shares = (trial.total(TRUE), trial.total(WRONG_CAPTION), spoilt)
        print(f"  {name:16}" + "".join(f"{100 * s.share:9.3f} % of {s.of:5d}" for s in shares))
        conditions[name] = {"config": asdict(condition.config), "error": trial.as_json()["all"]}

    compositional = of_shapes(arguments.clips)
    for name, table in compositional.items():
        print(f"\n{name}:")
        for version, share in table.items():
            print(f"  {version:18} {percent(share)}")

    speed = clips_per_second()
    print(f"\nverify: {speed:.0f} clips/s of 10×64×64 on one core (processor time)")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "benchmark": "judge",
        "clips_per_caption": arguments.clips,
        "corruptions": {
            n: (f.__doc__ or "").splitlines()[0] for n, f in (CORRUPTIONS | MILD).items()
        },
        "accepted": plain.as_json(),
        "conditions": conditions,
        "shapes": {
            name: {version: numbers(share) for version, share in table.items()}
            for name, table in compositional.items()
        },
        "verify_clips_per_second_and_core": round(speed, 1),
        "seconds": round(time.perf_counter() - began, 1),
        "environment": environment(),
    }
    arguments.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(f"Written: {arguments.out}")


if __name__ == "__main__":
    main()
