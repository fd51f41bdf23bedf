from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.emulator import scheduler
from pytest_parallelrun.emulator.events import Progress, seconds_text
from pytest_parallelrun.emulator.job import ParallelJob
from tests.emulator.jobs import Names, make_files


def test_the_recorded_estimate() -> None:
    said = str(Progress(4_117, 20_000, 5 * 3600 + 2 * 60 + 14))
    assert said == "Processed 4117 of 20000 mini batches in 5:02:14. Estimated remaining time 19:25:59."


def test_nothing_is_estimated_while_nothing_was_processed() -> None:
    assert str(Progress(0, 5, 60.0)) == "No task has been processed yet."


@pytest.mark.parametrize("seconds", [59.9, 3600.0])
def test_of_a_table_that_is_being_split_the_total_is_not_known(seconds: float) -> None:
    said = {59.9: "0:00:59", 3600.0: "1:00:00"}[seconds]
    assert str(Progress(3, None, seconds)) == f"Processed 3 mini batches in {said}."


def test_a_job_tells_after_each_attempt_how_far_it_is(tmp_path: Path) -> None:
    reports: list[Progress] = []
    ParallelJob(Names(), make_files(tmp_path, 3), on_progress=reports.append).run()
    assert [(progress.processed, progress.total) for progress in reports] == [(1, 3), (2, 3), (3, 3)]
    assert [progress.elapsed for progress in reports] == sorted(progress.elapsed for progress in reports)


def test_a_job_tells_while_an_attempt_goes_on_elsewhere_that_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "TICK", 0.01)
    reports: list[Progress] = []
    (tmp_path / "score.py").write_text("import time\ndef run(paths):\n    time.sleep(0.1)\n    return paths")
    files = make_files(tmp_path, 1)
    ParallelJob(tmp_path / "score.py", files, engine="process", on_progress=reports.append).run()
    assert len(reports) > 2
    assert [progress.processed for progress in reports] == [0] * (len(reports) - 1) + [1]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (100_000, "100,000 s"),
        (1000, "1,000 s"),
        (12.34, "12.3 s"),
        (0.5, "500 ms"),
        (1e-5, "less than 0.1 ms"),
        (0, "0 ms"),
    ],
)
def test_a_time_is_told_without_powers_of_ten(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text
