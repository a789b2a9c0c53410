"""Built-in datasets, as a user's task file loads them."""

from pathlib import Path

import pytest

from data.builtin import asked_for, load
from data.splits import DataUnavailable


def test_load_follows_the_keys_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("FRUGAL_DATA_DIR", raising=False)
    with asked_for("made", tmp_path):
        assert load("mnist").origin == "made"
    with asked_for("original", tmp_path):
        with pytest.raises(DataUnavailable, match=str(tmp_path)):
            load("documents")
        assert load("mnist", "made").origin == "made"  # the file's own choice comes first


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"load\('cifar'\): expected one of mnist, digits, documents"):
        load("cifar")
