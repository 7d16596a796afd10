"""Networks as code for this machine: `torch.compile`, with the code kept for the next training."""

from __future__ import annotations

import contextlib
import os
import shutil

import torch

from kineograph.core.errors import MachineError, RequestError
from kineograph.core.files import cache_folder
from kineograph.models.base import VideoModel

_KEPT = "TORCHINDUCTOR_CACHE_DIR"  # where PyTorch keeps such code; by default where a boot clears
_COMPILERS = ("g++", "c++", "clang++")


def compile_networks(model: VideoModel) -> None:
    """Let the parts of a model that can be compiled be so at their first step.

    Raises RequestError for a model that has none, and MachineError where there is no C++ compiler,
    in ``CXX`` or by its usual names.
    """
    parts = [module for module in model.modules() if hasattr(module, "compiled")]
    if not parts:
        raise RequestError(
            "This model has no part that can be compiled.", "Train without training.compile."
        )
    if not any(shutil.which(name) for name in (os.environ.get("CXX", ""), *_COMPILERS)):
        raise MachineError(
            "There is no C++ compiler here, which training.compile needs.",
            "Install one (Debian: apt install g++), or train without training.compile.",
        )
    if folder := cache_folder():
        os.environ.setdefault(_KEPT, str(folder / "compiled"))
    for part in parts:
        setattr(part, "compiled", True)  # noqa: B010  # a Module's attributes are typed as tensors


def not_compiled(compiled: bool) -> contextlib.AbstractContextManager[None]:
    """Within, what is ``compiled`` goes line by line again, so that its layers can be watched."""
    if not compiled:
        return contextlib.nullcontext()
    stance: contextlib.AbstractContextManager[None] = torch.compiler.set_stance("force_eager")
    return stance
