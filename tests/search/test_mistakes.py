"""Bad input: one line says what was wrong, where, and what would be right."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import results
from search import predict, replay, run, tasks
from search.cluster.connection import Cluster
from search.command_line.signals import Stop
from search.planning.config import parse
from tests.search.unfinished import contents, cut_short, line, write

Main = Callable[[list[str]], int]
Spoil = Callable[[bytes], bytes | None]


@pytest.fixture
def message_of(capsys: pytest.CaptureFixture[str], nowhere: str) -> Callable[..., str]:
    """Returns a function that runs a command, checks for exit code 2, and returns the one-line message."""

    def say(main: Main, *arguments: str) -> str:
        assert main([*arguments, *([nowhere] if main is run.main else [])]) == 2
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err + printed.out
        assert printed.err.startswith(f"{main.__module__}: ")
        assert len(printed.err.splitlines()) == 1
        return printed.err

    return say


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ("run=a\0b", [r"run='a\x00b'", "a plain name, without slashes, control characters"]),
        ("run=" + "x" * 300, ["File name too long", "runs_dir= and run="]),
        ("run=\udcff", [r"run='\udcff': is not UTF-8"]),
        ("data=\udcff/x", [r"data='\udcff/x': is not UTF-8"]),
        ("fix.optimizer=\udcff", [r"fix.optimizer='\udcff': is not UTF-8"]),
        ("\udcff=3", [r"\udcff='3': is not UTF-8"]),
        ("run=file", ["{tmp}/file: cannot be the folder of a run: File exists", "runs_dir= and run="]),
        ("runs_dir={tmp}/file", ["{tmp}/file/a: cannot be the folder of a run: Not a directory"]),
        ("runs_dir={tmp}/file/deeper", ["{tmp}/file/deeper/a: cannot be the folder of a run: Not a directory"]),
        ("data=original data_dir={tmp}/file", ["{tmp}/file: expected a folder", "data_dir=FOLDER"]),
        (
            "data_dir=~nobody-of-this-name/x",
            ["data_dir=~nobody-of-this-name/x: the home folder of that user is unknown", "data_dir=FOLDER"],
        ),
        (
            "runs_dir=~nobody-of-this-name/x",
            ["runs_dir=~nobody-of-this-name/x: the home folder of that user is unknown", "runs_dir=FOLDER"],
        ),
        ("max_macs=50", ["max_macs=50", "100% of 1000 draws", "over max_macs"]),
        ("train_examples=9", ["train_examples=9", "1,257 training examples of 10 classes", "from 10 to 1,257"]),
        ("train_examples=1258", ["train_examples=1258", "from 10 to 1,257, or none for all"]),
        ("val_examples=9", ["val_examples=9", "270 validation examples of 10 classes", "from 10 to 270"]),
        ("val_examples=271", ["val_examples=271", "from 10 to 270, or none for all"]),
        ("reports_per_epoch=10", ["reports_per_epoch=10", "sklearn-digits has only 9 batches of 128 examples"]),
        ("gpus_per_trial=nan", ["gpus_per_trial=nan: expected a finite number"]),
        ("gpus_per_trial=1.5", ["gpus_per_trial=1.5: must be a fraction of one GPU, or a whole number"]),
        ("cpus_per_trial=0.00001", ["cpus_per_trial=1e-05: must be at least 0.0001"]),
    ],
)
def test_impossible_settings_are_refused_and_leave_no_folder(tmp_path, message_of, arguments: str, parts: list[str]):
    (tmp_path / "file").write_text("")
    words = arguments.replace("{tmp}", str(tmp_path)).split(" ")
    message = message_of(run.main, *line(tmp_path), *words)
    assert [part for part in parts if part.replace("{tmp}", str(tmp_path)) not in message] == [], message
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_runs_dir_without_permission_is_named(tmp_path, message_of):
    (tmp_path / "mine").mkdir(mode=0o500)
    assert "mine/a: cannot be the folder of a run: Permission denied" in message_of(run.main, *line(tmp_path / "mine"))


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return contents(cut_short(tmp_path_factory.mktemp("runs")))


@pytest.fixture(scope="module")
def of_optuna(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Returns the journal of a study with a trial that is not Frugal's."""
    path = tmp_path_factory.mktemp("optuna") / "journal.log"
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    optuna.create_study(storage=storage, study_name="other").add_trial(optuna.trial.create_trial(value=1.0))
    return path.read_bytes()


def without_line(number: int) -> Spoil:
    return lambda content: b"".join(content.splitlines(True)[: number - 1] + content.splitlines(True)[number:])


def flipped(content: bytes) -> bytes:
    return content[:500] + bytes([content[500] ^ 1]) + content[501:]


JOURNALS: dict[str, tuple[Spoil, list[str]]] = {
    "text": (lambda content: b"a shopping list\n", ["line 1 is damaged, or this is no journal", "'a shopping list'"]),
    "binary": (lambda content: bytes(range(128, 256)), ["line 1 is damaged, or this is no journal"]),
    "folder": (lambda content: None, ["cannot be read as the journal of a run: Is a directory"]),
    "line": (lambda content: content.replace(b'"worker_id"', b'"worker', 3), ["line 1 is damaged"]),
    "middle": (lambda content: content[:900] + b"\0" * 500 + content[1400:], ["is damaged", "Restore the file"]),
    "first": (without_line(1), ["damaged, its first record is missing", "Restore the file"]),
    "header": (without_line(2), ["not of a run of Frugal", "give another run="]),
    "start": (without_line(6), ["damaged", "are inconsistent", "trial 1 belongs to another run"]),
    "report": (without_line(5), ["damaged", "are inconsistent", "reports are missing"]),
    "format": (
        lambda content: content.replace(b'"format":2', b'"format":99'),
        ["written in format 99; this version of Frugal reads format 2", "config.yaml names the commit"],
    ),
}


def refusal(message_of, tmp_path: Path, files: dict[str, bytes], name: str, content: bytes | None) -> str:
    """Returns the message for a run with one file replaced, and checks that the run is unchanged."""
    folder = tmp_path / "a"
    others = {path: good for path, good in files.items() if path != name}
    spoilt = others | ({f"{name}/file": b""} if content is None else {name: content})
    write(folder, spoilt)
    message = message_of(run.main, *line(tmp_path))
    assert str(folder / name) in message
    assert contents(folder) == spoilt
    return message


@pytest.mark.parametrize("damage", JOURNALS)
def test_a_damaged_journal_is_named_and_left_as_it_is(tmp_path, message_of, unfinished, damage: str):
    change, parts = JOURNALS[damage]
    message = refusal(message_of, tmp_path, unfinished, "journal.log", change(unfinished["journal.log"]))
    assert [part for part in parts if part not in message] == [], message


@pytest.mark.parametrize("with_ours", [False, True])
def test_a_journal_of_another_study_is_left_alone(tmp_path, message_of, unfinished, of_optuna, with_ours: bool):
    content = unfinished["journal.log"] * with_ours + of_optuna
    message = refusal(message_of, tmp_path, unfinished, "journal.log", content)
    assert "a journal of Optuna, but not of a run of Frugal; give another run=" in message


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"task: [tiny10k\nseed: {", "expected ',' or ']'"),
        (b"- tiny10k\n- 3\n", "it names no task"),
        (b"a shopping list", "it names no task"),
        (b"", "it names no task"),
        (bytes(range(128, 256)), "or damaged: invalid "),
        (b"task: tiny10k\nnum_trials: many", "num_trials=many: expected a whole number"),
        (b"task: tiny10k\nsampler: [tpe]", "sampler=['tpe']: expected one of [tpe, random"),
        (b"task: tiny10k\nfix: [adam]", "fix=['adam']: expected names with values"),
        (None, "cannot be read: Is a directory"),
    ],
)
def test_a_damaged_configuration_is_named_with_the_way_out(tmp_path, message_of, unfinished, content, part: str):
    message = refusal(message_of, tmp_path, unfinished, "config.yaml", content)
    assert part in message
    assert (
        "runs_dir= and run=" in message
        if content is None
        else "Remove it, and give the run's original settings" in message
    )


@pytest.mark.parametrize(
    "change", [lambda content: b"garbage", lambda content: b"", lambda content: content[:-1], flipped, lambda _: None]
)
def test_a_damaged_checkpoint_is_named_before_anything_starts(tmp_path, message_of, unfinished, change: Spoil):
    name = "checkpoints/2.ckpt"
    message = refusal(message_of, tmp_path, unfinished, name, change(unfinished[name]))
    assert "remove it, and trial 2 restarts from its first epoch" in message


def test_without_its_configuration_or_a_checkpoint_a_run_goes_on(tmp_path, message_of, unfinished):
    for name in ("config.yaml", "checkpoints/2.ckpt"):
        write(tmp_path / "a", unfinished)
        (tmp_path / "a" / name).unlink()
        assert "no Ray cluster answers there" in message_of(run.main, *line(tmp_path, "max_epochs=3"))


def of_torch(path: Path, content: object) -> bytes:
    torch.save(content, path)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["garbage", "zip", "tensor"])
def test_a_file_that_is_no_model_is_named(tmp_path, message_of, kind: str):
    path = tmp_path / "model.pt"
    saved = of_torch(path, {"weights": torch.zeros(3)})
    path.write_bytes({"garbage": b"garbage", "zip": b"PK\3\4" + bytes(60), "tensor": saved}[kind])
    message = message_of(predict.main, f"model={path}", f"input={tmp_path}", f"output={tmp_path}/labels.csv")
    assert f"{path}: not a model that Frugal saved" in message
    assert not (tmp_path / "labels.csv").exists()


@pytest.mark.parametrize("kind", ["garbage", "truncated", "empty", "foreign"])
def test_a_damaged_or_foreign_table_is_named(tmp_path, kind: str):
    path = tmp_path / "leaderboard.parquet"
    pq.write_table(pa.table({"price": [1.0]}), path)
    good = path.read_bytes()
    path.write_bytes({"garbage": b"garbage" * 9, "truncated": good[:-9], "empty": b"", "foreign": good}[kind])
    expected = "holds no version" if kind == "foreign" else "is not a Parquet file, or damaged"
    with pytest.raises(ValueError, match=expected) as error:
        results.load(root=tmp_path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ("trial=0", ["run= and trial= are needed", "run=NAME trial=N"]),
        ("run=b trial=0", ["run=b: there is no such run", "it has a.", "runs_dir="]),
        ("run=" + "x" * 300 + " trial=0", ["there is no such run"]),
        ("run=a trial=3", ["trial=3", "the run a has trials 0 to 2"]),
        ("run=a trial=-1", ["trial=-1", "the run a has trials 0 to 2"]),
        ("run=a trial=first", ["trial=first: expected a whole number"]),
    ],
)
def test_a_replay_of_a_missing_trial_is_refused_with_those_that_exist(
    tmp_path, message_of, unfinished, arguments: str, parts: list[str]
):
    write(tmp_path / "a", unfinished)
    message = message_of(replay.main, f"runs_dir={tmp_path}", *arguments.split(" "))
    assert [part for part in parts if part not in message] == [], message


def test_what_is_refused_only_when_ray_is_asked_leaves_no_folder_either(tmp_path, message_of):
    assert "no Ray cluster answers there" in message_of(run.main, *line(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(parse(["address=local"])) as cluster:
        yield cluster


@pytest.mark.ray
@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("cpus_per_trial=9999", r"cpus_per_trial=9999 .*: no node has room for a trial; there are [0-9]+ CPUs?, "),
        ("gpus_per_trial=9999", r"gpus_per_trial=9999: no node has room for a trial; there are .* [0-9]+ GPUs"),
        ("concurrency=9999", r"concurrency=9999: the cluster has [0-9]+ slots?, each of 1 CPU"),
    ],
)
def test_more_than_the_cluster_has_is_refused_with_what_it_has(cluster: Cluster, argument: str, message: str):
    asked = Cluster(parse([argument]))
    with pytest.raises(ValueError, match=message):
        asked.slots(tasks.find("tiny10k"), print, Stop())
