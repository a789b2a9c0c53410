"""Text keys keep their text to the letter, in every command and when a file is read back."""

import shlex
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.keys import entries_of, parse_into, read_fields
from results.shell import argument_of, command_line
from search.doctor import DoctorKeys
from search.planning.config import expand_home, new_name, parse
from search.planning.keys import RunKeys, to_dict
from search.planning.resume import earlier
from search.predict import PredictConfig
from search.report import ReportConfig
from search.report import parse as parse_report
from search.retraining.ablate_config import AblateKeys
from search.retraining.ablate_config import parse as parse_ablate
from search.retraining.confirm_config import ConfirmConfig
from search.retraining.replaying import ReplayConfig
from search.runs.folder import RunFolder

SCHEMAS = (RunKeys, ConfirmConfig, ReplayConfig, AblateKeys, DoctorKeys, PredictConfig, ReportConfig)
TEXT_KEYS = [
    (schema, name)
    for schema in SCHEMAS
    for name, entry in entries_of(schema).items()
    if entry.kind.type is str and entry.choices is None
]
OTHER_THAN_TEXT = (
    *("2024_01_05", "2024-01-05", "007", "1e3", "12:30", "0x1f", "1_000", ".5", "nan", "inf", "3.0"),
    *("off", "no", "Yes", "true", "null", "none", "~", "shots #2", "# all", "a: b", "a:", "- a", "[x", "x]", "{a: 1}"),
    *("${x}", "${oc.env:HOME}", "$HOME", "\\${x}", "a=b", "=", "<<", "&a", "*a", "!!int 3", "%", "@", "`", "|", ">"),
    *(" a ", "'a'", '"a"', "it's", 'a"b', "a\\nb", "a, b", "grün", "\u4e2d", "\U0001f600", "<b>", "[red]", "é"),
)
TEXTS = st.one_of(st.sampled_from(OTHER_THAN_TEXT), st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))


def is_list(text: str) -> bool:
    return text.startswith("[") and text.endswith("]")


@pytest.mark.parametrize(("schema", "name"), TEXT_KEYS)
@given(text=TEXTS)
def test_a_text_key_takes_what_a_printed_command_names(schema: type[Any], name: str, text: str):
    if is_list(text) and entries_of(schema)[name].kind.takes_list:
        return
    printed = command_line("search.run", argument_of(name, text))
    *_, argument = shlex.split(printed)
    assert getattr(parse_into(schema, [argument], ""), name) == text


@pytest.mark.parametrize(("schema", "name"), TEXT_KEYS)
def test_nothing_typed_frees_an_optional_text_key_and_is_refused_for_others(schema: type[Any], name: str):
    if entries_of(schema)[name].kind.is_optional:
        begun = parse_into(schema, [f"{name}=a"], "")
        assert getattr(parse_into(begun, [f"{name}="], ""), name) is None
    else:
        with pytest.raises(ValueError, match=f"{name}=: expected text, but the value is empty"):
            parse_into(schema, [f"{name}="], "")


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("[007,12:30]", ["007", "12:30"]),
        ("[ a , null,2024_01_05 ]", ["a", "null", "2024_01_05"]),
        ('[\'a, b\',"c""d",it\'s,#1]', ["a, b", 'c"d', "it's", "#1"]),
        ('["[x]"]', ["[x]"]),
        ("[a: b,{c},${d}]", ["a: b", "{c}", "${d}"]),
        ("[a", ["[a"]),
    ],
)
def test_the_items_of_a_list_of_names_are_text_too(typed: str, names: list[str]):
    assert parse_report([f"run={typed}"]).run == names


@given(st.lists(TEXTS, min_size=1))
def test_any_names_can_be_listed_in_quotes(names: list[str]):
    quoted = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    assert parse_into(PredictConfig, [f"model=[{quoted}]"], "").model == names


@pytest.mark.parametrize("typed", ["[a,,b]", "[,]", "[a,]"])
def test_a_list_with_nothing_beside_a_comma_is_refused(typed: str):
    with pytest.raises(ValueError, match="expected a list as"):
        parse_report([f"run={typed}"])


def test_lists_and_values_come_back_from_the_configuration_of_an_ablation():
    asked = AblateKeys(base="a/1", vary=["dropout", "off"], values={"dropout": [0, 0.5], "off": ["007"]}, seeds=2)
    assert read_fields(AblateKeys, asdict(asked)) == asked
    assert read_fields(AblateKeys, {"base": "a/1", "vary": "007", "values": [1, 2]}).vary == "007"
    with pytest.raises(ValueError, match="vary"):
        read_fields(AblateKeys, {"base": "a/1", "vary": [1, 2]})


@given(data=TEXTS, warm_start=st.none() | TEXTS, fix=st.dictionaries(TEXTS, st.none() | st.booleans() | TEXTS))
def test_text_comes_back_from_the_configuration_of_a_run(tmp_path_factory, data, warm_start, fix):
    folder = tmp_path_factory.mktemp("run")
    config = RunKeys(data=data, warm_start=warm_start, fix=fix)
    RunFolder(folder).write_config(to_dict(config))
    assert earlier(str(folder.parent), folder.name) == config


@pytest.mark.parametrize("name", [name for name in OTHER_THAN_TEXT if name[0] != "."])
def test_a_run_can_be_called_by_anything_that_a_folder_can_be(name: str):
    assert parse([f"run={name}"]).run == name
    assert parse_ablate([f"run={name}", "base=bertoldi", "vary=dropout"]).run.run == name


def test_a_path_of_data_is_taken_to_the_letter(tmp_path):
    for name in OTHER_THAN_TEXT:
        (folder := tmp_path / name).mkdir()
        assert parse(["task=images", f"data={folder}"]).data == str(folder)
        assert expand_home("runs_dir", str(folder)) == str(folder)


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        *(("3", 3), ("-0.5", -0.5), ("1e-3", 0.001), ("true", True), ("False", False), ("null", None), ("", None)),
        *(("off", "off"), ("no", "no"), ("007", "007"), ("12:30", "12:30"), ("2024_01_05", "2024_01_05")),
        *(("a #b", "a #b"), ("a: b", "a: b"), ("${x}", "${x}"), ("'3'", "3"), ("[a", "[a"), ("none", "none")),
        *(("[0,0.1]", [0, 0.1]), ("[off,12:30]", ["off", "12:30"]), ("[[4,8],[16]]", [[4, 8], [16]])),
    ],
)
def test_a_value_below_fix_or_values_is_a_number_a_switch_a_list_or_text(typed: str, value: Any):
    assert parse_into(RunKeys, [f"fix.x={typed}"], "").fix == {"x": value}
    assert parse_into(AblateKeys, [f"values={typed}"], "").values == value


def test_runs_begun_in_one_second_have_names_of_their_own():
    names = {new_name("tiny10k") for _ in range(200)}
    assert len(names) == 200
    runs = {parse([]).run, parse([]).run, parse(["run="]).run}
    ablations = {parse_ablate(["base=bertoldi", "vary=dropout", *given]).run.run for given in ([], ["run="])}
    assert len(runs | ablations) == 5
    assert all(name is not None and name.startswith("tiny10k-ablation-") for name in ablations)
