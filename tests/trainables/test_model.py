"""A model file restores the same model; a file that is not one is refused with its path."""

from pathlib import Path

import numpy as np
import pytest
import torch

from spaces.backbones import Backbone
from spaces.layers import Activation, Conv, Dense, Flatten, GlobalPool, Join, Layer, Norm, Pool, Reshape, Save, Upsample
from spaces.network import Network
from spaces.recipe import Candidate, Recipe
from trainables.build import build
from trainables.goals import DeviceSplit
from trainables.inference import predict
from trainables.model import Model, format_shape, load_model, model_bytes
from trainables.training import Training

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


def image_model(*layers: Layer, shape: tuple[int, ...] = (1, 8, 8)) -> Model:
    network = Network(shape, layers)
    return Model(Candidate(network, Recipe()), build(network, seed=3).eval(), {})


UNET = (Conv(4, 3), Save("a"), Pool("max", ceil=True), Conv(4, 3), Upsample(like="a"), Join("a"), Conv(1, 3))


def test_a_network_that_gives_images_takes_pages_of_every_size_whole(images_of_sizes: list[np.ndarray]):
    model = image_model(*UNET)
    assert model.gives_images
    assert model.takes_any_size
    outputs = model(images_of_sizes)
    for page, output in zip(images_of_sizes, outputs, strict=True):
        assert output.shape == (1, *page.shape)
        assert output.dtype == torch.float32
        with torch.inference_mode():
            expected = model.module(torch.tensor(page)[None, None] / 255).clamp(0, 1)
        torch.testing.assert_close(output, expected[0])
        torch.testing.assert_close(model(np.stack([page, page])), expected.repeat(2, 1, 1, 1))
    assert model([]) == []
    assert model(np.zeros((0, 5, 7), np.uint8)).shape == (0, 1, 5, 7)


@pytest.fixture
def images_of_sizes() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, size, dtype=np.uint8) for size in ((8, 8), (11, 6), (32, 45))]


def test_images_that_come_out_are_clipped_and_logits_are_not():
    model, x = image_model(Conv(1, 1)), np.full((1, 4, 4), 255, np.uint8)
    for weight, expected in ((3.0, 1.0), (-3.0, 0.0), (0.25, 0.25)):
        torch.nn.init.constant_(model.module.layers[0].weight, weight)
        assert torch.equal(model(x), torch.full((1, 1, 4, 4), expected))
    classifier = image_model(Conv(1, 1), GlobalPool())
    assert not classifier.gives_images
    torch.nn.init.constant_(classifier.module.layers[0].weight, 3.0)
    assert classifier(np.full((1, 8, 8), 255, np.uint8)).item() == pytest.approx(3.0)


def test_pages_that_a_network_does_not_take_are_refused_with_both_shapes():
    dense = image_model(Flatten(), Dense(64), Reshape((1, 8, 8)))
    assert not dense.takes_any_size
    with pytest.raises(ValueError, match=r"the model takes uint8 \[N, 8, 8\], not torch.uint8 \[1, 9, 8\]"):
        dense([np.zeros((9, 8), np.uint8)])
    with pytest.raises(ValueError, match=r"the model takes \[8, 8\], not \[1, 9, 8\]"):
        dense.output_shape_for((1, 9, 8))

    colour = image_model(Conv(3, 3), shape=(3, 8, 8))
    assert [output.shape for output in colour([np.zeros((3, 5, 9), np.uint8)])] == [(3, 5, 9)]
    with pytest.raises(ValueError, match=r"takes uint8 \[N, 3, height, width\], not torch.uint8 \[2, 8, 8\]"):
        colour(np.zeros((2, 8, 8), np.uint8))

    even = image_model(Save("a"), Pool("max"), Upsample(), Join("a"))
    assert even.output_shape_for((1, 6, 10)) == (1, 6, 10)
    with pytest.raises(ValueError, match=r"layer 4: Join.*\(1, 7, 10\) does not fit \(1, 6, 10\)"):
        even([np.zeros((7, 10), np.uint8)])


def test_shapes_are_shown_as_arrays_have_them():
    assert format_shape((1, 28, 20), False, "N") == "[N, 28, 20]"
    assert format_shape((3, 28, 20), False) == "[3, 28, 20]"
    assert format_shape((3, 28, 20), True, "N") == "[N, 3, height, width]"


def test_classes_have_names_where_the_facts_hold_them(path: Path, tmp_path: Path, trained: Training):
    assert load_model(path).classes is None
    named = tmp_path / "named.pt"
    names = ["cat", "dog", *"cdefghij"]
    named.write_bytes(model_bytes(CANDIDATE, trained.weights(), FACTS | {"classes": names}))
    assert load_model(named).classes == names


def held(**changes: object) -> dict[str, object]:
    weights = build(CANDIDATE.network).state_dict()
    return {"format": 1, "candidate": CANDIDATE.to_json(), "weights": weights, "facts": FACTS} | changes


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (held(format=99), "a model of format 99; this version of Frugal reads format 1"),
        (held(candidate="{}"), "not a candidate of this version of Frugal"),
        (held(weights={}), "the network has 2,018 weights, but the file has 0 numbers"),
        ({"state_dict": {}}, "not a model that Frugal saved: it does not have all of format"),
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
