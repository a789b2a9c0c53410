"""Features of frozen backbones are computed once, cached on disk for published weights, and change no result."""

import errno
import hashlib
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from data.files import replacing
from spaces.backbones import Backbone, WeightsUnavailable
from spaces.goal import Classify, Denoise
from spaces.layers import Conv, Dense, Dropout, GlobalPool, Repeat, Standardize
from spaces.network import Network
from spaces.recipe import Augmentation, Candidate, Recipe
from spaces.report import Report
from tests.data.conftest import Serve, refused, serve
from trainables import build, features, training
from trainables.features import num_fixed_layers
from trainables.goals import DeviceSplit
from trainables.inference import predict
from trainables.model import load_model, model_bytes
from trainables.training import Training

__all__ = ["refused", "serve"]  # fixtures

NUM_TRAIN, NUM_VAL = 40, 20
RECIPE = Recipe(learning_rate=1e-2, batch_size=20, ema_decay=0.9)
TURNED = Recipe(learning_rate=1e-2, batch_size=20, ema_decay=0.9, augmentation=Augmentation(rotation_degrees=5))


def candidate(weights: str = "random", recipe: Recipe = RECIPE) -> Candidate:
    backbone = Backbone("resnet18", weights=weights)  # type: ignore[arg-type]
    layers = (Standardize(0.45, 0.23), Repeat(3), backbone, GlobalPool(), Dropout(0.1), Dense(10))
    return Candidate(Network((1, 28, 28), layers), recipe)


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps files in the test's own folder, and uses float32, which gives the same numbers everywhere."""
    monkeypatch.setenv("FRUGAL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(training, "fastest_precision", lambda device: torch.float32)


@pytest.fixture
def begin(digits: tuple[DeviceSplit, DeviceSplit]) -> Callable[..., Training]:
    train, val = digits
    few = [DeviceSplit(train.x[:NUM_TRAIN], train.y[:NUM_TRAIN]), DeviceSplit(val.x[:NUM_VAL], val.y[:NUM_VAL])]

    def begin(candidate: Candidate, *, epochs: int = 2, data_dir: Path | None = None) -> Training:
        return Training(candidate, *few, seed=5, epochs=epochs, data_dir=data_dir)

    return begin


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Returns the number of images that went through a backbone in each call."""
    calls: list[int] = []
    forward = build._Backbone.forward

    def counted(self: build._Backbone, x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return forward(self, x)

    monkeypatch.setattr(build._Backbone, "forward", counted)
    return calls


@pytest.fixture
def published(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Publishes weights on the loopback interface, under a name with their hash."""
    from torchvision import models

    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = models.resnet18().state_dict()
    file = io.BytesIO()
    torch.save(weights, file)
    name = f"resnet18-{hashlib.sha256(file.getvalue()).hexdigest()[:8]}.pth"
    publish(monkeypatch, serve({name: file.getvalue()}) + name)
    return weights


def publish(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    from torchvision import models

    monkeypatch.setattr(models.ResNet18_Weights.DEFAULT.value, "url", url)


def curve(training: Training) -> list[tuple[float, ...]]:
    reports: list[Report] = [training.advance() for _ in range(training.epochs)]
    return [(report.train_loss, report.val_loss, report.val_score) for report in reports]


def feature_files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "data").rglob("*"))


def test_features_are_computed_once_and_train_the_same_head(begin, passed: list[int], monkeypatch: pytest.MonkeyPatch):
    alone = begin(candidate())
    assert passed == [NUM_TRAIN, NUM_VAL]
    fast = curve(alone)
    assert passed == [NUM_TRAIN, NUM_VAL]

    monkeypatch.setattr(training, "num_fixed_layers", lambda candidate, goal: 0)
    whole = begin(candidate())
    slow = curve(whole)
    assert passed == [NUM_TRAIN, NUM_VAL, *[20, 20, NUM_VAL] * 2]
    for one, other in zip(fast, slow, strict=True):
        assert one[:2] == pytest.approx(other[:2], rel=5e-3)  # features are kept in 16 bits
    for name, weight in whole.weights().items():
        torch.testing.assert_close(alone.weights()[name], weight, atol=5e-3, rtol=0)


def test_with_augmentation_every_image_passes_the_backbone_each_time(begin, passed: list[int]):
    augmented = begin(candidate(recipe=TURNED))
    assert passed == []
    augmented.advance()
    assert passed == [20, 20, NUM_VAL]


def test_only_images_that_stay_the_same_have_features():
    assert num_fixed_layers(candidate(), Classify()) == 3
    assert num_fixed_layers(candidate(recipe=TURNED), Classify()) == 0
    assert num_fixed_layers(candidate(), Denoise()) == 0
    learnt = Candidate(Network((3, 28, 28), (Backbone("resnet18", frozen=False), GlobalPool(), Dense(10))), RECIPE)
    assert num_fixed_layers(learnt, Classify()) == 0
    behind = Candidate(Network((1, 28, 28), (Conv(3, 1), Backbone("resnet18"), GlobalPool(), Dense(10))), RECIPE)
    assert num_fixed_layers(behind, Classify()) == 0


@pytest.mark.parametrize("recipe", [RECIPE, TURNED], ids=["plain", "augmented"])
def test_checkpoints_do_without_the_backbone_and_models_have_it(begin, tmp_path: Path, digits, recipe: Recipe):
    undisturbed = begin(candidate(recipe=recipe))
    expected = curve(undisturbed)

    killed = begin(candidate(recipe=recipe))
    killed.advance()
    checkpoint = killed.save()
    assert len(checkpoint) < 300_000  # a head of 5,130 weights, their average and Adam's two moments
    resumed = begin(candidate(recipe=recipe))
    resumed.load(checkpoint)
    last = resumed.advance()
    assert (last.train_loss, last.val_loss, last.val_score) == expected[1]

    weights = resumed.weights()
    assert weights.keys() == resumed.module.state_dict().keys()
    (tmp_path / "best.pt").write_bytes(model_bytes(resumed.candidate, weights, {}))
    images = digits[1].x[:NUM_VAL]
    outputs = predict(resumed.module.eval(), images, torch.float32, resumed.average)
    torch.testing.assert_close(load_model(tmp_path / "best.pt")(images), outputs)


def test_features_of_random_weights_are_each_trials_own(begin, tmp_path: Path):
    begin(candidate())
    assert feature_files(tmp_path) == []


def test_features_of_published_weights_are_kept_on_disk(begin, passed: list[int], published, tmp_path: Path):
    first = begin(candidate("imagenet"))
    assert torch.equal(first.module.layers[2].features[0].weight, published["conv1.weight"])
    assert passed == [NUM_TRAIN, NUM_VAL]
    folder, *files = feature_files(tmp_path)
    assert (folder.name, [file.name[:9] for file in files]) == ("features", ["resnet18-"] * 2)

    again = begin(candidate("imagenet"))
    assert passed == [NUM_TRAIN, NUM_VAL]
    assert curve(again) == curve(first)
    again.scores(DeviceSplit(first_images(30), torch.zeros(30, dtype=torch.int64)))
    assert passed == [NUM_TRAIN, NUM_VAL, 30]  # other images have other features


def first_images(num: int) -> torch.Tensor:
    return torch.randint(256, (num, 1, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_features_are_those_of_all_layers_up_to_the_backbone(begin, passed: list[int], published):
    begin(candidate("imagenet"))
    other = Candidate(Network((1, 28, 28), (Repeat(3), *candidate("imagenet").network.layers[2:])), RECIPE)
    begin(other)
    assert passed == [NUM_TRAIN, NUM_VAL] * 2


@pytest.mark.parametrize("damage", ["cut", "emptied", "garbage", "foreign"])
def test_a_damaged_file_is_computed_again(begin, passed: list[int], published, tmp_path: Path, damage: str):
    expected = curve(begin(candidate("imagenet")))
    _, *files = feature_files(tmp_path)
    whole = [file.read_bytes() for file in files]
    for file, content in zip(files, whole, strict=True):
        if damage == "foreign":
            np.save(file, np.zeros((len(np.load(file)), 7), dtype=np.float16))
        else:
            file.write_bytes({"cut": content[:-1], "emptied": b"", "garbage": b"PK\x03\x04" * 99}[damage])
    assert curve(begin(candidate("imagenet"))) == expected
    assert passed == [NUM_TRAIN, NUM_VAL] * 2
    assert [file.read_bytes() for file in files] == whole


def test_a_folder_that_takes_no_files_is_no_error(begin, passed: list[int], published, tmp_path: Path):
    (tmp_path / "data").write_text("not a folder")
    expected = curve(begin(candidate("imagenet")))
    assert curve(begin(candidate("imagenet"))) == expected
    assert passed == [NUM_TRAIN, NUM_VAL] * 2


class TestTheRunsFolderOfDataFiles:
    """Tests data_dir=FOLDER on a node that has it and on others."""

    def test_holds_the_features(self, begin, passed: list[int], published, tmp_path: Path):
        given = tmp_path / "given"
        begin(candidate("imagenet"), data_dir=given)
        assert [file.parent for file in given.rglob("*.npy")] == [given / "features"] * 2
        assert feature_files(tmp_path) == []
        begin(candidate("imagenet"), data_dir=given)
        assert passed == [NUM_TRAIN, NUM_VAL]

    def test_where_it_cannot_be_made_the_machines_own_has_them(
        self, begin, passed: list[int], published, tmp_path: Path
    ):
        (tmp_path / "file").write_text("not a folder")
        for _ in range(2):
            begin(candidate("imagenet"), data_dir=tmp_path / "file" / "given")
        assert passed == [NUM_TRAIN, NUM_VAL]
        assert len(feature_files(tmp_path)) == 3  # the folder and two files

    def test_is_read_where_it_cannot_be_written(self, begin, passed: list[int], published, tmp_path: Path, monkeypatch):
        given = tmp_path / "given"
        expected = curve(begin(candidate("imagenet"), data_dir=given))
        next(given.rglob("*.npy")).unlink()
        refuse_writing_below(given, monkeypatch)
        assert curve(begin(candidate("imagenet"), data_dir=given)) == expected
        assert len(passed) == 3  # one file is read there, and the other is cached in the machine's own folder
        assert len(feature_files(tmp_path)) == 2
        begin(candidate("imagenet"), data_dir=given)
        assert len(passed) == 3

    def test_without_a_home_it_is_the_only_one(self, begin, passed: list[int], published, tmp_path: Path, monkeypatch):
        def homeless() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(features, "default_data_dir", homeless)
        begin(candidate("imagenet"), data_dir=tmp_path / "given")
        begin(candidate("imagenet"), data_dir=tmp_path / "given")
        assert passed == [NUM_TRAIN, NUM_VAL]
        begin(candidate("imagenet"))
        assert passed == [NUM_TRAIN, NUM_VAL] * 2


def refuse_writing_below(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behaves like a disk that is mounted read-only, also for root."""

    def refused(path: Path, *, make_folder: bool):
        if path.is_relative_to(folder):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return replacing(path, make_folder=make_folder)

    monkeypatch.setattr(features, "replacing", refused)


@pytest.fixture
def unavailable(begin) -> Callable[[], str]:
    """Returns the message for weights that are unavailable, which takes only seconds."""

    def message() -> str:
        start = time.monotonic()
        with pytest.raises(WeightsUnavailable) as raised:
            begin(candidate("imagenet"))
        assert time.monotonic() - start < 10
        assert "\n" not in str(raised.value)
        return str(raised.value)

    return message


def test_without_network_weights_are_unavailable(
    unavailable, refused: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    publish(monkeypatch, refused + "resnet18-12345678.pth")
    message = unavailable()
    file = tmp_path / "torch" / "hub" / "checkpoints" / "resnet18-12345678.pth"
    for part in ("ImageNet weights of resnet18", str(file), refused, "Connection refused"):
        assert part in message


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "404"), (b"not the weights", "invalid hash value"), ("truncate", "")],
    ids=["missing", "foreign", "truncated"],
)
def test_weights_that_are_not_served_whole_are_unavailable(
    unavailable, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | str | None, reason: str
):
    name = "resnet18-12345678.pth"
    publish(monkeypatch, serve({name: content} if content else {}) + name)
    assert reason in unavailable()
    assert not list((tmp_path / "torch").rglob("*.pth"))


@pytest.mark.parametrize("damage", ["cut", "emptied", "garbage"])
def test_a_damaged_weights_file_is_named(unavailable, begin, published, tmp_path: Path, damage: str):
    begin(candidate("imagenet"))
    (file,) = (tmp_path / "torch").rglob("*.pth")
    content = file.read_bytes()
    file.write_bytes({"cut": content[: len(content) // 2], "emptied": b"", "garbage": b"garbage"}[damage])
    message = unavailable()
    assert str(file) in message
    assert "resnet18" in message


def test_a_model_needs_no_published_weights(
    begin, published, refused: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, digits
):
    trained = begin(candidate("imagenet"))
    path = tmp_path / "best.pt"
    path.write_bytes(model_bytes(trained.candidate, trained.weights(), {}))
    publish(monkeypatch, refused + "resnet18-12345678.pth")
    images = digits[1].x[:NUM_VAL]
    expected = predict(trained.module.eval(), images, torch.float32, trained.average)
    torch.testing.assert_close(load_model(path)(images), expected)
