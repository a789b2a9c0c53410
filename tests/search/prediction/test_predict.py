"""The command as a whole: labels for an array and a folder, progress, help and mistaken keys."""

import time
from pathlib import Path

import numpy as np
from PIL import Image

from search.predict import main
from tests.search.prediction.toy_files import labels
from trainables.model import load_model


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
    (folder / "notes.txt").write_text("a note")
    (folder / ".hidden.png").write_text("of another system")
    assert main([f"model={model}", f"input={folder}"]) == 0
    assert "pngs: skipped, not images: notes.txt\n" in capsys.readouterr().out
    assert labels("labels.csv") == [(f"{i}.{'bmp' if i % 2 else 'png'}", label) for i, label in enumerate(expected)]


def test_long_work_reports_its_progress(model, capsys, monkeypatch):
    np.save("x.npy", np.zeros((2500, 28, 28), np.uint8))
    times = iter(range(0, 1000, 2))
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    assert main([f"model={model}", "input=x.npy"]) == 0
    assert capsys.readouterr().out == "2,048 of 2,500 images\n2,500 images labelled: labels.csv\n"


def test_help_and_mistaken_keys(capsys, here):
    assert main(["--help"]) == 0
    message = capsys.readouterr().out
    for word in ("model", "input", "output", "values", "submission.csv: ImageId", "cleaned.npy", "model=[M/best.pt"):
        assert word in message
    assert main([]) == 2
    assert "model= is missing" in capsys.readouterr().err
    assert main(["model=[]", "input=x"]) == 2
    assert "model= is missing" in capsys.readouterr().err
    np.save("x.npy", np.zeros((1, 28, 28), np.uint8))
    assert main(["model={a: b}", "input=x.npy"]) == 2
    assert "{a: b}: there is no such file" in capsys.readouterr().err
    assert main(["model=x", "input=[a,b]"]) == 2
    assert "input" in capsys.readouterr().err
