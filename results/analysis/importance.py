"""How much each parameter mattered, by Optuna's evaluators on the journal's own distributions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from results.analysis.trials import Direction

EVALUATOR = "PED-ANOVA"
FEWEST = 10  # trials; below, the best of them are one or two
_SHARE, _FEWEST_BEST = 0.1, 5  # the evaluator's own default, and what its documentation asks for at least


def num_best(num_trials: int) -> int:
    """How many of the trials count as good."""
    return min(max(round(_SHARE * num_trials), _FEWEST_BEST), num_trials // 2)


def importance(journal: Path, scores: Mapping[int, float], direction: Direction) -> pd.DataFrame:
    """Parameter and importance, most important first, as shares of 1, from trials' scores by number.

    Optuna's PED-ANOVA (Watanabe et al., IJCAI 2023): where the values of the best trials lie, against those of all
    tried. Of its evaluators it is the one that knows parameters which only some trials have. Optuna itself would pass
    over pruned trials; here a trial counts if it has a score, so give scores of equal epochs.
    Raises ValueError for a journal that is not there or damaged, and for fewer than FEWEST trials.
    """
    with warnings.catch_warnings():
        # tqdm's on a notebook without widgets, and the evaluator's on parameters that one trial has
        warnings.simplefilter("ignore")
        import optuna  # here, since it takes a second that tables and figures do without

        trials = [trial for trial in _trials(journal) if trial.number in scores and trial.params]
        if len(trials) < FEWEST:
            raise ValueError(f"importances need {FEWEST} trials with parameters and a score; there are {len(trials)}")
        quantile = num_best(len(trials)) / len(trials)
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=quantile)
        try:
            found = evaluator.evaluate(_study(trials, scores, direction))
        except Exception as error:  # as below: of a journal whose trials do not lie in their own space
            raise ValueError(f"{journal}: its trials do not go together: {error!r}") from error
    total = sum(found.values()) or 1.0
    table = pd.DataFrame({"parameter": list(found), "importance": [value / total for value in found.values()]})
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def _trials(journal: Path) -> list:
    from optuna import load_study
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if not journal.is_file():  # Optuna would make one
        raise ValueError(f"{journal}: there is no such file, so the space that was searched is not known")
    try:
        storage = JournalStorage(JournalFileBackend(str(journal)))
        studies = [load_study(study_name=study.study_name, storage=storage) for study in storage.get_all_studies()]
        return [trial for study in studies for trial in study.get_trials(deepcopy=False)]
    except Exception as error:  # Optuna meets what is damaged with whatever its replay comes to
        raise ValueError(f"{journal}: not a journal of Optuna's, or damaged: {error!r}") from error


def _study(trials: list, scores: Mapping[int, float], direction: Direction):
    """One in memory, in which each trial is complete with its score."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would tell of the new study
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
