"""README and the pages of docs/: their commands have keys that exist, and their links and paths lead somewhere."""

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
GENERATED = [ROOT / "docs/reference" / name for name in ("command-line.md", "layers.md", "tables.md", "python.md")]
COMMAND = re.compile(r"python -m search\.(\w+)((?:[ \t]+[^\s`#|]+|[ \t]*\\\n)*)")
KEY = re.compile(r"'?([\w.]+)=")
HELP_LINE = re.compile(r"  (\S+) +\S+ +.+ \[.*\]")
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE_PATH = re.compile(r"`((?:search|results|spaces|trainables|data|tests|benchmarks|docs)/[\w./-]*)`")
MAX_README_WORDS = 700


def keys_of(command: str) -> set[str]:
    lines = import_module(f"search.{command}").help_text().splitlines()
    return {match[1] for line in lines if (match := HELP_LINE.fullmatch(line))}


def is_known(key: str, keys: set[str]) -> bool:
    """Whether a command has the key, or takes names below it, as in fix.optimizer."""
    return key in keys or key.split(".")[0] in keys & {"fix", "values"}


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs both make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading.lower())) for heading in headings}


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_each_command_of_a_page_has_the_keys_that_the_page_gives_it(page: Path):
    for command, arguments in COMMAND.findall(page.read_text(encoding="utf-8")):
        keys = keys_of(command)
        unknown = [key for word in arguments.split() for key in KEY.findall(word)[:1] if not is_known(key, keys)]
        assert not unknown, f"python -m search.{command}{arguments}"


def test_each_link_of_a_page_leads_to_a_file_and_a_heading(page: Path):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists() or target in GENERATED, link
        assert not anchor or target in GENERATED or anchor in anchors_of(target), link


def test_each_path_of_the_project_that_a_page_names_is_there(page: Path):
    for path in CODE_PATH.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / path).exists() or path.startswith("results/runs"), path


def test_the_commands_of_the_pages_are_found():
    found = {command for page in PAGES for command, _ in COMMAND.findall(page.read_text(encoding="utf-8"))}
    assert found == {"run", "confirm", "report", "ablate", "replay", "predict", "doctor", "check"}


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= MAX_README_WORDS
