"""A run never writes through a link that was put into its folder."""

import os
from pathlib import Path

import pytest

from data.files import replacing
from results.own_files import OWN, is_kept
from search.prediction.record import RECORD, Outputs
from search.runs.folder import RunFolder

FILES = [
    *(".lock", "config.yaml", "task.py", "journal.log", "report.html", "samples.npz"),
    *("leaderboard.parquet", "curves.parquet", "finalists.parquet", "predictions.parquet", "ablation.parquet"),
    *("models/best.pt", "models/best.onnx", "checkpoints/0.ckpt", "checkpoints/0.answers"),
    *(
        "confirmation/.lock",
        "confirmation/journal.log",
        "confirmation/checkpoints/0.ckpt",
        "confirmation/answers/0.npz",
    ),
    *("retraining/.lock", "retraining/journal.log", "retraining/checkpoints/0.ckpt"),
]
FOLDERS = [
    "models",
    "checkpoints",
    "answers",
    "confirmation",
    "retraining",
    ".tune",
    "confirmation/.tune",
    "confirmation/answers",
]
"""All kinds of files that a run may write; test_run.py and test_confirm.py compare them with real runs."""


def check_known(folder: Path) -> None:
    """Checks that these tests cover every kind of file that a real run left."""
    left = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert {_kind(name) for name in left} <= {_kind(Path(name)) for name in FILES}


def _kind(name: Path) -> tuple[str, str]:
    return str(name.parent), name.suffix or name.name


def test_all_that_a_run_keeps_for_itself_is_tried():
    assert {name.split("/")[0] for name in [*FILES, *FOLDERS]} >= OWN


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Makes a user's folder with files, next to the run."""
    folder = tmp_path / "users"
    folder.mkdir()
    (folder / "thesis.txt").write_text("kept")
    (folder / ".half.part").write_text("kept too")
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", ["live", "dangling"])
@pytest.mark.parametrize("name", [*FILES, *FOLDERS])
def test_a_link_in_a_runs_folder_is_refused_in_words_and_nothing_is_written_through_it(
    tmp_path: Path, target: Path, name: str, kind: str
):
    folder = RunFolder(tmp_path / "runs" / "a")
    link = folder.path / name
    link.parent.mkdir(parents=True)
    places = {"live": target if name in FOLDERS else target / "thesis.txt", "dangling": target / "absent"}
    link.symlink_to(places[kind])
    before = contents(target)
    with pytest.raises(ValueError, match=f"{name}: is a link to {places[kind]}.*Remove it"), folder.locked():
        pytest.fail("it was opened")
    assert contents(target) == before
    assert link.is_symlink()


@pytest.mark.parametrize("name", ["runs", "runs/a"])
def test_a_run_or_the_folder_of_all_runs_may_itself_be_a_link(tmp_path: Path, name: str):
    (tmp_path / "elsewhere").mkdir()
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with RunFolder(tmp_path / "runs" / "a").locked():
        pass
    assert [*(tmp_path / "elsewhere").rglob(".lock")]


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / ".lock")
    with pytest.raises(ValueError, match=r"\.lock: is neither a file nor a folder"), RunFolder(tmp_path).locked():
        pass


def test_links_in_what_a_killed_ray_tune_has_left_are_removed_and_not_followed(tmp_path: Path, target: Path):
    (tmp_path / ".tune").mkdir()
    (tmp_path / ".tune" / "latest").symlink_to(target)
    with RunFolder(tmp_path).locked():
        assert not (tmp_path / ".tune").exists()
    assert (target / "thesis.txt").exists()


def test_a_lock_is_not_emptied(tmp_path: Path):
    """It may be a hard link to a user's file, which cannot be detected."""
    (tmp_path / "users.txt").write_text("kept")
    (tmp_path / "a").mkdir()
    os.link(tmp_path / "users.txt", tmp_path / "a" / ".lock")
    with RunFolder(tmp_path / "a").locked():
        pass
    assert (tmp_path / "users.txt").read_text() == "kept"


def test_what_is_put_in_place_takes_the_place_of_a_link(tmp_path: Path, target: Path):
    path = tmp_path / "report.html"
    path.symlink_to(target / "thesis.txt")
    with replacing(path) as file:
        file.write(b"a page")
    assert not path.is_symlink()
    assert contents(target)["thesis.txt"] == "kept"


def test_predictions_are_not_noted_through_a_link(tmp_path: Path, target: Path):
    (tmp_path / RECORD).symlink_to(target / "thesis.txt")
    path = tmp_path / "labels.csv"
    with pytest.raises(ValueError, match=f"{RECORD}: is a link"), Outputs().writing("output", path) as file:
        file.write(b"1")
    assert contents(target)["thesis.txt"] == "kept"
    assert not path.exists()


def test_images_are_not_put_into_a_folder_that_is_a_link(tmp_path: Path, target: Path):
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "a" / "b").symlink_to(target)
    with pytest.raises(ValueError, match="out/a/b is a link"):
        Outputs().check_folder(tmp_path / "out", ["x.png", "a/b/y.png"])


@pytest.mark.parametrize("name", ["/etc/cron.d/x", "models//x.pt", "../x", "models/../../x", ".lock", ""])
def test_a_buckets_file_that_would_lie_outside_of_the_run_is_none_of_it(name: str):
    assert not is_kept(name)
