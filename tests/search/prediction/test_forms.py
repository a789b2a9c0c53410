"""Each form of input is read in every way that training reads it, and leads to its own output."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.predict import main
from search.tasks.tiny10k import BERTOLDI
from spaces.layers import Conv, Dense, GlobalPool
from tests.search.prediction.toy_files import ANSWERS, answers, refused, rows, store, write_digits
from tests.search.prediction.toy_models import save, save_layers
from trainables.model import load_model


def test_kaggles_digits_give_a_submission_with_ids_from_one(here, images):
    model = save(here / "best.pt", BERTOLDI, facts={"classes": list("abcdefghij")})
    write_digits("test.csv", images)
    assert main([f"model={model}", "input=test.csv"]) == 0
    expected = load_model(model)(images).argmax(1).tolist()
    assert rows("submission.csv") == [
        ["ImageId", "Label"],
        *([str(i), "abcdefghij"[y]] for i, y in enumerate(expected, 1)),
    ]


@pytest.mark.parametrize("name", ["test_max_x", "x.pkl", "x.pickle"])
def test_max_digits_images_give_a_submission_with_ids_from_zero(here, name):
    model = save_layers(here / "best.pt", Conv(4, 3, stride=8), GlobalPool(), Dense(10), shape=(1, 128, 128))
    images = np.random.default_rng(0).integers(0, 256, (3, 128, 128), dtype=np.uint8)
    (here / name).write_bytes(pickle.dumps(images.astype(float)))
    assert main([f"model={model}", f"input={name}", "output=x.csv"]) == 0
    expected = load_model(model)(images).argmax(1).tolist()
    assert rows("x.csv") == [["Id", "Label"], *([str(i), str(y)] for i, y in enumerate(expected))]


def test_labels_have_the_names_that_the_model_knows(here, images):
    names = [f"kind, {i}" for i in range(10)]
    model = save(here / "best.pt", BERTOLDI, facts={"classes": names})
    np.save("x.npy", images)
    assert main([f"model={model}", "input=x.npy"]) == 0
    assert [row[1] for row in rows("labels.csv")[1:]] == [names[y] for y in load_model(model)(images).argmax(1)]


def make_bad_input(tmp_path, model, kind):
    """Returns the model and the input for one kind of mistake, and a part of the message."""
    path, pngs = tmp_path / "x.npy", tmp_path / "pngs"
    pngs.mkdir()
    if kind == "size":
        np.save(path, np.zeros((2, 14, 14), np.uint8))
        return model, path, r"holds [2, 14, 14], and the model takes [N, 28, 28]"
    if kind == "type":
        np.save(path, np.full((2, 28, 28), 0.3))
        return (
            model,
            path,
            "x.npy: found float64 from 0 to 1 that are not multiples of 1/255; expected uint8, 0 to",
        )
    if kind == "text":
        path.write_text("not an array")
        return model, path, "not an .npy file"
    if kind == "object array":
        np.save(path, np.array([{}]), allow_pickle=True)
        return model, path, "not an .npy file"
    if kind == "nothing":
        return model, tmp_path / "absent", "absent: there is no such file or folder"
    if kind == "suffix":
        Image.new("L", (28, 28)).save(tmp_path / "a.png")
        return model, tmp_path / "a.png", "expected a folder of images, or a file in .npy, .npz or .csv, or a pickle"
    if kind == "csv":
        (tmp_path / "a.csv").write_text("label,pixel0\n1,2\n")
        return model, tmp_path / "a.csv", "a.csv: expected a CSV file with the columns label, pixel0"
    if kind == "pickle":
        (tmp_path / "x").write_bytes(pickle.dumps(Path("a")))
        return model, tmp_path / "x", "expected a pickle of one NumPy array of numbers; refused: it asks for pathlib"
    if kind == "pickle size":
        (tmp_path / "x").write_bytes(pickle.dumps(np.zeros((2, 128, 128))))
        return model, tmp_path / "x", "holds [2, 128, 128], and the model takes [N, 28, 28]"
    if kind == "empty":
        return model, pngs, "the folder holds no images (PNG, JPEG"
    if kind == "png size":
        Image.new("L", (20, 28)).save(pngs / "a.png")
        return model, pngs, "a.png: is 28x20 pixels (height x width), and the model takes 28x28"
    if kind == "broken png":
        (pngs / "a.png").write_bytes(b"\x89PNG")
        return model, pngs, "a.png: not an image"
    if kind == "16 bits":
        Image.fromarray(np.zeros((28, 28), np.uint16)).save(pngs / "a.png")
        return model, pngs, "a.png: has more than 8 bits a channel (mode I"
    if kind == "no model":
        return tmp_path / "none.pt", pngs, "none.pt: there is no such file"
    assert kind == "foreign model"
    path.write_bytes(b"something else")
    return path, pngs, "not a model that Frugal saved"


KINDS = ["size", "type", "text", "object array", "nothing", "suffix", "csv", "pickle", "pickle size", "empty"]
KINDS += ["png size", "broken png", "16 bits", "no model", "foreign model"]


@pytest.mark.parametrize("kind", KINDS)
def test_bad_input_is_named_and_nothing_is_written(model, here, capsys, kind):
    model, source, message = make_bad_input(here, model, kind)
    assert message in refused(capsys, f"model={model}", f"input={source}", "output=out.csv")


ARRAYS = {
    "int64": lambda x: x.astype(np.int64),
    "big endian": lambda x: x.astype(">i4"),
    "fortran": np.asfortranarray,
    "float": lambda x: x.astype(np.float64),
    "255ths": lambda x: (x / 255).astype(np.float32),
    "channels first": lambda x: x[:, None],
    "channels last": lambda x: x[..., None],
    "mask": lambda x: x > 100,
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_are_taken_in_each_type_and_layout_that_training_takes(here, pets, kind):
    model, images, _ = pets
    np.save("x.npy", ARRAYS[kind](images))
    assert main([f"model={model}", "input=x.npy"]) == 0
    assert list(answers().values()) == ANSWERS


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 64), np.uint8), "holds [2, 64], and the model takes [N, 8, 8]; rows of pixels become images by"),
        (np.zeros((2, 8, 8, 4), np.uint8), "take three channels of RGBA: x[..., :3]"),
        (np.full((2, 8, 8), 300), "expected values from 0 to 255, found int64 from 300 to 300; convert 16 bits by"),
        (np.full((2, 8, 8), -0.5), "convert -1 to 1 by ((x + 1) * 127.5).round().astype(np.uint8)"),
        (np.full((2, 8, 8), np.nan), "found float64 from nan to nan"),
    ],
)
def test_other_arrays_are_refused_with_the_way_to_convert_them(here, pets, capsys, array, message):
    np.save("x.npy", array)
    assert message in refused(capsys, f"model={pets[0]}", "input=x.npy")


def test_every_form_of_input_leads_to_class_names(here, images):
    names = [f'{number}\n<b>, "{number}"' for number in range(1, 11)]
    model = save(here / "best.pt", BERTOLDI, facts={"classes": names})
    np.save("x.npy", images)
    np.savez("x.npz", x=images)
    write_digits("x.csv", images)
    for number, image in enumerate(images):
        store("folder", image, f"{number}.png")
    outputs = []
    for source in ("x.npy", "x.npz", "x.csv", "folder"):
        assert main([f"model={model}", f"input={source}", "output=out.csv"]) == 0
        outputs.append([row[1] for row in rows("out.csv")[1:]])
    assert outputs == [[names[y] for y in load_model(model)(images).argmax(1)]] * 4
