"""Model => ONNX files, for runtimes other than PyTorch, and the way back to a pipeline.

A folder holds a graph for each part of generating, by the names that the family gives them, with
the tokenizer and a ``config.json`` that tells what goes in and comes out. The batch and the length
of captions may be any. Each export is compared with PyTorch before it is called done.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from kineograph.core.conventions import DEFAULT_FPS
from kineograph.core.errors import MachineError, RequestError
from kineograph.core.files import check_free, new_folder
from kineograph.models.base import Graph, VideoModel, noise_for
from kineograph.models.checkpoint import CONFIG, TOKENIZER
from kineograph.sampling.pipeline import Pipeline

Precision = Literal["fp32", "fp16", "int8"]
FORMAT = 1
MOST_APART = 1e-3
"""How far pixels, in [-1, 1], may be from PyTorch's, without fewer bits."""
_OPSET = 20
_TRIED = 3  # clips; another number than that of the examples


@dataclass(frozen=True)
class Exported:
    """What was written."""

    folder: Path
    files: list[Path]
    apart: float
    """The largest difference of a pixel, in [-1, 1], from PyTorch's, of the same noise."""
    pipeline: Pipeline
    """It generates with the files, by onnxruntime."""


def export(
    pipeline: Pipeline, out: str | Path, *, precision: Precision = "fp32", force: bool = False
) -> Exported:
    """Write ONNX files into the folder ``out``, whole or not at all.

    "fp16" halves the weights, and "int8" makes those of linear maps bytes (dynamic quantization).
    Raises RequestError where something is in the way and not ``force``, for a model that has no
    graphs, and where the packages are missing (`pip install 'kineograph[onnx]'`); MachineError
    where onnxruntime does not make what PyTorch makes.
    """
    _check_packages()
    if precision not in get_args(Precision):
        known = ", ".join(get_args(Precision))
        raise RequestError(f"The precision is {precision}.", f"Known: {known}.")
    check_free(out, force)
    model = copy.deepcopy(pipeline.model).cpu().eval()
    model.without_training()
    tokens = torch.from_numpy(pipeline.tokenizer.encode(2 * _captions(pipeline)[:1]))
    graphs = model.graphs(tokens)
    with new_folder(Path(out), replace=force) as folder:
        for name, graph in graphs.items():
            _write(model, graph, folder / f"{name}.onnx", precision)
        described = _described(pipeline, graphs, precision)
        (folder / CONFIG).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
        (folder / TOKENIZER).write_text(pipeline.tokenizer.to_json(), encoding="utf-8")
        for name, graph in graphs.items():
            _replace(model, graph, folder / f"{name}.onnx")
        told = Pipeline(model, pipeline.tokenizer, pipeline.info)
        apart = _apart(pipeline, told)
        if precision == "fp32" and not apart <= MOST_APART:
            raise MachineError(
                f"onnxruntime makes other clips than PyTorch: pixels are {apart:.2g} apart.",
                "Tell us, with the versions of onnx, onnxruntime and torch.",
            )
        sizes = sorted(each.name for each in folder.iterdir())
    return Exported(Path(out), [Path(out) / name for name in sizes], apart, told)


def _check_packages() -> None:
    for name in ("onnx", "onnxruntime", "onnxscript"):
        if importlib.util.find_spec(name) is None:
            raise RequestError(
                f"To export to ONNX {name} is needed.",
                "Install it: pip install 'kineograph[onnx]'.",
            )


def _captions(pipeline: Pipeline) -> list[str]:
    known = [str(each) for each in pipeline.info.get("captions", ())]
    return known or ["circle moving up-right"]


class _Part(nn.Module):
    """A method of a model, as a module of its own."""

    def __init__(self, model: VideoModel, method: str) -> None:
        super().__init__()
        self.model, self.method = model, method

    def forward(self, *inputs: Tensor) -> Tensor:
        owner, _, name = self.method.rpartition(".")
        made: Tensor = getattr(self.model.get_submodule(owner), name)(*inputs)
        return made


def _write(model: VideoModel, graph: Graph, file: Path, precision: Precision) -> None:
    with _silence(), torch.inference_mode():
        program = torch.onnx.export(
            _Part(model, graph.method),
            tuple(graph.inputs.values()),
            dynamo=True,
            input_names=[*graph.inputs],
            output_names=[graph.output],
            dynamic_shapes=(_dynamic(graph),),
            opset_version=_OPSET,
            verbose=False,
        )
    assert program
    proto = program.model_proto
    if precision == "fp16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        proto = convert_float_to_float16(proto, keep_io_types=True, op_block_list=["GridSample"])
    file.write_bytes(proto.SerializeToString())
    if precision == "int8":
        from onnxruntime.quantization import quantize_dynamic

        with _silence():
            quantize_dynamic(file, file, op_types_to_quantize=["MatMul", "Gemm"])


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Within, exporters do not warn of their own parts, nor of packages that nobody needs."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _dynamic(graph: Graph) -> tuple[dict[int, Any], ...]:
    """The sizes of its inputs that may be any."""
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    return tuple({0: batch, 1: length} if name == "tokens" else {0: batch} for name in graph.inputs)


def _described(
    pipeline: Pipeline, graphs: Mapping[str, Graph], precision: Precision
) -> dict[str, Any]:
    """What somebody has to know who generates with the files."""
    model, info = pipeline.model, pipeline.info
    return {
        "format": FORMAT,
        "family": pipeline.opened.family if pipeline.opened else None,
        "precision": precision,
        "graphs": {
            name: {
                "file": f"{name}.onnx",
                "inputs": {each: list(value.shape[1:]) for each, value in graph.inputs.items()},
                "output": graph.output,
            }
            for name, graph in graphs.items()
        },
        "shape": asdict(model.shape),
        "noise_shape": list(model.noise_shape),
        "num_inference_steps": model.default_steps,
        "guidance_scale": model.default_guidance,
        "fps": float(info.get("fps", DEFAULT_FPS)),
        "recipe": info.get("recipe", {}).get("name"),
        "captions": _captions(pipeline)[:64],
    }


def _replace(model: VideoModel, graph: Graph, file: Path) -> None:
    """Let onnxruntime do what a method of the model did."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(
        file.read_bytes(), options, providers=["CPUExecutionProvider"]
    )

    def run(*inputs: Tensor) -> Tensor:
        given = {
            name: np.ascontiguousarray(value.detach().numpy())
            for name, value in zip(graph.inputs, inputs, strict=True)
        }
        return torch.from_numpy(session.run([graph.output], given)[0])

    owner, _, name = graph.method.rpartition(".")
    setattr(model.get_submodule(owner), name, run)


def _apart(pipeline: Pipeline, told: Pipeline) -> float:
    """The largest difference of a pixel between what two pipelines make of the same noise."""
    model = pipeline.model
    tokens = torch.from_numpy(pipeline.tokenizer.encode(_TRIED * _captions(pipeline)[-1:]))
    noise = noise_for(0, range(_TRIED), model.noise_shape)
    device = next(model.parameters()).device
    with torch.inference_mode():
        here, there = (
            each.generate(tokens.to(to), noise.to(to), steps=None, guidance_scale=1.0).cpu()
            for each, to in ((model, device), (told.model, torch.device("cpu")))
        )
    return float((here - there).abs().max())
