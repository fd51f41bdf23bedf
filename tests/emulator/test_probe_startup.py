from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from pytest_parallelrun import JobSettings, ParallelJob
from pytest_parallelrun.emulator.events import WorkerFailed, WorkerStarted
from pytest_parallelrun.emulator.probe import probe_startup
from tests.emulator._scripts import make_job

if TYPE_CHECKING:
    from typing_extensions import Self

    from pytest_parallelrun.emulator.worker.script import EntryFunctions


SCRIPT = """
    import os
    import sys

    def init():
        open("init-was-here", "w").close()

    def run(batch):
        return [(os.environ.get("AZUREML_BI_OUTPUT_PATH"), sys.argv[1:]) for _ in batch]
"""


class Looking:
    """An observer: whether run() takes the context, and whether init() was called."""

    def __init__(self) -> None:
        self._seen: tuple[bool, bool] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None: ...

    def inspect(self, functions: EntryFunctions) -> None:
        self._seen = functions.takes_context, Path("init-was-here").exists()

    def result(self) -> tuple[bool, bool] | None:
        return self._seen


def test_as_many_workers_come_up_as_were_asked_for(tmp_path: Path) -> None:
    rehearsal = probe_startup(make_job(tmp_path, SCRIPT, instance_count=7), workers=2)
    assert [(type(event), event.worker) for event in rehearsal.workers] == [(WorkerStarted, 0), (WorkerStarted, 1)]
    assert rehearsal.attempt is None


def test_an_import_that_fails_is_reported_once_for_each_worker(tmp_path: Path) -> None:
    rehearsal = probe_startup(
        make_job(tmp_path, "import nothing_of_that_name"), workers=2, first_attempt=True, observer=Looking
    )
    assert all(isinstance(event, WorkerFailed) and event.failure.phase == "import" for event in rehearsal.workers)
    assert len(rehearsal.workers) == 2
    assert rehearsal.attempt is None
    assert rehearsal.observed == (None, None)


def test_without_init_only_the_import_counts(tmp_path: Path) -> None:
    job = make_job(tmp_path, "def init(): 1 / 0\ndef run(batch): return batch")
    assert isinstance(probe_startup(job, init=False).workers[0], WorkerStarted)
    assert isinstance(probe_startup(job).workers[0], WorkerFailed)


def test_the_first_attempt_is_that_of_the_first_mini_batch(tmp_path: Path) -> None:
    attempt = probe_startup(make_job(tmp_path, SCRIPT, files=3), first_attempt=True).attempt
    assert attempt is not None
    assert (attempt.outcome, attempt.mini_batch.id, attempt.number, attempt.worker) == ("succeeded", 0, 1, 0)


@pytest.mark.parametrize("action", ["append_row", "summary_only"])
def test_the_output_folder_is_there_exactly_with_append_row(tmp_path: Path, action: str) -> None:
    attempt = probe_startup(make_job(tmp_path, SCRIPT, output_action=action), first_attempt=True).attempt
    assert attempt is not None
    assert isinstance(attempt.value, list)
    folder, arguments = attempt.value[0]
    assert (folder is not None) == (action == "append_row")
    assert ("--output" in arguments) == (action == "append_row")


def test_the_arguments_of_the_runtime_can_be_left_out(tmp_path: Path) -> None:
    job = make_job(tmp_path, SCRIPT)
    job = ParallelJob(tmp_path / "code" / "score.py", job.input, program_arguments="--mine 1")
    with_all = probe_startup(job, first_attempt=True).attempt
    without = probe_startup(job, first_attempt=True, runtime_arguments=False).attempt
    assert with_all is not None
    assert without is not None
    assert isinstance(with_all.value, list)
    assert isinstance(without.value, list)
    assert without.value[0][1] == ["--mine", "1"]
    assert len(with_all.value[0][1]) > 2
    assert with_all.value[0][1][-2:] == ["--mine", "1"]


def test_a_worker_can_be_looked_at_while_it_is_up(tmp_path: Path) -> None:
    assert probe_startup(make_job(tmp_path, SCRIPT), observer=Looking).observed == ((False, True),)


def test_a_table_is_handed_over_as_a_table(tmp_path: Path) -> None:
    make_job(tmp_path, "def run(frame): return frame")
    job = ParallelJob(tmp_path / "code" / "score.py", pd.DataFrame({"x": [1, 2]}))
    attempt = probe_startup(job, first_attempt=True).attempt
    assert attempt is not None
    assert attempt.returned == 2


@pytest.mark.parametrize("size", [None, "10", "10kb"])
def test_without_an_attempt_the_input_is_not_looked_at(tmp_path: Path, size: str | None) -> None:
    make_job(tmp_path, SCRIPT)
    job = ParallelJob(tmp_path / "code" / "score.py", tmp_path / "none", JobSettings(mini_batch_size=size))
    assert isinstance(probe_startup(job).workers[0], WorkerStarted)
