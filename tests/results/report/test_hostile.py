"""The page shows every text of a foreign run as text, and its policy would run none of it."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
import yaml

import results
from search import report
from tests.results.analysis.test_ablation import write_ablation
from tests.results.hostile import FOLDER, HOSTILE, TAME, copied, spoil
from tests.results.report.test_report import Reader, check
from tests.results.synthetic import make_run, write_samples

SOURCES = Path(results.__file__).parent / "report"
SPOKEN = ("title", "alt", "aria-label")
"""Attributes whose values are read aloud or shown as text."""


@pytest.fixture(autouse=True)
def without_plotly(monkeypatch):
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Writes a classifier's run, a denoiser's run and an ablation, which tests must not change."""
    folder = tmp_path_factory.mktemp("runs")
    found = {"search": make_run(folder / "search"), "images": make_run(folder / "images")}
    (found["images"] / "predictions.parquet").unlink()
    write_samples(found["images"])
    return found | {"ablation": write_ablation(folder / "ablation")}


def read(path: Path) -> Reader:
    page = Reader(path.read_text(encoding="utf-8"))
    check(page)
    return page


def skeleton(page: Reader) -> list:
    """Returns all elements and attributes without their text: all that a browser acts on."""
    return [
        (tag, {k: v for k, v in attrs.items() if k not in SPOKEN}, sorted({*attrs} - {"title"}))
        for tag, attrs in page.elements
    ]


@pytest.mark.parametrize("kind", ["search", "images", "ablation"])
def test_no_text_of_a_run_becomes_an_element_or_an_attribute(runs, kind, tmp_path):
    """Covers every column of every table, config.yaml, samples.npz and the folder's name."""
    tame = read(report.write_report(spoil(copied(runs[kind], tmp_path / "tame"), TAME)))
    hostile = read(report.write_report(spoil(copied(runs[kind], tmp_path / FOLDER), HOSTILE)))
    assert skeleton(hostile) == skeleton(tame)
    assert HOSTILE in hostile.text
    assert FOLDER in hostile.text
    figures = json.dumps([json.loads(text) for name, text in hostile.scripts.items() if name.endswith("-data")])
    assert "&lt;/scri" in figures
    assert not re.search(r"<(?!/?(b|br|extra)>)", figures)  # Plotly's own markup, in our templates
    assert not [mark for mark in ("%{y} $", "$z$", "#0072B2 ", "&lt; &#60;") if mark in figures]


def test_no_text_of_a_compared_run_becomes_an_element_either(runs, tmp_path):
    pages = []
    for name, text in (("tame", TAME), (FOLDER, HOSTILE)):
        spoil(copied(runs["search"], tmp_path / text[0] / name), text)
        copied(runs["images"], tmp_path / text[0] / "other")
        quoted = name.replace('"', '""')
        names = f'run=["{quoted}",other]'
        assert report.main([names, f"runs_dir={tmp_path / text[0]}", f"output={tmp_path / 'both.html'}"]) == 0
        pages.append(read(tmp_path / "both.html"))
    assert skeleton(pages[0]) == skeleton(pages[1])
    assert FOLDER in pages[1].text


@pytest.mark.parametrize("text", ["\x00", "\ud800", "\r\n", "\u202e"])
def test_a_page_is_made_of_any_character_that_yaml_can_write(runs, tmp_path, text):
    folder = copied(runs["ablation"].parent / "search", tmp_path / "any")
    config = yaml.safe_load((folder / "config.yaml").read_text()) | {"task": "TASK"}
    escaped = "".join(f"\\u{ord(each):04x}" for each in text)
    (folder / "config.yaml").write_text(yaml.safe_dump(config).replace("TASK", f'"a{escaped}b"'))
    read(report.write_report(folder))


def test_an_ending_that_there_is_not_is_refused_in_words(runs, tmp_path):
    folder = spoil(copied(runs["search"], tmp_path / "run"), HOSTILE, kept=("run",))
    with pytest.raises(ValueError, match=r"status is .*; expected one of COMPLETE"):
        report.write_report(folder)


def test_the_policy_lets_those_scripts_and_styles_run_that_are_frugals_and_no_other(runs, tmp_path, monkeypatch):
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "window.Plotly = {}")
    content = report.write_report(copied(runs["search"], tmp_path / "run")).read_text(encoding="utf-8")
    page = Reader(content)
    (policy,) = [m["content"] for m in page.of("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    rules = {name: values for name, *values in (rule.split() for rule in policy.split(";"))}
    scripts = [hash_of(text) for text in re.findall(r"<script>(.*?)</script>", content, re.DOTALL)]
    assert rules["script-src"] == scripts
    assert len(scripts) == 2
    styles = [hash_of(text) for text in re.findall(r"<style>(.*?)</style>", content, re.DOTALL)]
    assert set(rules["style-src-elem"]) == {*styles, hash_of("")}
    assert rules["default-src"] == ["'none'"]
    assert content.index("Content-Security-Policy") < content.index("<script")
    kinds = {attrs.get("type") for attrs in (a for tag, a in page.elements if tag == "script")}
    assert kinds == {None, "application/json"}
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on")]


def hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_html_is_made_in_one_place_which_escapes():
    """No template marks a value as safe, and no module but the page's does."""
    for path in (SOURCES / "templates").iterdir():
        assert not re.search(r"\|\s*safe|autoescape|Markup", path.read_text()), path
    for path in SOURCES.glob("*.py"):
        text = path.read_text()
        assert not re.search(r"\bescape\(|\|\s*safe", text), path
        assert not re.search(r"</?[a-z]+[ >]", text), path
        assert path.name == "page.py" or "Markup(" not in text, path
