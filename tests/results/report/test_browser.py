"""The report in a real browser: it is drawn, sorted and coloured without a network. Run by `make test-browser`."""

from itertools import pairwise
from pathlib import Path

import pytest

from search.report import main, write_report
from tests.results.analysis.test_ablation import write_ablation
from tests.results.browser import Browser, find_chromium, opened
from tests.results.extremes import ERROR, make_extremes
from tests.results.hostile import FOLDER, HOSTILE, copied, spoil
from tests.results.synthetic import make_run, write_samples

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="no chromium or google-chrome on the PATH"),
]
PHONE = 360


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(autouse=True)
def no_problems(browser):
    """Checks that the console has no error and that the page requests nothing from outside."""
    browser.problems.clear()
    yield
    assert browser.problems == []


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """Writes the pages of a confirmed classifier, a denoiser and 2,000 trials, and a comparison."""
    runs = tmp_path_factory.mktemp("runs")
    folders = {"small": make_run(runs / "small"), "images": make_run(runs / "images")}
    (folders["images"] / "predictions.parquet").unlink()
    write_samples(folders["images"], side=300)
    folders["bare"] = make_run(runs / "bare", num_trials=2, confirmed=False)
    folders["ablation"] = write_ablation(runs / "ablation")
    folders["large"] = make_run(runs / "large", num_trials=2000, max_epochs=18)
    assert main(["run=[small,large]", f"runs_dir={runs}", f"output={runs / 'both.html'}"]) == 0
    return {name: write_report(folder) for name, folder in folders.items()} | {"both": runs / "both.html"}


@pytest.fixture(params=["small", "images", "large", "both"])
def page(request, pages) -> Path:
    return pages[request.param]


def column(browser: Browser, place: int) -> list[str]:
    cells = f"[...document.querySelectorAll('table.sortable tbody tr')].map(row => row.cells[{place}].textContent)"
    return browser.run(cells)


def press(browser: Browser, heading: str) -> str:
    """Presses a heading of the table by keyboard, and returns its aria-sort."""
    button = f"[...document.querySelectorAll('th button')].find(b => b.textContent === '{heading}')"
    browser.run(f"{button}.focus()")
    assert browser.run(f"document.activeElement === {button}")
    browser.run(f"{button}.click()")
    return browser.run(f"{button}.closest('th').getAttribute('aria-sort')")


@pytest.mark.parametrize("dark", [False, True])
def test_all_figures_are_drawn_with_their_text_alternatives(browser, page, dark):
    browser.open(page, dark=dark)
    browser.draw_all()
    figures = browser.run(
        "[...document.querySelectorAll('.plot')].map(plot => [plot.querySelectorAll('.main-svg').length, plot.role,"
        " document.getElementById(plot.getAttribute('aria-labelledby')).textContent.length])"
    )
    assert figures
    assert all(num_drawings and role == "img" and length > 30 for num_drawings, role, length in figures)


@pytest.mark.parametrize("width", [PHONE, 768, 1280])
def test_the_page_does_not_scroll_sideways(browser, page, width):
    browser.open(page, width=width)
    browser.draw_all()
    assert browser.run("document.documentElement.scrollWidth") <= width
    widest = "Math.max(...[...document.querySelectorAll('.plot .main-svg')].map(s => s.getBoundingClientRect().right))"
    assert browser.run(widest) <= width


@pytest.mark.parametrize("name", ["small", "large"])
def test_headings_sort_up_and_down_with_what_is_missing_last(browser, pages, name):
    browser.open(pages[name])
    scores = [float(text) for text in column(browser, 2)]
    assert press(browser, "score") == "ascending"
    assert [float(text) for text in column(browser, 2)] == sorted(scores)
    assert press(browser, "score") == "descending"
    assert [float(text) for text in column(browser, 2)] == sorted(scores, reverse=True)
    ranks = [int(text) for text in column(browser, 0) if text]
    for order in ("ascending", "descending"):
        assert press(browser, "rank") == order
        found = column(browser, 0)
        assert found[: len(ranks)] == [str(rank) for rank in sorted(ranks, reverse=order == "descending")]
        assert set(found[len(ranks) :]) == {""}  # those that failed
    assert press(browser, "params") == "ascending"
    sizes = [int(text.replace(",", "")) for text in column(browser, 7)]
    assert sizes == sorted(sizes)
    assert browser.run("document.querySelectorAll('th[aria-sort]:not([aria-sort=none])').length") == 1


def test_a_row_shows_its_choices_and_hides_them(browser, pages):
    browser.open(pages["small"])
    browser.run("document.querySelector('button.more').click()")
    shown = browser.run("document.querySelector('tr.details').textContent")
    assert "pooling" in shown
    assert "learning_rate" in shown
    widths = "['tr.details td', 'table.sortable'].map(e => document.querySelector(e).getBoundingClientRect().width)"
    cell, table = browser.run(widths)
    assert cell > 0.95 * table
    assert browser.run("document.querySelector('button.more').getAttribute('aria-expanded')") == "true"
    browser.run("document.querySelector('button.more').click()")
    assert browser.run("document.querySelector('tr.details')") is None


def test_dark_and_light_differ_also_in_figures_that_are_drawn(browser, pages):
    background = "getComputedStyle(document.querySelector('section')).backgroundColor"
    paper = "document.querySelector('#by-params .main-svg').style.background"
    browser.open(pages["small"])
    browser.draw_all()
    light = browser.run(f"[{background}, {paper}]")
    browser.prefer(dark=True)
    browser.wait_for("document.querySelector('#by-params').dataset.drawn === 'dark'")
    dark = browser.run(f"[{background}, {paper}]")
    assert light == ["rgb(255, 255, 255)"] * 2
    assert dark == ["rgb(22, 27, 34)"] * 2


def test_mistakes_and_pictures_are_shown(browser, pages):
    for name, expected in (("small", 1), ("images", 12)):
        browser.open(pages[name])
        assert browser.run("[...document.images].filter(image => image.naturalWidth > 0).length") == expected


def test_nothing_of_a_hostile_run_is_run(browser, pages, tmp_path):
    """The policy allows the figures, and the browser reports no problem: no script was even tried."""
    for name in ("small", "ablation"):
        folder = spoil(copied(pages[name].parent, tmp_path / f"{name}{FOLDER}"), HOSTILE)
        browser.open(write_report(folder))
        browser.draw_all()
        browser.run("document.querySelectorAll('button.more').forEach(button => button.click())")
        browser.run("document.querySelectorAll('*').forEach(e => e.dispatchEvent(new Event('mouseover')))")
        assert browser.run("typeof hit") == "undefined"
        assert browser.run("document.querySelectorAll('iframe, base, [onmouseover], [autofocus]').length") == 0


def test_a_script_that_is_not_in_the_policy_does_not_run(browser, pages, tmp_path):
    """A script that got into a page would still not run."""
    content = pages["bare"].read_text(encoding="utf-8")
    page = tmp_path / "page.html"
    page.write_text(content.replace("<main>", "<main><script>hit = 1</script><svg onload='hit = 1'></svg>"), "utf-8")
    browser.open(page)
    assert browser.run("typeof hit") == "undefined"
    assert sum("violates the following Content Security Policy" in problem for problem in browser.problems) == 2
    browser.problems.clear()


EXTREMES = ("long", "classes", "large", "one", "failed", "running")


@pytest.fixture(scope="module")
def extremes(tmp_path_factory) -> dict[str, Path]:
    """Writes the pages of extreme runs, and one that compares them all."""
    runs = tmp_path_factory.mktemp("extremes")
    folders = make_extremes(runs)
    names = ",".join(folder.name for folder in folders.values())
    assert main([f"run=[{names}]", f"runs_dir={runs}", f"output={runs / 'both.html'}"]) == 0
    return {name: write_report(folder) for name, folder in folders.items()} | {"both": runs / "both.html"}


@pytest.mark.parametrize("width", [390, 1300])
@pytest.mark.parametrize("name", [*EXTREMES, "both"])
def test_an_extreme_run_stays_readable(browser, extremes, name, width):
    """Only tables are wider than the page, and scroll in their boxes; figures have room beside their labels."""
    browser.open(extremes[name], width=width)
    browser.draw_all()
    assert browser.run("document.documentElement.scrollWidth") <= width
    outside = "[...document.querySelectorAll('main *')].filter(e => !e.closest('.box, .plot, pre, nav')"
    outside += f" && e.getBoundingClientRect().right > {width}).map(e => e.outerHTML.slice(0, 200))"
    assert browser.run(outside) == []
    areas = "[...document.querySelectorAll('.plot .plotbg, .plot .bglayer')].map(e => e.getBoundingClientRect().width)"
    assert all(wide == 0 or wide > 0.35 * min(width, 500) for wide in browser.run(areas))


def test_a_failed_runs_error_stands_in_the_open(browser, extremes):
    for width in (390, 1300):
        browser.open(extremes["failed"], width=width)
        shown = browser.run("document.querySelector('#failures pre').innerText")
        assert shown == ERROR
        assert browser.run("document.querySelector('#failures pre').checkVisibility()")
        assert "3 of 3 trials failed, the first of them with: RuntimeError" in browser.run(
            "document.querySelector('header').innerText"
        )


def test_each_of_fifty_classes_has_its_name_beside_the_matrix(browser, extremes):
    browser.open(extremes["classes"], width=1300)
    browser.draw_all()
    labels = "[...document.querySelectorAll('#confusion .ytick text')]"
    labels += ".map(e => [e.getBoundingClientRect().top, e.textContent.trim()])"
    tops, names = zip(*sorted(browser.run(labels)), strict=True)
    assert list(names) == [f"class number {k}" for k in range(50)]
    assert min(lower - upper for upper, lower in pairwise(tops)) >= 10
