"""Writes a model as one ONNX file, which ONNX runtimes apply to raw images without PyTorch or Frugal."""

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
from data.progress import size_text
from trainables.model import Model, Shape

if TYPE_CHECKING:
    from onnx import ModelProto

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
MAX_BYTES = 2_000_000_000
"""The maximum size of the weights: a protobuf file, as ONNX uses, ends at 2**31 - 1 bytes, with the graph."""
TOLERANCE = 2e-5
"""The maximum difference from PyTorch, as a share of the largest output, or of 1 if that is larger.

On the tasks' networks, drawn and trained, float32 sums in another order differ by up to 2e-6 of it, padding that is off
by a pixel by at least 0.2, and an approximated GELU mostly by at least 1e-4.
"""
OTHER_SIZES = ((37, 45), (48, 32))
"""Heights and widths to try: odd ones, and some for any network that halves images up to four times."""


class ExportFailed(RuntimeError):
    """Raised if a model cannot be written as ONNX, or if its ONNX file computes something else."""


def check_export_possible() -> None:
    """Raises ValueError, with the command that installs them, if packages for the export are missing."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise ValueError(
            f"ONNX files need {', '.join(missing)}, which this environment does not have;"
            " install with: pip install -e '.[onnx]' -c constraints.txt"
        )


def write_onnx(model: Model, path: Path) -> None:
    """Writes a model with weights on the CPU to an ONNX file, which is checked first. No file is left after an error.

    Its input `images` is uint8 [N, C, H, W], or `inputs` float32 [N, *input_shape] if the model was trained on floats.
    Its output `outputs` is float32, as the model's: logits [N, classes], or images [N, C, H, W] from 0 to 1. N is free,
    and so are H and W if the model takes any size. The metadata hold run, trial, dataset, classes (a JSON list) and
    parameters, if known. Raises ExportFailed, OSError if the file cannot be written, and ValueError as
    `check_export_possible` does.
    """
    check_export_possible()
    _check_size(model)
    exported = _exported(model)
    _remove_source_paths(exported)
    _add_facts(exported, model)
    content = exported.SerializeToString()
    _check(exported, content, model)
    with replacing(path, make_folder=True) as file:
        file.write(content)


class _Whole(nn.Module):
    """The computation of Model.__call__, from raw pixels or numbers to outputs."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.module, self.gives_images = model.module, model.gives_images

    def forward(self, images: Tensor) -> Tensor:
        inputs = images.to(torch.float32) / 255 if images.dtype == torch.uint8 else images
        outputs = self.module(inputs)
        return outputs.clamp(0, 1) if self.gives_images else outputs


def _check_size(model: Model) -> None:
    num_bytes = sum(weight.nbytes for weight in model.module.state_dict().values())
    if num_bytes > MAX_BYTES:
        raise ExportFailed(f"the weights take {size_text(num_bytes)}; an ONNX file holds at most 2 GB")


def _exported(model: Model) -> ModelProto:
    sides = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC} if model.takes_any_size else {}
    try:
        program = torch.onnx.export(
            _Whole(model).eval(),
            # With 0 or 1 example, it would only take that number
            (torch.zeros(2, *model.input_shape, dtype=_input_type(model)),),
            dynamo=True,
            input_names=[_input_name(model)],
            output_names=["outputs"],
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC, **sides},),
            verbose=False,
        )
    except Exception as error:  # the exporter's errors are not documented
        raise ExportFailed(f"PyTorch cannot export the network: {_in_one_line(error)}") from error
    assert program is not None
    return program.model_proto


def _remove_source_paths(exported: ModelProto) -> None:
    """Removes the lines of code that the exporter notes at each node, with the paths of this machine."""
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
    """Raises ExportFailed unless the content is valid ONNX and its outputs for random images equal the model's."""
    import onnx
    import onnxruntime

    rng = np.random.default_rng(0)
    try:
        onnx.checker.check_model(exported, full_check=True)
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        for shape in _shapes(model):
            inputs = _random_inputs(model, shape, rng)
            (outputs,) = session.run(["outputs"], {_input_name(model): inputs})
            _compare(np.asarray(outputs), model(inputs).numpy(), shape)
    except ExportFailed:
        raise
    except Exception as error:  # the two packages have their own error types without a common base
        raise ExportFailed(f"the exported file does not run: {_in_one_line(error)}") from error


def _input_type(model: Model) -> torch.dtype:
    return torch.uint8 if model.input_dtype == "uint8" else torch.float32


def _input_name(model: Model) -> str:
    return "images" if model.input_dtype == "uint8" else "inputs"


def _random_inputs(model: Model, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    if model.input_dtype == "uint8":
        return rng.integers(0, 256, shape, dtype=np.uint8)
    return rng.standard_normal(shape, dtype=np.float32)


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
    return channels, 2 * height, 2 * width  # any network that takes the one takes the other


def _compare(outputs: np.ndarray, expected: np.ndarray, shape: Shape) -> None:
    if outputs.shape != expected.shape or outputs.dtype != expected.dtype:
        kinds = [f"{array.dtype} {list(array.shape)}" for array in (outputs, expected)]
        raise ExportFailed(f"for inputs {list(shape)} the exported file gives {kinds[0]}, PyTorch {kinds[1]}")
    difference = np.abs(outputs - expected).max()
    allowed = TOLERANCE * max(1.0, np.abs(expected).max())
    if not difference <= allowed:  # true for NaN, too
        raise ExportFailed(
            f"for inputs {list(shape)} the exported file's outputs differ from PyTorch's by up to {difference:.3g};"
            f" {allowed:.3g} is allowed"
        )


def _in_one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
