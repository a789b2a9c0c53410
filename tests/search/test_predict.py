"""A saved model applied to new images."""

import csv

import numpy as np
import pytest
from PIL import Image

from search.predict import main
from search.tasks.tiny10k import BERTOLDI
from trainables.build import build
from trainables.model import load_model, model_bytes


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "best.pt"
    path.write_bytes(model_bytes(BERTOLDI, build(BERTOLDI.network, 1).state_dict(), {"run": "r", "trial": 0}))
    return path


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (7, 28, 28), dtype=np.uint8)


def labels(path):
    with path.open() as file:
        return [(row["image"], int(row["label"])) for row in csv.DictReader(file)]


def test_an_array_and_a_folder_of_pngs_get_the_models_labels(model, images, tmp_path):
    expected = load_model(model)(images).argmax(1).tolist()
    np.save(tmp_path / "x.npy", images)
    assert main([f"model={model}", f"input={tmp_path}/x.npy", f"output={tmp_path}/a.csv"]) == 0
    assert labels(tmp_path / "a.csv") == [(str(i), label) for i, label in enumerate(expected)]
    (tmp_path / "pngs").mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "pngs" / f"{index}.png")
    assert main([f"model={model}", f"input={tmp_path}/pngs", f"output={tmp_path}/b.csv"]) == 0
    assert labels(tmp_path / "b.csv") == [(f"{i}.png", label) for i, label in enumerate(expected)]


def spoilt(tmp_path, model, kind):
    """The arguments for one kind of bad input, and what the message must say."""
    path, pngs = tmp_path / "x.npy", tmp_path / "pngs"
    pngs.mkdir()
    if kind == "size":
        np.save(path, np.zeros((2, 14, 14), np.uint8))
        return model, path, r"holds [2, 14, 14], and the model takes [N, 28, 28]"
    if kind == "type":
        np.save(path, np.zeros((2, 28, 28)))
        return model, path, "holds float64, and the model takes uint8"
    if kind == "text":
        path.write_text("not an array")
        return model, path, "not an .npy file"
    if kind == "pickle":
        np.save(path, np.array([{}]), allow_pickle=True)
        return model, path, "not an .npy file"
    if kind == "empty":
        return model, pngs, "no .png files"
    if kind == "png size":
        Image.new("L", (20, 28)).save(pngs / "a.png")
        return model, pngs, "a.png: is 28x20 pixels (height x width), and the model takes 28x28"
    if kind == "broken png":
        (pngs / "a.png").write_bytes(b"\x89PNG")
        return model, pngs, "a.png: not an image"
    if kind == "no model":
        return tmp_path / "none.pt", pngs, "none.pt: there is no such file"
    assert kind == "foreign model"
    path.write_bytes(b"something else")
    return path, pngs, "not a model that Frugal saved"


@pytest.mark.parametrize(
    "kind", ["size", "type", "text", "pickle", "empty", "png size", "broken png", "no model", "foreign model"]
)
def test_bad_input_is_named_and_nothing_is_written(model, tmp_path, capsys, kind):
    model, source, message = spoilt(tmp_path, model, kind)
    assert main([f"model={model}", f"input={source}", f"output={tmp_path}/a.csv"]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told
    assert not (tmp_path / "a.csv").exists()


def test_help_and_missing_keys(capsys):
    assert main(["--help"]) == 0
    assert "model" in capsys.readouterr().out
    assert main([]) == 2
    assert "model= is missing" in capsys.readouterr().err
