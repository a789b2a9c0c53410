"""The images of a folder: which files are read, how, and which are refused."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.predict import PredictConfig, main, predict
from spaces.layers import Conv
from tests.search.prediction.toy_files import answers, read_png, refused, store
from tests.search.prediction.toy_models import save_layers


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


def test_all_bad_images_are_listed_at_once(model, here, capsys):
    (here / "pngs").mkdir()
    Image.new("L", (28, 28)).save("pngs/0.png")
    Image.new("L", (20, 28)).save("pngs/1.png")
    Path("pngs/2.jpeg").write_text("no image")
    message = refused(capsys, f"model={model}", "input=pngs")
    assert "input=pngs: cannot be used:\n  1.png: is 28x20 pixels" in message
    assert "\n  2.jpeg: not an image" in message
    for number in range(30):
        Path(f"pngs/x{number}.png").write_text("no image")
    assert refused(capsys, f"model={model}", "input=pngs").endswith("\n  and 12 more\n")


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".JPG", ".apng", ".pbm", ".j2k", ".dat", ""])
def test_images_are_known_by_all_suffixes_of_their_formats_or_by_their_content(here, pets, suffix):
    model, images, _ = pets
    form = {".apng": "PNG", ".pbm": "PPM", ".j2k": "JPEG2000"}.get(suffix, "JPEG")
    Path("photos").mkdir()
    Image.fromarray(images[1]).save(f"photos/a{suffix}", form)
    Path("photos/notes.txt").write_text("a note")
    assert main([f"model={model}", "input=photos"]) == 0
    assert answers() == {f"a{suffix}": "dog"}


def test_names_that_are_not_utf8_are_refused_and_shown_readably(here, pets):
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
        with pytest.raises(ValueError, match=re.escape(name) + ".*: its name is not UTF-8") as refusal:
            predict(config)
        str(refusal.value).encode()
