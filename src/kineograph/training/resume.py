"""Checkpoints: everything that a training needs to go on, written whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from kineograph.core.errors import RequestError, in_short
from kineograph.core.files import check_seal, is_temporary, new_folder, read_json
from kineograph.models.base import VideoModel
from kineograph.training.ema import EMA
from kineograph.training.muon import Muon
from kineograph.training.run_folder import checkpoints
from kineograph.training.sharding import as_part, load, local, whole

AVERAGE = "ema"
"""The file of a checkpoint with the weights that generate, less its ending."""

Snapshot = Mapping[str, Mapping[str, Tensor]]
"""What of a training lives in tensors, by the name of its file."""


@dataclass
class State:
    """What of a training lives in tensors: the model, its average and the optimisers by phase."""

    model: VideoModel
    ema: EMA[VideoModel]
    optimizers: dict[str, Muon]

    def tensors(self) -> Snapshot:
        """All of them, as they are; all processes have to ask for what they hold in parts."""
        return {
            "model": {name: whole(each) for name, each in self.model.state_dict().items()},
            AVERAGE: {name: whole(each) for name, each in self.ema.model.state_dict().items()},
            "optimizer": dict(self._moments()),
        }

    def snapshot(self, into: Snapshot | None = None) -> Snapshot:
        """A copy of them on the processor; in the memory of ``into``, if given: that is quicker."""
        before = into or {}
        return {
            file: {
                name: _copied(each, before.get(file, {}).get(name)) for name, each in own.items()
            }
            for file, own in self.tensors().items()
        }

    def not_finite(self) -> str | None:
        """The name of the first weight that is no finite number, or None."""
        for file, tensors in self.tensors().items():
            for name, tensor in tensors.items():
                if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                    return f"{file}: {name}"
        return None

    def restore(self, snapshot: Snapshot) -> None:
        """Be as in a snapshot. Raises RequestError for that of another model."""
        try:
            self._restore(snapshot)
        except (RuntimeError, KeyError, ValueError) as error:
            raise RequestError(
                "The checkpoint belongs to another model.", "Resume with the settings of its run."
            ) from error

    def _restore(self, snapshot: Snapshot) -> None:
        load(self.model, snapshot["model"])
        load(self.ema.model, snapshot[AVERAGE])
        moments: dict[tuple[str, int], dict[str, Tensor]] = {}
        for key, tensor in snapshot["optimizer"].items():
            owner, number, what = key.split("/")
            moments.setdefault((owner, int(number)), {})[what] = tensor
        for name, index, parameter, state in self._parameters():
            found = moments.pop((name, index), {})
            _check_moments(found, parameter, self.optimizers[name].matrices)
            state.clear()
            for what, tensor in found.items():
                # A count of steps is no part; a fused optimiser looks for it beside the weights.
                state[what] = as_part(tensor, parameter if tensor.ndim else local(parameter))
        if moments:
            raise ValueError(f"moments of {', '.join(f'{name}/{n}' for name, n in moments)}")

    def _moments(self) -> Iterator[tuple[str, Tensor]]:
        """Moments as ``phase/parameter/name``; all its state is tensors."""
        for name, index, _, state in self._parameters():
            for what, tensor in state.items():
                yield f"{name}/{index}/{what}", whole(tensor)

    def _parameters(self) -> Iterator[tuple[str, int, Tensor, dict[str, Tensor]]]:
        """Of each phase its name, and its parameters with their numbers and moments."""
        phases = {phase.name: phase for phase in self.model.phases}
        for name, optimizer in self.optimizers.items():
            for index, parameter in enumerate(phases[name].parameters):
                yield name, index, parameter, optimizer.state[parameter]


def _check_moments(
    found: Mapping[str, Tensor], parameter: Tensor, matrices: Sequence[Tensor]
) -> None:
    """See that moments are those of a parameter. Raises ValueError where they are not.

    Of ``matrices`` there is one; older checkpoints have Adam's, of which that is the first.
    """
    adams = {"step", "exp_avg", "exp_avg_sq"}
    least = {"exp_avg"} if any(parameter is each for each in matrices) else adams
    if found and not least <= set(found) <= adams:
        raise ValueError(f"moments {', '.join(found)}")
    for name, tensor in found.items():
        shape = torch.Size() if name == "step" else parameter.shape
        if tensor.shape != shape or not tensor.is_floating_point():
            raise ValueError(name)


class Saver:
    """Writes checkpoints ``folder/step-000500`` while the training goes on, one at a time.

    All but the ``keep`` newest and the best are removed, once a newer one is whole.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder, self.keep = folder, max(keep, 1)
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._writing: Future[None] | None = None

    def save(self, step: int, snapshot: Snapshot, told: Mapping[str, Any], best: int) -> None:
        """Begin to write one; ``told`` becomes its state.json. Raises what the last one met."""
        self.wait()
        self._writing = self._thread.submit(self._write, step, snapshot, dict(told), best)

    def wait(self) -> None:
        """Until what was begun is written. Raises what was met, such as a full disk."""
        if self._writing:
            writing, self._writing = self._writing, None
            writing.result()

    def __enter__(self) -> Saver:
        return self

    def __exit__(self, *_: object) -> None:
        """Write to the end, and no more."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()

    def _write(self, step: int, snapshot: Snapshot, told: dict[str, Any], best: int) -> None:
        with new_folder(self.folder / _name(step), replace=True) as temporary:
            for file, tensors in snapshot.items():
                save_file(dict(tensors), temporary / f"{file}.safetensors")
            text = json.dumps({"step": step, **told}, indent=2)
            (temporary / "state.json").write_text(text + "\n", encoding="utf-8")
        for old in checkpoints(self.folder)[: -self.keep]:
            if old.name != _name(best):
                shutil.rmtree(old, ignore_errors=True)


def _name(step: int) -> str:
    return f"step-{step:06d}"


def clear_up(folder: Path) -> None:
    """Remove what a killed training left half written; only who holds the run's lock may."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if is_temporary(path):
            shutil.rmtree(path, ignore_errors=True)


def load_newest(folder: Path) -> tuple[Snapshot, dict[str, Any], list[str]]:
    """The newest checkpoint that is whole.

    => its tensors, what its state.json tells, with "step", and a sentence for each damaged one that
    was passed over. Raises RequestError where none is whole.
    """
    passed_over: list[str] = []
    for path in reversed(checkpoints(folder)):
        try:
            check_seal(path)
            files = sorted(path.glob("*.safetensors"))
            tensors = {file.stem: load_file(file) for file in files}
            return tensors, read_json(path / "state.json"), passed_over
        except RequestError as error:
            passed_over.append(error.cause)
        except SafetensorError as error:
            passed_over.append(f"{path} holds no tensors: {in_short(error)}.")
    raise RequestError(
        f"There is no whole checkpoint in {folder}. {' '.join(passed_over)}".strip(),
        "Start the training anew in another folder.",
    )


def average_of(folder: Path, step: int) -> dict[str, Tensor]:
    """The weights that generate, of the checkpoint of a step. Raises RequestError for a damaged."""
    path = folder / _name(step)
    check_seal(path)
    return load_file(path / f"{AVERAGE}.safetensors")


def _copied(tensor: Tensor, into: Tensor | None) -> Tensor:
    if into is None:
        into = torch.empty_like(tensor, device="cpu", memory_format=torch.contiguous_format)
    return into.copy_(tensor.detach())
