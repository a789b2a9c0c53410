"""Variants of a base: the trainings, the table, and the refusals."""

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

import results
from data.made.digits import load_made
from results.schema import Status
from search import tasks
from search.ablate import main, parse
from search.command_line.terminal import Terminal
from search.planning.config import parse as parse_run
from search.planning.known_candidates import Base, find_base
from search.planning.plan import Plan
from search.retraining import retrain
from search.retraining.ablation import Ablation
from search.retraining.ablation_table import print_ablation
from search.session.study import open_study
from tests.search import toy
from tests.search.command import run_command
from tests.search.unfinished import cut_short, line

BERTOLDI = tasks.find("tiny10k").references["bertoldi"].candidate
LINE = ("base=bertoldi", "vary=[dropout,widths]", "values.dropout=[0,0.1]", "values.widths=[[4,8]]")


def planned(runs_dir: Path, values: dict[str, list[Any]], base: Base | None = None, seeds: int = 2) -> Ablation:
    config = parse(["run=b", f"runs_dir={runs_dir}", "data=made", "max_epochs=2", *LINE]).run
    return Ablation.of(Plan.of(config), base or Base("bertoldi", BERTOLDI, {}), values, seeds)


def test_around_a_run_s_trial_task_data_and_noise_are_the_run_s_unless_they_are_typed(tmp_path):
    (tmp_path / "noisy").mkdir()
    (tmp_path / "noisy" / "config.yaml").write_text(
        "task: denoiser\ndata: made\ndata_dir: files\nsigma: 0.3\nseed: 9\n"
    )

    def asked(*arguments: str) -> tuple:
        config = parse([f"runs_dir={tmp_path}", "vary=dropout", *arguments]).run
        return config.task, config.data, Path(config.data_dir).name, config.sigma, config.seed

    assert asked("base=noisy/3") == asked("base=noisy", "run=new") == ("denoiser", "made", "files", 0.3, 0)
    assert asked("base=noisy", "sigma=0.5", "data=original")[1:4:2] == ("original", 0.5)
    assert asked("base=bertoldi")[0] == "tiny10k"
    (tmp_path / "noisy" / "config.yaml").write_text("- no names\n")
    with pytest.raises(ValueError, match=r"noisy/config\.yaml: not the configuration of a run, or damaged"):
        asked("base=noisy")


def test_each_candidate_is_trained_once_with_each_seed_the_base_among_them(tmp_path):
    ablation = planned(tmp_path, {"dropout": [0.0, 0.1], "pooling": ["average"], "widths": [[8, 16]]})
    given = ablation.job(load_made()).given
    names = ["bertoldi", "dropout=0", "pooling=average"]
    assert list(given) == [f"{name}, seed {seed}" for seed in range(2) for name in names]
    assert given["bertoldi, seed 0"].candidate == BERTOLDI
    assert len({one.seed for one in given.values()}) == 2
    assert given["bertoldi, seed 1"].seed == given["dropout=0, seed 1"].seed
    assert [(v.parameter, v.value_text) for v in ablation.variants if v.is_base] == [
        ("dropout", "0.1"),
        ("pooling", None),
        ("widths", "[8,16]"),
    ]


def test_the_table_has_a_row_for_each_value_and_seed_of_what_was_trained(tmp_path, capsys):
    ablation = planned(tmp_path, {"dropout": [0.0, 0.1], "pooling": ["average"]})
    splits = load_made()
    with ablation.plan.folder.locked():
        study = ablation.open_study(ablation.plan, splits)
        for name, one in ablation.job(splits).given.items():
            number = study.add_reference(name, one.candidate, one.seed).number
            score = 0.9 + 0.01 * name.startswith("dropout") + 0.001 * name.endswith("1")
            study.report(number, toy.report(1, 0.1))
            study.report(number, toy.report(2, score, finished=True))
        ablation.write_table(study, splits)
    table = results.load("tiny10k", tmp_path, table="ablation")
    means = table.groupby(["parameter", "value", "is_base"], dropna=False)["score"].mean()
    assert means["dropout", "0", False] == pytest.approx(0.9105)
    assert means["dropout", "0.1", True] == pytest.approx(0.9005)
    assert means["pooling", "average", False] == pytest.approx(0.9005)
    assert table[table["value"].isna()]["parameter"].unique().tolist() == ["pooling"]
    assert table[table["is_base"]].groupby("seed")["trial"].nunique().tolist() == [1, 1]
    assert set(table["dataset_origin"]) == {"made"}
    text = io.StringIO()
    session = SimpleNamespace(study=study, splits=splits)
    print_ablation(Terminal(text), ablation, session)  # type: ignore[arg-type]
    shown = text.getvalue()
    assert "+0.01 (+0.01 to +0.01), apart" in shown
    assert "pooling: validation accuracy, mean over seeds" in shown


def test_a_training_that_the_machine_failed_is_trained_again_and_makes_up_the_seeds_of_the_table(tmp_path):
    ablation, splits = planned(tmp_path, {"dropout": [0.0, 0.1]}), load_made()
    given = ablation.job(splits).given
    with ablation.plan.folder.locked():
        study = ablation.open_study(ablation.plan, splits)
        for name, one in given.items():
            number = study.add_reference(name, one.candidate, one.seed).number
            if name == "dropout=0, seed 1":
                study.end(number, Status.FAILED, error="its worker died")
            else:
                study.report(number, toy.report(1, 0.9, finished=True))
        assert retrain.failures(study) == ["dropout=0, seed 1: FAILED, its worker died"]
        assert "1 training may have failed" in retrain.describe_retryable(study, given, "COMMAND")
        study = ablation.open_study(ablation.plan, splits)
        [failed] = study.to_repeat(given.keys())
        number = study.repeat(failed).number
        study.report(number, toy.report(1, 0.8, finished=True))
        assert study.trials[number].seed == given["dropout=0, seed 1"].seed
        assert retrain.failures(study) == []
        assert retrain.describe_retryable(study, given, "COMMAND") == ""
        rows = [row for row in ablation.rows(study, splits) if row["value"] == "0"]
    assert [(row["seed"], row["trial"]) for row in rows] == [(0, 1), (1, number)]


def test_a_trial_s_own_parameters_are_varied_in_its_space(tmp_path):
    cut_short(tmp_path)
    base = find_base("a/0", tasks.find("tiny10k"), "random", str(tmp_path))
    assert base.name == "a/0"
    other = 2 if base.params["stages"] == 3 else 3
    ablation = planned(tmp_path, {"activation": ["relu", "silu", "gelu", "leaky_relu"]}, base)
    assert len(ablation.variants) == 4  # one of them is the base
    assert sum(each.is_base for each in ablation.variants) == 1
    if other == 3:
        with pytest.raises(ValueError, match="stages=3: needs convs_3 too, which a/0 does not have"):
            planned(tmp_path, {"stages": [3]}, base)
    with pytest.raises(ValueError, match=r"dropout=0\.95: outside the space, which has 0 to 0\.9"):
        planned(tmp_path, {"dropout": [0.95]}, base)
    assert planned(tmp_path, {"zoom": [0.05]}, replace(base, params={})).variants[1].candidate != base.candidate


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["vary=dropout", "values=[0]"], "base= and vary= are needed"),
        (["base=bertoldi"], "base= and vary= are needed"),
        (["base=bertoldi", "vary=dropout"], "values= is needed: which values of dropout, as values=[a,b,c]"),
        (["base=bertoldi", "vary=dropout", "values=0.1"], "expected a list of values of dropout"),
        (["base=bertoldi", "vary=[dropout,pooling]", "values=[0]"], "each has its own: values.dropout=[a,b]"),
        (
            ["base=bertoldi", "vary=dropout", "values.pool=[0]"],
            "values.pool: not one of the varied parameters",
        ),
        (["base=bertoldi", "vary=stages", "values=[3]"], "stages: not a choice that can be varied here"),
        (["base=bertoldi", "vary=pooling", "values=[max,strided]"], "pooling=strided: expected one of max, average"),
        (["base=bertoldi", "vary=kernel", "values=[29]", "seeds=0"], "seeds=0: must be above 0"),
        (["base=nobody", "vary=dropout", "values=[0]"], "base=nobody: neither a published network of task=tiny10k"),
        (["base=bertoldi", "vary=dropout", "values=[0]", "num_trials=4"], "num_trials: there is no such key here"),
        (["base=a/7", "vary=dropout", "values=[0]"], "base=a/7: the run has trials 0 to 2"),
        (["base=a", "vary=dropout", "values=[0]"], "no candidate of this run was trained to its end"),
        (["base=a", "task=digits", "vary=dropout", "values=[0]"], "a run of task=tiny10k, not of task=digits"),
        (["run=a", "base=bertoldi", "vary=dropout", "values=[0]"], "the run of that name is not an ablation"),
    ],
)
def test_a_mistake_is_one_paragraph(tmp_path, capsys, arguments: list[str], message: str):
    cut_short(tmp_path)
    assert main([f"runs_dir={tmp_path}", "data=made", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_of_keys_is_what_its_keys_are_when_they_are_typed(tmp_path):
    (file := tmp_path / "keys.yaml").write_text(
        "base: bertoldi\nvary: [dropout, widths]\nvalues:\n  dropout: [0, 0.1]\n  widths: [[4, 8]]\n"
        "seeds: 2\nmax_epochs: 1\nreport: false\ndata_dir: null\n"
    )
    where = ("run=a", f"runs_dir={tmp_path}")
    assert parse([f"config={file}", *where]) == parse([*where, *LINE, "seeds=2", "max_epochs=1", "report=false"])
    typed = parse(["seeds=4", f"config={file}", "max_epochs=3", *where])
    assert (typed.keys.seeds, typed.run.max_epochs) == (4, 3)
    file.write_text("num_trials: 4")
    with pytest.raises(ValueError, match="num_trials: there is no such key here"):
        parse([f"config={file}", *where])


def test_help_names_its_keys_and_those_of_a_search_that_it_takes(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name in ("base", "vary", "values", "seeds", "max_epochs", "data_dir", "run ", "config "):
        assert f"\n  {name}" in shown
    assert "num_trials" not in shown


@pytest.mark.ray
@pytest.mark.tasks
def test_it_trains_what_is_asked_and_goes_on_with_more_seeds_by_its_name_alone(tmp_path, cluster):
    where = ("run=a", f"runs_dir={tmp_path}", "data=made", cluster)
    code, output = run_command("search.ablate", *where, *LINE, "seeds=1", "max_epochs=1", "train_examples=300")
    assert code == 0, output
    first = results.load("tiny10k", tmp_path, table="ablation")
    assert first[["parameter", "value", "seed"]].to_numpy(na_value="-").tolist() == [
        ["dropout", "0", 0],
        ["dropout", "0.1", 0],
        ["widths", "-", 0],
        ["widths", "[4,8]", 0],
    ]
    assert "widths: validation accuracy, mean over seeds" in output
    code, output = run_command("search.ablate", "run=a", f"runs_dir={tmp_path}", cluster, "seeds=2")
    assert code == 0, output
    both = results.load("tiny10k", tmp_path, table="ablation")
    pd.testing.assert_frame_equal(both[both["seed"] == 0].reset_index(drop=True), first)
    assert len(both) == 8
    assert "bertoldi, one choice varied at a time" in (tmp_path / "a" / "report.html").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="holds an ablation; name another run"):
        open_study(Plan.of(parse_run(line(tmp_path, "max_epochs=1", "train_examples=300"))), load_made())
