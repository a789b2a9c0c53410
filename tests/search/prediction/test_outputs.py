"""Labels, images and pixel values are written in full, or not at all."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from search.predict import main
from search.prediction import outputs as predict_outputs
from spaces.layers import Conv
from tests.search.prediction.toy_files import SIDES, read_png, refused, rows, store
from tests.search.prediction.toy_models import ANY_SIZE, save_layers


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


def test_names_that_collide_or_do_not_fit_a_values_file_are_refused(here, pages, capsys):
    cleaner = save_layers(here / "cleaner.pt", *ANY_SIZE)
    Image.fromarray(pages["1"]).save("pages/1.jpg")
    message = refused(capsys, f"model={cleaner}", "input=pages")
    assert "1.png: expected another name than that of 1.jpg; both would become 1.png" in message
    Path("pages/1.jpg").rename("pages/1,5.jpg")
    message = refused(capsys, f"model={cleaner}", "input=pages", "values=v.csv")
    assert "'1,5.jpg': expected a name without commas" in message
    assert main([f"model={cleaner}", "input=pages"]) == 0


def test_an_unwritable_output_is_named_and_leaves_no_partial_file(here, pages, capsys, monkeypatch):
    cleaner = save_layers(here / "cleaner.pt", *ANY_SIZE)
    Path("taken").write_text("a file")
    message = refused(capsys, f"model={cleaner}", "input=pages", "output=taken/cleaned")
    assert "output=taken/cleaned" in message
    assert "cannot be written" in message

    def full(*arguments):
        raise OSError("No space left on device")

    monkeypatch.setattr(predict_outputs, "_lines", full)
    assert main([f"model={cleaner}", "input=pages", "values=v.csv"]) == 2
    assert "values=v.csv: cannot be written: No space left on device" in capsys.readouterr().err
    assert not Path("v.csv").exists()
    assert not list(here.rglob("*.part"))


def test_a_coloured_array_keeps_its_channels_where_they_are(here):
    model = save_layers(here / "best.pt", Conv(3, 1), shape=(3, 8, 8), scale=1.0)
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    np.save("x.npy", images)
    assert main([f"model={model}", "input=x.npy"]) == 0
    np.testing.assert_array_equal(np.load("cleaned.npy"), images)


def test_names_with_commas_quotes_and_line_ends_are_quoted(here, pets):
    names = ["a, b.png", 'it\'s "x".png', "line\nend.png", "=1.png", "\u4e2d\U0001f600.png", "null"]
    for name in names:
        store("photos", pets[1][0], name)
    assert main([f"model={pets[0]}", "input=photos"]) == 0
    assert sorted(row[0] for row in rows("labels.csv")[1:]) == sorted(names)
