"""Full, read-only or missing disks cause a clear error, and leave a readable journal from which the run resumes."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.study.journal import Journal
from tests.faults.observed import Run
from tests.search.command import run as run_command


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """Mounts a tmpfs of 3 MB as the folder of a run."""
    folder = tmp_path / "runs" / "a"
    folder.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65_536, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


def test_a_full_disk_stops_the_run_with_a_clear_error_and_it_resumes_when_there_is_space(
    small_disk, undisturbed, record
):
    run = Run(small_disk.parent, undisturbed.address, undisturbed.arguments)
    with run.started() as process:
        run.wait_until(lambda: len(run.notes()) > 6, process)
        filler = fill(small_disk)
        run.wait(process, 1)
    last_line = run.output.splitlines()[-1]
    assert "No space left on device" in last_line
    assert "Resume with: " in last_line
    assert f" -m search.run task=tiny10k run=a runs_dir={run.runs_dir}" in last_line
    assert "Traceback" not in run.output
    num_reports = sum(len(entry.reports) for entry in Journal.read(run.journal).entries())
    assert num_reports > 0
    filler.unlink()
    run.finish()
    assert run.picture() == undisturbed.picture()
    record("disk full", 1, run)


def test_a_read_only_folder_is_refused(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    code, output = run_command(small_disk.parent, "run=a")
    assert code == 2
    assert "cannot be the folder of a run: Read-only file system; name another one with runs_dir= and run=" in output
    assert "Traceback" not in output


def test_a_run_whose_folder_vanishes_stops_with_a_clear_error(make_run):
    run = make_run("a", "concurrency=1")
    with run.started() as process:
        run.wait_until(lambda: len(run.notes()) > 6, process)
        run.folder.rename(
            run.folder.with_name("moved")
        )  # renamed, because deleting file by file would race with the run
        run.wait(process, 1)
    last_line = run.output.splitlines()[-1]
    assert "No such file or directory" in last_line
    assert "Traceback" not in run.output


def test_data_that_vanish_during_a_run_are_needed_only_to_resume_it(mnist_dir, tmp_path, address):
    data_dir = tmp_path / "data"
    shutil.copytree(mnist_dir / "MNIST" / "raw", data_dir / "MNIST" / "raw")
    arguments = ("max_epochs=2", "train_examples=600", f"data_dir={data_dir}", "data=original", "run=a")
    run = Run(tmp_path / "runs", address, ("num_trials=2", *arguments))
    with run.started() as process:
        run.wait_until(run.log.exists, process)
        shutil.rmtree(data_dir)
        run.wait(process, 0)
    assert set(run.table()["dataset"]) == {"mnist"}
    code, output = run_command(run.runs_dir, "num_trials=3", *arguments)
    assert code == 2
    assert str(data_dir) in output
    assert "data_dir=FOLDER" in output
    assert "Traceback" not in output
