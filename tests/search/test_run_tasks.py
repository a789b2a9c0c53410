"""Whole searches of tasks other than tiny10k in a real Ray, and their winners applied."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import results
from data.images import own
from data.made.digits import load_made
from data.page_files import read_pages
from search.predict import main as predict
from tests.search.command import run

pytestmark = [pytest.mark.ray, pytest.mark.tasks]

FEW = ("num_trials=2", "max_epochs=2", "concurrency=2")
CONFIRMED = ("confirm.top_k=1", "confirm.seeds=1", "references=false", "report=true")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("tasks")


def test_pages_are_restored_whole_at_their_own_sizes(folder, cluster):
    """Drawn documents are cleaned by the winner, which writes a folder of PNGs."""
    small = (
        "fix.family=stages",
        "fix.stages=1",
        "fix.convs=1",
        "fix.skips=none",
        "fix.dilated=false",
        "max_macs=1000000000",
    )
    code, output = run(folder, cluster, "task=documents", "run=a", *FEW, *small, "train_examples=6", "val_examples=2")
    assert code == 0, output
    assert "documents-made, NOT on documents" in output
    assert "skipped  reference wide-denoiser: over max_macs: it has 103,073 parameters, 23.3G MACs" in output
    board = results.load("documents", folder)
    assert set(board["dataset_origin"]) == {"made"}
    assert set(results.load("documents", folder, table="curves")["dataset_origin"]) == {"made"}
    assert (board["code_size"] <= 420 * 540).all()
    assert board["score"].between(0, 1).all()
    assert board.sort_values("rank")["score"].is_monotonic_increasing  # an error: less is better
    noisy = folder / "noisy"
    noisy.mkdir()
    for name, shape in (("1.png", (101, 131)), ("2.png", (420, 540))):
        Image.fromarray(np.full(shape, 200, np.uint8)).save(noisy / name)
    model = folder / "a" / "models" / "best.pt"
    assert predict([f"model={model}", f"input={noisy}", f"output={folder / 'clean'}"]) == 0
    cleaned, names = read_pages(folder / "clean")
    assert [(page.shape, name) for page, name in zip(cleaned, names, strict=True)] == [
        ((101, 131), "1.png"),
        ((420, 540), "2.png"),
    ]


def test_noise_is_taken_off_and_further_metrics_are_in_the_tables(folder, cluster):
    small = ("fix.family=flat", "fix.depth=1", "fix.width=8", "max_macs=2000000")
    code, output = run(
        folder, cluster, "task=denoiser", "run=b", *FEW, *small, "train_examples=600", "val_examples=100", *CONFIRMED
    )
    assert code == 0, output
    assert "psnr" in output
    board = results.load("denoiser", folder)
    assert board["metric_psnr"].gt(0).all()
    assert board["metric_ssim"].between(-1, 1).all()
    assert {"psnr", "ssim"} <= set(results.load("denoiser", folder, table="curves").columns)
    assert results.load("denoiser", folder, table="finalists")["metric_psnr"].gt(0).all()
    with np.load(folder / "b" / "samples.npz") as samples:
        assert samples["kind"].tolist() == ["worst"] * 4 + ["typical"] * 4
        assert samples["error"][0] == samples["error"].max()
        for k, place in enumerate(samples["index"]):
            clean, noisy = samples[f"target_{k}"], samples[f"input_{k}"]
            assert np.array_equal(clean, load_made().test.x[place])
            assert np.square(noisy / 255 - clean / 255).mean() > samples["error"][k] / 3
    assert "Images side by side" in (folder / "b" / "report.html").read_text(encoding="utf-8")


def test_ones_own_images_are_classified_by_their_folders_names(folder, cluster):
    """The embedded digits are PNGs in a folder for each class, as README shows."""
    photos, names = folder / "photos", ["zero", "one"]
    x, y = load_made().train.x, load_made().train.y
    for label, name in enumerate(names):
        (photos / name).mkdir(parents=True)
        for place in np.flatnonzero(y == label)[:40]:
            Image.fromarray(x[place]).save(photos / name / f"{place}.png")
    code, output = run(folder, cluster, "task=images", f"data={photos}", "run=c", *FEW, "references=false")
    assert code == 0, output
    board = results.load("images", folder)
    assert set(board["dataset"]) == {"images:photos"}
    assert set(board["dataset_fingerprint"]) == {own(photos).fingerprint}
    assert set(board["dataset_origin"]) == {"original"}
    model, labels = folder / "c" / "models" / "best.pt", folder / "labels.csv"
    assert predict([f"model={model}", f"input={photos / 'one'}", f"output={labels}"]) == 0
    assert set(pd.read_csv(labels)["label"]) <= set(names)
