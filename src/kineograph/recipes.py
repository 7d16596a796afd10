"""Named, complete settings, as functions; a variant calls another and edits it.

A recipe on disk is a TOML file with ``seed`` and the sections ``data`` (``source`` and that
source's settings), ``model`` (``family`` and that family's settings) and ``training``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from kineograph.core import config, registry
from kineograph.core.errors import RequestError, in_short, unknown
from kineograph.training.settings import DistillConfig, RefineConfig, TrainingConfig

SOURCES = "kineograph.data.sources"
FAMILIES = "kineograph.models"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a training goes."""

    name: str
    source: str
    data: Any
    """The source's own ``Config``."""
    family: str
    model: Any
    """The family's own ``Config``."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    seed: int = 0
    refine: RefineConfig | None = None
    """Where it goes on from a trained model and the judge's choice: which, and how."""
    distill: DistillConfig | None = None
    """Where it learns to make in few steps what a trained model makes: which, and how."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in the TOML file."""
        further = {"refine": self.refine, "distill": self.distill}
        return {
            "name": self.name,
            "seed": self.seed,
            "data": {"source": self.source, **config.to_dict(self.data)},
            "model": {"family": self.family, **config.to_dict(self.model)},
            "training": config.to_dict(self.training),
            **{name: config.to_dict(each) for name, each in further.items() if each},
        }


def tutorial() -> dict[str, Any]:
    """The tutorial's eighteen captions by the flow, for which it lacked memory."""
    return {
        "data": {"source": "tutorial"},
        "model": {"family": "flow"},
        "training": {"steps": 1000, "batch_size": 1024, "evaluate_every": 50},
    }


def tutorial_gan() -> dict[str, Any]:
    """The same captions by a GAN, as the tutorial had in mind, that works."""
    return {
        "data": {"source": "tutorial"},
        "model": {"family": "gan"},
        "training": {
            "steps": 1000,
            "batch_size": 512,
            "cooldown": 0.7,
            "evaluate_every": 25,
            "keep": "best",
        },
    }


def shapes() -> dict[str, Any]:
    """One object of many shapes, colours and motions, by the flow."""
    return {
        "data": {"source": "shapes", "two_objects": 0.0},
        "model": {
            "family": "flow",
            "width": 128,
            "appearance": 29,
            "drawing_width": 96,
            "autoencoder_share": 0.2,
        },
        "training": {"steps": 4000, "batch_size": 1024},
    }


def shapes_two() -> dict[str, Any]:
    """Two objects at once, each with its own looks and motion, by the flow."""
    one = shapes()
    return {
        "data": one["data"] | {"two_objects": 1.0},
        "model": one["model"] | {"objects": 2, "guidance": 1.5},
        "training": one["training"],
    }


def shapes_128() -> dict[str, Any]:
    """The same at 128×128 in 16 frames, for a GPU."""
    return _larger(shapes(), side=128, batch_size=1024)


def shapes_256() -> dict[str, Any]:
    """The same at 256×256 in 16 frames, for a GPU."""
    return _larger(shapes(), side=256, batch_size=256)


def _larger(values: dict[str, Any], side: int, batch_size: int) -> dict[str, Any]:
    """More pixels and frames, drawn in more detail by wider networks."""
    sizes = {"num_frames": 16, "height": side, "width": side}
    wider = {"detail": side // 2, "drawing_width": 192, "width": 512, "clips_a_turn": batch_size}
    return {
        "data": values["data"] | sizes,
        "model": values["model"] | wider,
        "training": values["training"] | {"batch_size": batch_size},
    }


def digits() -> dict[str, Any]:
    """One handwritten digit (``data.path``, or ``pip install kineograph[digits]``) by the flow."""
    return {
        "data": {"source": "digits", "two_digits": 0.0},
        "model": {
            "family": "flow",
            "appearance": 32,
            "drawing_width": 96,
            "word_price": 1e-3,
            "logit_mean": -1.2,
            "logit_std": 0.9,
            "autoencoder_share": 0.2,
        },
        "training": {"steps": 4000, "batch_size": 1024},
    }


def sprites() -> dict[str, Any]:
    """Characters from layered sheets (``data.path``) by the flow, over what clips mean."""
    return {
        "data": {"source": "sprites"},
        "model": {
            "family": "flow",
            "objects": 0,
            "appearance": 64,
            "drawing_width": 1024,
            "width": 512,
            "depth": 2,
            "text_features": 512,
            "logit_mean": -0.5,
            "autoencoder_share": 0.45,
        },
        "training": {"steps": 4000, "batch_size": 512, "evaluate_every": 500},
    }


def tutorial_baseline() -> dict[str, Any]:
    """The tutorial's own frame GAN, to the letter, on the same clips."""
    return {
        "data": {"source": "tutorial", "num_clips": 10_000},
        "model": {"family": "tutorial_gan"},
        "training": {
            "batch_size": 16,
            "learning_rate": 2e-4,
            "steps": 81_250,  # 13 epochs of 100,000 frames
            "precision": "fp32",
            "warmup": 0.0,
            "cooldown": 0.0,
            "ema": 0.0,
            "gradient_clip": 0.0,
        },
    }


RECIPES: dict[str, Callable[[], dict[str, Any]]] = {
    recipe.__name__.replace("_", "-"): recipe
    for recipe in (
        tutorial,
        tutorial_gan,
        tutorial_baseline,
        shapes,
        shapes_two,
        shapes_128,
        shapes_256,
        digits,
        sprites,
    )
}


def resolve(name_or_file: str, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """A recipe's name or a TOML file, with overrides on top => a complete, checked recipe.

    Raises RequestError, naming the nearest, for an unknown recipe, source, family or setting.
    """
    name = name_or_file.replace("_", "-")
    if name_or_file.endswith(".toml"):
        values = config.read_toml(Path(name_or_file))
        check_trusted(values, name_or_file)
    elif name in RECIPES:
        values = {"name": name, **RECIPES[name]()}
    else:
        raise unknown("recipe", name_or_file, RECIPES)
    overrides = overrides or {}
    return build(config.merge(_for_source(values, overrides), overrides))


def _for_source(values: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's values, without what only its own source knows where another one is asked for."""
    own, asked = values.get("data"), overrides.get("data")
    if not (isinstance(own, Mapping) and isinstance(asked, Mapping)):  # `build` says what is amiss
        return values
    name = asked.get("source", own.get("source"))
    if name == own.get("source"):
        return values
    known = {each.name for each in fields(registry.load(SOURCES, str(name)).Config)}
    return {**values, "data": {key: value for key, value in own.items() if key in known}}


def check_trusted(values: Mapping[str, Any], place: str) -> None:
    """Refuse plain values that name code to run as their source or family, unless that is trusted.

    ``place`` is where they are from. Raises RequestError.
    """
    for section, key in (("data", "source"), ("model", "family")):
        with contextlib.suppress(KeyError, TypeError):  # what is amiss, `build` says
            registry.check_trusted(str(values[section][key]), place)


def build(values: Mapping[str, Any]) -> Recipe:
    """Plain values, as in the TOML file => a checked recipe. The inverse of ``to_dict``."""
    data, model = _section(values, "data"), _section(values, "model")
    source = _chosen(data, "source", "data")
    family = _chosen(model, "family", "model")
    rest = {k: v for k, v in values.items() if k not in ("data", "model", "name")}
    common = config.build(_Common, rest)
    return Recipe(
        name=str(values.get("name", f"{family}-{source}")),
        source=source,
        data=config.build(registry.load(SOURCES, source).Config, data, path="data"),
        family=family,
        model=config.build(registry.load(FAMILIES, family).Config, model, path="model"),
        training=common.training,
        seed=common.seed,
        refine=common.refine,
        distill=common.distill,
    )


@dataclass(frozen=True)
class _Common:
    seed: int = 0
    training: TrainingConfig = field(default_factory=TrainingConfig)
    refine: RefineConfig | None = None
    distill: DistillConfig | None = None


def refined(
    begun: Recipe, run: str, *, minutes: float, teach: Sequence[str] = (), seed: int = 0
) -> Recipe:
    """The recipe of a model => one that refines the model in the folder ``run``."""
    further = _further(begun, "refined", minutes, seed)
    return replace(
        further,
        training=replace(further.training, keep="last"),  # the whole judge says which is best
        refine=RefineConfig(run, tuple(teach)),
    )


def distilled(begun: Recipe, run: str, *, minutes: float, seed: int = 0) -> Recipe:
    """The recipe of a model => one that distils the model in the folder ``run``."""
    return replace(_further(begun, "distilled", minutes, seed), distill=DistillConfig(run))


def _further(begun: Recipe, how: str, minutes: float, seed: int) -> Recipe:
    return replace(
        begun,
        name=f"{begun.name.removesuffix(f'-{how}')}-{how}",
        training=replace(begun.training, minutes=minutes, stop_at=None),
        seed=seed,
        refine=None,
        distill=None,
    )


RESUMABLE = (
    "steps",
    "minutes",
    "stop_at",
    "checkpoint_every",
    "keep_checkpoints",
    "device",
    "loader_workers",
    "timeout",
    "weights",
    "trackers",
)
"""Settings of a training that a resume may change; any other would make it another run."""


def resumed(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe to go on with in a run folder: as it was begun, save for what may change.

    Raises RequestError where there is no run, or one with other settings.
    """
    if not (folder / "config.toml").is_file():
        raise RequestError(f"{folder} is no run folder.", "Train without --resume.")
    kept = build(config.read_toml(folder / "config.toml"))
    if recipe.training.precision == "auto":
        begun = replace(recipe.training, precision=kept.training.precision)
        recipe = replace(recipe, training=begun)
    same = replace(recipe.training, **{name: getattr(kept.training, name) for name in RESUMABLE})
    model = _with_language_model_of(kept.model, recipe.model)
    if replace(recipe, name=kept.name, training=same, model=model) != kept:
        raise RequestError(
            f"{folder} was begun with other settings.",
            f"Resume with its own, {folder}/config.toml; only training.{', '.join(RESUMABLE)} "
            "may change.",
        )
    return recipe


def _with_language_model_of(kept: Any, model: Any) -> Any:
    """Its folder may have moved; that it is the same one, the checkpoints see to."""
    if not getattr(kept, "language_model", "") or not getattr(model, "language_model", ""):
        return model
    return replace(model, language_model=kept.language_model)


def _section(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = values.get(name, {})
    if not isinstance(section, Mapping):
        raise RequestError(f'"{name}" is {in_short(section)}.', f"It is a section: [{name}].")
    return dict(section)


def _chosen(section: dict[str, Any], key: str, where: str) -> str:
    """Take a plugin's name out of its section, which then holds that plugin's settings."""
    if key not in section:
        raise RequestError(f"The recipe does not say {where}.{key}.", f"Add --{where}.{key} NAME.")
    return str(section.pop(key))


def model_card(recipe: Recipe, info: Mapping[str, Any]) -> str:
    """What stands in a model's folder for people: Markdown. ``info`` is what its config tells."""
    captions = "\n".join(f"- {caption}" for caption in info["captions"][:50])
    begun = "trained from scratch"
    if recipe.refine:
        begun = f"refined from `{recipe.refine.run}`"
    elif recipe.distill:
        begun = f"distilled from `{recipe.distill.run}` to make a clip in few steps"
    return f"""# {recipe.name}

A text-to-video model of the family `{recipe.family}`, {begun} by Kineograph
{info["version"]} on the source `{recipe.source}` with seed {recipe.seed}: {info["steps"]} steps
in {info["seconds"]:.0f} s.

```
kineograph generate "{info["captions"][0]}" --model PATH/OF/THIS/FOLDER
```

## Captions it was trained on

{captions}

## Settings

```toml
{config.to_toml(recipe.to_dict())}```
"""
