"""models/best.pt: it holds the network of the leaderboard's first row, or it is not there."""

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
    """The path of the model of the leaderboard's first row; None if there is none, which is said.

    Where no file holds that network, the trial is trained again, with its own seed: its curve was taken over from an
    earlier run that kept another trial's model, or the file was removed or damaged. Raises StorageError.
    """
    best, path = session.study.best, session.plan.folder.best_model
    if best and (outcome.kept.get(BEST) == best.number or holds(path, best)) and path.is_file():
        return path
    set_aside(path, session.say)
    if best is None:
        return None
    if outcome.is_whole:
        _train_again(session, best)
    if holds(path, best):
        return path
    session.say(
        f"best model: none, since no file holds the network of {best.name}. To train it again: "
        f"{resume_command(session.plan.config)}"
    )
    return None


def _train_again(session: Session, best: TrialRecord) -> None:
    """As a study of its own, so that it goes on from its checkpoint if it is cut short."""
    folder = RunFolder(session.plan.folder.path / "retraining")
    session.say(f"best model: {best.name} is trained again, since no file holds its network")
    with folder.locked():
        study = _open_study(session, folder)
        session.train(_job(session, study, folder, best), study, session.splits)
    done = [trial for trial in study.trials if trial.candidate == best.candidate]
    for line in retrain.failures(study):
        session.say(line)
    if done and done[-1].reports and (again := _score(done[-1])) != _score(best):
        session.say(f"best model: trained again, it scores {number(again)}, where the table has {number(_score(best))}")


def _open_study(session: Session, folder: RunFolder) -> Study:
    try:
        return retrain.open_study(
            session.plan, folder.path, folder.name, {"dataset_fingerprint": session.splits.fingerprint}
        )
    except ValueError as damaged:  # within a session a ValueError would be a fault of ours
        raise StorageError(f"{damaged}. Move {folder.path} away, and the best model is trained anew") from None


def _job(session: Session, study: Study, folder: RunFolder, best: TrialRecord) -> Job:
    is_under_way = any(trial.candidate == best.candidate for trial in study.running())
    name = f"{best.name}, training {len(study.trials) + 1}"
    given = {} if is_under_way else {name: Given(best.candidate, seed=best.seed, trial=best.number)}
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
