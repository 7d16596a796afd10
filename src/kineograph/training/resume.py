"""Checkpoints: everything that a training needs to go on, written whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from kineograph.core.errors import RequestError
from kineograph.core.files import check_seal, new_folder, read_json
from kineograph.models.base import VideoModel
from kineograph.training.ema import EMA


@dataclass
class State:
    """What of a training lives in tensors: the model, its average and the optimisers by phase."""

    model: VideoModel
    ema: EMA[VideoModel]
    optimizers: dict[str, torch.optim.Optimizer]
    best: dict[str, Tensor] = field(default_factory=dict)
    """The average at the best check so far; empty where that does not count."""


def save(folder: Path, step: int, state: State, extra: Mapping[str, Any], keep: int) -> Path:
    """Write ``folder/step-000500``, then remove the oldest but ``keep``."""
    final = folder / f"step-{step:06d}"
    with new_folder(final, replace=True) as temporary:
        save_file(_contiguous(state.model.state_dict()), temporary / "model.safetensors")
        save_file(_contiguous(state.ema.model.state_dict()), temporary / "ema.safetensors")
        save_file(_optimizer_tensors(state), temporary / "optimizer.safetensors")
        if state.best:
            save_file(_contiguous(state.best), temporary / "best.safetensors")
        text = json.dumps({"step": step, **extra}, indent=2)
        (temporary / "state.json").write_text(text + "\n", encoding="utf-8")
    for old in checkpoints(folder)[: -max(keep, 1)]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def checkpoints(folder: Path) -> list[Path]:
    """Finished checkpoints, oldest first."""
    return sorted(path for path in folder.glob("step-*") if path.is_dir())


def load_newest(folder: Path, state: State) -> tuple[dict[str, Any], list[str]]:
    """Fill ``state`` from the newest checkpoint that is whole.

    => what ``save`` was given as ``extra``, with "step", and a sentence for each damaged one that
    was passed over. Raises RequestError where none is whole, or it belongs to another model.
    """
    passed_over: list[str] = []
    for path in reversed(checkpoints(folder)):
        try:
            check_seal(path)
        except RequestError as error:
            passed_over.append(error.cause)
            continue
        return _load(path, state), passed_over
    raise RequestError(
        f"There is no whole checkpoint in {folder}. {' '.join(passed_over)}".strip(),
        "Start the training anew in another folder.",
    )


def _load(path: Path, state: State) -> dict[str, Any]:
    try:
        state.model.load_state_dict(load_file(path / "model.safetensors"))
        state.ema.model.load_state_dict(load_file(path / "ema.safetensors"))
        _restore_optimizers(state, load_file(path / "optimizer.safetensors"))
        best = path / "best.safetensors"
        state.best = load_file(best) if best.is_file() else {}
    except (RuntimeError, KeyError) as error:
        raise RequestError(
            f"{path} belongs to another model.", "Resume with the settings of its run."
        ) from error
    return read_json(path / "state.json")


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}


def _optimizer_tensors(state: State) -> dict[str, Tensor]:
    """Adam's moments as ``phase/parameter/name``; all its state is tensors."""
    return {
        f"{phase}/{index}/{name}": tensor.contiguous()
        for phase, optimizer in state.optimizers.items()
        for index, moments in optimizer.state_dict()["state"].items()
        for name, tensor in moments.items()
    }


def _restore_optimizers(state: State, tensors: Mapping[str, Tensor]) -> None:
    for phase, optimizer in state.optimizers.items():
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            owner, index, name = key.split("/")
            if owner == phase:
                moments.setdefault(int(index), {})[name] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
