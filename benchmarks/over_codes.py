"""The denoiser alone, over codes that are kept: for research, since all else costs the same.

    python benchmarks/over_codes.py runs/shapes --turns 4500 --model.logit-mean -1.2

Takes the autoencoder of a trained run and the codes of ``--clips`` of its training clips, trains a
fresh denoiser of the run's recipe over them, with the settings that are named, and judges clips of
each split. Each turn learns from a batch of its own, unless ``--repeat`` says for how many it
stays, as it does in a training for all turns of a step. One core is enough, so that two trials can
run side by side (`OMP_NUM_THREADS=1 taskset -c 0`). Prints a line of JSON; writes no file.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from recipes import brief

from kineograph import api, recipes
from kineograph.core import config
from kineograph.evaluation.by_fact import Split, evaluate_split
from kineograph.evaluation.judges import judge_of, source_by_name
from kineograph.lessons import begin, recipe_of
from kineograph.models.base import TensorBatch, to_model
from kineograph.sampling.pipeline import Pipeline
from kineograph.training import schedules
from kineograph.training.ema import EMA
from kineograph.training.environment import with_precision
from kineograph.training.muon import Muon

AT_ONCE = 64  # clips that become codes together


def changed(run: str, words: list[str]) -> recipes.Recipe:
    """The recipe of a run with ``--section.name value`` on top."""
    told = recipe_of(api.load(run)).to_dict()
    recipe = recipes.build(config.merge(told, config.parse_overrides(words)))
    return replace(recipe, training=with_precision(recipe.training))


def codes_of(model: Any, source: Any, tokenizer: Any, clips: int) -> tuple[Any, Any]:
    """Codes (N, T, D) and tokens (N, L) of the first clips of a source."""
    codes, captions = [], []
    for first in range(0, clips, AT_ONCE):
        some = source.batch(np.arange(first, min(first + AT_ONCE, clips)), 0)
        batch = TensorBatch(to_model(some.frames), torch.empty(0), 1.0)
        codes.append(model.autoencoder.codes(batch).clone())
        captions += some.captions
    return torch.cat(codes), torch.from_numpy(tokenizer.encode(captions))


def trained(model: Any, recipe: recipes.Recipe, codes: Any, tokens: Any, asked: Any) -> Any:
    """The average of the weights after all turns."""
    training = recipe.training
    (phase,) = {id(each): each for each in model.phases if each.name == "denoiser"}.values()
    optimizer = Muon(phase, training.precision)
    ema = EMA(model, training.ema)
    model.requires_grad_(False)
    for parameter in phase.parameters:
        parameter.requires_grad_(True)
    torch.manual_seed(asked.seed)
    for turn in range(asked.turns):
        rate = schedules.learning_rate(turn / asked.turns, training.warmup, training.cooldown)
        for group in optimizer.param_groups:
            group["lr"] = training.learning_rate * phase.learning_rate * rate
        if turn % asked.repeat == 0:
            some = torch.randint(len(codes), (training.batch_size,))
        batch = TensorBatch(torch.empty(0), tokens[some], 1.0, {"codes": codes[some]})
        with torch.autocast("cpu", torch.bfloat16, enabled=training.precision == "bf16"):
            losses = phase.losses(batch)
        optimizer.zero_grad()
        losses["total"].backward()
        if training.gradient_clip:
            torch.nn.utils.clip_grad_norm_(phase.parameters, training.gradient_clip)
        optimizer.step()
        ema.update(model, turn)
    return ema.model


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--turns", type=int, default=4500)
    parser.add_argument("--clips", type=int, default=65_536)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--judged", type=int, default=512)
    asked, words = parser.parse_known_args()
    recipe = changed(asked.run, words)
    torch.manual_seed(asked.seed)
    begun, known = begin(recipe), api.load(asked.run)
    model = begun.model
    model.autoencoder.load_state_dict(known.model.autoencoder.state_dict())
    codes, tokens = codes_of(model.eval(), begun.source, begun.tokenizer, asked.clips)
    started = time.monotonic()
    made = trained(model.train(), recipe, codes, tokens, asked)
    found: dict[str, Any] = {"seconds": round(time.monotonic() - started)}
    pipeline = Pipeline(made.eval(), begun.tokenizer, {"fps": begun.fps})

    def generate(prompts: Any) -> Any:
        return pipeline.batch(prompts, range(len(prompts)), api.EVALUATION_SEED)

    for name in ("train", "held-out"):
        data = config.to_dict(recipe.data) | {"split": name}
        source = source_by_name(recipe.source, data.get("path"), data)
        split = Split(recipe.source, name, source, begun.source)
        judged = evaluate_split(
            generate, split, judge_of(source), count=asked.judged, seed=api.EVALUATION_SEED
        )
        found[name] = brief(judged)
    print(json.dumps(vars(asked) | {"settings": words} | found), flush=True)


if __name__ == "__main__":
    main()
