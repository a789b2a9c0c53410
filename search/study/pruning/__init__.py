"""Pruners decide whether a trial continues: one file each, with one line each in `registry.py`.

To add one, write a class with `rungs` and `should_continue` as `pruner.Pruner` describes them, in a new file here, and
add a line to `registry.PRUNERS`. `pruner=NAME`, `--help` and the check of names follow from that line. A pruner imports
neither Ray, Optuna nor a clock: its decisions follow from the scores that it was given, in their order.
"""
