"""The job with an engine that holds several deliveries at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from pytest_parallelrun.emulator.engines.protocol import NoWorkersLeft, Task
from pytest_parallelrun.emulator.events import AttemptEnded, Event, Failure, Outcome
from pytest_parallelrun.emulator.faults import Fault, FaultPlan
from pytest_parallelrun.emulator.job import ParallelJob
from pytest_parallelrun.emulator.settings import JobSettings
from tests.emulator.jobs import ROW_BYTES, Names, make_files, statuses, table

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines.protocol import Patience
    from pytest_parallelrun.emulator.splitting.model import Splitter
    from pytest_parallelrun.emulator.worker_plan import WorkerPlan


class OutOfOrder:
    """An engine that holds three deliveries and ends the latest one first, or the job with what is to be raised."""

    capacity = 3

    def __init__(self, ends: BaseException | None = None) -> None:
        self.most = 0
        self.stopped: list[bool] = []
        self._held: list[Task] = []
        self._ends = ends

    def start(self) -> None: ...

    def submit(self, delivery: Task) -> None:
        self._held.append(delivery)
        self.most = max(self.most, len(self._held))

    def collect(self, patience: Patience | None = None) -> AttemptEnded:
        if self._ends is not None:
            raise self._ends
        mini_batch, number = self._held.pop()
        bad = mini_batch.id == 2
        outcome: Outcome = "exception" if bad else "succeeded"
        failure = Failure("run", "bad") if bad else None
        returned = None if bad else mini_batch.size
        return AttemptEnded(
            mini_batch=mini_batch,
            number=number,
            worker=0,
            outcome=outcome,
            returned=returned,
            value=[mini_batch.id],
            started=0,
            loading=0,
            running=0,
            failure=failure,
            fault=None,
        )

    def worker_events(self) -> Sequence[Event]:
        return ()

    def elapsed(self) -> float:
        return 12.5

    def stop(self, *, normal: bool) -> None:
        self.stopped.append(normal)

    def notes(self) -> Sequence[str]:
        return ["held three"]


def test_an_engine_gets_as_many_deliveries_at_once_as_it_holds(tmp_path: Path) -> None:
    engine = OutOfOrder()
    result = ParallelJob(Names(), make_files(tmp_path, 6), JobSettings(max_retries=1)).run_on(lambda *arguments: engine)
    assert engine.most == 3
    assert [(event.mini_batch.id, event.number) for event in result.attempts] == [
        (2, 1),
        (3, 1),
        (4, 1),
        (5, 1),
        (2, 2),
        (1, 1),
        (0, 1),
    ]
    assert statuses(result) == ["succeeded", "succeeded", "failed", "succeeded", "succeeded", "succeeded"]


def test_what_an_engine_still_holds_when_the_job_is_stopped_is_unfinished(tmp_path: Path) -> None:
    engine = OutOfOrder()
    settings = JobSettings(max_retries=0, error_threshold=0)
    result = ParallelJob(Names(), make_files(tmp_path, 6), settings).run_on(lambda *arguments: engine)
    assert statuses(result) == ["unfinished", "unfinished", "failed", "unfinished", "unfinished", "unfinished"]
    assert engine.most == 3


def test_the_engine_tells_the_duration_and_has_its_notes_in_the_result(tmp_path: Path) -> None:
    result = ParallelJob(Names(), make_files(tmp_path, 1)).run_on(lambda *arguments: OutOfOrder())
    assert (result.duration, result.notes) == (12.5, ("held three",))


def test_the_engine_is_made_of_the_plan_the_split_input_the_settings_and_the_faults(tmp_path: Path) -> None:
    job = ParallelJob(Names(), make_files(tmp_path, 5), JobSettings(mini_batch_size=2))
    made: list[tuple[WorkerPlan, Splitter, JobSettings, FaultPlan]] = []

    def make(plan: WorkerPlan, splitter: Splitter, settings: JobSettings, faults: FaultPlan) -> OutOfOrder:
        made.append((plan, splitter, settings, faults))
        return OutOfOrder()

    job.run_on(make)
    ((plan, splitter, settings, faults),) = made
    assert plan.entry is job.entry
    assert splitter.total_mini_batches == 3
    assert settings is job.settings
    assert list(faults.never_fired()) == []


def test_the_engine_is_stopped_normally_only_when_all_mini_batches_ended(tmp_path: Path) -> None:
    files = make_files(tmp_path, 4)
    done, exceeded, left = OutOfOrder(), OutOfOrder(), OutOfOrder(NoWorkersLeft("all gone"))
    ParallelJob(Names(), files).run_on(lambda *arguments: done)
    settings = JobSettings(max_retries=0, error_threshold=0)
    ParallelJob(Names(), files, settings).run_on(lambda *arguments: exceeded)
    result = ParallelJob(Names(), files).run_on(lambda *arguments: left)
    assert (result.status, result.reason, result.exceeded) == ("Failed", "all gone", None)
    assert (done.stopped, exceeded.stopped, left.stopped) == ([True], [False], [False])


def test_an_interrupt_stops_the_engine_and_leaves_no_folder_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temp = tmp_path / "temp"
    temp.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temp))
    engine = OutOfOrder(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        ParallelJob(Names(), make_files(tmp_path, 4)).run_on(lambda *arguments: engine)
    assert engine.stopped == [False]
    assert list(temp.iterdir()) == []


def test_a_fault_that_never_fired_is_no_error_where_the_job_ran_out_of_workers(tmp_path: Path) -> None:
    job = ParallelJob(Names(), make_files(tmp_path, 4), faults=[Fault.crashes(mini_batch=3)])
    assert job.run_on(lambda *arguments: OutOfOrder(NoWorkersLeft("all gone"))).status == "Failed"


@pytest.mark.parametrize("kind", ["files", "tabular"])
def test_mini_batches_that_an_engine_held_and_did_not_begin_have_their_size(tmp_path: Path, kind: str) -> None:
    source: list[str] | pd.DataFrame
    if kind == "files":
        source, size = make_files(tmp_path, 6), 2
    else:
        source, size = table(6), 2 * ROW_BYTES
    settings = JobSettings(max_retries=0, error_threshold=0, mini_batch_size=size)
    result = ParallelJob(Names(), source, settings).run_on(lambda *arguments: OutOfOrder())
    assert statuses(result) == ["unfinished", "unfinished", "failed"]
    assert [(batch.id, batch.size, batch.attempts) for batch in result.mini_batches[:2]] == [(0, 2, ()), (1, 2, ())]


class Waits(OutOfOrder):
    """An engine with one delivery at a time, each of which takes so many seconds; it notes how long it may wait."""

    capacity = 1

    def __init__(self, *takes: float) -> None:
        super().__init__()
        self._takes = list(takes)
        self._now = 0.0
        self.patience: list[float] = []

    def collect(self, patience: Patience | None = None) -> AttemptEnded | None:  # type: ignore[override]
        assert patience is not None
        seconds = patience()
        self.patience.append(seconds)
        self._now += min(seconds, self._takes[0])
        self._takes[0] -= min(seconds, self._takes[0])
        if self._takes[0]:
            return None
        del self._takes[0]
        return super().collect()

    def elapsed(self) -> float:
        return self._now


def test_a_job_waits_for_the_next_mini_batch_as_long_as_the_service_and_no_longer(tmp_path: Path) -> None:
    engine = Waits(20, 59.5, 60.5)
    job = ParallelJob(Names(), make_files(tmp_path, 4), JobSettings(progress_update_timeout=60))
    result = job.run_on(lambda *arguments: engine)
    assert result.status == "Failed"
    assert result.reason == (
        "no mini-batch was processed for 60 s (progress_update_timeout): the service stops such a job, "
        '"No progress update in 60 seconds."'
    )
    # From each mini-batch that was processed it has the whole time again.
    assert engine.patience == [60, 60, 60]
    assert statuses(result) == ["succeeded", "succeeded", "unfinished", "unfinished"]


def test_an_attempt_that_processes_nothing_gives_no_more_time(tmp_path: Path) -> None:
    # The third mini-batch fails at its first attempt, and is tried again.
    engine = Waits(1, 2, 30, 20, 20)
    settings = JobSettings(progress_update_timeout=60, max_retries=1)
    result = ParallelJob(Names(), make_files(tmp_path, 3), settings).run_on(lambda *arguments: engine)
    assert engine.patience == [60, 60, 60, 30]
    assert statuses(result) == ["succeeded", "succeeded", "failed"]


def test_a_job_that_tells_how_far_it_is_waits_in_ticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_parallelrun.emulator.scheduler.TICK", 10)
    engine = Waits(25)
    reports: list[object] = []
    settings = JobSettings(progress_update_timeout=60)
    ParallelJob(Names(), make_files(tmp_path, 1), settings, on_progress=reports.append).run_on(
        lambda *arguments: engine
    )
    assert engine.patience == [10, 10, 10]
    assert len(reports) == 3


@pytest.mark.parametrize(
    ("engine", "settings", "told"),
    [
        ("process", JobSettings(clock="virtual"), True),
        ("process", JobSettings(clock="real"), False),
        ("process", JobSettings(), False),
        ("inprocess", JobSettings(clock="virtual"), False),
    ],
)
def test_a_virtual_clock_that_was_asked_for_in_vain_is_told(
    tmp_path: Path, engine: str, settings: JobSettings, told: bool
) -> None:
    (tmp_path / "score.py").write_text("def run(mini_batch): return mini_batch\n")
    job = ParallelJob(tmp_path / "score.py", make_files(tmp_path, 1), settings, engine=engine)
    notes = job.run_on(lambda *arguments: OutOfOrder()).notes
    assert ("clock=virtual has no effect in worker processes, where time is real" in notes) is told
