"""import-linter's contracts check what their names promise."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
PACKAGES = LINTER["root_packages"]
FORBIDDING = [contract for contract in LINTER["contracts"] if contract["type"] == "forbidden"]


@pytest.mark.parametrize("contract", FORBIDDING, ids=lambda contract: contract["name"])
def test_a_contract_covers_every_package_in_its_name(contract: dict[str, Any]):
    named = [package for package in PACKAGES if re.search(rf"\b{package}\b", contract["name"])]
    if contract["name"].startswith("only "):
        named = [package for package in PACKAGES if package not in named]
    assert set(named) <= set(contract["source_modules"])


@pytest.mark.parametrize("contract", FORBIDDING, ids=lambda contract: contract["name"])
def test_exceptions_of_a_contract_are_in_its_name(contract: dict[str, Any]):
    for exception in contract.get("ignore_imports", []):
        importer = exception.split(" -> ")[0]
        assert importer.split(".")[-1] in contract["name"]


def names_in_layers(container: str) -> set[str]:
    """Returns the names in the layers of a container, or those of all packages if it is empty."""
    (layers,) = (
        contract["layers"]
        for contract in LINTER["contracts"]
        if contract["type"] == "layers" and contract.get("containers", [""]) == [container]
    )
    return {name.strip() for layer in layers for name in layer.split("|")}


@pytest.mark.parametrize("package", ["search", "results"])
def test_every_folder_of_a_layered_package_is_in_a_layer(package: str):
    folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert folders <= names_in_layers(package)


def test_all_packages_are_checked_and_in_layers():
    assert names_in_layers("") == set(PACKAGES)
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"} == set(PACKAGES)
