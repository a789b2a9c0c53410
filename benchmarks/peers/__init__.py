"""Comparisons with other ways to do the same: a tutorial's PyTorch loop, Ray Tune, Optuna, and a published network.

They run on CPUs, in turns with Frugal.
"""
