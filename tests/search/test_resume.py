"""A run resumes with its original settings: what is kept, what is refused, and what a killed process leaves."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data.made.digits import load_made
from results.keys import entries_of
from search import run as search
from search.planning.config import parse
from search.planning.keys import RunKeys, to_dict
from search.planning.plan import Plan
from search.planning.resume import SESSION_KEYS, resume_command
from search.runs.folder import RunFolder
from search.session.study import open_study as open_run
from search.study.journal_file import cut_torn_line
from search.study.pruning.asha import Asha
from tests.search.command import ROOT
from tests.search.toy import open_study, picture, run
from tests.search.unfinished import contents, cut_short, line, write

ASKED = {
    "task": "denoiser",
    "scale": "full",
    "num_trials": "7",
    "max_params": "5000",
    "max_macs": "1000000",
    "max_code": "900",
    "max_epochs": "3",
    "seed": "4",
    "concurrency": "1",
    "cpus_per_trial": "0.5",
    "gpus_per_trial": "0",
    "grace_epochs": "2",
    "reduction_factor": "4",
    "reports_per_epoch": "2",
    "sampler": "random",
    "pruner": "none",
    "confirm.top_k": "1",
    "confirm.seeds": "5",
    "references": "false",
    "report": "false",
    "export": "onnx",
    "warm_start": "earlier",
    "fix.optimizer": "adam",
    "data": "made",
    "data_dir": "somewhere",
    "train_examples": "500",
    "val_examples": "200",
    "sigma": "0.3",
    "weights": "random",
    "max_failures": "0",
    "record_steps": "false",
}


NAMES = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=20)


class TestOriginalSettings:
    def test_every_key_but_those_of_one_session_is_as_it_was(self, tmp_path):
        assert {*ASKED, *SESSION_KEYS, "fix"} == {*entries_of(RunKeys), "fix.optimizer"}
        asked = [f"{name}={value}" for name, value in ASKED.items()]
        of_one_session = ["time_budget_seconds=9", "address=elsewhere", "dry_run=true"]
        began = parse(line(tmp_path, *asked))
        cut_short(tmp_path, *asked, *of_one_session)
        assert to_dict(parse(line(tmp_path))) == {**to_dict(began), "data_dir": str(Path("somewhere").absolute())}

    def test_the_command_line_wins(self, tmp_path):
        cut_short(tmp_path, "num_trials=7", "seed=4", "fix.optimizer=adam")
        again = parse(line(tmp_path, "num_trials=9", "fix.stages=3"))
        assert (again.num_trials, again.seed, again.fix) == (9, 4, {"optimizer": "adam", "stages": 3})

    @given(NAMES, NAMES)
    @example("my run", "some where/else")
    @example("1_0", "0x1F")
    @example("yes", "null")
    @example("a: b", "it's #1, [one]")
    @example("~", "\\")
    def test_the_command_to_go_on_names_the_same_run(self, run: str, runs_dir: str):
        try:
            config = parse([f"run={run}", f"runs_dir={runs_dir}"])
        except ValueError:
            return  # not a valid name of a run
        words = shlex.split(resume_command(config))
        assert words[1:3] == ["-m", "search.run"]
        again = parse(words[3:])
        assert (again.run, again.runs_dir, again.task) == (config.run, config.runs_dir, config.task)


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return contents(cut_short(tmp_path_factory.mktemp("runs"), "fix.optimizer=adam"))


class TestRefusals:
    @pytest.mark.parametrize(
        ("argument", "changes"),
        [
            ("max_params=9000", ["max_params was 9999, is now 9000"]),
            ("max_macs=2000000", ["max_macs was 3000000, is now 2000000"]),
            ("max_epochs=5", ["max_epochs was 3, is now 5"]),
            ("fix.optimizer=sgd", ["fix.optimizer was adam, is now sgd", "space.optimizer was adam, is now sgd"]),
            ("fix.stages=2", ["fix.stages was None, is now 2", "space.stages was 2 to 3, is now 2"]),
            ("train_examples=500", ["train_examples was None, is now 500", "dataset_fingerprint was 31f8f7071e3efd3e"]),
            ("seed=1", ["seed was 0, is now 1"]),
            ("sampler=random", ["sampler was tpe, is now random"]),
            ("pruner=none", ["pruner was asha, is now none"]),
            ("grace_epochs=2", ["grace_epochs was 1, is now 2"]),
            ("reduction_factor=4", ["reduction_factor was 3, is now 4"]),
            ("reports_per_epoch=2", ["reports_per_epoch was 1, is now 2"]),
        ],
    )
    def test_another_value_on_the_command_line(self, tmp_path, unfinished, nowhere, capsys, argument, changes):
        error = self.refusal(tmp_path, unfinished, nowhere, capsys, argument)
        assert [change for change in changes if change not in error] == []
        assert error.count(" was ") == len(changes), "what is as it was is not shown"

    @pytest.mark.parametrize(
        ("then", "now", "change"),
        [
            ('"task":"tiny10k"', '"task":"digits"', "task was digits, is now tiny10k"),
            ("maximize validation", "minimize test", "objective was minimize test accuracy, is now maximize"),
            (
                '"dataset_fingerprint":"31f8',
                '"dataset_fingerprint":"42a9',
                "give their folder with data_dir= or data=",
            ),
            ('"seed":0,', "", "seed was None, is now 0"),
            ('"stages":"2 to 3"', '"stages":"2 to 5"', "space.stages was 2 to 5, is now 2 to 3"),
            ('"stages":"2 to 3"', '"depth":"2 to 3"', "space.stages was None, is now 2 to 3"),
        ],
    )
    def test_another_task_dataset_or_version_of_the_code(
        self, tmp_path, unfinished, nowhere, capsys, then, now, change
    ):
        journal = unfinished["journal.log"].replace(then.encode(), now.encode(), 1)
        assert journal != unfinished["journal.log"]
        assert change in self.refusal(tmp_path, unfinished | {"journal.log": journal}, nowhere, capsys)

    def refusal(self, tmp_path: Path, files: dict[str, bytes], nowhere: str, capsys, *arguments: str) -> str:
        write(tmp_path / "a", files)
        assert search.main(line(tmp_path, nowhere, *arguments)) == 2
        error = capsys.readouterr().err
        assert error.startswith(
            f"search.run: {tmp_path / 'a'}: a run keeps its original settings, or its rows would not"
        )
        assert contents(tmp_path / "a") == files
        return error

    def test_a_run_from_before_there_was_a_choice_of_pruners_resumes_with_asha(self, tmp_path, unfinished):
        files = {name: content.replace(b'"pruner":"asha",', b"") for name, content in unfinished.items()}
        files["config.yaml"] = files["config.yaml"].replace(b"pruner: asha\n", b"")
        assert all(b"pruner" not in content for content in files.values())
        write(tmp_path / "a", files)
        plan = Plan.of(parse(line(tmp_path)))
        with plan.folder.locked():
            study = open_run(plan, load_made())
        assert isinstance(study.pruner, Asha)
        assert study.pruner.rungs[1] == [0.5, 0.6, 0.7]

    def test_what_does_not_change_rows_may_change(self, tmp_path, unfinished, nowhere, capsys):
        write(tmp_path / "a", unfinished)
        may = ["num_trials=9", "concurrency=1", "cpus_per_trial=0.5", "max_failures=0", "references=false"]
        assert search.main(line(tmp_path, nowhere, *may)) == 2
        assert "no Ray cluster answers there" in capsys.readouterr().err


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "journal.log"
    run(open_study(path), 3, last=4)
    return path.read_bytes()


class TestATornJournal:
    def test_cut_at_any_byte_of_its_last_records_the_whole_ones_are_kept(self, tmp_path, whole):
        path = tmp_path / "journal.log"
        for kept in range(len(b"".join(whole.splitlines(keepends=True)[:-10])), len(whole) + 1):
            path.write_bytes(whole[:kept])
            cut_torn_line(path)
            assert path.read_bytes() == whole[: whole[:kept].rfind(b"\n") + 1], f"after {kept} bytes"

    @pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
    def test_cut_in_any_record_and_gone_on_with_it_is_the_same_study(self, tmp_path, whole, share):
        (tmp_path / "whole.log").write_bytes(whole)
        expected = picture(open_study(tmp_path / "whole.log"))
        lines = whole.splitlines(keepends=True)
        for kept, torn in enumerate([*lines, b""]):
            path = tmp_path / f"{kept}.log"
            path.write_bytes(b"".join(lines[:kept]) + torn[: int(share * len(torn))])
            study = open_study(path)
            run(study, 3 - len(study.trials), last=4)
            assert picture(study) == expected, f"after {kept} lines"

    @pytest.mark.parametrize("left", [b"\0" * 4096, b'{"op_code":5,"worker' + b"\0" * 100])
    def test_zeros_that_a_crashed_system_leaves_at_its_end_are_cut_off(self, tmp_path, whole, left):
        path = tmp_path / "journal.log"
        path.write_bytes(whole + left)
        study = open_study(path)
        assert path.read_bytes() == whole
        run(study, 1)
        assert len(open_study(path).trials) == 4


class TestTheFolder:
    def test_what_killed_processes_were_writing_is_removed(self, tmp_path):
        kept = ["config.yaml", "checkpoints/3.ckpt", "models/best.pt", ".hidden"]
        left = [
            ".config.yaml.1f.part",
            ".leaderboard.parquet.1f.part",
            "checkpoints/.3.ckpt.1f.part",
            "models/.m.2.part",
        ]
        write(tmp_path, dict.fromkeys([*kept, *left], b"content"))
        with RunFolder(tmp_path).locked():
            assert contents(tmp_path) == dict.fromkeys(kept, b"content")

    def test_it_is_held_by_a_living_process_and_free_when_that_is_killed(self, tmp_path):
        program = (
            "import pathlib, sys, time; from search.runs.folder import RunFolder\n"
            "with RunFolder(pathlib.Path(sys.argv[1])).locked():\n"
            "    print('held', flush=True); sys.stdin.read()"
        )
        command = [sys.executable, "-c", program, str(tmp_path / "a")]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as holder:  # type: ignore[call-overload]
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(ValueError, match="run=a: another process is running it"), self.locked(tmp_path):
                pass
            holder.kill()
        with self.locked(tmp_path):
            pass

    def locked(self, runs_dir: Path):
        return RunFolder(runs_dir / "a").locked()

    def test_a_folder_that_was_made_goes_again_after_a_mistake_and_one_that_was_there_does_not(self, tmp_path):
        (tmp_path / "old").mkdir()
        for name in ("new", "old"):
            with pytest.raises(ValueError, match="a mistake"), RunFolder(tmp_path / name).locked():
                raise ValueError("a mistake")
        assert [path.name for path in tmp_path.iterdir()] == ["old"]
