"""The outputs of several models are averaged, unless the models do not fit each other."""

import numpy as np
import pandas as pd
import pytest

from search.predict import main
from search.tasks.tiny10k import BERTOLDI
from spaces.layers import Conv, Dense, Flatten, Join, Pool, Reshape, Save, Upsample
from tests.search.prediction.toy_files import read_png, refused, rows
from tests.search.prediction.toy_models import ANY_SIZE, save, save_layers
from trainables.model import load_model


def test_probabilities_of_several_models_are_averaged(here, model, images):
    other = save(here / "other.pt", BERTOLDI, seed=2)
    mean = (load_model(model)(images).softmax(1) + load_model(other)(images).softmax(1)) / 2
    np.save("x.npy", images)
    assert main([f"model=[{model},{other}]", "input=x.npy"]) == 0
    assert [int(row[1]) for row in rows("labels.csv")[1:]] == mean.argmax(1).tolist()
    assert [float(row[2]) for row in rows("labels.csv")[1:]] == pytest.approx(mean.amax(1).tolist(), abs=1e-4)


def test_images_of_several_models_are_clipped_and_then_averaged(here, pages):
    models = [save_layers(here / f"{scale}.pt", *ANY_SIZE, scale=scale) for scale in (0.5, 4.0)]
    assert main([f"model=[{','.join(map(str, models))}]", "input=pages", "output=out", "values=out/v.csv"]) == 0
    page = pages["3"] / 255
    expected = (page * 0.5 + np.minimum(page * 4, 1)) / 2
    np.testing.assert_array_equal(read_png("out/3.png"), np.rint(np.float32(expected) * 255))
    values = pd.read_csv("out/v.csv").set_index("id")["value"]
    assert values["3_17_8"] == pytest.approx(expected[16, 7], abs=1e-5)


def test_models_are_averaged_at_the_one_size_that_all_of_them_take(here):
    flat = save_layers(here / "flat.pt", *ANY_SIZE, scale=1.0)
    dense = save_layers(here / "dense.pt", Flatten(), Dense(64), Reshape((1, 8, 8)))
    images = np.full((2, 8, 8), 100, np.uint8)
    np.save("x.npy", images)
    assert main([f"model=[{flat},{dense}]", "input=x.npy"]) == 0
    expected = (load_model(flat)(images) + load_model(dense)(images)) / 2
    np.testing.assert_array_equal(np.load("cleaned.npy"), np.rint(expected[:, 0].numpy() * 255))
    np.save("y.npy", np.zeros((2, 9, 9), np.uint8))
    assert main([f"model=[{flat},{dense}]", "input=y.npy"]) == 2


def test_models_of_any_size_are_averaged_after_training_on_different_sizes(here, pages):
    models = [save_layers(here / f"{s}.pt", *ANY_SIZE, shape=(1, s, s), scale=1.0) for s in (8, 16)]
    assert main([f"model=[{','.join(map(str, models))}]", "input=pages"]) == 0
    np.testing.assert_array_equal(read_png("cleaned/2.png"), pages["2"])


def test_pages_that_would_not_keep_their_size_are_all_listed(here, pages, capsys):
    pooled = save_layers(here / "pooled.pt", Pool("max"), Upsample())
    message = refused(capsys, f"model={pooled}", "input=pages")
    assert "input=pages: cannot be used:\n  1.png: pooled.pt returns [1, 20, 30] for [1, 20, 31]" in message.replace(
        f"{here}/", ""
    )
    joined = save_layers(here / "joined.pt", Save("a"), Pool("max"), Upsample(), Join("a"))
    assert "joined.pt cannot take [1, 17, 8]: layer 4: Join('a', 'add')" in refused(
        capsys, f"model={joined}", "input=pages"
    )
    valid = save_layers(here / "valid.pt", Conv(1, 3, padding="valid"))
    np.save("x.npy", np.zeros((3, 8, 8), np.uint8))
    message = refused(capsys, f"model={valid}", "input=x.npy")
    assert "all images: " in message
    assert "returns [1, 6, 6] for [1, 8, 8]" in message


def test_models_that_cannot_be_averaged_are_named_with_their_shapes(here, model, capsys):
    def message_for(*files):
        return refused(capsys, f"model=[{','.join(map(str, files))}]", "input=x.npy").replace(f"{here}/", "")

    np.save("x.npy", np.zeros((2, 8, 8), np.uint8))
    small = save_layers(here / "small.pt", Flatten(), Dense(10))
    few = save_layers(here / "few.pt", Flatten(), Dense(5))
    assert "best.pt takes [28, 28], and small.pt [8, 8]: they cannot be averaged" in message_for(model, small)
    assert "small.pt returns 10 classes, and few.pt 5 classes" in message_for(small, few)
    grey, coloured = save_layers(here / "grey.pt", *ANY_SIZE), save_layers(here / "c.pt", Conv(3, 3), shape=(3, 8, 8))
    assert "grey.pt takes [height, width], and c.pt [3, height, width]" in message_for(grey, coloured)
    assert "grey.pt returns [8, 8], and small.pt 10 classes" in message_for(grey, small)
    named = save_layers(here / "named.pt", Flatten(), Dense(5), facts={"classes": list("abcde")})
    assert "few.pt names its labels nothing, and named.pt a, b, c, d, e" in message_for(few, named)
