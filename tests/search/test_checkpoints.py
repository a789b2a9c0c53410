"""The store of checkpoints and models, without its actor."""

from search.checkpoints import CheckpointStore


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_only_the_last_checkpoint_of_a_live_trial_is_kept(tmp_path):
    store = CheckpointStore(str(tmp_path))
    assert store.load(3) is None
    store.save(3, b"first")
    store.save(3, b"second")
    assert store.load(3) == b"second"
    assert files(tmp_path) == ["checkpoints/3.ckpt"]
    assert CheckpointStore(str(tmp_path)).left_over() == [3]


def test_an_ended_trial_leaves_nothing_but_the_best_ones_model(tmp_path):
    store = CheckpointStore(str(tmp_path))
    for number, is_best in ((0, True), (1, False), (2, True)):
        store.save(number, b"state")
        store.save_model(number, b"model %d" % number)
        store.end(number, is_best)
    assert files(tmp_path) == ["models/best.pt"]
    assert (tmp_path / "models" / "best.pt").read_bytes() == b"model 2"


def test_a_checkpoint_that_arrives_after_the_end_is_dropped(tmp_path):
    """A worker sends it off before its last report, and it may be overtaken."""
    store = CheckpointStore(str(tmp_path))
    store.end(4, is_best=False)
    store.save(4, b"late")
    assert files(tmp_path) == []
