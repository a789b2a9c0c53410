"""Earlier outputs are replaced; the user's own files are not, unless they are named."""

from pathlib import Path

import numpy as np
import pytest

from search.predict import main
from tests.search.prediction.toy_files import refused, store, write_digits
from tests.search.prediction.toy_models import ANY_SIZE, save_layers


def test_a_users_own_file_is_never_replaced_unless_it_is_named(here, model, pages, images, capsys):
    cleaner = save_layers(here / "cleaner.pt", *ANY_SIZE)
    np.save("x.npy", images)
    write_digits("test.csv", images)
    for source, using, output in (
        ("x.npy", model, "labels.csv"),
        ("test.csv", model, "submission.csv"),
        ("x.npy", cleaner, "cleaned.npy"),
    ):
        Path(output).write_text("a note")
        message = refused(capsys, f"model={using}", f"input={source}")
        assert f"{output} exists, and is not an unchanged earlier output of this command" in message
        assert f"output={output} replaces it" in message
        assert main([f"model={using}", f"input={source}", f"output={output}"]) == 0
        assert f": {output} (replaced an existing file)\n" in capsys.readouterr().out
        assert main([f"model={using}", f"input={source}"]) == 0  # its own by now
        assert f": {output} (replaced an earlier output)\n" in capsys.readouterr().out
        Path(output).write_bytes(Path(output).read_bytes() + b"and a note of mine")
        assert "is not an unchanged earlier output" in refused(capsys, f"model={using}", f"input={source}")
        Path(output).unlink()
        Path(output).symlink_to("nowhere")
        assert "exists, and is not" in refused(capsys, f"model={using}", f"input={source}")
        Path(output).unlink()


def test_a_copy_of_an_output_under_another_name_is_the_users_own(here, model, images, capsys):
    np.save("x.npy", images)
    write_digits("test.csv", images)
    assert main([f"model={model}", "input=x.npy"]) == 0
    Path("submission.csv").write_bytes(Path("labels.csv").read_bytes())
    assert "submission.csv exists, and is not" in refused(capsys, f"model={model}", "input=test.csv")


@pytest.mark.parametrize("arguments", [[], ["output=cleaned"]])
def test_in_a_folder_only_earlier_outputs_are_replaced(here, pages, capsys, arguments):
    cleaner = save_layers(here / "cleaner.pt", *ANY_SIZE)
    command = [f"model={cleaner}", "input=pages", *arguments]
    store("cleaned", pages["1"], "2.png")
    (here / "cleaned" / "notes.txt").write_text("a note")
    assert "would replace files that are not unchanged earlier outputs" in refused(capsys, *command)
    Path("cleaned/2.png").unlink()
    assert main(command) == 0
    capsys.readouterr()
    assert main(command) == 0
    assert capsys.readouterr().out == "3 images written: cleaned (3 replaced earlier outputs)\n"
    assert Path("cleaned/notes.txt").read_text() == "a note"
    store("cleaned", pages["1"], "3.png")
    assert "of this command: 3.png" in refused(capsys, *command)


def test_with_a_damaged_record_no_file_counts_as_an_output(here, model, images, capsys):
    np.save("x.npy", images)
    assert main([f"model={model}", "input=x.npy"]) == 0
    Path(".frugal-outputs").write_bytes(b"\xff\x00")
    assert "labels.csv exists, and is not" in refused(capsys, f"model={model}", "input=x.npy")
