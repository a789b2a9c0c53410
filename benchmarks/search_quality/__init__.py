"""Played searches: the real sampler and pruner, with training simulated from recorded learning curves.

They compare samplers and pruners over hundreds of searches, which real training could not. No Ray and no training here.
"""
