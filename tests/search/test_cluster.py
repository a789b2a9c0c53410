"""Joining Ray."""

import socket

from search.run import main


def test_an_address_where_nobody_listens_is_told_at_once(tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main([f"address={address}", "data=made", f"runs_dir={tmp_path}"]) == 2
    assert f"address={address}: no Ray cluster answers there" in capsys.readouterr().err
