"""Tables that are read in a loop while a run writes them after every event."""


def test_a_reader_in_a_loop_never_sees_a_broken_table(watched):
    """A table that is cut short does not open; one of two moments would hold a row twice. Either raises in the loop."""
    run, lengths = watched
    assert {name: max(seen) for name, seen in lengths.items()} == {name: len(run.table(name)) for name in lengths}
    assert all(len(seen) > 3 for seen in lengths.values()), "they grew while they were read"
