"""Trains a study's trials with Ray Tune: searcher, scheduler, checkpoints and progress. Start at tuning.run_trials.

Only this folder, search.cluster, search.checkup and the trainable use Ray. It imports search.cluster and the folders
below it, and trainables without torch.
"""
