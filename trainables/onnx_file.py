"""A model as an ONNX file: one file that ONNX's runtimes apply to images as they are, without PyTorch or Frugal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from data.files import replacing
from trainables.model import Model, Shape

if TYPE_CHECKING:
    from onnx import ModelProto

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
MAX_BYTES = 2_000_000_000
"""Of weights: protobuf, which ONNX is written in, counts to 2**31 - 1, and the graph takes its share."""
TOLERANCE = 2e-5
"""Largest difference from PyTorch, as a share of the largest output, or of 1 if that is larger.

Sums of float32 in another order differ by up to 2e-6 of it, measured on the tasks' networks, drawn and trained; images
padded a pixel off, by 0.2 and more; GELU by its approximation, mostly by 1e-4 and more.
"""
OTHER_SIZES = ((37, 45), (48, 32))
"""Heights and widths to try: odd ones, and some that every network takes which halves images up to four times."""


class ExportFailed(RuntimeError):
    """A model that could not be written as ONNX, or whose ONNX file computes something else; the message says which."""


def check_export_possible() -> None:
    """Raises ValueError, with the command that brings them, if packages that the export needs are not installed."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise ValueError(
            f"ONNX files need {', '.join(missing)}, which this environment does not have;"
            " install with: pip install -e '.[onnx]' -c constraints.txt"
        )


def write_onnx(model: Model, path: Path) -> None:
    """Writes the model, whose weights are on the CPU, to an ONNX file: there whole and checked, or not at all.

    Its input `images` is uint8 [N, C, H, W], its output `outputs` float32: logits [N, classes], or images [N, C, H, W]
    from 0 to 1. N may be any number; so may H and W where the model takes any size. The file's metadata hold run,
    trial, dataset, classes (a JSON list) and parameters, as far as they are known. Raises ExportFailed, OSError if the
    disk does not take it, and ValueError as `check_export_possible`.
    """
    check_export_possible()
    _check_size(model)
    exported = _exported(model)
    _remove_traces(exported)
    _add_facts(exported, model)
    content = exported.SerializeToString()
    _check(exported, content, model)
    with replacing(path, make_folder=True) as file:
        file.write(content)


class _Whole(nn.Module):
    """From pixels as they are stored to outputs as Model.__call__ gives them."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.module, self.gives_images = model.module, model.gives_images

    def forward(self, images: Tensor) -> Tensor:
        outputs = self.module(images.to(torch.float32) / 255)
        return outputs.clamp(0, 1) if self.gives_images else outputs


def _check_size(model: Model) -> None:
    num_bytes = sum(weight.nbytes for weight in model.module.state_dict().values())
    if num_bytes > MAX_BYTES:
        raise ExportFailed(f"the weights take {num_bytes / 1e9:.1f} GB; an ONNX file holds at most 2 GB")


def _exported(model: Model) -> ModelProto:
    sides = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC} if model.takes_any_size else {}
    try:
        program = torch.onnx.export(
            _Whole(model).eval(),
            (torch.zeros(2, *model.input_shape, dtype=torch.uint8),),  # of 0 or 1 image it would be made for those
            dynamo=True,
            input_names=["images"],
            output_names=["outputs"],
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC, **sides},),
            verbose=False,
        )
    except Exception as error:  # what the exporter raises for a network that it cannot do is not documented
        raise ExportFailed(f"PyTorch cannot export the network: {_in_one_line(error)}") from error
    assert program is not None
    return program.model_proto


def _remove_traces(exported: ModelProto) -> None:
    """The exporter notes at each node the lines of code it comes from, with the paths of this machine."""
    graph = exported.graph
    for parts in (graph.node, graph.value_info, graph.initializer, graph.input, graph.output, [graph]):
        for part in parts:
            part.ClearField("metadata_props")


def _add_facts(exported: ModelProto, model: Model) -> None:
    facts = {name: model.facts.get(name) for name in ("run", "trial", "dataset")}
    classes = json.dumps(model.classes, ensure_ascii=False) if model.classes else None
    facts |= {"classes": classes, "parameters": model.candidate.network.num_params}
    for name, value in facts.items():
        if value is not None:
            exported.metadata_props.add(key=name, value=str(value))


def _check(exported: ModelProto, content: bytes, model: Model) -> None:
    """Raises ExportFailed unless the file's content is valid ONNX and gives what the model gives for random images."""
    import onnx
    import onnxruntime

    rng = np.random.default_rng(0)
    try:
        onnx.checker.check_model(exported, full_check=True)
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        for shape in _shapes(model):
            images = rng.integers(0, 256, shape, dtype=np.uint8)
            (outputs,) = session.run(["outputs"], {"images": images})
            _compare(np.asarray(outputs), model(images).numpy(), shape)
    except ExportFailed:
        raise
    except Exception as error:  # the two packages have error types of their own, with no base in common
        raise ExportFailed(f"the exported file does not run: {_in_one_line(error)}") from error


def _shapes(model: Model) -> Iterator[Shape]:
    yield 1, *model.input_shape
    yield 3, *model.input_shape
    if model.takes_any_size:
        yield 2, *_other_shape(model)


def _other_shape(model: Model) -> Shape:
    channels, height, width = model.input_shape
    for sides in OTHER_SIZES:
        try:
            model.output_shape_for((channels, *sides))
        except ValueError:
            continue
        return channels, *sides
    return channels, 2 * height, 2 * width  # where a network takes the one, it takes the other


def _compare(outputs: np.ndarray, expected: np.ndarray, shape: Shape) -> None:
    if outputs.shape != expected.shape or outputs.dtype != expected.dtype:
        kinds = [f"{array.dtype} {list(array.shape)}" for array in (outputs, expected)]
        raise ExportFailed(f"for images {list(shape)} the exported file gives {kinds[0]}, PyTorch {kinds[1]}")
    difference = np.abs(outputs - expected).max()
    allowed = TOLERANCE * max(1.0, np.abs(expected).max())
    if not difference <= allowed:  # nor if it is NaN
        raise ExportFailed(
            f"for images {list(shape)} the exported file's outputs differ from PyTorch's by up to {difference:.3g};"
            f" {allowed:.3g} is allowed"
        )


def _in_one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
