"""Samplers propose candidates: one file each, with one line each in `registry.py`.

To add one, write a class with `start`, `end` and `draws` as `sampler.Sampler` describes them, in a new file here, and
add a line to `registry.SAMPLERS`. `sampler=NAME`, `--help` and the check of names follow from that line. A sampler
imports no Ray and no torch; private names of Optuna stay in `search.engines`.
"""
