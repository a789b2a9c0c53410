"""Benchmarks: each module checks one claim in a run of its own, where possible against a peer that does the same work.

docs/benchmarks has the results. Benchmarks may import all packages; no package imports them, only tests do.
"""
