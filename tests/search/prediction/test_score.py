"""The number of right labels, if the images came with labels."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from search.predict import main
from tests.search.prediction.toy_files import ANSWERS, answers, rows, store
from trainables.model import load_model


def test_a_folder_with_class_folders_is_labelled_and_scored(here, pets, capsys):
    model, images, names = pets
    for number, (image, name) in enumerate(zip(images, names, strict=True)):
        store("pets", image, f"{name}/{number}.png")
    for litter in ("__MACOSX", "@eaDir", ".ipynb_checkpoints"):
        store("pets", images[0], f"{litter}/cat/0.png")
        store("pets/cat", images[0], f"{litter}/0.png")
    for litter in ("Thumbs.db", "cat/desktop.ini", "cat/._0.png", "cat/0.png:Zone.Identifier"):
        Path("pets", litter).write_text("litter")
    assert main([f"model={model}", "input=pets"]) == 0
    assert capsys.readouterr().out == "5 images labelled: labels.csv\n4 of 5 right (80.0%)\n"
    assert answers() == {
        "cat/0.png": "cat",
        "cat/2.png": "cat",
        "dog/1.png": "dog",
        "dog/3.png": "dog",
        "dog/4.png": "cat",
    }


def test_splits_are_scored_separately_and_unknown_classes_are_not_counted(here, pets, capsys):
    model, images, names = pets
    for number, (image, name) in enumerate(zip(images, names, strict=True)):
        store("pets", image, f"{'Train' if number < 3 else 'test'}/{name}/{number}.png")
    store("pets", images[0], "test/emu/9.png")
    assert main([f"model={model}", "input=pets"]) == 0
    assert capsys.readouterr().out == (
        "6 images labelled: labels.csv\nTrain: 3 of 3 right (100.0%)\ntest: 1 of 2 right (50.0%)\n"
        "1 not counted, since the model does not know their class: emu; it knows cat, dog\n"
    )
    assert answers()["test/emu/9.png"] == "cat"


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
def test_the_training_npz_is_labelled_and_scored(here, pets, capsys, naming, numbers):
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
    message = capsys.readouterr().out.splitlines()[1:]
    labelled = {
        "x y": ["4 of 5 right (80.0%)"],
        "x -": [],
        "images labels": ["4 of 5 right (80.0%)"],
        "x_train y_train x_test -": ["train: 3 of 3 right (100.0%)"],
    }
    halves = ["train: 3 of 3 right (100.0%)", "test: 1 of 2 right (50.0%)"]
    backwards = ["train: 1 of 2 right (50.0%)", "test: 3 of 3 right (100.0%)"]
    assert message == labelled.get(naming, backwards if naming.startswith("test") else halves)


def test_a_score_on_training_images_carries_a_warning(here, pets, capsys):
    from data.images import own

    model, images, names = pets
    np.savez("x.npz", x=np.concatenate([images] * 3), y=np.tile(names, 3))
    held = torch.load(model, weights_only=True)
    held["facts"] |= {"dataset": "images:y.npz", "dataset_fingerprint": own(Path("x.npz")).fingerprint}
    torch.save(held, model)
    assert main([f"model={model}", "input=x.npz"]) == 0
    assert "the model was trained on some of these images" in capsys.readouterr().out
    np.savez("x.npz", x=np.concatenate([images[::-1]] * 3), y=np.tile(names[::-1], 3))
    assert main([f"model={model}", "input=x.npz"]) == 0
    assert "the model was trained" not in capsys.readouterr().out


def test_a_digits_file_with_labels_is_scored(here, model, images, capsys):
    expected = load_model(model)(images).argmax(1).tolist()
    frame = pd.DataFrame(images.reshape(len(images), -1), columns=[f"pixel{i}" for i in range(784)])
    frame.insert(0, "label", [*expected[:-1], (expected[-1] + 1) % 10])
    frame.astype(float).to_csv("train.csv", index=False)
    assert main([f"model={model}", "input=train.csv"]) == 0
    assert capsys.readouterr().out == "7 images labelled: submission.csv\n6 of 7 right (85.7%)\n"
    assert [row[1] for row in rows("submission.csv")[1:]] == [str(label) for label in expected]
