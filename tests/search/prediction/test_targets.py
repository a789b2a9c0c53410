"""Where outputs go: the right kind of path, and never over an input or a run's own file."""

import os
from pathlib import Path

import numpy as np
import pytest

from search.predict import main
from search.tasks.tiny10k import BERTOLDI
from tests.search.prediction.toy_files import refused, write_digits
from tests.search.prediction.toy_models import ANY_SIZE, save, save_layers


def test_outputs_of_the_wrong_kind_are_refused_with_what_would_be_right(here, model, pages, images, capsys):
    cleaner = save_layers(here / "cleaner.pt", *ANY_SIZE)
    np.save("x.npy", images)
    write_digits("test.csv", images)
    Path("taken").write_text("a file")
    Path("folder.csv").mkdir()

    def message_for(model, *arguments):
        return refused(capsys, f"model={model}", *arguments)

    assert "expected the name of a folder for the images, such as output=cleaned" in message_for(
        cleaner, "input=pages", "output=labels.csv"
    )
    assert "expected the name of a folder" in message_for(cleaner, "input=pages", "output=taken")
    assert "expected the name of a .npy file, such as output=cleaned.npy" in message_for(
        cleaner, "input=x.npy", "output=cleaned"
    )
    assert "expected the name of a .csv file, such as output=labels.csv" in message_for(
        model, "input=x.npy", "output=a.npy"
    )
    assert "expected the name of a .csv file" in message_for(model, "input=x.npy", "output=folder.csv")
    assert "such as output=submission.csv" in message_for(model, "input=test.csv", "output=submission")
    assert "is for classifiers, and " in message_for(cleaner, "input=test.csv")
    assert "only a model that returns grey images has pixel values" in message_for(model, "input=x.npy", "values=v.csv")
    assert "such as values=submission.csv" in message_for(cleaner, "input=pages", "values=v.txt")


@pytest.mark.parametrize("key", ["output", "values"])
def test_a_bucket_is_refused(here, pages, capsys, key):
    cleaner = save_layers(here / "cleaner.pt", *ANY_SIZE)
    message = refused(capsys, f"model={cleaner}", "input=pages", f"{key}=s3://bucket/x.csv")
    assert f"{key}=s3://bucket/x.csv: expected a path on this machine" in message


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
        message = refused(capsys, f"model={model_file}", f"input={source}", f"output={output}")
        assert f"output={Path(output)}: is an input, and would be overwritten" in message


def test_a_runs_own_files_and_the_inputs_are_not_replaced_through_links(here, pages, images, capsys):
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
    for using, source, output, message in (
        (cleaner, "pages", run / "models", "models in "),
        (cleaner, "pages", "soft", "models in "),
        (cleaner, "pages", run / "checkpoints" / "a", "checkpoints in "),
        (cleaner, "x.npy", run / "models" / "a.npy", "models in "),
        (cleaner, "x.npy", "hard.npy", "is an input, and would be overwritten"),
        (model, "x.npy", run / "models" / "a.csv", "is the run's own file; choose another"),
        (model, "x.npy", "hard.csv", "journal.log, the run's own file"),
        (model, "test.csv", "same.csv", "is an input, and would be overwritten"),
    ):
        assert message in refused(capsys, f"model={using}", f"input={source}", f"output={output}")
    assert main([f"model={model}", "input=x.npy", f"output={run / 'labels.csv'}"]) == 0
