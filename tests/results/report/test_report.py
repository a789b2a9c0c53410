"""The page agrees with the run's tables, tolerates missing files, and contains all that it shows."""

import html.parser
import json
import re
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from results import tables
from results.report.run_record import read_run
from results.schema import PREDICTIONS, SCHEMAS
from search import report
from tests.results.synthetic import make_run, write_samples


class Reader(html.parser.HTMLParser):
    """Reads the elements of a page, its text without scripts, and the contents of its scripts by id."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements, self.text, self.scripts, self._inside = [], "", {}, None
        self.feed(content)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = dict(attrs).get("id", "code") if tag in ("script", "style") else None

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside is None:
            self.text += data
        elif self._inside != "code":
            self.scripts[self._inside] = self.scripts.get(self._inside, "") + data

    def of(self, tag, **attrs):
        return [found for name, found in self.elements if name == tag and attrs.items() <= found.items()]


def read(path) -> Reader:
    page = Reader(path.read_text(encoding="utf-8"))
    check(page)
    return page


def check(page: Reader) -> None:
    """Checks any page: it refers only to itself, and everything but text has a text alternative."""
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for tag, attrs in page.elements:
        for name in ("src", "href"):
            assert attrs.get(name, "#").startswith(("#", "data:")), (tag, attrs)
        for name in ("aria-labelledby", "data-figure"):
            assert attrs.get(name, ids[0]) in ids, attrs
        assert tag != "img" or attrs["alt"]
    for plot in page.of("div", **{"class": "plot"}):
        assert plot["role"] == "img"
        json.loads(page.scripts[plot["data-figure"]])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Writes a confirmed run and its report, which tests must not change."""
    folder = make_run(tmp_path_factory.mktemp("runs") / "first")
    return read(report.write_report(folder)), folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """Copies that run for a test to change. Its pages lack Plotly, which takes longest to write."""
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "")
    return shutil.copytree(made[1], tmp_path / "runs" / "first", ignore=shutil.ignore_patterns("report.html"))


def test_the_verdict_names_network_score_interval_and_command(made):
    page, folder = made
    best = tables.frame(tables.read(folder / "leaderboard.parquet", "leaderboard")).iloc[0]
    assert f"trial {best['trial']}, {best['num_params']:,} parameters, test accuracy 0.9913" in page.text
    assert "95% interval 0.9906 to 0.9921, 3 seeds" in page.text
    assert "cover the seeds alone, for these test examples" in page.text  # some finalists' predictions are missing
    assert "apart from" in page.text
    assert f"python -m search.predict model={folder}/models/{best['trial']}-seed-0.pt input=IMAGES" in page.text


def test_with_all_predictions_intervals_are_over_images_too_and_the_page_says_so(folder):
    finalists = tables.frame(tables.read(folder / "finalists.parquet", "finalists"))
    places = np.arange(2000)
    keys = ["run", "task", "trial", "reference", "place", "seed"]
    parts = [
        finalists.loc[[row], keys].merge(pd.DataFrame({"index": places, "image_score": places < right}), how="cross")
        for row, right in enumerate((finalists["test_score"] * len(places)).round())
    ]
    rows = pd.concat(parts).to_dict("records")
    known = [{name: value for name, value in row.items() if pd.notna(value)} for row in rows]
    of_images = [{**row, "image_score": float(row["image_score"]), "scored_on": "test"} for row in known]
    tables.write(tables.from_rows(of_images, PREDICTIONS), folder / "predictions.parquet")
    page = read(report.write_report(folder))
    assert "95% interval 0.9863 to 0.9945, 3 seeds, 2,000 examples" in page.text
    assert "cover both the seeds and the test examples" in page.text
    assert "cover the seeds alone" not in page.text
    assert "(one seed, no interval)" not in page.text


def test_sections_stand_in_order_and_each_is_linked(made):
    page, _ = made
    names = [section["id"] for section in page.of("section")]
    assert names == [
        *(
            "settings",
            "finalists",
            "failures",
            "leaderboard",
            "size",
            "curves",
            "rungs",
            "importance",
            "effects",
            "mistakes",
            "cost",
        )
    ]
    assert [link["href"] for link in page.of("a")] == [f"#{name}" for name in names]


def test_the_page_names_the_original_settings(made):
    page, _ = made
    for message in (
        "at most 9,999 parameters",
        "the best tiny10k",
        "padding=same",
        "9 epochs",
        "first rung at 1 epoch; keeps the top 1/3",
        "mnist (original)",
    ):
        assert message in page.text
    assert "0123456789ab, with uncommitted changes" in page.text


def test_every_trial_has_a_row_with_its_choices(made):
    page, _ = made
    buttons = page.of("button", **{"class": "more"})
    params = json.loads(page.scripts["params"])
    assert len(buttons) == 25 == len(params["pooling"])
    assert {"max", None} < set(params["pooling"])
    assert "loss is nan" in params["error"]


def test_figures_are_there_with_what_is_to_be_seen(made):
    page, _ = made
    drawn = [plot["id"] for plot in page.of("div", **{"class": "plot"})]
    assert drawn == [
        *("finalists-plot", "by-params", "by-macs", "learning", "rungs-plot", "importance-plot", "effects-plot"),
        *("confusion", "slot-time"),
    ]
    assert re.search(r"The Pareto front of completed trials has \d+ networks: from 0\.9\d+ with", page.text)
    assert "by the validation accuracy after 1 epoch" in page.text
    assert "of all 24 searched trials" in page.text
    assert "do not show that a choice causes a better score" in page.text
    assert "7 taken for 1 (1.3)" in page.text


def test_a_mistake_is_shown_with_label_prediction_and_probability(made):
    page, _ = made
    assert [image["alt"] for image in page.of("img")] == ["image 7: a 7 taken for a 1"]
    assert "label 7, predicted 1" in page.text
    assert "90% sure, 3 of 3 seeds wrong" in page.text


def test_a_missing_part_is_replaced_by_a_note_with_the_command_that_makes_it(folder):
    for path in folder.iterdir():
        if path.name != "leaderboard.parquet":
            path.unlink()
    page = read(report.write_report(folder))
    for message in (
        *("It is not confirmed", "No finalist has been confirmed", "No trial has reported yet"),
        *("The run has no config.yaml", "importances need 10", "No choice had two values"),
        "Predictions are stored when a finalist is confirmed",
    ):
        assert message in page.text
    assert f"python -m search.confirm run=first runs_dir={folder.parent}" in page.text


@pytest.mark.parametrize(
    ("missing", "message"), [("samples.npz", "No images of mistakes are stored"), ("journal.log", "Not computed: ")]
)
def test_one_thing_missing_takes_nothing_else_away(folder, missing, message):
    (folder / missing).unlink()
    page = read(report.write_report(folder))
    assert message in page.text
    assert "do not show that a choice causes a better score" in page.text
    assert page.of("div", id="confusion")


@pytest.mark.parametrize("status", ["RUNNING", "FAILED_NAN", None])
def test_a_run_in_which_nothing_is_complete(folder, status):
    for name in ("finalists.parquet", "predictions.parquet", "samples.npz"):
        (folder / name).unlink()
    table = tables.read(folder / "leaderboard.parquet", "leaderboard")
    board = table.to_pandas().assign(status=status, score=np.nan, rank=None, pareto=False)
    board = board.iloc[:0] if status is None else board.assign(ended_at=pd.NaT)
    tables.write(tables.pa.Table.from_pandas(board, table.schema, preserve_index=False), folder / "leaderboard.parquet")
    if status is None:
        (folder / "curves.parquet").unlink()
    page = read(report.write_report(folder))
    assert "tiny10k: no trial is complete yet" in page.text
    assert "No trial is complete yet" in page.text


def test_a_stand_in_is_never_taken_for_the_original(tmp_path, folder):
    folder = make_run(tmp_path / "made", num_trials=3, confirmed=False, dataset_origin="made", dataset="blobs")
    assert "These results are on blobs, a made stand-in" in read(report.write_report(folder)).text


@pytest.mark.parametrize("side", [28, 200])
def test_networks_that_make_images_show_them_side_by_side(folder, side):
    (folder / "predictions.parquet").unlink()
    write_samples(folder, side=side)
    page = read(report.write_report(folder))
    assert "mistakes" not in [section["id"] for section in page.of("section")]
    alts = [image["alt"] for image in page.of("img")]
    assert alts[:3] == ["image 3, noisy", "image 3, cleaned", "image 3, target"]
    assert len(alts) == 12
    assert ("class" in page.of("img")[0]) == (side < 128)  # pixels of small images are drawn as squares
    assert "image 3: mean squared error 0.4" in page.text
    assert page.text.index("Worst") < page.text.index("Typical")


def test_a_report_is_replaced_whole_or_not_at_all(folder, monkeypatch):
    (folder / "report.html").write_text("old")
    with monkeypatch.context() as broken:
        broken.setattr("results.files.os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full", "x")))
        with pytest.raises(OSError, match="disk full"):
            report.write_report(folder)
    assert (folder / "report.html").read_text() == "old"
    assert not list(folder.glob(".*.tmp"))
    assert report.write_report(folder).read_text() != "old"


def test_the_command_prints_where_the_page_is(folder, capsys, tmp_path):
    runs_dir = f"runs_dir={folder.parent}"
    assert report.main(["run=first", runs_dir]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "report.html")
    assert report.main(["run=first", runs_dir, f"output={tmp_path / 'page.html'}"]) == 0
    assert (tmp_path / "page.html").is_file()
    assert report.main(["--help"]) == 0
    assert "run=NAME" in capsys.readouterr().out


def test_a_report_is_never_written_over_a_runs_own_files(folder, capsys, tmp_path):
    (folder / "models").mkdir(exist_ok=True)
    other = folder.parent / "other"
    other.mkdir()
    (other / "journal.log").write_text("another run's")
    links = [tmp_path / "soft.html", tmp_path / "hard.html"]
    links[0].symlink_to(folder / "leaderboard.parquet")
    links[1].hardlink_to(folder / "config.yaml")
    own = ["leaderboard.parquet", "config.yaml", "models/best.pt", "journal.log", ".lock", "models/page.html"]
    before = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    for output in (
        *(folder / name for name in own),
        other / "journal.log",
        folder / "models" / ".." / "config.yaml",
        *links,
    ):
        assert report.main(["run=first", f"runs_dir={folder.parent}", f"output={output}"]) == 2
        message = capsys.readouterr().err
        assert f"output={output}: " in message
        assert "the run's own file; choose another" in message
    assert before == {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    for name in ("report.html", "for-the-talk.html"):
        assert report.main(["run=first", f"runs_dir={folder.parent}", f"output={folder / name}"]) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "run= is needed"),
        (["run=[]"], 2, "run= is needed"),
        (["run=nosuch"], 2, "there is no such run; runs here: first"),
        (["run=../first"], 2, "must be a plain name"),
        (["rum=first"], 2, "did you mean run?"),
        (["run=first", "output=/dev/null/page.html"], 1, "Not a directory"),
    ],
)
def test_a_mistake_is_one_paragraph(folder, capsys, arguments, code, message):
    assert report.main([*arguments, f"runs_dir={folder.parent}"]) == code
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_damaged_files_are_named(folder):
    for name in ("samples.npz", "config.yaml", "predictions.parquet"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(b"\x00{[" + content[3 : len(content) // 2])
        with pytest.raises(ValueError, match=name):
            read_run(folder)
        (folder / name).write_bytes(content)


def test_several_runs_are_compared_only_where_their_scores_compare(folder, capsys):
    runs_dir = folder.parent
    make_run(runs_dir / "second", num_trials=4, confirmed=False)
    make_run(runs_dir / "other", num_trials=4, confirmed=False, dataset_fingerprint="another")
    assert report.main(["run=[first,second,other]", f"runs_dir={runs_dir}"]) == 0
    page = read(runs_dir / "report-first-second-other.html")
    assert "they are in 2 groups" in page.text
    apart = "not comparable with first: run other (other examples of mnist, fingerprint another, here 16eaeee6fdb13679)"
    assert f"{apart}." in page.text
    figures = [json.loads(page.scripts[f"compare-{place}-data"]) for place in range(2)]
    names = [{trace["name"] for trace in drawn["data"] if "name" in trace} for drawn in figures]
    assert names == [{"first", "second"}, {"other"}]
    assert "bertoldi: 0.9853" in page.text
    assert report.main(["run=[first,second]", f"runs_dir={runs_dir}"]) == 0
    assert "so their scores compare" in read(runs_dir / "report-first-second.html").text


def test_any_number_of_runs_with_any_names_are_compared_in_one_file(folder, capsys):
    runs_dir = folder.parent
    names = [f"{letter}" * length for letter, length in zip("abcdefghi", (255, *8 * (40,)), strict=True)]
    for name in names:
        make_run(runs_dir / name, num_trials=2, confirmed=False)
    assert report.main([f"run=[{','.join(names)}]", f"runs_dir={runs_dir}"]) == 0
    (written,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch("report-9-runs-[0-9a-f]{12}.html", written.rpartition("/")[2])
    assert "9 runs compared" in read(runs_dir / written).text
    assert report.comparison_name(names) != report.comparison_name(names[::-1])
    longest = "x" * 250 + ".html"
    assert report.main(["run=first", f"runs_dir={runs_dir}", f"output={runs_dir / longest}"]) == 0
    assert (runs_dir / longest).exists()


def rewrite(folder, goal: str, **columns) -> None:
    """Gives the run another goal, and its predictions other columns: none of labels."""
    for name in ("leaderboard", "finalists", "curves"):
        table = tables.frame(tables.read(folder / f"{name}.parquet", name))
        tables.write(
            pa.Table.from_pandas(table.assign(goal=goal)).replace_schema_metadata(SCHEMAS[name].metadata),
            folder / f"{name}.parquet",
        )
    found = tables.frame(tables.read(folder / "predictions.parquet", "predictions"))
    empty = ["label", "predicted", "probability", "label_probability"]
    found = found.assign(goal=goal, **dict.fromkeys(empty), **columns)
    tables.write(pa.Table.from_pandas(found, schema=PREDICTIONS), folder / "predictions.parquet")


def test_predicted_numbers_are_shown_against_the_right_ones_with_the_largest_errors_first(folder):
    index = tables.frame(tables.read(folder / "predictions.parquet", "predictions"))["index"]
    rewrite(folder, "regress", target=index * -10.0, value=index * -10.0 + 0.5 * index)
    page = read(report.write_report(folder))
    names = [section["id"] for section in page.of("section")]
    assert "predicted" in names
    assert not {"mistakes", "pictures", "labels"} & {*names}
    points = json.loads(page.scripts["predicted-plot-data"])["data"][1]
    assert len(points["customdata"]) == 200
    table = page.text[page.text.index("The largest mean absolute errors") :]
    assert table.index("-1,990") < table.index("-1,980")
    assert "half of the absolute errors are at most 49.75" in page.text


def test_before_a_confirmation_a_regression_says_how_to_get_its_section(folder):
    rewrite(folder, "regress")
    for name in ("finalists.parquet", "predictions.parquet", "samples.npz"):
        (folder / name).unlink()
    page = read(report.write_report(folder))
    assert "predicted" in [section["id"] for section in page.of("section")]
    assert "mistakes" not in [section["id"] for section in page.of("section")]


def test_several_labels_have_a_table_of_their_f1(folder):
    rewrite(folder, "multi-label", image_score=0.5)
    by_label = {"name": np.array(["<b>", "b"]), "count": np.array([3, 4]), "f1": np.array([0.75, np.nan])}
    empty = {"kind": np.array([], "U7"), "index": np.array([], np.int64)}
    np.savez(folder / "samples.npz", **empty, **{f"label_{name}": value for name, value in by_label.items()})
    page = read(report.write_report(folder))
    names = [section["id"] for section in page.of("section")]
    assert "labels" in names
    assert not {"mistakes", "pictures", "predicted"} & {*names}
    assert "<b>" in page.text
    assert "0.7500" in page.text


def test_class_maps_have_a_colour_for_each_class_and_a_legend(folder):
    rewrite(folder, "segment patch=null", image_score=0.5)
    write_samples(folder)
    samples = dict(np.load(folder / "samples.npz"))
    samples |= {name: image % 3 for name, image in samples.items() if name.startswith(("output_", "target_"))}
    np.savez(folder / "samples.npz", **{**samples, "classes": np.array(["paper", "text"])})
    page = read(report.write_report(folder))
    assert "pictures" in [section["id"] for section in page.of("section")]
    assert [image["alt"] for image in page.of("img")][:3] == [
        "image 3, input",
        "image 3, predicted classes",
        "image 3, target",
    ]
    text = page.text[page.text.index("Images side by side") :]
    assert "paper" in text
    assert len(page.of("span", style="background:#0072b2")) == 1


def test_mistakes_on_examples_that_are_no_images_are_a_table(folder):
    np.savez(folder / "samples.npz", kind=np.array([], "U7"), index=np.array([], np.int64))
    page = read(report.write_report(folder))
    assert "The mistakes that most seeds of" in page.text
    assert "3 of 3 seeds wrong" in page.text


def test_finalists_have_the_means_of_their_further_metrics(folder):
    path = folder / "finalists.parquet"
    found = pq.read_table(path)
    recalls = np.where(found["trial"].is_valid(), 0.5 + 0.01 * np.asarray(found["seed"]), np.nan)  # none for references
    pq.write_table(found.append_column("metric_recall", pa.array(recalls, from_pandas=True)), path)
    means = pd.DataFrame({"trial": found["trial"].to_pandas(), "recall": recalls}).groupby("trial")["recall"].mean()
    page = read(report.write_report(folder))
    assert page.text.count("recall") == 1
    for mean in means:
        assert f"{mean:.4f}" in page.text
