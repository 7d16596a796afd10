"""What a training begins with and learns from, anew or where it goes on from a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from kineograph.core import registry, seeds
from kineograph.core.errors import RequestError
from kineograph.data.clip import Source
from kineograph.data.mixture import Mixture
from kineograph.evaluation.few_steps import STEPS, BySteps, Distillation, by_steps
from kineograph.evaluation.judges import judge_of
from kineograph.evaluation.teaching import Refinement, Teacher, captions_never_seen
from kineograph.models import checkpoint
from kineograph.models.base import VideoModel, VideoShape, lasting
from kineograph.recipes import SOURCES, Recipe, build, check_trusted, model_card
from kineograph.sampling.pipeline import Pipeline
from kineograph.text.pretrained import tokenizer_for
from kineograph.text.tokenizer import CaptionTokenizer
from kineograph.training.environment import choose_device, version
from kineograph.training.settings import DistillConfig, RefineConfig, TrainingConfig

_KEPT_CAPTIONS = 1000  # in what a model folder tells of itself


class Lessons(Protocol):
    """A model with the phases in which it goes on, and what it learns from."""

    pipeline: Pipeline
    source: Source
    training: TrainingConfig
    file: str
    """Where a run folder tells of the effect."""

    def effect(self, after: Pipeline) -> Refinement | Distillation:
        """What it was good for."""


@dataclass(frozen=True)
class Begun:
    """What a training begins with."""

    source: Source
    """That of the recipe."""
    fps: float
    """Of its clips."""
    model: VideoModel
    tokenizer: CaptionTokenizer
    lessons: Lessons | None
    """What it learns from, where it goes on from a trained model."""

    def save(
        self, folder: Path, model: VideoModel, recipe: Recipe, told: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write a model folder, in the place of one that is there; => all that it tells of itself.

        ``told`` is how far the training has come: "steps", "seconds" and "accuracy".
        """
        module = registry.load(SOURCES, recipe.source)
        info = {
            "recipe": recipe.to_dict(),
            "captions": list(self.source.captions[:_KEPT_CAPTIONS]),
            "unseen_prompts": list(getattr(module, "UNSEEN_PROMPTS", ())),
            "fps": self.fps,
            "version": version(),
            **told,
        }
        checkpoint.save(
            folder,
            model,
            self.tokenizer,
            family=recipe.family,
            model_config=recipe.model,
            info=info,
            card=model_card(recipe, info),
        )
        return info


def begin(recipe: Recipe) -> Begun:
    """Open the source of a recipe and make its model, or open the one that it goes on with."""
    source: Source = registry.load(SOURCES, recipe.source).Source(recipe.data)
    first = source.clip(0, recipe.seed)
    shape = VideoShape(*first.frames.shape[:3])
    if lessons := lessons_of(recipe, source, shape):
        pipeline = lessons.pipeline
        return Begun(source, first.fps, pipeline.model, pipeline.tokenizer, lessons)
    reader = getattr(recipe.model, "language_model", "")
    tokenizer = tokenizer_for(source.captions, reader)
    torch.manual_seed(seeds.seed_for(recipe.seed))
    model = checkpoint.make(recipe.family, recipe.model, shape, tokenizer.vocabulary_size)
    return Begun(source, first.fps, model, tokenizer, None)


def lessons_of(recipe: Recipe, source: Source, shape: VideoShape) -> Lessons | None:
    """Those of a recipe that goes on from a trained model. Raises RequestError where it cannot."""
    if recipe.refine and recipe.distill:
        raise RequestError(
            "A recipe cannot both refine and distil.", "Do one after the other, in two runs."
        )
    if recipe.refine:
        return _Refining(recipe, recipe.refine, source, shape)
    if recipe.distill:
        return _Distilling(recipe, recipe.distill, source, shape)
    return None


def recipe_of(pipeline: Pipeline) -> Recipe:
    """How a model was trained. Raises RequestError where it does not say."""
    if "recipe" not in pipeline.info:
        raise RequestError(
            "This model does not say what it was trained on.", "Train one that does."
        )
    recipe = pipeline.info["recipe"]
    check_trusted(recipe, "The model's recipe")
    return build(recipe)


class _Refining:
    """What a refinement learns from: the model to go on with, and its own clips, chosen."""

    file = "refinement.json"

    def __init__(
        self, recipe: Recipe, settings: RefineConfig, source: Source, shape: VideoShape
    ) -> None:
        settings.check()
        self.settings, self.pipeline = settings, _begun(recipe, settings.run, shape)
        if recipe.training.stop_at is not None or recipe.training.keep == "best":
            raise RequestError(
                "A refinement cannot end where it was most accurate, or at an accuracy.",
                "That would use what is held out. Leave training.stop_at and training.keep out.",
            )
        self.training = _slower(recipe.training, settings.learning_rate)
        unseen = captions_never_seen(recipe.source, recipe.data, settings.measured, recipe.seed)
        self.teacher = Teacher(source, judge_of(source), settings.teach, recipe.seed, unseen)
        chosen = self.teacher.chosen(self.pipeline.batch, settings.clips, settings.attempts)
        self.chosen = len(chosen)
        self.source: Source = Mixture(source, chosen, settings.share)
        self.before = self.teacher.measure(self.pipeline.batch, settings.measured)
        self.pipeline.model.phases = lasting(self.pipeline.model.phases)

    def effect(self, after: Pipeline) -> Refinement:
        """The judge's parts before and after."""
        return Refinement(
            run=self.settings.run,
            taught=self.teacher.taught,
            held_out=self.teacher.held_out,
            asked=self.settings.clips,
            chosen=self.chosen,
            before=self.before,
            after=self.teacher.measure(after.batch, self.settings.measured),
        )


class _Distilling:
    """What a distillation learns from: the model to go on with, which teaches itself."""

    file = "distillation.json"

    def __init__(
        self, recipe: Recipe, settings: DistillConfig, source: Source, shape: VideoShape
    ) -> None:
        settings.check()
        self.settings, self.pipeline = settings, _begun(recipe, settings.run, shape)
        self.training = _slower(recipe.training, settings.learning_rate)
        self.source, self.judge, self.seed = source, judge_of(source), recipe.seed
        model = self.pipeline.model
        model.phases = model.distilled(settings.steps, settings.start_share)
        self.unseen = captions_never_seen(
            recipe.source, recipe.data, settings.measured, recipe.seed
        )
        self.before = self._measured(self.pipeline)

    def effect(self, after: Pipeline) -> Distillation:
        """Right clips by the number of steps, before and after."""
        return Distillation(self.settings.run, self.before, self._measured(after))

    def _measured(self, pipeline: Pipeline) -> BySteps:
        return by_steps(
            pipeline.batch,
            self.source,
            self.judge,
            steps=sorted({*STEPS, self.settings.steps}),
            count=self.settings.measured,
            seed=self.seed,
            unseen=self.unseen,
        )


def _begun(recipe: Recipe, run: str, shape: VideoShape) -> Pipeline:
    """The trained model in the folder ``run``, of which the recipe keeps all but the training."""
    pipeline = Pipeline.load(run, str(choose_device(recipe.training.device)))
    if not pipeline.model.phases:
        raise RequestError(
            f"The model in {run} is for generating alone.", "Go on from the run that it came from."
        )
    begun = recipe_of(pipeline)
    if (begun.family, begun.model, pipeline.model.shape) != (recipe.family, recipe.model, shape):
        raise RequestError(
            f"The model in {run} has other settings.",
            "Those of a model, and the size of its clips, cannot change any more.",
        )
    return pipeline


def _slower(training: TrainingConfig, share: float) -> TrainingConfig:
    return replace(training, learning_rate=training.learning_rate * share)
