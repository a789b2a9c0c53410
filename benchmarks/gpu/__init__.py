"""Measurements that need a GPU: the training step, large networks, and trials that share a GPU; run.sh runs them all.

Each also runs on a CPU, to try it out.
"""
