"""A saved model applied to new images, in every form that they come in."""

import csv
import os
import pickle
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from search.predict import PredictConfig, main, predict
from search.prediction import outputs as predict_outputs
from search.tasks.tiny10k import BERTOLDI
from spaces.layers import Conv, Dense, Flatten, GlobalPool, Join, Layer, Pool, Reshape, Save, Upsample
from spaces.network import Network
from spaces.recipe import Candidate, Recipe
from trainables.build import build
from trainables.model import load_model, model_bytes

SIDES = ((20, 31), (20, 31), (17, 8))
ANY_SIZE = (Conv(1, 3),)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Default outputs go to the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(path, candidate, facts=None, seed=1, scale=None):
    """A model file; with `scale`, its first layer multiplies each pixel by it, channel by channel."""
    module = build(candidate.network, seed)
    if scale is not None:
        weight = module.layers[0].weight
        torch.nn.init.zeros_(weight)
        with torch.no_grad():
            for channel in range(len(weight)):
                weight[channel, channel, weight.shape[2] // 2, weight.shape[3] // 2] = scale
    Path(path).write_bytes(model_bytes(candidate, module.state_dict(), {"run": "r", "trial": 0} | (facts or {})))
    return Path(path)


def save_layers(path, *layers: Layer, shape=(1, 8, 8), **kwargs):
    return save(path, Candidate(Network(shape, layers), Recipe()), **kwargs)


@pytest.fixture
def model(here):
    return save(here / "best.pt", BERTOLDI)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (7, 28, 28), dtype=np.uint8)


@pytest.fixture
def pages(here):
    """A folder of three pages in two sizes; and the pages by their names."""
    rng = np.random.default_rng(0)
    (here / "pages").mkdir()
    found = {str(number): rng.integers(0, 256, size, dtype=np.uint8) for number, size in enumerate(SIDES, 1)}
    for name, page in found.items():
        Image.fromarray(page).save(here / "pages" / f"{name}.png")
    return found


def rows(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


def labels(path):
    with open(path) as file:
        return [(row["image"], int(row["label"])) for row in csv.DictReader(file)]


def read_png(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image)


# --- Labels ---


def test_an_array_and_a_folder_of_images_get_the_models_labels(model, images, capsys):
    expected = load_model(model)(images).argmax(1).tolist()
    np.save("x.npy", images)
    assert main([f"model={model}", "input=x.npy", "output=a.csv"]) == 0
    assert capsys.readouterr().out == "7 images labelled: a.csv\n"
    assert labels("a.csv") == [(str(i), label) for i, label in enumerate(expected)]
    folder = Path("pngs")
    folder.mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index}.{'bmp' if index % 2 else 'png'}")
    (folder / "notes.txt").write_text("of mine")
    (folder / ".hidden.png").write_text("of another system")
    assert main([f"model={model}", f"input={folder}"]) == 0
    assert "pngs: passed over, as no images: notes.txt\n" in capsys.readouterr().out
    assert labels("labels.csv") == [(f"{i}.{'bmp' if i % 2 else 'png'}", label) for i, label in enumerate(expected)]


def write_digits(path, images):
    frame = pd.DataFrame(images.reshape(len(images), -1), columns=[f"pixel{i}" for i in range(784)])
    frame.to_csv(path, index=False)


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


def test_several_models_probabilities_are_averaged(here, model, images):
    other = save(here / "other.pt", BERTOLDI, seed=2)
    mean = (load_model(model)(images).softmax(1) + load_model(other)(images).softmax(1)) / 2
    np.save("x.npy", images)
    assert main([f"model=[{model},{other}]", "input=x.npy"]) == 0
    assert [int(row[1]) for row in rows("labels.csv")[1:]] == mean.argmax(1).tolist()
    assert [float(row[2]) for row in rows("labels.csv")[1:]] == pytest.approx(mean.amax(1).tolist(), abs=1e-4)


def test_a_grey_and_a_coloured_model_take_grey_and_coloured_images(here):
    colours = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    (here / "photos").mkdir()
    Image.fromarray(colours).save("photos/a.png")
    Image.fromarray(colours[:, :, 0]).save("photos/b.png")
    Image.fromarray(np.dstack([colours, np.zeros((8, 8), np.uint8)])).save("photos/c.png")  # all transparent
    for channels, mode in ((1, "L"), (3, "RGB")):
        model = save_layers(here / f"{mode}.pt", Conv(channels, 1), shape=(channels, 8, 8), scale=1.0)
        assert main([f"model={model}", "input=photos", f"output={mode}"]) == 0
        for name in "ab":
            with Image.open(f"photos/{name}.png") as image:
                expected = np.asarray(image.convert(mode))
            np.testing.assert_array_equal(read_png(f"{mode}/{name}.png"), expected)
        assert (read_png(f"{mode}/c.png") == 255).all()


# --- Images ---


def test_pages_of_several_sizes_give_pngs_of_the_same_names_and_sizes(here, pages, capsys):
    model = save_layers(here / "best.pt", *ANY_SIZE, scale=1.0)
    Image.fromarray(pages["1"]).save("pages/4.b.jpg")
    assert main([f"model={model}", "input=pages"]) == 0
    assert capsys.readouterr().out == "4 images written: cleaned\n"
    assert sorted(path.name for path in Path("cleaned").iterdir()) == [
        ".frugal-outputs",
        "1.png",
        "2.png",
        "3.png",
        "4.b.png",
    ]
    for name, page in pages.items():
        np.testing.assert_array_equal(read_png(f"cleaned/{name}.png"), page)
    assert read_png("cleaned/4.b.png").shape == SIDES[0]


def test_several_models_images_are_averaged_once_clipped(here, pages):
    models = [save_layers(here / f"{scale}.pt", *ANY_SIZE, scale=scale) for scale in (0.5, 4.0)]
    assert main([f"model=[{','.join(map(str, models))}]", "input=pages", "output=out", "values=out/v.csv"]) == 0
    page = pages["3"] / 255
    expected = (page * 0.5 + np.minimum(page * 4, 1)) / 2
    np.testing.assert_array_equal(read_png("out/3.png"), np.rint(np.float32(expected) * 255))
    values = pd.read_csv("out/v.csv").set_index("id")["value"]
    assert values["3_17_8"] == pytest.approx(expected[16, 7], abs=1e-5)


def test_values_hold_each_pixel_of_each_image_by_row_and_column(here, pages):
    model = save_layers(here / "best.pt", *ANY_SIZE, scale=1.0)
    assert main([f"model={model}", "input=pages", "values=values.csv"]) == 0
    lines = Path("values.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines[:3]] == ["id", "1_1_1", "1_1_2"]
    assert lines[0] == "id,value"
    assert not any("e" in line for line in lines[1:])  # plain decimals
    values = pd.read_csv("values.csv")
    expected = [(f"{n}_{r}_{c}") for n, page in pages.items() for r, c in np.argwhere(page >= 0) + 1]
    assert values["id"].tolist() == expected
    pixels = np.concatenate([page.ravel() for page in pages.values()])
    np.testing.assert_allclose(values["value"], pixels / 255, atol=6e-6)
    assert values["value"].between(0, 1).all()


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 1, 8, 8), (5, 12, 9), (0, 8, 8)])
def test_an_array_gives_an_array_of_the_same_shape(here, shape):
    model = save_layers(here / "best.pt", *ANY_SIZE, scale=1.0)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.save("x.npy", images)
    assert main([f"model={model}", "input=x.npy", "values=v.csv"]) == 0
    cleaned = np.load("cleaned.npy")
    assert cleaned.dtype == np.uint8
    np.testing.assert_array_equal(cleaned, images)
    assert len(rows("v.csv")) == 1 + images.size


def test_models_of_which_one_takes_one_size_alone_are_averaged_at_that_size(here):
    flat = save_layers(here / "flat.pt", *ANY_SIZE, scale=1.0)
    dense = save_layers(here / "dense.pt", Flatten(), Dense(64), Reshape((1, 8, 8)))
    images = np.full((2, 8, 8), 100, np.uint8)
    np.save("x.npy", images)
    assert main([f"model=[{flat},{dense}]", "input=x.npy"]) == 0
    expected = (load_model(flat)(images) + load_model(dense)(images)) / 2
    np.testing.assert_array_equal(np.load("cleaned.npy"), np.rint(expected[:, 0].numpy() * 255))
    np.save("y.npy", np.zeros((2, 9, 9), np.uint8))
    assert main([f"model=[{flat},{dense}]", "input=y.npy"]) == 2


def test_models_of_any_size_are_averaged_whatever_they_were_trained_on(here, pages):
    models = [save_layers(here / f"{s}.pt", *ANY_SIZE, shape=(1, s, s), scale=1.0) for s in (8, 16)]
    assert main([f"model=[{','.join(map(str, models))}]", "input=pages"]) == 0
    np.testing.assert_array_equal(read_png("cleaned/2.png"), pages["2"])


def test_long_work_says_how_far_it_is(model, capsys, monkeypatch):
    np.save("x.npy", np.zeros((2500, 28, 28), np.uint8))
    times = iter(range(0, 1000, 2))
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    assert main([f"model={model}", "input=x.npy"]) == 0
    assert capsys.readouterr().out == "2,048 of 2,500 images\n2,500 images labelled: labels.csv\n"


# --- Refusals ---


def spoilt(tmp_path, model, kind):
    """The arguments for one kind of bad input, and what the message must say."""
    path, pngs = tmp_path / "x.npy", tmp_path / "pngs"
    pngs.mkdir()
    if kind == "size":
        np.save(path, np.zeros((2, 14, 14), np.uint8))
        return model, path, r"holds [2, 14, 14], and the model takes [N, 28, 28]"
    if kind == "type":
        np.save(path, np.full((2, 28, 28), 0.3))
        return model, path, "x.npy: found float64 from 0 to 1 that are no 255ths; expected uint8, 0 to 255: (x * 255)"
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


def refused(capsys, *arguments):
    """What is said when the command line is refused; nothing may be written."""
    before = files()
    assert main(list(arguments)) == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert files() == before
    return told


def files():
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_bad_input_is_named_and_nothing_is_written(model, here, capsys, kind):
    model, source, message = spoilt(here, model, kind)
    assert message in refused(capsys, f"model={model}", f"input={source}", "output=out.csv")


def test_all_bad_images_are_listed_at_once(model, here, capsys):
    (here / "pngs").mkdir()
    Image.new("L", (28, 28)).save("pngs/0.png")
    Image.new("L", (20, 28)).save("pngs/1.png")
    Path("pngs/2.jpeg").write_text("no image")
    told = refused(capsys, f"model={model}", "input=pngs")
    assert "input=pngs: cannot be used:\n  1.png: is 28x20 pixels" in told
    assert "\n  2.jpeg: not an image" in told
    for number in range(30):
        Path(f"pngs/x{number}.png").write_text("no image")
    assert refused(capsys, f"model={model}", "input=pngs").endswith("\n  and 12 more\n")


def test_pages_that_would_not_keep_their_size_are_all_listed(here, pages, capsys):
    pooled = save_layers(here / "pooled.pt", Pool("max"), Upsample())
    told = refused(capsys, f"model={pooled}", "input=pages")
    assert "input=pages: cannot be used:\n  1.png: pooled.pt gives [1, 20, 30] for [1, 20, 31]" in told.replace(
        f"{here}/", ""
    )
    joined = save_layers(here / "joined.pt", Save("a"), Pool("max"), Upsample(), Join("a"))
    assert "joined.pt cannot take [1, 17, 8]: layer 4: Join('a', 'add')" in refused(
        capsys, f"model={joined}", "input=pages"
    )
    valid = save_layers(here / "valid.pt", Conv(1, 3, padding="valid"))
    np.save("x.npy", np.zeros((3, 8, 8), np.uint8))
    told = refused(capsys, f"model={valid}", "input=x.npy")
    assert "all images: " in told
    assert "gives [1, 6, 6] for [1, 8, 8]" in told


def test_models_that_cannot_be_averaged_are_named_with_their_shapes(here, model, capsys):
    def told(*files):
        return refused(capsys, f"model=[{','.join(map(str, files))}]", "input=x.npy").replace(f"{here}/", "")

    np.save("x.npy", np.zeros((2, 8, 8), np.uint8))
    small = save_layers(here / "small.pt", Flatten(), Dense(10))
    few = save_layers(here / "few.pt", Flatten(), Dense(5))
    assert "best.pt takes [28, 28], and small.pt [8, 8]: they cannot be averaged" in told(model, small)
    assert "small.pt gives 10 classes, and few.pt 5 classes" in told(small, few)
    grey, coloured = save_layers(here / "grey.pt", *ANY_SIZE), save_layers(here / "c.pt", Conv(3, 3), shape=(3, 8, 8))
    assert "grey.pt takes [height, width], and c.pt [3, height, width]" in told(grey, coloured)
    assert "grey.pt gives [8, 8], and small.pt 10 classes" in told(grey, small)
    named = save_layers(here / "named.pt", Flatten(), Dense(5), facts={"classes": list("abcde")})
    assert "few.pt names its labels nothing, and named.pt a, b, c, d, e" in told(few, named)


def test_outputs_of_the_wrong_kind_are_refused_with_what_would_be_right(here, model, pages, images, capsys):
    cleaner = save_layers(here / "cleaner.pt", *ANY_SIZE)
    np.save("x.npy", images)
    write_digits("test.csv", images)
    Path("taken").write_text("a file")
    Path("folder.csv").mkdir()

    def told(model, *arguments):
        return refused(capsys, f"model={model}", *arguments)

    assert "expected the name of a folder for the images, such as output=cleaned" in told(
        cleaner, "input=pages", "output=labels.csv"
    )
    assert "expected the name of a folder" in told(cleaner, "input=pages", "output=taken")
    assert "expected the name of a .npy file, such as output=cleaned.npy" in told(
        cleaner, "input=x.npy", "output=cleaned"
    )
    assert "expected the name of a .csv file, such as output=labels.csv" in told(model, "input=x.npy", "output=a.npy")
    assert "expected the name of a .csv file" in told(model, "input=x.npy", "output=folder.csv")
    assert "such as output=submission.csv" in told(model, "input=test.csv", "output=submission")
    assert "is for classifiers, and " in told(cleaner, "input=test.csv")
    assert "only a model that gives grey images has values" in told(model, "input=x.npy", "values=v.csv")
    assert "such as values=submission.csv" in told(cleaner, "input=pages", "values=v.txt")


def test_inputs_are_never_overwritten(here, model, pages, images, capsys):
    cleaner = save_layers(here / "cleaner.pt", *ANY_SIZE)
    np.save("x.npy", images)
    write_digits("test.csv", images)
    Path("link").symlink_to("pages")
    for model_file, source, output in (
        (cleaner, "pages", "pages"),
        (cleaner, "pages", "./pages/../pages"),
        (cleaner, "pages", "link"),
        (cleaner, "x.npy", "x.npy"),
        (model, "test.csv", "test.csv"),
    ):
        told = refused(capsys, f"model={model_file}", f"input={source}", f"output={output}")
        assert f"output={Path(output)}: is an input, and would be overwritten" in told


def test_images_whose_outputs_would_have_one_name_or_none_for_values_are_refused(here, pages, capsys):
    cleaner = save_layers(here / "cleaner.pt", *ANY_SIZE)
    Image.fromarray(pages["1"]).save("pages/1.jpg")
    told = refused(capsys, f"model={cleaner}", "input=pages")
    assert "1.png: expected another name than that of 1.jpg; both would become 1.png" in told
    Path("pages/1.jpg").rename("pages/1,5.jpg")
    told = refused(capsys, f"model={cleaner}", "input=pages", "values=v.csv")
    assert "'1,5.jpg': expected a name without commas" in told
    assert main([f"model={cleaner}", "input=pages"]) == 0


def test_what_cannot_be_written_is_named_and_leaves_no_half_files(here, pages, capsys, monkeypatch):
    cleaner = save_layers(here / "cleaner.pt", *ANY_SIZE)
    Path("taken").write_text("a file")
    told = refused(capsys, f"model={cleaner}", "input=pages", "output=taken/cleaned")
    assert "output=taken/cleaned" in told
    assert "cannot be written" in told

    def full(*arguments):
        raise OSError("No space left on device")

    monkeypatch.setattr(predict_outputs, "_lines", full)
    assert main([f"model={cleaner}", "input=pages", "values=v.csv"]) == 2
    assert "values=v.csv: cannot be written: No space left on device" in capsys.readouterr().err
    assert not Path("v.csv").exists()
    assert not list(here.rglob("*.part"))


def test_help_and_mistaken_keys(capsys, here):
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    for word in ("model", "input", "output", "values", "submission.csv: ImageId", "cleaned.npy", "model=[M/best.pt"):
        assert word in told
    assert main([]) == 2
    assert "model= is missing" in capsys.readouterr().err
    assert main(["model=[]", "input=x"]) == 2
    assert "model= is missing" in capsys.readouterr().err
    np.save("x.npy", np.zeros((1, 28, 28), np.uint8))
    assert main(["model={a: b}", "input=x.npy"]) == 2
    assert "{a: b}: there is no such file" in capsys.readouterr().err
    assert main(["model=x", "input=[a,b]"]) == 2
    assert "input" in capsys.readouterr().err


# --- What training takes ---


PETS = ("cat", "dog")


@pytest.fixture
def pets(here):
    """A model that calls dark images cat and bright ones dog, and 5 grey images of 8x8 with their classes."""
    layers = (Conv(1, 1), GlobalPool(), Dense(2))
    path = save_layers(here / "pets.pt", *layers, facts={"classes": list(PETS)}, scale=1.0)
    held = torch.load(path, weights_only=True)
    *_, weight, bias = held["weights"]
    held["weights"] |= {weight: torch.tensor([[-1.0], [1.0]]), bias: torch.tensor([0.5, -0.5])}
    torch.save(held, path)
    values = np.array([10, 250, 20, 240, 30], np.uint8)
    return path, np.broadcast_to(values[:, None, None], (5, 8, 8)).copy(), np.array(PETS)[[0, 1, 0, 1, 1]]


ANSWERS = ["cat", "dog", "cat", "dog", "cat"]


def answers(path="labels.csv"):
    return {row["image"]: row["label"] for row in csv.DictReader(Path(path).read_text().splitlines())}


def store(folder, image, name):
    (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(Path(folder) / name, "PNG")


def test_a_folder_with_class_folders_is_labelled_and_says_how_many_were_right(here, pets, capsys):
    model, images, names = pets
    for number, (image, name) in enumerate(zip(images, names, strict=True)):
        store("pets", image, f"{name}/{number}.png")
    for litter in ("__MACOSX", "@eaDir", ".ipynb_checkpoints"):
        store("pets", images[0], f"{litter}/cat/0.png")
        store("pets/cat", images[0], f"{litter}/0.png")
    for litter in ("Thumbs.db", "cat/desktop.ini", "cat/._0.png", "cat/0.png:Zone.Identifier"):
        Path("pets", litter).write_text("of another program")
    assert main([f"model={model}", "input=pets"]) == 0
    assert capsys.readouterr().out == "5 images labelled: labels.csv\n4 of 5 right (80.0%)\n"
    assert answers() == {
        "cat/0.png": "cat",
        "cat/2.png": "cat",
        "dog/1.png": "dog",
        "dog/3.png": "dog",
        "dog/4.png": "cat",
    }


def test_splits_are_scored_apart_and_classes_that_the_model_does_not_know_are_not_counted(here, pets, capsys):
    model, images, names = pets
    for number, (image, name) in enumerate(zip(images, names, strict=True)):
        store("pets", image, f"{'Train' if number < 3 else 'test'}/{name}/{number}.png")
    store("pets", images[0], "test/emu/9.png")
    assert main([f"model={model}", "input=pets"]) == 0
    assert capsys.readouterr().out == (
        "6 images labelled: labels.csv\nTrain: 3 of 3 right (100.0%)\ntest: 1 of 2 right (50.0%)\n"
        "1 not counted, as their class is none of the model's: emu; it knows cat, dog\n"
    )
    assert answers()["test/emu/9.png"] == "cat"


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".JPG", ".apng", ".pbm", ".j2k", ".dat", ""])
def test_images_are_known_by_all_suffixes_of_their_formats_or_by_their_content(here, pets, suffix):
    model, images, _ = pets
    form = {".apng": "PNG", ".pbm": "PPM", ".j2k": "JPEG2000"}.get(suffix, "JPEG")
    Path("photos").mkdir()
    Image.fromarray(images[1]).save(f"photos/a{suffix}", form)
    Path("photos/notes.txt").write_text("of mine")
    assert main([f"model={model}", "input=photos"]) == 0
    assert answers() == {f"a{suffix}": "dog"}


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
    ("naming", "numbers"),
    [
        ("x y", "0 1 2 3 4"),
        ("x -", "0 1 2 3 4"),
        ("images labels", "0 1 2 3 4"),
        ("x_train y_train x_test y_test", "train/0 train/1 train/2 test/0 test/1"),
        ("test_images test_labels train_images train_labels", "train/0 train/1 test/0 test/1 test/2"),
        ("x_train y_train x_test -", "train/0 train/1 train/2 test/0 test/1"),
    ],
)
def test_the_training_npz_is_labelled_and_says_how_many_were_right(here, pets, capsys, naming, numbers):
    model, images, names = pets
    arrays = {}
    for start, (x_name, y_name) in enumerate(zip(naming.split()[::2], naming.split()[1::2], strict=True)):
        places = slice(0, 3) if start == 0 else slice(3, 5)
        places = places if " " in naming.strip() and len(naming.split()) > 2 else slice(0, 5)
        arrays |= {x_name: images[places], y_name: names[places].astype(object)}
    arrays.pop("-", None)
    np.savez_compressed("X.npz", **arrays)
    Path("X.npz").rename("X.NPZ")
    assert main([f"model={model}", "input=X.NPZ"]) == 0
    assert list(answers()) == numbers.split()
    assert sorted(answers().values()) == sorted(ANSWERS)
    told = capsys.readouterr().out.splitlines()[1:]
    labelled = {
        "x y": ["4 of 5 right (80.0%)"],
        "x -": [],
        "images labels": ["4 of 5 right (80.0%)"],
        "x_train y_train x_test -": ["train: 3 of 3 right (100.0%)"],
    }
    halves = ["train: 3 of 3 right (100.0%)", "test: 1 of 2 right (50.0%)"]
    backwards = ["train: 1 of 2 right (50.0%)", "test: 3 of 3 right (100.0%)"]
    assert told == labelled.get(naming, backwards if naming.startswith("test") else halves)


def test_images_that_the_model_was_trained_on_are_said_to_be_such(here, pets, capsys):
    from data.images import own

    model, images, names = pets
    np.savez("x.npz", x=np.concatenate([images] * 3), y=np.tile(names, 3))
    held = torch.load(model, weights_only=True)
    held["facts"] |= {"dataset": "images:y.npz", "dataset_fingerprint": own(Path("x.npz")).fingerprint}
    torch.save(held, model)
    assert main([f"model={model}", "input=x.npz"]) == 0
    assert "the model was trained on a part of these very images" in capsys.readouterr().out
    np.savez("x.npz", x=np.concatenate([images[::-1]] * 3), y=np.tile(names[::-1], 3))
    assert main([f"model={model}", "input=x.npz"]) == 0
    assert "the model was trained" not in capsys.readouterr().out


def test_a_coloured_array_keeps_its_channels_where_they_are(here):
    model = save_layers(here / "best.pt", Conv(3, 1), shape=(3, 8, 8), scale=1.0)
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    np.save("x.npy", images)
    assert main([f"model={model}", "input=x.npy"]) == 0
    np.testing.assert_array_equal(np.load("cleaned.npy"), images)


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((2, 64), np.uint8), "holds [2, 64], and the model takes [N, 8, 8]; rows of pixels become images by"),
        (np.zeros((2, 8, 8, 4), np.uint8), "of RGBA take three channels: x[..., :3]"),
        (np.full((2, 8, 8), 300), "expected values from 0 to 255, found int64 from 300 to 300; of 16 bits they become"),
        (np.full((2, 8, 8), -0.5), "from -1 to 1 they become ((x + 1) * 127.5).round().astype(np.uint8)"),
        (np.full((2, 8, 8), np.nan), "found float64 from nan to nan"),
    ],
)
def test_other_arrays_are_refused_with_the_way_to_convert_them(here, pets, capsys, array, told):
    np.save("x.npy", array)
    assert told in refused(capsys, f"model={pets[0]}", "input=x.npy")


def test_every_form_of_input_gives_the_classes_names(here, images):
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


def test_a_digits_file_with_labels_says_how_many_were_right(here, model, images, capsys):
    expected = load_model(model)(images).argmax(1).tolist()
    frame = pd.DataFrame(images.reshape(len(images), -1), columns=[f"pixel{i}" for i in range(784)])
    frame.insert(0, "label", [*expected[:-1], (expected[-1] + 1) % 10])
    frame.astype(float).to_csv("train.csv", index=False)
    assert main([f"model={model}", "input=train.csv"]) == 0
    assert capsys.readouterr().out == "7 images labelled: submission.csv\n6 of 7 right (85.7%)\n"
    assert [row[1] for row in rows("submission.csv")[1:]] == [str(label) for label in expected]


def test_names_that_are_no_utf8_are_refused_in_a_readable_way(here, pets):
    bad = Path(os.fsdecode(b"gr\xfcn"))
    try:
        bad.mkdir()
    except OSError:
        pytest.skip("this file system takes no names but UTF-8")
    store(bad, pets[1][0], "a.png")
    store("photos", pets[1][0], "a.png")
    Path("photos/a.png").rename(Path("photos") / f"{bad}.png")
    for source, output, name in (
        (bad, None, "gr\\xfcn"),
        (Path("photos"), None, "gr\\xfcn.png"),
        (Path("x.npy"), bad, "xfcn"),
    ):
        np.save("x.npy", pets[1])
        config = PredictConfig(
            model=str(pets[0]), input=str(source), output=None if output is None else f"{output}/a.csv"
        )
        with pytest.raises(ValueError, match=re.escape(name) + ".*: its name is no UTF-8") as refusal:
            predict(config)
        str(refusal.value).encode()


def test_names_with_commas_quotes_and_line_ends_are_quoted(here, pets):
    names = ["a, b.png", 'it\'s "x".png', "line\nend.png", "=1.png", "\u4e2d\U0001f600.png", "null"]
    for name in names:
        store("photos", pets[1][0], name)
    assert main([f"model={pets[0]}", "input=photos"]) == 0
    assert sorted(row[0] for row in rows("labels.csv")[1:]) == sorted(names)


# --- What is replaced ---


def test_a_users_own_file_is_never_replaced_unless_it_is_named(here, model, pages, images, capsys):
    cleaner = save_layers(here / "cleaner.pt", *ANY_SIZE)
    np.save("x.npy", images)
    write_digits("test.csv", images)
    for source, using, output in (
        ("x.npy", model, "labels.csv"),
        ("test.csv", model, "submission.csv"),
        ("x.npy", cleaner, "cleaned.npy"),
    ):
        Path(output).write_text("of mine")
        told = refused(capsys, f"model={using}", f"input={source}")
        assert f"{output} is there already, and is no earlier output of this command" in told
        assert f"output={output} replaces it" in told
        assert main([f"model={using}", f"input={source}", f"output={output}"]) == 0
        assert f": {output} (in place of what was there)\n" in capsys.readouterr().out
        assert main([f"model={using}", f"input={source}"]) == 0  # its own by now
        assert f": {output} (in place of an earlier output)\n" in capsys.readouterr().out
        Path(output).write_bytes(Path(output).read_bytes() + b"and a note of mine")
        assert "or was changed since" in refused(capsys, f"model={using}", f"input={source}")
        Path(output).unlink()
        Path(output).symlink_to("nowhere")
        assert "is there already" in refused(capsys, f"model={using}", f"input={source}")
        Path(output).unlink()


def test_a_copy_of_an_output_under_another_name_is_the_users_own(here, model, images, capsys):
    np.save("x.npy", images)
    write_digits("test.csv", images)
    assert main([f"model={model}", "input=x.npy"]) == 0
    Path("submission.csv").write_bytes(Path("labels.csv").read_bytes())
    assert "submission.csv is there already" in refused(capsys, f"model={model}", "input=test.csv")


@pytest.mark.parametrize("arguments", [[], ["output=cleaned"]])
def test_in_a_folder_only_earlier_outputs_are_replaced(here, pages, capsys, arguments):
    cleaner = save_layers(here / "cleaner.pt", *ANY_SIZE)
    command = [f"model={cleaner}", "input=pages", *arguments]
    store("cleaned", pages["1"], "2.png")
    (here / "cleaned" / "notes.txt").write_text("of mine")
    assert "would write over 1 files that are no earlier outputs" in refused(capsys, *command)
    Path("cleaned/2.png").unlink()
    assert main(command) == 0
    capsys.readouterr()
    assert main(command) == 0
    assert capsys.readouterr().out == "3 images written: cleaned (3 in place of earlier outputs)\n"
    assert Path("cleaned/notes.txt").read_text() == "of mine"
    store("cleaned", pages["1"], "3.png")
    assert "or were changed since: 3.png" in refused(capsys, *command)


def test_images_of_a_damaged_record_are_not_taken_for_outputs(here, model, images, capsys):
    np.save("x.npy", images)
    assert main([f"model={model}", "input=x.npy"]) == 0
    Path(".frugal-outputs").write_bytes(b"\xff\x00")
    assert "labels.csv is there already" in refused(capsys, f"model={model}", "input=x.npy")


def test_a_runs_own_files_and_the_inputs_are_never_replaced_by_links_either(here, pages, images, capsys):
    run = here / "runs" / "first"
    (run / "models").mkdir(parents=True)
    for name in ("journal.log", "leaderboard.parquet", "config.yaml"):
        (run / name).write_text(f"the run's {name}")
    model = save(run / "models" / "best.pt", BERTOLDI)
    cleaner = save_layers(run / "models" / "cleaner.pt", *ANY_SIZE)
    np.save("x.npy", images)
    os.link(run / "journal.log", "hard.csv")
    os.link("x.npy", "hard.npy")
    Path("soft").symlink_to(run / "models")
    write_digits("test.csv", images)
    os.link("test.csv", "same.csv")
    for using, source, output, told in (
        (cleaner, "pages", run / "models", "models in "),
        (cleaner, "pages", "soft", "models in "),
        (cleaner, "pages", run / "checkpoints" / "a", "checkpoints in "),
        (cleaner, "x.npy", run / "models" / "a.npy", "models in "),
        (cleaner, "x.npy", "hard.npy", "is an input, and would be overwritten"),
        (model, "x.npy", run / "models" / "a.csv", "is the run's own file; choose another"),
        (model, "x.npy", "hard.csv", "journal.log, the run's own file"),
        (model, "test.csv", "same.csv", "is an input, and would be overwritten"),
    ):
        assert told in refused(capsys, f"model={using}", f"input={source}", f"output={output}")
    assert main([f"model={model}", "input=x.npy", f"output={run / 'labels.csv'}"]) == 0
