"""optuna-dashboard reads a run's journal, even during the run, and changes nothing."""

import io
import json
import warnings
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from data.made.digits import load_made
from search.planning.config import parse
from search.planning.plan import Plan
from search.session.study import open_study
from tests.search.toy import report
from tests.search.unfinished import cut_short, line

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own imports
    from optuna_dashboard import wsgi


def get(app: Any, path: str, query: str = "") -> Any:
    """Returns the dashboard's answer, without a port."""
    asked = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query, "wsgi.input": io.BytesIO()}
    asked |= {"SERVER_NAME": "here", "SERVER_PORT": "80", "wsgi.url_scheme": "http", "wsgi.errors": io.StringIO()}
    status: list[str] = []
    body = b"".join(app(asked, lambda line, headers, *_: status.append(line)))
    assert status == ["200 OK"], body
    return json.loads(body)


def trials(app: Any) -> list[dict[str, Any]]:
    return get(app, "/api/studies/0", "after=0")["trials"]


def test_it_shows_trials_with_parameters_and_curves_while_the_run_goes_on(tmp_path: Path):
    journal = cut_short(tmp_path) / "journal.log"
    before = journal.read_bytes()
    storage = JournalStorage(JournalFileBackend(str(journal)))
    app = wsgi(storage)
    assert [study["study_name"] for study in get(app, "/api/studies")["study_summaries"]] == ["a"]
    shown = trials(app)
    assert [trial["intermediate_values"][-1]["value"] for trial in shown] == [0.5, 0.6, 0.7]
    assert {"optimizer", "stages"} <= {parameter["name"] for parameter in shown[0]["params"]}
    assert journal.read_bytes() == before
    plan = Plan.of(parse(line(tmp_path)))
    with plan.folder.locked():
        open_study(plan, load_made()).report(2, report(2, 0.75))
    app = wsgi(storage)  # a new one reads at once; the first waits two seconds
    assert [value["value"] for value in trials(app)[2]["intermediate_values"]] == [0.7, 0.75]
