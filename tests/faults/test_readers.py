"""Tables can be read at any time while a run writes them after every event."""


def test_a_reader_in_a_loop_never_sees_a_broken_table(watched):
    """The loop raises for an incomplete table, which cannot be opened, and for a mixed one, which has a row twice."""
    run, lengths = watched
    assert {name: max(seen) for name, seen in lengths.items()} == {name: len(run.table(name)) for name in lengths}
    assert all(len(seen) > 3 for seen in lengths.values()), "the tables grew while they were read"
