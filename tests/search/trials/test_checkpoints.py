"""The store of checkpoints and models, without its actor."""

import re
from collections.abc import Callable

import pytest

from search.trials.checkpoints import CheckpointStore, check_checkpoints, left_over


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_only_the_last_checkpoint_of_a_live_trial_is_kept(tmp_path):
    store = CheckpointStore(str(tmp_path))
    assert store.load(3) is None
    store.save(3, b"first")
    store.save(3, b"second")
    assert store.load(3) == b"second"
    assert files(tmp_path) == ["checkpoints/3.ckpt"]
    assert left_over(tmp_path) == [3]


def test_an_ended_trial_leaves_nothing_but_the_best_ones_model(tmp_path):
    store = CheckpointStore(str(tmp_path))
    for number, name in ((0, "best"), (1, None), (2, "best")):
        store.save(number, b"state")
        store.save_results(number, {"model": b"model %d" % number})
        store.end(number, name)
    assert files(tmp_path) == ["models/best.pt"]
    assert (tmp_path / "models" / "best.pt").read_bytes() == b"model 2"


def test_a_checkpoint_that_arrives_after_the_end_is_dropped(tmp_path):
    """A worker sends it before its last report, which may arrive first."""
    store = CheckpointStore(str(tmp_path))
    store.end(4, None)
    store.save(4, b"late")
    assert files(tmp_path) == []


def test_a_checkpoint_from_a_node_that_had_fallen_silent_does_not_set_its_trial_back(tmp_path):
    store = CheckpointStore(str(tmp_path))
    for state, num_reports in ((b"second", 2), (b"again", 2), (b"third", 3), (b"late", 2)):
        store.save(3, state, num_reports)
    assert store.load(3) == b"third"


@pytest.mark.parametrize("state", [b"", b"a state", bytes(range(256)) * 1000])
def test_what_is_saved_is_loaded_to_the_byte(tmp_path, state: bytes):
    store = CheckpointStore(str(tmp_path))
    store.save(3, state)
    assert store.load(3) == state
    check_checkpoints(tmp_path, [3])


def test_a_trial_without_a_checkpoint_begins_at_the_beginning(tmp_path):
    assert CheckpointStore(str(tmp_path)).load(3) is None
    check_checkpoints(tmp_path, [0, 3])


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:30],
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: b"x" + content[1:],
        lambda content: content[:25] + bytes([content[25] ^ 1]) + content[26:],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: content.replace(b"checkpoint 1", b"checkpoint 2"),
        lambda content: b"PK a checkpoint as torch saves it",
    ],
)
def test_a_damaged_or_foreign_checkpoint_is_named_with_the_way_out(tmp_path, damage: Callable[[bytes], bytes]):
    store = CheckpointStore(str(tmp_path))
    store.save(3, b"a state of some length")
    path = tmp_path / "checkpoints" / "3.ckpt"
    path.write_bytes(damage(path.read_bytes()))
    refused = re.escape(
        f"{path}: not a checkpoint of this version of Frugal, or damaged; remove it, and trial 3 restarts"
    )
    with pytest.raises(ValueError, match=refused):
        store.load(3)
    with pytest.raises(ValueError, match=refused):
        check_checkpoints(tmp_path, [2, 3])
    check_checkpoints(tmp_path, [2])


def test_the_onnx_file_of_a_model_goes_when_another_model_takes_its_place(tmp_path):
    store = CheckpointStore(str(tmp_path))
    (tmp_path / "models").mkdir()
    for name in ("best.pt", "best.onnx", "trial-1-seed-0.onnx"):
        (tmp_path / "models" / name).write_bytes(b"of the former best")
    store.save_results(4, {"model": b"of the best"})
    store.end(4, "best")
    assert (tmp_path / "models" / "best.pt").read_bytes() == b"of the best"
    assert [path.name for path in sorted((tmp_path / "models").glob("*.onnx"))] == ["trial-1-seed-0.onnx"]


def test_files_that_are_no_trials_are_left_alone(tmp_path):
    store = CheckpointStore(str(tmp_path))
    store.save(3, b"state")
    store.save_results(4, {"model": b"model"})
    for name in ("notes.txt", ".3.ckpt.1f.part"):
        (tmp_path / "checkpoints" / name).write_text("")
    assert left_over(tmp_path) == [3, 4]
