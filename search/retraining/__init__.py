"""Retraining: given candidates over several seeds, for a confirmation, an ablation or the best model.

Imports session and everything below it; the commands import this folder.
"""
