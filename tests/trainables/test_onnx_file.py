"""An ONNX file has the model's outputs and needs no other files; if a check fails, no file is left."""

import copy
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from search import tasks
from spaces.backbones import Backbone
from spaces.layers import (
    Activation,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Join,
    Norm,
    Pool,
    Repeat,
    Reshape,
    Save,
    Standardize,
    Upsample,
)
from spaces.network import Network
from spaces.recipe import Candidate, Recipe
from tests.spaces.strategies import draws
from trainables import onnx_file
from trainables.build import build
from trainables.model import Model, load_model, model_bytes
from trainables.onnx_file import ExportFailed, check_export_possible, write_onnx

CLASSIFIER = Network(
    (3, 29, 22),
    (
        *(Standardize(0.4, 0.3), Conv(4, 3, stride=2), Norm(), Activation("elu"), Pool("max", ceil=True)),
        *(Save("a"), Conv(6, 3, padding="valid", bias=False), Activation("leaky_relu")),
        Join("a", "concat", projection=(Conv(3, 3, padding="valid"), Norm())),
        *(Conv(5, 4), Activation("gelu"), Pool("average", 3, stride=2, padding=1, ceil=True), Activation("silu")),
        *(Conv(5, 3, dilation=2, stride=2), Dropout(0.5), GlobalPool(), Dense(8), Norm(), Activation(), Dense(10)),
    ),
)
TO_IMAGES = Network(  # of any size
    (1, 12, 16),
    (
        *(Conv(4, 3), Norm(), Activation(), Save("a"), Pool("max", 3, ceil=True), Conv(4, 2, dilation=3)),
        *(Save("b"), Pool("average", ceil=True), Repeat(2), Conv(4, 4), Upsample(like="b"), Join("b", "concat")),
        *(Upsample(3, like="a"), Join("a", projection=(Conv(8, 1), Norm())), Conv(1, 5)),
    ),
)
THROUGH_A_CODE = Network((1, 6, 5), (Flatten(), Dense(4), Activation(), Dense(30), Reshape((1, 6, 5)), Conv(1, 3)))
NETWORKS: dict[str, Callable[[], Network]] = {
    "classifier": lambda: CLASSIFIER,
    "to images": lambda: TO_IMAGES,
    "through a code": lambda: THROUGH_A_CODE,
    "frozen backbone": lambda: Network((3, 32, 32), (Backbone("resnet18", weights="random"), GlobalPool(), Dense(10))),
    "keras-autoencoder": lambda: tasks.find("autoencoder").references["keras-autoencoder"].candidate.network,
    "a draw of tiny10k": lambda: drawn("tiny10k", 1),
    "a draw of denoiser": lambda: drawn("denoiser", 0),
}


def drawn(task: str, place: int) -> Network:
    space = tasks.find(task).space
    return space.build(draws(space, place + 1, seed=1)[place]).network


def model_of(network: Network, **facts: object) -> Model:
    """Returns an untrained model whose norms have an effect."""
    module, generator = build(network, seed=3).eval(), torch.Generator().manual_seed(4)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            for values, low, high in (
                (part.weight.data, 0.5, 1.5),
                (part.bias.data, -0.5, 0.5),
                (part.running_mean, -0.5, 0.5),
                (part.running_var, 0.5, 2.0),
            ):
                values.uniform_(low, high, generator=generator)
    return Model(Candidate(network, Recipe()), module, facts)


def outputs(path: Path, images: np.ndarray) -> torch.Tensor:
    session = onnxruntime.InferenceSession(path)
    return torch.from_numpy(session.run(None, {"images": images})[0])


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_file_gives_what_the_model_gives(name: str, tmp_path: Path):
    model, path = model_of(NETWORKS[name]()), tmp_path / "exported" / "model.onnx"
    write_onnx(model, path)
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]  # no further files with weights
    assert b"trainables" not in path.read_bytes()  # no paths of the code
    channels, height, width = model.input_shape
    sizes = [(height, width), *([(17, 26), (40, 21)] if model.takes_any_size else [])]
    for num, size in zip((5, 1, 2), sizes, strict=False):
        images = pixels(num, channels, *size)
        torch.testing.assert_close(outputs(path, images), model(images), rtol=1e-4, atol=1e-5)


def test_a_saved_model_is_exported_with_what_is_known_of_it(tmp_path: Path):
    candidate = tasks.find("tiny10k").references["bertoldi"].candidate
    classes = [f"Ziffer »{digit}«" for digit in range(10)]
    facts = {"run": "tiny10k-1", "trial": 3, "dataset": "mnist", "classes": classes, "goal": {"goal": "Classify"}}
    saved, path = tmp_path / "best.pt", tmp_path / "best.onnx"
    saved.write_bytes(model_bytes(candidate, build(candidate.network, seed=2).state_dict(), facts))
    write_onnx(load_model(saved), path)

    images = pixels(4, 1, 28, 28)
    torch.testing.assert_close(outputs(path, images), load_model(saved)(images), rtol=1e-4, atol=1e-5)
    held = onnx.load(path)
    known = {entry.key: entry.value for entry in held.metadata_props}
    assert json.loads(known.pop("classes")) == classes
    assert known == {"run": "tiny10k-1", "trial": "3", "dataset": "mnist", "parameters": "9682"}
    session = onnxruntime.InferenceSession(path)
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.type, taken.shape[1:]) == ("images", "tensor(uint8)", [1, 28, 28])
    assert (given.name, given.type, given.shape[1:]) == ("outputs", "tensor(float)", [10])


def test_images_that_come_out_are_clipped_and_logits_are_not(tmp_path: Path):
    images, path = np.full((2, 1, 4, 4), 255, np.uint8), tmp_path / "model.onnx"
    for layers, expected in (((Conv(1, 1),), 1.0), ((Conv(1, 1), GlobalPool()), 3.0)):
        model = model_of(Network((1, 4, 4), layers))
        nn.init.constant_(model.module.layers[0].weight, 3.0)
        write_onnx(model, path)
        assert outputs(path, images).unique().tolist() == [expected]


@pytest.fixture(scope="module")
def small() -> Model:
    return model_of(Network((1, 4, 4), (Conv(1, 3),)))


@pytest.fixture(scope="module")
def small_graph(small: Model) -> onnx.ModelProto:
    return onnx_file._exported(small)


@pytest.fixture
def graph(small_graph: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a file of its own that the test may damage."""
    return copy.deepcopy(small_graph)


def with_another_weight(graph: onnx.ModelProto) -> None:
    (weight,) = [held for held in graph.graph.initializer if list(held.dims) == [1, 1, 3, 3]]
    values = onnx.numpy_helper.to_array(weight).copy()
    values[0, 0, 0, 0] += 0.01
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))


def without_a_node(graph: onnx.ModelProto) -> None:
    del graph.graph.node[1]


def for_one_size(graph: onnx.ModelProto) -> None:
    for value in (graph.graph.input[0], graph.graph.output[0]):
        for side, size in zip(value.type.tensor_type.shape.dim[2:], (4, 4), strict=True):
            side.dim_value = size
    del graph.graph.value_info[:]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_another_weight, r"\[1, 1, 4, 4\] the exported file's outputs differ from PyTorch's by up to 0\.0\d+"),
        (without_a_node, r"the exported file does not run: .*"),
        (for_one_size, r"the exported file does not run: .* Got: 37 Expected: 4"),
    ],
)
def test_a_file_that_is_wrong_is_not_written(
    change: Callable[[onnx.ModelProto], None],
    reason: str,
    small: Model,
    graph: onnx.ModelProto,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    change(graph)
    monkeypatch.setattr(onnx_file, "_exported", lambda model: graph)
    path = tmp_path / "model.onnx"
    path.write_bytes(b"an earlier one")
    with pytest.raises(ExportFailed, match=reason):
        write_onnx(small, path)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"an earlier one"]


class Unexportable(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


def test_a_network_that_cannot_be_exported_is_an_error_of_its_own(small: Model, tmp_path: Path):
    with pytest.raises(ExportFailed, match="PyTorch cannot export the network: "):
        write_onnx(dataclasses.replace(small, module=Unexportable()), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_weights_over_what_a_file_holds_are_refused(small: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onnx_file, "MAX_BYTES", 39)
    with pytest.raises(ExportFailed, match=r"the weights take 40 bytes; an ONNX file holds at most 2 GB"):
        write_onnx(small, tmp_path / "model.onnx")


def test_packages_that_are_missing_are_named_with_the_way_to_get_them(
    small: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    check_export_possible()
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if name != "onnx" else onnx.__spec__)
    expected = r"ONNX files need onnxscript, onnxruntime, .*pip install -e '\.\[onnx\]' -c constraints\.txt"
    with pytest.raises(ValueError, match=expected):
        check_export_possible()
    with pytest.raises(ValueError, match=expected):
        write_onnx(small, tmp_path / "model.onnx")
