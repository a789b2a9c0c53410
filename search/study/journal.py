"""The journal of a run: an Optuna JournalStorage on disk, written immediately, and readable after any crash.

The start of a trial is one record. A report is two: its fields, then the value that makes it count. An end is two: the
reason, then the state. If the second of two records is missing, the first is ignored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, JournalStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from results.conditions import HEADER
from results.schema import Status
from search.engines.optuna import FrozenStudy, study_id, trial_id
from search.study.journal_file import DAMAGED, PUT_BACK, JournalFile, cut_torn_line, num_whole_bytes, reading
from search.study.trial import Ending, Reported, TrialRecord
from spaces.goal import Metric
from spaces.recipe import Candidate

FORMAT = 2
FINGERPRINT = "dataset_fingerprint"
STATES = {Status.COMPLETE: TrialState.COMPLETE, Status.PRUNED: TrialState.PRUNED}
"""Optuna's states of endings. Every other ending is a FAIL."""

NEWER_KEYS = {"pruner": "asha"}
"""Keys of an identity that older journals lack, with the value that their runs had."""


@dataclass(frozen=True)
class Entry:
    """A trial as the journal has it: its start, its reports, and its ending if it has ended."""

    trial: TrialRecord
    reports: list[Reported]
    ending: Ending | None


class Journal:
    """The records of one study. Open a journal with `Journal.open`, under the run's lock."""

    def __init__(self, path: Path, storage: BaseStorage, study: FrozenStudy, identity: dict[str, Any]) -> None:
        self.identity = identity
        """The settings that the run was started with, as far as its rows' comparability depends on them."""
        self._path, self._storage, self._study_id = path, storage, study_id(study)
        self._trial_ids = [trial_id(trial) for trial in self._read()]

    @classmethod
    def open(cls, path: Path, identity: Mapping[str, object], *, name: str, objective: Metric) -> Journal:
        """Opens the journal at a path for writing; it is created under the run's name if it does not exist.

        Raises ValueError that lists the differences if the journal has another identity, and for a file that is damaged
        or is not a run's journal. Such a file is left as it is.
        """
        cut_torn_line(path)
        storage, studies = _load(path)
        if not studies:
            if path.stat().st_size:  # the first record creates the study; without one, Optuna would skip all others
                raise ValueError(f"{path}: {DAMAGED}, its first record is missing. {PUT_BACK}")
            # Named after the run, since two studies of Optuna's default name would merge in one storage
            storage.create_new_study([direction(objective)], name)
            studies = storage.get_all_studies()
        study = studies[0]
        is_ours = study.study_name == name or (path.parent / "config.yaml").exists()  # the folder may have been renamed
        if is_ours and not study.user_attrs and not storage.get_n_trials(study_id(study)):
            header = {"format": FORMAT, "identity": identity}  # new, or killed before this was written
            storage.set_study_user_attr(study_id(study), HEADER, header)
        else:
            _check_same(path.parent, _identity(path, studies), identity)
        return cls(path, storage, study, dict(identity))

    @classmethod
    def read(cls, path: Path) -> Journal:
        """Opens the journal at a path for reading, even while its run writes it. Raises ValueError as `open` does."""
        num_whole_bytes(path)
        storage, studies = _load(path)
        identity = _identity(path, studies)
        return cls(path, storage, studies[0], identity)

    def entries(self) -> list[Entry]:
        """Returns all trials in the order of their numbers. Raises ValueError if the journal is damaged."""
        with reading(self._path):
            return [_entry(trial) for trial in self._read()]

    def note(self, name: str, value: object) -> None:
        """Records a JSON value about the whole study, under a name that no other note has."""
        self._storage.set_study_user_attr(self._study_id, name, value)

    def notes(self) -> dict[str, Any]:
        """Returns all notes by name."""
        return self._storage.get_study_user_attrs(self._study_id)

    def start(self, trial: TrialRecord, distributions: dict[str, BaseDistribution]) -> None:
        """Records the start of the next trial."""
        assert trial.number == len(self._trial_ids)
        attrs = {
            "candidate": trial.candidate.to_json(),
            "seed": trial.seed,
            "origin": trial.origin,
            "reference": trial.reference,
            "rejected": dict(trial.rejected),
            **({} if trial.repeats is None else {"repeats": trial.repeats}),
        }
        template = create_trial(
            state=TrialState.RUNNING, params=trial.params, distributions=distributions, user_attrs=attrs
        )
        template.datetime_start = trial.started_at
        self._trial_ids.append(self._storage.create_new_trial(self._study_id, template_trial=template))

    def report(self, number: int, report: Reported) -> None:
        """Records a trial's report."""
        trial_id = self._trial_ids[number]
        self._storage.set_trial_user_attr(trial_id, _report_key(report.step), report.to_json())
        self._storage.set_trial_intermediate_value(trial_id, report.step, report.val_score)

    def reports(self, number: int) -> list[Reported]:
        """Returns a trial's reports in order. Their values are the objects that Optuna holds, not copies."""
        return _reports(self._storage.get_trial(self._trial_ids[number]))

    def end(self, number: int, ending: Ending, value: float | None) -> None:
        """Records a trial's ending, and the final value of a completed trial."""
        reason = {"status": str(ending.status), "error": ending.error, "stop_rung": ending.stop_rung}
        self._storage.set_trial_user_attr(self._trial_ids[number], "ending", reason)
        state = STATES.get(ending.status, TrialState.FAIL)
        self._storage.set_trial_state_values(self._trial_ids[number], state, None if value is None else [value])

    def _read(self) -> list[FrozenTrial]:
        return self._storage.get_all_trials(self._study_id, deepcopy=False)


def direction(objective: Metric) -> optuna.study.StudyDirection:
    return optuna.study.StudyDirection[objective.direction.upper()]


def _load(path: Path) -> tuple[JournalStorage, list[FrozenStudy]]:
    with reading(path):
        storage = JournalStorage(JournalFile(path))
        return storage, storage.get_all_studies()


def _identity(path: Path, studies: list[FrozenStudy]) -> dict[str, Any]:
    """Returns the identity in the journal. Raises ValueError for another format, or a journal that is not a run's."""
    match [study.user_attrs.get(HEADER) for study in studies]:
        case [{"format": int(written)}] if written != FORMAT:
            raise ValueError(
                f"{path}: written in format {written}; this version of Frugal reads format {FORMAT}. Use the "
                "version that wrote it (config.yaml names the commit), or give another run="
            )
        case [{"format": int(), "identity": dict(identity)}]:
            return identity
    raise ValueError(f"{path}: a journal of Optuna, but not of a run of Frugal; give another run=")


def _check_same(folder: Path, before: Mapping[str, object], now: Mapping[str, object]) -> None:
    """Raises ValueError that lists the differences between two identities."""
    if ("ablation" in before) != ("ablation" in now):
        raise ValueError(f"{folder}: holds {'an ablation' if 'ablation' in before else 'a search'}; name another run")
    before = {name: value for name, value in NEWER_KEYS.items() if name in now} | dict(before)
    before, now = _flat(before), _flat(now)
    is_same_data = before.get(FINGERPRINT) == now.get(FINGERPRINT)
    renamed = {"run", "dataset"} if is_same_data else {"run"}  # folders may be renamed: `run` is in older journals
    changed = [name for name in {**before, **now} if name not in renamed and before.get(name) != now.get(name)]
    if changed:
        lines = "; ".join(f"{n} was {_format(before.get(n))}, is now {_format(now.get(n))}" for n in changed)
        hint = "" if is_same_data else _data_hint(folder)
        raise ValueError(f"{folder}: a run keeps its original settings, or its rows would not compare: {lines}{hint}")


def _data_hint(folder: Path) -> str:
    if (folder / "task.py").exists():
        return (
            ". Its data() returned other examples than before; it must always return the same ones: seed its random "
            "numbers, as in np.random.default_rng(0), and put back files that have changed"
        )
    return ". If the data have moved, give their folder with data_dir= or data="


def _format(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _flat(identity: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Returns nested values by dotted names, so that a difference is printed without its surroundings."""
    flat: dict[str, object] = {}
    for name, value in identity.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _entry(trial: FrozenTrial) -> Entry:
    attrs = trial.user_attrs
    record = TrialRecord(
        number=trial.number,
        candidate=Candidate.from_json(attrs["candidate"]),
        seed=attrs["seed"],
        origin=attrs["origin"],
        reference=attrs["reference"],
        repeats=attrs.get("repeats"),
        params=dict(trial.params),
        rejected=Counter(attrs["rejected"]),
        started_at=_in_utc(trial.datetime_start),
    )
    ending = None
    if trial.state.is_finished():
        reason = attrs["ending"]
        ending = Ending(
            Status(reason["status"]), reason["error"], reason["stop_rung"], _in_utc(trial.datetime_complete)
        )
    return Entry(record, _reports(trial), ending)


def _in_utc(at: datetime | None) -> datetime | None:
    """Returns a time in UTC. Optuna's times are local and lack their zone, so they would be read as UTC."""
    return at.astimezone(UTC) if at else None


def _reports(trial: FrozenTrial) -> list[Reported]:
    return [Reported.from_json(trial.user_attrs[_report_key(step)]) for step in sorted(trial.intermediate_values)]


def _report_key(step: int) -> str:
    return f"report:{step}"
