"""The file models/best.pt: it holds the network of the leaderboard's first row, or it does not exist."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from results.files import StorageError
from results.wording import number
from search.planning.resume import resume_command
from search.retraining import retrain
from search.runs.folder import BEST, RunFolder
from search.runs.model_files import holds, set_aside
from search.study.study import Study
from search.study.trial import TrialRecord
from search.trials.job import Given, Job, search_job

if TYPE_CHECKING:
    from search.session.session import Session
    from search.trials.outcome import Outcome


def settle_best_model(session: Session, outcome: Outcome) -> Path | None:
    """Returns the path of the model of the leaderboard's first row; None, with a message, if there is none.

    If no file holds that network, the trial is retrained with its own seed: its curve was imported from an earlier run
    that kept another trial's model, or the file was removed or damaged. Raises StorageError.
    """
    best, path = session.study.best, session.plan.folder.best_model
    if best and (outcome.kept.get(BEST) == best.number or holds(path, best, session.plan.task.code)) and path.is_file():
        return path
    set_aside(path, session.say)
    if best is None:
        return None
    if outcome.is_whole:
        _retrain(session, best)
    if holds(path, best, session.plan.task.code):
        return path
    session.say(
        f"best model: none, since no file holds the network of {best.name}. Retrain it with: "
        f"{resume_command(session.plan.config)}"
    )
    return None


def _retrain(session: Session, best: TrialRecord) -> None:
    """Retrains a trial in a study of its own, which resumes from its checkpoint if it was interrupted."""
    folder = RunFolder(session.plan.folder.path / "retraining")
    session.say(f"best model: {best.name} is retrained, since no file holds its network")
    with folder.locked():
        study = _open_study(session, folder)
        session.train(_job(session, study, folder, best), study, session.splits)
    done = [trial for trial in study.trials if trial.candidate == best.candidate]
    for line in retrain.failures(study):
        session.say(line)
    if done and done[-1].reports and (score := _score(done[-1])) != _score(best):
        session.say(f"best model: retrained, it scores {number(score)}, but the table has {number(_score(best))}")


def _open_study(session: Session, folder: RunFolder) -> Study:
    try:
        return retrain.open_study(
            session.plan, folder.path, folder.name, {"dataset_fingerprint": session.splits.fingerprint}
        )
    except ValueError as damaged:  # within a session a ValueError would be an internal error
        raise StorageError(f"{damaged}. Move {folder.path} away to retrain the best model from the start") from None


def _job(session: Session, study: Study, folder: RunFolder, best: TrialRecord) -> Job:
    is_running = any(trial.candidate == best.candidate for trial in study.running())
    name = f"{best.name}, training {len(study.trials) + 1}"
    given = {} if is_running else {name: Given(best.candidate, seed=best.seed, trial=best.number)}
    return replace(
        search_job(session.plan, session.splits),
        folder=folder,
        num_trials=0,
        given=given,
        warm=(),
        model_name=lambda study, number: BEST if study.trials[number].candidate == best.candidate else None,
        write_tables=lambda study, is_live: None,
    )


def _score(trial: TrialRecord) -> float:
    return trial.reports[-1].val_score
