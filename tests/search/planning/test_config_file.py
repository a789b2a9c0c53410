"""config=FILE: keys from a YAML file, below what is typed and above an earlier session's values and the defaults."""

from pathlib import Path

import pytest

from search.planning.config import from_values, parse
from search.planning.keys import help_text
from search.run import main
from tests.search.unfinished import cut_short

FILE = "num_trials: 8\nseed: 3\nconfirm:\n  top_k: 1\nfix:\n  optimizer: adam\n  learning_rate: 1e-3\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (path := tmp_path / "keys.yaml").write_text(FILE)
    return path


def test_a_file_is_what_its_keys_are_when_they_are_typed(file: Path):
    typed = ["num_trials=8", "seed=3", "confirm.top_k=1", "fix.optimizer=adam", "fix.learning_rate=1e-3", "run=a"]
    assert parse([f"config={file}", "run=a"]) == parse(typed)
    assert from_values(config=str(file), run="a") == parse(typed)


def test_what_is_typed_wins_over_the_file_wherever_it_is_typed(file: Path):
    for arguments in (["seed=4", f"config={file}"], [f"config={file}", "seed=4"]):
        config = parse([*arguments, "fix.optimizer=adamw"])
        assert (config.seed, config.num_trials, config.fix["optimizer"]) == (4, 8, "adamw")
    assert from_values(config=str(file), seed=4).seed == 4


def test_the_file_wins_over_an_earlier_session_of_the_run(tmp_path: Path, file: Path):
    cut_short(tmp_path / "runs", "num_trials=7", "max_failures=1")
    config = parse([f"config={file}", "run=a", f"runs_dir={tmp_path / 'runs'}"])
    assert (config.num_trials, config.max_failures) == (8, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("num_trals: 3", r"num_trals: there is no such key \(did you mean num_trials\?\)"),
        ("num_trials: many", "num_trials=many: expected a whole number"),
        ("num_trials: 0", "num_trials=0: must be above 0"),
        ("num_trials: [3]", "expected a whole number"),
        ("data: 3", "data=3: expected text"),
        ("confirm: 3", "confirm=3: expected names with values"),
        ("confirm:\n  topk: 3", "confirm.topk: there is no such key"),
        ("fix:\n  stages:\n    x: 3", "fix.stages: expected a number, text"),
        ("seed: 1\nseed: 2", "seed is there twice"),
        ("seed: &a 1\nmax_epochs: *a", "references such as"),
        ("- seed", "expected keys with values"),
        ("seed: [", "line 1: not YAML"),
        ("config: other.yaml", "config: there is no such key"),
        ("", "expected keys with values"),
    ],
)
def test_a_mistake_in_a_file_is_reported_with_its_name(tmp_path: Path, text: str, message: str, capsys):
    (path := tmp_path / "keys.yaml").write_text(text)
    with pytest.raises(ValueError, match=message) as refused:
        parse([f"config={path}"])
    assert str(refused.value).startswith(f"config={path}: ")
    assert main([f"config={path}"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_file_that_is_not_there_or_is_none_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="there is no such file"):
        parse([f"config={tmp_path}/nothing.yaml"])
    with pytest.raises(ValueError, match="is not a file"):
        parse([f"config={tmp_path}"])


def test_help_names_the_key():
    assert "\n  config " in help_text()
