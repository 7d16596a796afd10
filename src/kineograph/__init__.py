"""Kineograph trains text-to-video models from scratch on the computer you have, and proves that
each video does what its prompt says.

    import kineograph
    pipeline = kineograph.load("runs/demo")
    clip = pipeline("circle moving up-right", seed=0)[0]      # shows itself in a notebook
    kineograph.verify(clip, "circle moving up-right").verdict

Importing this does not import torch; the first use of a name that needs it does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kineograph.api import (
        distill as distill,
    )
    from kineograph.api import (
        evaluate as evaluate,
    )
    from kineograph.api import (
        generate as generate,
    )
    from kineograph.api import (
        generate_verified as generate_verified,
    )
    from kineograph.api import (
        load as load,
    )
    from kineograph.api import (
        refine as refine,
    )
    from kineograph.api import (
        train as train,
    )
    from kineograph.api import (
        verify as verify,
    )
    from kineograph.apps.demo import demo as demo
    from kineograph.data.clip import Clip as Clip
    from kineograph.data.clip import Facts as Facts
    from kineograph.data.clip import ObjectFacts as ObjectFacts
    from kineograph.data.video_io import read_video as read_video
    from kineograph.evaluation.verifier import Verdict as Verdict
    from kineograph.models.hub import push as push
    from kineograph.recipes import Recipe as Recipe
    from kineograph.sampling.export import export as export
    from kineograph.sampling.pipeline import Pipeline as Pipeline

_HOMES = {
    "Clip": "data.clip",
    "Facts": "data.clip",
    "ObjectFacts": "data.clip",
    "Pipeline": "sampling.pipeline",
    "Recipe": "recipes",
    "Verdict": "evaluation.verifier",
    "demo": "apps.demo",
    "distill": "api",
    "evaluate": "api",
    "export": "sampling.export",
    "generate": "api",
    "generate_verified": "api",
    "load": "api",
    "push": "models.hub",
    "read_video": "data.video_io",
    "refine": "api",
    "train": "api",
    "verify": "api",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kineograph' has no attribute '{name}'")
    return getattr(importlib.import_module(f"kineograph.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
