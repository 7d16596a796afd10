"""Train the models that come with the package, measure them as they are shipped, write them.

    python benchmarks/bundle.py                          # all, from nothing
    python benchmarks/bundle.py shapes --run runs/shapes # of a run that is there

Each becomes a folder in ``src/kineograph/bundled`` for generating alone, whose MODEL_CARD.md tells
how it was made and what it reaches; ``tests/models/test_bundled.py`` sees that it does.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kineograph import api, recipes
from kineograph.data.sources.tutorial import UNSEEN_PROMPTS
from kineograph.models import bundled

CARD = """
## How it was made

Seed {seed}, on {threads} cores of {processor}, without a GPU, at commit {commit}:
{steps:,} steps in {minutes:.0f} minutes. This does it again, and measures it again:

```
python benchmarks/bundle.py {name}
```

What only training needs is left out, and the weights are rounded to bfloat16: {megabytes:.2f} MB.

## Verified accuracy

Of this folder, by the project's own judge, with seed {judged_with}.

| tried on | right | of | 95 % interval |
|---|---|---|---|
{rows}
"""


@dataclass(frozen=True)
class Made:
    """How long a recipe is trained, with which settings, and what the model is tried on."""

    minutes: float
    settings: Mapping[str, Any]
    splits: Sequence[str] = ()
    """Empty for a source that has none."""


MODELS = {
    "tutorial-gan": Made(8, {"drawing_width": 32}),
    "shapes": Made(20, {}, ("train", "held-out", "rephrased")),
}
CLIPS = 512
"""Of each split; an eighth of that of each prompt."""


def trained(name: str, folder: Path) -> Path:
    """The run folder of a recipe."""
    limits = {"minutes": MODELS[name].minutes, "checkpoint_every": 0}
    told = {"training": limits, "model": MODELS[name].settings}
    done = api.train(recipes.resolve(name, told), folder)
    if done.ended == "interrupted":
        raise SystemExit("Interrupted: nothing was written.")
    return folder


def judged(name: str, place: Path) -> list[tuple[str, int, int, tuple[float, float]]]:
    """What was tried => right clips, of how many, and the interval of their share."""
    found = []
    if splits := MODELS[name].splits:
        for split in splits:
            joint = api.evaluate_split(place, split=split, count=CLIPS).model.joint
            found.append((split, joint.accepted, joint.of, joint.interval))
        return found
    evaluation = api.evaluate(place, count=CLIPS // 8)
    seen = evaluation.total(seen=True)
    found.append(("training prompts", seen.accepted, seen.of, seen.interval))
    for score in evaluation.scores:
        if score.prompt in UNSEEN_PROMPTS:
            result = score.result
            told = f'"{score.prompt}", never seen'
            found.append((told, result.accepted, result.of, result.interval))
    return found


def bundle(name: str, run: Path) -> None:
    """Write a run's model as one that comes with the package, with its card."""
    place, pipeline = bundled.FOLDER / name, api.load(run)
    assert pipeline.opened
    pipeline.save(place, force=True, inference_only=True)
    rows = judged(name, place)
    for what, right, of, _ in rows:
        print(f"{name}, {what}: {right} of {of}", flush=True)
    made: dict[str, Any] = json.loads((run / "environment.json").read_text("utf-8"))
    card = pipeline.opened.card.replace("PATH/OF/THIS/FOLDER", name) + CARD.format(
        name=name,
        seed=pipeline.info["recipe"]["seed"],
        steps=pipeline.info["steps"],
        minutes=pipeline.info["seconds"] / 60,
        megabytes=(place / "model.safetensors").stat().st_size / 1e6,
        judged_with=api.EVALUATION_SEED,
        rows="\n".join(
            f"| {what} | {right} | {of} | {low:.1%} to {high:.1%} |"
            for what, right, of, (low, high) in rows
        ),
        **{key: made[key] for key in ("threads", "processor", "commit")},
    )
    replace(pipeline, opened=replace(pipeline.opened, card=card)).save(
        place, force=True, inference_only=True
    )


def main() -> None:
    """Train, write, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=MODELS, default=[*MODELS])
    parser.add_argument("--run", type=Path, help="a run of it that is there")
    asked = parser.parse_args()
    if asked.run and len(asked.names) != 1:
        parser.error("--run is of one model: name it")
    for name in asked.names:
        with tempfile.TemporaryDirectory() as folder:
            bundle(name, asked.run or trained(name, Path(folder, "run")))


if __name__ == "__main__":
    main()
