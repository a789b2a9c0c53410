"""The study: its trials, its journal, and the decisions on them; samplers and pruners are folders of their own.

It uses Optuna, and neither Ray nor torch. Of search it imports search.engines only.
"""
