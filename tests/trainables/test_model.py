"""A model's file gives back the very model; a file that is none is named."""

from pathlib import Path

import numpy as np
import pytest
import torch

from spaces.network import Activation, Backbone, Conv, Dense, Flatten, GlobalPool, Network, Norm, Pool
from spaces.recipe import Candidate, Recipe
from trainables.build import build
from trainables.model import load_model, model_bytes
from trainables.training import DeviceSplit, Training, predict

CANDIDATE = Candidate(
    Network((1, 28, 28), (Conv(4, 3, stride=2), Norm(), Activation(), Pool("max"), Flatten(), Dense(10))),
    Recipe(batch_size=50, learning_rate=1e-2, ema_decay=0.9),
)
FACTS = {"run": "tiny10k-1", "trial": 3, "val_score": 0.5}


@pytest.fixture
def trained(digits: tuple[DeviceSplit, DeviceSplit]) -> Training:
    training = Training(CANDIDATE, *digits, seed=1, epochs=2)
    training.advance()
    return training


@pytest.fixture
def path(trained: Training, tmp_path: Path) -> Path:
    path = tmp_path / "best.pt"
    path.write_bytes(model_bytes(CANDIDATE, trained.weights(), FACTS))
    return path


def test_a_file_gives_back_the_model_that_was_trained(path: Path, trained: Training, digits):
    model = load_model(path)
    assert (model.candidate, model.facts, model.input_shape) == (CANDIDATE, FACTS, (1, 28, 28))

    images = digits[1].x
    with torch.inference_mode():
        expected = predict(trained.module.eval(), images, torch.float32, trained.weights())
    outputs = model(images)
    assert outputs.dtype == torch.float32
    assert not outputs.requires_grad
    torch.testing.assert_close(outputs, expected)
    assert torch.equal(load_model(str(path))(images), outputs)


def test_images_come_with_or_without_channels_as_arrays_or_tensors_and_in_any_number(path: Path, digits):
    model, images = load_model(path), digits[1].x
    outputs = model(images)
    grey = images.squeeze(1).numpy().copy()
    grey.flags.writeable = False
    assert torch.equal(model(grey), outputs)
    assert model(grey[:0]).shape == (0, 10)
    many = model(np.tile(grey, (11, 1, 1)))  # 1,100: more than one batch
    torch.testing.assert_close(many[1000:], outputs)


def test_images_of_another_shape_or_type_are_refused_with_both_named(path: Path):
    model = load_model(path)
    expected = r"the model takes uint8 \[N, 28, 28\], not "
    with pytest.raises(ValueError, match=expected + r"torch.uint8 \[5, 32, 32\]"):
        model(np.zeros((5, 32, 32), dtype=np.uint8))
    with pytest.raises(ValueError, match=expected + r"torch.float32 \[5, 1, 28, 28\]"):
        model(torch.zeros(5, 1, 28, 28))
    with pytest.raises(ValueError, match=expected + r"torch.uint8 \[28, 28\]"):
        model(np.zeros((28, 28), dtype=np.uint8))


def test_a_backbones_weights_come_from_the_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    layers = (GlobalPool(), Dense(10))
    drawn = build(Network((3, 32, 32), (Backbone("resnet18", weights="random"), *layers)), seed=1)
    published = Candidate(Network((3, 32, 32), (Backbone("resnet18"), *layers)), Recipe())
    path = tmp_path / "best.pt"
    path.write_bytes(model_bytes(published, drawn.state_dict(), FACTS))

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # a download would fail
    model = load_model(path)
    assert torch.equal(model.module.layers[0].features[0].weight, drawn.layers[0].features[0].weight)
    assert not any(weight.requires_grad for weight in model.module.layers[0].parameters())
    with pytest.raises(ValueError, match=r"takes uint8 \[N, 3, 32, 32\], not torch.uint8 \[2, 32, 32\]"):
        model(np.zeros((2, 32, 32), dtype=np.uint8))
    assert model(np.zeros((2, 3, 32, 32), dtype=np.uint8)).shape == (2, 10)


def held(**changes: object) -> dict[str, object]:
    weights = build(CANDIDATE.network).state_dict()
    return {"format": 1, "candidate": CANDIDATE.to_json(), "weights": weights, "facts": FACTS} | changes


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (held(format=99), "a model of format 99; this version of Frugal reads format 1"),
        (held(candidate="{}"), "not a candidate as this version of Frugal writes them"),
        (held(weights={}), "not a model that Frugal saved .*Missing key"),
        ({"state_dict": {}}, "not a model that Frugal saved .*format"),
        ([1, 2, 3], "not a model that Frugal saved"),
    ],
)
def test_a_file_of_another_kind_is_named_with_the_reason(tmp_path: Path, content: object, reason: str):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=rf"other\.pt: (?s:{reason})"):
        load_model(tmp_path / "other.pt")


@pytest.mark.parametrize("length", [0, 1, 100, 5000, -1])
def test_a_truncated_file_is_named(path: Path, length: int):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"best\.pt: not a model that Frugal saved"):
        load_model(path)


def test_a_foreign_file_a_folder_and_a_missing_file_are_named(tmp_path: Path):
    (tmp_path / "foreign.pt").write_text("a,b\n1,2\n" * 1000)
    for name in ("foreign.pt", ""):
        with pytest.raises(ValueError, match="not a model that Frugal saved") as error:
            load_model(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)
    with pytest.raises(ValueError, match=r"absent\.pt: there is no such file.*models/best\.pt"):
        load_model(tmp_path / "absent.pt")
