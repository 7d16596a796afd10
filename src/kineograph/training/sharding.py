"""Weights that many processes hold together, each a part: PyTorch's FSDP2.

Every layer with weights of its own is a unit: it is put together when it is called, and taken apart
after. That asks nothing of the networks around it, of which several learn in turns.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeGuard

import torch
import torch.distributed as dist
from torch import Tensor, nn

from kineograph.models.base import Phase, VideoModel

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def shard(model: VideoModel) -> None:
    """Leave each process its part of the weights; the phases then learn those.

    What is ``held_whole`` stays so: layers that were taken apart have no second derivative.
    """
    from torch.distributed.fsdp import fully_shard

    # No network of ours changes in place what a layer gives.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    held = {
        each for part in model.modules() if hasattr(part, "held_whole") for each in part.modules()
    }
    for module in model.modules():
        own = [*module.parameters(recurse=False)]
        if own and not [*module.children()] and module not in held:
            fully_shard(module, reshard_after_forward=True)  # also where no backward follows
    now = dict(model.named_parameters())
    lists = {
        id(each): each for phase in model.phases for each in (phase.parameters, phase.matrices)
    }
    for parameters in lists.values():
        parameters[:] = [now[names[id(parameter)]] for parameter in parameters]


def groups(phase: Phase) -> list[dict[str, list[Tensor]]]:
    """A phase's parameters for an optimiser, which cannot take both kinds at once."""
    parts: list[Tensor] = [p for p in phase.parameters if is_part(p)]
    wholes: list[Tensor] = [p for p in phase.parameters if not is_part(p)]
    return [{"params": each} for each in (parts, wholes) if each]


def is_part(tensor: Tensor) -> TypeGuard[DTensor]:
    """Whether this process has a part of it only."""
    # To load that module takes half a second, and before it is loaded there are no parts.
    loaded = sys.modules.get("torch.distributed.tensor")
    return loaded is not None and isinstance(tensor, loaded.DTensor)


def whole(tensor: Tensor) -> Tensor:
    """A tensor put together; all processes have to ask for it."""
    return tensor.full_tensor() if is_part(tensor) else tensor


def local(tensor: Tensor) -> Tensor:
    """What this process has of a tensor."""
    return tensor.to_local() if is_part(tensor) else tensor


def as_part(value: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, divided as another one is, on its device; a copy."""
    value = value.to(like.device, copy=True)
    if not is_part(like):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)


def load(module: nn.Module, values: Mapping[str, Tensor]) -> None:
    """``load_state_dict`` of whole tensors, whether the module holds parts of them or not."""
    here = module.state_dict()
    module.load_state_dict(
        {name: as_part(each, here[name]) if name in here else each for name, each in values.items()}
    )


def clip(parameters: Sequence[nn.Parameter], longest: float) -> Tensor:
    """Make the gradient of all parameters together at most ``longest``; => how long it was."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not any(is_part(gradient) for gradient in gradients):
        return torch.nn.utils.clip_grad_norm_(parameters, longest)
    parts = [gradient.to_local() for gradient in gradients if is_part(gradient)]
    wholes = [gradient for gradient in gradients if not is_part(gradient)]
    squared = torch.nn.utils.get_total_norm(parts).square()
    dist.all_reduce(squared)
    norm = (squared + torch.nn.utils.get_total_norm(wholes).square()).sqrt()
    torch._foreach_mul_([*parts, *wholes], (longest / (norm + 1e-6)).clamp(max=1.0))
    return norm
