"""What goes wrong in the middle of a training: numbers that are none, and memory that runs out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from kineograph.models.base import Phase


class NotFiniteError(ArithmeticError):
    """Numbers broke down; its text names the first that did."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch says, for a GPU or for a processor, that memory does not do."""
    no_room = "DefaultCPUAllocator"  # of a processor it has no class of errors
    return isinstance(error, torch.OutOfMemoryError) or no_room in str(error)


@contextlib.contextmanager
def watched(model: nn.Module) -> Iterator[list[str]]:
    """=> a list that will hold the names of layers that give what is not finite, in their order."""
    found: list[str] = []

    def see(name: str, given: Any) -> None:
        each = given if isinstance(given, tuple) else (given,)
        if any(isinstance(one, Tensor) and not bool(one.isfinite().all()) for one in each):
            found.append(f"what {name or 'the model'} gives")

    hooks = [
        module.register_forward_hook(lambda _, __, given, name=name: see(name, given))
        for name, module in model.named_modules()
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def bad_gradient(model: nn.Module, phase: Phase) -> str | None:
    """The first of a phase's parameters whose gradient is not finite, or None."""
    mine = {id(parameter) for parameter in phase.parameters}
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        if id(parameter) in mine and gradient is not None and not gradient.isfinite().all():
            return f"the gradient of {name}"
    return None
