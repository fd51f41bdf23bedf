"""Limits of a job on worker processes, and what is put together of what they wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun import Fault, JobSettings, ParallelJob
from pytest_parallelrun.emulator.errors import SettingsError
from tests.emulator.engines.process.scripts import NAMES, attempts_by_name, run_on_processes, write_items, write_script


def test_a_job_without_progress_fails_with_the_reason_of_the_service(tmp_path: Path) -> None:
    script = "import time\ndef run(paths):\n    time.sleep(60)\n    return paths"
    result = run_on_processes(tmp_path, script, "a", progress_update_timeout=0.5)
    assert result.status == "Failed"
    assert result.reason == (
        "no mini-batch was processed for 0.5 s (progress_update_timeout): the service stops such a job, "
        '"No progress update in 0.5 seconds."'
    )
    assert result.mini_batches[0].status == "unfinished"


def test_a_processed_mini_batch_is_progress(tmp_path: Path) -> None:
    script = "import time\ndef run(paths):\n    time.sleep(0.3)\n    return paths"
    assert run_on_processes(tmp_path, script, *"abcdefghijkl", progress_update_timeout=3).status == "Completed"


def test_a_run_that_comes_back_after_its_limit_is_late(tmp_path: Path) -> None:
    # It keeps the signal off: the limit is passed while the process is stopped and goes on by itself.
    script = "import time\ndef run(paths):\n    time.sleep(0.2)\n    return paths"
    result = run_on_processes(tmp_path, script, "a", timeout=0.1)
    assert attempts_by_name(result)["a"][0].outcome == "timeout"


def test_the_script_is_off_the_main_thread_where_that_is_wanted(tmp_path: Path) -> None:
    script = "import threading as t\ndef run(paths):\n    return [t.current_thread() is t.main_thread()]"
    assert run_on_processes(tmp_path, script, "a", thread="worker").rows == [False]


def test_each_worker_appends_to_a_file_of_its_own_that_is_gone_in_the_end(tmp_path: Path) -> None:
    script = """
import os
def run(paths):
    own = str(os.getpid())
    names = [name for name in os.listdir(os.environ["AZUREML_BI_OUTPUT_PATH"]) if own in name]
    return [",".join(names).replace(own, "PID")]
"""
    result = run_on_processes(tmp_path, script, "a", "b", output_action="append_row", append_row_file_name="out.txt")
    assert result.rows == ["", "temp_0_PID_out.txt"]
    assert result.output_path is not None
    assert result.output_path.read_text("utf-8") == "\ntemp_0_PID_out.txt\n"
    assert [path.name for path in result.output_path.parent.iterdir()] == ["out.txt"]


def test_what_stays_open_or_running_is_noted(tmp_path: Path) -> None:
    script = """
import threading, time
def run(paths):
    global left
    left = open("left open.txt", "w")
    threading.Thread(target=time.sleep, args=(600,), daemon=True, name="left running").start()
    return paths
"""
    notes = run_on_processes(tmp_path, script, "a").notes
    assert "the script left 1 thread running: left running" in notes
    assert any(note.startswith("the script left 1 file open: ") and "left open.txt" in note for note in notes)


def test_output_after_the_first_hundred_thousand_bytes_is_in_the_logs_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = "def run(paths):\n    print('x' * 1_000_000)\n    return paths"
    run_on_processes(tmp_path, script, "a")
    shown = capsys.readouterr().out
    assert "900,001 bytes left out, all of it is in process000.stdout.txt of the logs" in shown
    assert len(shown) < 101_000


def test_a_mini_batch_that_is_injected_as_late_costs_no_time(tmp_path: Path) -> None:
    result = run_on_processes(tmp_path, NAMES, "a", "b", faults=(Fault.times_out(mini_batch=0),), timeout=50)
    assert [batch.status for batch in result.mini_batches] == ["failed", "succeeded"]
    assert result.duration < 40


def test_windows_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_parallelrun.emulator.engines.process.pool.ON_POSIX", False)
    with pytest.raises(SettingsError, match="needs Linux or macOS"):
        run_on_processes(tmp_path, NAMES, "a")


def test_a_clock_that_skips_sleep_is_noted_as_without_effect(tmp_path: Path) -> None:
    result = run_on_processes(tmp_path, NAMES, "a", clock="virtual")
    assert "clock=virtual has no effect in worker processes, where time is real" in result.notes


def test_a_system_that_starts_no_process_fails_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ParallelJob(write_script(tmp_path, NAMES), write_items(tmp_path, "a"), JobSettings(), engine="process")
    monkeypatch.setattr("sys.executable", str(tmp_path / "no python"))
    result = job.run()
    assert (result.status, result.processed_mini_batches) == ("Failed", 0)
    assert (result.reason or "").startswith("a worker process could not be started: ")
