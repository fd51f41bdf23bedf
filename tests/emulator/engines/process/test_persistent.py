"""Worker processes that stay up, as benches and rehearsals use them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest

from pytest_parallelrun import Fault, JobSettings, ParallelJob
from pytest_parallelrun.emulator.events import WorkerFailed, WorkerStarted
from pytest_parallelrun.emulator.probe import ProbeSession, WorkerStartError, probe_startup
from pytest_parallelrun.emulator.splitting.model import PrebuiltInput
from pytest_parallelrun.emulator.worker.file_watch import FilesTouched, files_watched
from tests.emulator.engines.process.in_worker import end_worker, fail, pid_of_worker
from tests.emulator.engines.process.scripts import NAMES, write_items, write_script

COUNTING = """
import os
calls = 0
def run(paths):
    global calls
    calls += 1
    if paths[0].endswith("dies"):
        os._exit(3)
    return [(os.getpid(), calls)]
"""


def job_of(folder: Path, script: str, **settings: object) -> ParallelJob:
    chosen = JobSettings.from_mapping(settings)
    return ParallelJob(write_script(folder, script), write_items(folder, "a"), chosen, engine="process")


def test_a_bench_keeps_its_workers(tmp_path: Path) -> None:
    with ProbeSession(job_of(tmp_path, COUNTING), "files", workers=2) as bench:
        first, second, other = (bench.attempt(["x"], worker=worker).ended.value for worker in (0, 0, 1))
        assert (first[0][1], second[0][1], other[0][1]) == (1, 2, 1)  # type: ignore[index]
        assert first[0][0] == second[0][0] != other[0][0]  # type: ignore[index]
        assert bench.call_in_worker(pid_of_worker, worker=1) == other[0][0]  # type: ignore[index]
        assert bench.init_calls == 2
        bench.renew(1)
        # There is nobody any more.
        bench.renew(1)


TWO = """
import os, time
def init():
    os.mkdir(os.path.join(PLACE, str(os.getpid())))
    end = time.monotonic() + 10
    while len(os.listdir(PLACE)) < 2:
        assert time.monotonic() < end, "the other one does not come"
        time.sleep(0.01)
def run(paths):
    return paths
"""


def test_the_first_two_workers_can_start_at_the_same_time(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    script = f"PLACE = {str(tmp_path / 'place')!r}\n{TWO}"
    with ProbeSession(job_of(tmp_path, script), "files", workers=2) as bench:
        bench.start_two()
        assert (bench.is_up(0), bench.is_up(1), bench.init_calls) == (True, True, 2)


@pytest.mark.parametrize("worker", [0, 1])
def test_of_two_workers_the_one_that_does_not_start_is_named(tmp_path: Path, worker: int) -> None:
    # It is known by its hash seed.
    script = f"import os\nassert os.environ['PYTHONHASHSEED'] != '{worker + 1}'\ndef run(paths): return paths\n"
    with (
        ProbeSession(job_of(tmp_path, script), "files", workers=2) as bench,
        pytest.raises(WorkerStartError) as refused,
    ):
        bench.start_two()
    assert refused.value.worker == worker


def test_a_worker_that_died_or_was_renewed_has_a_successor(tmp_path: Path) -> None:
    with ProbeSession(job_of(tmp_path, COUNTING), "files") as bench:
        assert bench.attempt(["dies"]).ended.outcome == "crashed"
        assert cast("Any", bench.attempt(["x"]).ended.value)[0][1] == 1
        bench.renew()
        assert cast("Any", bench.attempt(["x"]).ended.value)[0][1] == 1
        os.kill(int(str(bench.call_in_worker(pid_of_worker))), 9)
        while bench._engine.is_up(0):
            pass
        assert bench.attempt(["x"]).ended.outcome == "succeeded"
        assert bench.init_calls == 4


def test_what_is_asked_and_fails_is_said(tmp_path: Path) -> None:
    with ProbeSession(job_of(tmp_path, COUNTING), "files") as bench:
        with pytest.raises(RuntimeError, match=r"fail\(\) failed in the worker process: ValueError: cannot say"):
            bench.call_in_worker(fail)
        with pytest.raises(RuntimeError, match=r"end_worker\(\) has ended the worker process: .* exit code 5"):
            bench.call_in_worker(end_worker)


def test_a_worker_that_does_not_come_up_is_down(tmp_path: Path) -> None:
    script = "def init():\n    raise ValueError('no model')\n" + NAMES
    with ProbeSession(job_of(tmp_path, script), "files") as bench, pytest.raises(WorkerStartError, match="no model"):
        bench.start()


def test_a_bench_has_a_limit_for_each_mini_batch(tmp_path: Path) -> None:
    script = "import time\ndef run(paths):\n    time.sleep(60)"
    with ProbeSession(job_of(tmp_path, script), "files", probe_limit=0.2) as bench:
        ended = bench.attempt(["x"]).ended
    assert ended.outcome == "timeout"
    assert ended.failure is not None
    assert " s waiting, not working: for a socket, a lock, a sleep or the like (limit " in ended.failure.error


SLOW_BUT_BUSY = """
import os, signal, time
def run(paths):
    if paths == ["stands still"]:
        # As on a machine that has no time for it: nothing is used while the limit passes.
        time.sleep(0.2)
    end = time.process_time() + 0.6
    while time.process_time() < end:
        pass
    return paths
"""


def test_who_works_has_the_limit_in_processor_time(tmp_path: Path) -> None:
    with ProbeSession(job_of(tmp_path, SLOW_BUT_BUSY), "files", probe_limit=0.3) as bench:
        busy = bench.attempt(["x"]).ended
    assert busy.outcome == "timeout"
    assert busy.failure is not None
    assert " s working (limit of generated mini-batches: 0.3 s)" in busy.failure.error
    with ProbeSession(job_of(tmp_path, SLOW_BUT_BUSY), "files", probe_limit=0.7) as bench:
        half = bench.attempt(["stands still"]).ended
    assert half.outcome == "succeeded"


def test_files_that_a_worker_opens_are_told_to_those_who_watch(tmp_path: Path) -> None:
    script = "open('by import', 'w').close()\ndef run(paths):\n    open('by run', 'w').close()\n    return paths"
    with ProbeSession(job_of(tmp_path, script), "files") as bench:
        tried = bench.attempt(["x"])
    assert [os.path.basename(path) for path in tried.files.written] == ["by run"]
    assert [os.path.basename(path) for path in bench.setting_up.written] == ["by import"]
    touched = FilesTouched()
    job = job_of(tmp_path, script)
    with files_watched(touched):
        job.run()
    assert [os.path.basename(path) for path in touched.written] == ["by import", "by run"]


def test_a_job_runs_on_the_workers_of_a_bench_which_outlive_its_faults(tmp_path: Path) -> None:
    job = job_of(tmp_path, COUNTING, max_retries=1)
    job.input = PrebuiltInput([["a"], ["b"]], kind="files")
    job.faults = (Fault.times_out(mini_batch=0, attempt=1), Fault.crashes(mini_batch=1, attempt=1))
    with ProbeSession(job, "files") as bench:
        result = bench.run(job)
        assert bench.init_calls == 1
    assert [[each.outcome for each in batch.attempts] for batch in result.mini_batches] == [
        ["timeout", "succeeded"],
        ["crashed", "succeeded"],
    ]


def test_tables_are_tried_as_tables(tmp_path: Path) -> None:
    script = "def run(table):\n    return table[table['x'] > 1]"
    with ProbeSession(job_of(tmp_path, script), "tabular") as bench:
        ended = bench.attempt(pd.DataFrame({"x": [1, 2]})).ended
    assert (ended.outcome, ended.returned) == ("short", 1)


def test_a_rehearsal_brings_workers_up_and_makes_an_attempt(tmp_path: Path) -> None:
    job = job_of(tmp_path, COUNTING)
    rehearsal = probe_startup(job, workers=2, first_attempt=True)
    assert [type(event) for event in rehearsal.workers] == [WorkerStarted, WorkerStarted]
    assert rehearsal.attempt is not None
    assert rehearsal.attempt.outcome == "succeeded"
    failed = probe_startup(job_of(tmp_path, "1 / 0"), first_attempt=True)
    assert isinstance(failed.workers[0], WorkerFailed)
    assert failed.attempt is None


def test_a_worker_imports_next_to_nothing_before_its_script(tmp_path: Path) -> None:
    script = "import sys\nloaded = sorted(sys.modules)\ndef run(paths):\n    return loaded"
    [event] = probe_startup(job_of(tmp_path, script), first_attempt=True).workers
    assert isinstance(event, WorkerStarted)
    attempt = probe_startup(job_of(tmp_path, script), first_attempt=True).attempt
    assert attempt is not None
    # What `site` loads is there in any interpreter; these take longer than an interpreter takes to start.
    heavy = {
        "dataclasses",
        "inspect",
        "logging",
        "numpy",
        "pandas",
        "pathlib",
        "pickle",
        "subprocess",
        "tempfile",
        "typing",
    }
    told = subprocess.run([sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, check=True)
    bare = told.stdout.decode().split()
    assert heavy & set(attempt.value) - set(bare) == set()  # type: ignore[call-overload]


def test_a_package_that_is_not_installed_is_found_by_its_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_parallelrun.emulator.engines.process.pool.ROOT", str(tmp_path / "elsewhere"))
    script = "import sys\ndef run(paths):\n    return [sys.path[-1]]"
    result = job_of(tmp_path, script).run()
    assert result.rows == [str(tmp_path / "elsewhere")]
