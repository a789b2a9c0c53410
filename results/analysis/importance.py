"""The importance of each parameter, by Optuna's PED-ANOVA evaluator on the distributions in the journal."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from spaces.goal import Direction

EVALUATOR = "PED-ANOVA"
FEWEST = 10  # trials: with fewer, only one or two of them would count as good
_SHARE, _FEWEST_BEST = 0.1, 5  # the evaluator's default, and the minimum that its documentation asks for


def num_best(num_trials: int) -> int:
    """Returns the number of trials that count as good."""
    return min(max(round(_SHARE * num_trials), _FEWEST_BEST), num_trials // 2)


def importance(journal: Path, scores: Mapping[int, float], direction: Direction) -> pd.DataFrame:
    """Returns a table of parameter and importance, most important first; importances sum to 1.

    PED-ANOVA (Watanabe et al., IJCAI 2023) compares the values of the best trials with those of all trials. It is the
    one evaluator of Optuna's that supports parameters which only some trials have. Optuna would skip pruned trials;
    here every trial in `scores`, which are by trial number, counts: pass scores after equal epochs.
    Raises ValueError if the journal is missing or damaged, or if there are fewer than FEWEST trials.
    """
    with warnings.catch_warnings():
        # tqdm's about notebooks without widgets, and the evaluator's about parameters that one trial has
        warnings.simplefilter("ignore")
        import optuna  # importing it takes a second, which tables and figures do not need

        trials = [trial for trial in _trials(journal) if trial.number in scores and trial.params]
        if len(trials) < FEWEST:
            raise ValueError(f"importances need {FEWEST} trials with parameters and a score; there are {len(trials)}")
        quantile = num_best(len(trials)) / len(trials)
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=quantile)
        try:
            found = evaluator.evaluate(_study(trials, scores, direction))
        except Exception as error:  # as below: a foreign journal's trials may be outside of their own space
            raise ValueError(f"{journal}: its trials are inconsistent: {error!r}") from error
    total = sum(found.values()) or 1.0
    table = pd.DataFrame({"parameter": list(found), "importance": [value / total for value in found.values()]})
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def _trials(journal: Path) -> list:
    from optuna import load_study
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if not journal.is_file():  # Optuna would create one
        raise ValueError(f"{journal}: there is no such file, so the searched space is unknown")
    try:
        storage = JournalStorage(JournalFileBackend(str(journal)))
        studies = [load_study(study_name=study.study_name, storage=storage) for study in storage.get_all_studies()]
        return [trial for study in studies for trial in study.get_trials(deepcopy=False)]
    except Exception as error:  # a damaged journal raises any error from Optuna's replay
        raise ValueError(f"{journal}: not an Optuna journal, or damaged: {error!r}") from error


def _study(trials: list, scores: Mapping[int, float], direction: Direction):
    """Returns a study in memory in which each trial is complete with its score."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would report the new study
    try:
        study = optuna.create_study(direction=direction)
    finally:
        optuna.logging.set_verbosity(verbosity)
    study.add_trials(
        [
            optuna.create_trial(params=t.params, distributions=t.distributions, value=scores[t.number])
            for t in sorted(trials, key=lambda trial: trial.number)
        ]
    )
    return study
