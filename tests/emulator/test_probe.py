"""Workers that stay up between attempts, and give the process back after each of them."""

from __future__ import annotations

import json
import os
import random
import sys
import time
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pandas as pd
import pytest

from pytest_parallelrun import Fault, JobSettings, ParallelJob
from pytest_parallelrun.emulator.engines.protocol import Task
from pytest_parallelrun.emulator.events import WorkerFailed, WorkerStarted
from pytest_parallelrun.emulator.probe import ProbeSession, WorkerStartError, probe_startup
from pytest_parallelrun.emulator.splitting.model import PrebuiltInput
from tests.emulator._scripts import make_job, write_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

    from pytest_parallelrun.emulator.worker.script import EntryFunctions


COUNTING = """
import os
import helper
calls = 0
def init():
    global calls
    calls = 100
    open("log of init", "w").close()
def run(batch, context):
    global calls
    calls += 1
    return [(str(item), calls, context.minibatch_index, context.global_row_index_lower_bound) for item in batch]
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    write_files(tmp_path / "code", {"score.py": COUNTING, "helper.py": "print('imported')"})
    return tmp_path / "code" / "score.py"


def bench_of(script: object, *, workers: int = 1, **settings: object) -> ProbeSession:
    return ProbeSession(ParallelJob(script, [], JobSettings(**settings)), "files", workers=workers)  # type: ignore[arg-type]


def test_a_worker_stays_up_between_attempts(script: Path) -> None:
    with bench_of(script) as bench:
        first = bench.attempt(["a"]).ended
        second = bench.attempt(["b", "c"], id=7, first_item=3, number=2).ended
    assert first.value == [("a", 101, 0, 0)]
    assert second.value == [("b", 102, 7, 3), ("c", 102, 7, 3)]
    assert (second.number, second.outcome, second.returned) == (2, "succeeded", 2)
    assert bench.init_calls == 1


def test_a_worker_is_up_from_its_first_attempt_on(script: Path) -> None:
    with bench_of(script, workers=2) as bench:
        bench.attempt(["a"], worker=1)
        assert (bench.is_up(0), bench.is_up(1)) == (False, True)


def test_workers_have_modules_of_their_own(script: Path) -> None:
    with bench_of(script, workers=2) as bench:
        bench.attempt(["a"])
        other = bench.attempt(["a"], worker=1).ended
        again = bench.attempt(["a"]).ended
    assert other.value == [("a", 101, 0, 0)]
    assert other.worker == 1
    assert again.value == [("a", 102, 0, 0)]
    assert bench.init_calls == 2


def test_a_renewed_worker_has_forgotten_all(script: Path) -> None:
    with bench_of(script) as bench:
        bench.attempt(["a"])
        bench.renew()
        bench.renew()
        assert bench.attempt(["a"]).ended.value == [("a", 101, 0, 0)]
    assert bench.init_calls == 2


def test_a_table_is_handed_over_as_a_copy() -> None:
    class NondeterministicValues:
        def run(self, table: pd.DataFrame) -> pd.DataFrame:
            table["x"] = 0
            return table

    frame = pd.DataFrame({"x": [1, 2]})
    with ProbeSession(ParallelJob(NondeterministicValues(), []), "tabular") as bench:
        assert list(bench.attempt(frame).ended.value["x"]) == [0, 0]  # type: ignore[index]
    assert list(frame["x"]) == [1, 2]


def test_between_attempts_the_process_is_the_hosts(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_HOST", "1")
    monkeypatch.setitem(sys.modules, "helper", os)
    before = os.getcwd(), list(sys.argv), list(sys.path), dict(os.environ), sys.stdout, sys.stderr, list(sys.meta_path)
    with bench_of(script, environment_variables={"OF_THE_WORKER": "1"}) as bench:
        for _ in range(2):
            bench.attempt(["a"])
            now = os.getcwd(), sys.argv, sys.path, dict(os.environ), sys.stdout, sys.stderr, sys.meta_path
            assert now == before
            assert "score" not in sys.modules
            # Hidden from the script, which has one of that name.
            assert sys.modules["helper"] is os
        bench._engine.release()
        import colorsys  # noqa: F401 - the host goes on importing

        bench.attempt(["a"])
        assert "colorsys" in sys.modules


def test_attempts_in_a_row_leave_the_process_to_the_workers(script: Path) -> None:
    host = sys.stdout
    with bench_of(script) as bench:
        with bench.held():
            for _ in range(2):
                bench.attempt(["a"])
                assert sys.stdout is not host
        assert sys.stdout is host


def test_between_attempts_time_is_real() -> None:
    class Sleeper:
        def run(self, paths: list[str]) -> list[float]:
            time.sleep(50)
            return [time.monotonic() for _ in paths]

    with bench_of(Sleeper()) as bench:
        for _ in range(2):
            value = bench.attempt(["a"]).ended.value
            then = cast("list[float]", value)[0]
            assert then - time.monotonic() > 40


def test_warnings_of_the_script_are_not_repeated() -> None:
    class Warning:
        def run(self, paths: list[str]) -> list[str]:
            warnings.warn("odd", stacklevel=1)
            return paths

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with bench_of(Warning()) as bench:
            bench.attempt(["a"])
    assert not seen


def test_a_worker_that_does_not_come_up_is_told_with_its_failure(tmp_path: Path) -> None:
    write_files(tmp_path, {"score.py": "def init(): raise OSError('no model')\ndef run(b): return b"})
    with bench_of(tmp_path / "score.py") as bench, pytest.raises(WorkerStartError, match="OSError: no model") as down:
        bench.attempt(["a"])
    assert down.value.failure.phase == "init"
    assert bench.init_calls == 1


def test_a_folder_that_the_script_is_in_is_there_for_the_next_attempt(tmp_path: Path) -> None:
    write_files(tmp_path, {"score.py": "import os\ndef run(b):\n    open('f', 'x').close()\n    return os.listdir()"})
    with bench_of(tmp_path / "score.py") as bench:
        tried = bench.attempt(["a"])
        (written,) = tried.files.written
        assert bench.folder_of(written) == "f"
        assert bench.folder_of(str(tmp_path)) is None
        assert bench.folder_of(str(bench.output)) is None
        assert bench.attempt(["a"]).ended.outcome == "exception"
    assert not os.path.exists(written)


def test_files_are_watched_by_attempt_and_apart_from_those_of_init(script: Path, tmp_path: Path) -> None:
    with bench_of(script) as bench:
        bench.start()
        assert [os.path.basename(path) for path in bench.setting_up.written] == ["log of init"]
        assert str(script) in bench.setting_up.read
        assert not bench.attempt(["a"]).files.written


def test_a_timeout_ends_the_worker_and_the_next_attempt_starts_another() -> None:
    class Slow:
        born = 0

        def init(self) -> None:
            Slow.born += 1

        def run(self, paths: list[str]) -> list[str]:
            time.sleep(60 if paths == ["slow"] else 1)
            return paths

    with ProbeSession(ParallelJob(Slow(), [], JobSettings(timeout=50)), "files") as bench:
        assert bench.attempt(["slow"]).ended.outcome == "timeout"
        assert bench.attempt(["fast"]).ended.outcome == "succeeded"
    assert (Slow.born, bench.init_calls) == (2, 2)


def test_a_job_runs_on_the_warm_workers_and_injected_faults_do_not_end_them(script: Path, tmp_path: Path) -> None:
    write_files(tmp_path / "data", {"a.txt": "", "b.txt": "", "c.txt": ""})
    faults = [Fault.crashes(mini_batch=0, attempt=1), Fault.times_out(mini_batch=1, attempt=1)]
    settings = JobSettings(mini_batch_size=1, max_retries=1)
    with bench_of(script, workers=2) as bench:
        for _ in range(2):
            result = bench.run(ParallelJob(script, tmp_path / "data", settings, faults=faults))
            assert result.status == "Completed"
            assert [attempt.outcome for attempt in result.attempts] == [
                "crashed",
                "timeout",
                "succeeded",
                "succeeded",
                "succeeded",
            ]
            assert len({attempt.worker for attempt in result.attempts}) == 2
            assert result.duration < 100
            assert os.getcwd() != str(tmp_path)
    assert bench.init_calls == 2


def test_a_job_that_was_stopped_leaves_nothing_to_the_next_one() -> None:
    class Failing:
        def run(self, table: pd.DataFrame) -> pd.DataFrame:
            if len(table) == 1:
                raise ValueError("one row")
            return table

    one, two = pd.DataFrame({"x": [1]}), pd.DataFrame({"x": [1, 2]})
    with ProbeSession(ParallelJob(Failing(), []), "tabular") as bench:
        stopped = bench.run(
            ParallelJob(Failing(), PrebuiltInput([one, one], kind="tabular"), JobSettings(allowed_failed_percent=0))
        )
        # At the end of a table there are retries to hand out, and the percentage is exceeded already.
        assert stopped.status == "Failed"
        bench._engine.submit(Task(next(PrebuiltInput([one], kind="tabular").mini_batches()), 1))
        result = bench.run(ParallelJob(Failing(), PrebuiltInput([two], kind="tabular")))
    assert [attempt.outcome for attempt in result.attempts] == ["succeeded"]


def test_a_job_fails_where_no_worker_comes_up(tmp_path: Path) -> None:
    write_files(tmp_path, {"score.py": "def init(): raise OSError('no model')\ndef run(b): return b"})
    job = ParallelJob(tmp_path / "score.py", PrebuiltInput([["a"]], kind="files"))
    with ProbeSession(job, "files") as bench:
        result = bench.run(job)
    assert (result.status, result.reason) == ("Failed", "OSError: no model")


def test_what_a_bench_cannot_open_leaves_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("pytest_parallelrun.emulator.engines.inprocess.InProcessEngine.acquire", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError), bench_of(object.__new__(type("E", (), {"run": lambda b: b}))):
        pass  # pragma: no cover - it does not get here
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("thread", ["main", "worker"])
def test_the_hosts_random_numbers_neither_reach_the_script_nor_are_changed(thread: str) -> None:
    numpy = pytest.importorskip("numpy")

    class Random:
        def run(self, paths: list[str]) -> list[float]:
            return [random.random() + numpy.random.random() for _ in paths]

    seen = set()
    for _ in range(2):
        random.seed(1)
        numpy.random.seed(1)
        with bench_of(Random(), thread=thread) as bench:
            seen.add(bench.attempt(["a"]).ended.value[0])  # type: ignore[index]
        assert (random.random(), numpy.random.random()) == (random.Random(1).random(), _first_of_numpy(1))
    assert len(seen) == 2


def _first_of_numpy(seed: int) -> float:
    import numpy as np

    return float(np.random.RandomState(seed).random())


def test_somebody_may_prevent_a_start(script: Path) -> None:
    started: list[int] = []

    @contextmanager
    def once() -> Iterator[None]:
        if started:
            raise RuntimeError("no more")
        started.append(1)
        yield

    with ProbeSession(ParallelJob(script, []), "files", starting=once) as bench:
        bench.attempt(["a"])
        bench.attempt(["a"])
        bench.renew()
        with pytest.raises(RuntimeError, match="no more"):
            bench.attempt(["a"])
    assert bench.init_calls == 1


def test_a_worker_that_a_job_replaces_is_announced(tmp_path: Path) -> None:
    ends_once = f"""
        import os
        ENDED = {str(tmp_path / "ended")!r}
        def run(paths):
            if not os.path.exists(ENDED):
                open(ENDED, "w").close()
                os._exit(1)
            return paths
    """
    script = write_files(tmp_path / "code", {"score.py": ends_once}) / "score.py"
    job = ParallelJob(script, PrebuiltInput([["a"]], kind="files"), JobSettings(max_retries=1))
    started: list[int] = []

    @contextmanager
    def announced() -> Iterator[None]:
        started.append(1)
        yield

    with ProbeSession(job, "files", starting=announced) as bench:
        result = bench.run(job)
        assert [attempt.outcome for attempt in result.attempts] == ["crashed", "succeeded"]
    assert len(started) == bench.init_calls == 2


def test_a_probe_limits_real_time_and_neither_skipped_sleep_nor_init() -> None:
    class Patient:
        def init(self) -> None:
            spin(0.3)

        def run(self, paths: list[str]) -> list[str]:
            if paths == ["waits"]:
                time.sleep(20)
            elif paths == ["spins"]:
                spin(60)
            elif paths == ["spins shortly"]:
                spin(0.4)
            elif paths == ["waits too long"]:
                time.sleep(61)
            return paths

    with ProbeSession(ParallelJob(Patient(), []), "files", probe_limit=0.2) as bench:
        assert bench.attempt(["waits"]).ended.outcome == "succeeded"
        spinning = bench.attempt(["spins"]).ended
        waiting = bench.attempt(["waits too long"]).ended
        assert bench.attempt(["waits"]).ended.outcome == "succeeded"
        assert bench.probe_limit == 0.2
        bench.probe_limit = 30
        assert bench.attempt(["spins shortly"]).ended.outcome == "succeeded"
    assert spinning.outcome == waiting.outcome == "timeout"
    assert spinning.failure is not None
    assert " s working (limit of generated mini-batches: 0.2 s)" in spinning.failure.error
    assert spinning.running < 10
    assert waiting.failure is not None
    assert "run() was interrupted at its limit of 60 s (timeout)" in waiting.failure.error


def spin(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_the_exceptions_of_the_script_itself_are_handed_over_where_somebody_asks_for_them(tmp_path: Path) -> None:
    write_files(tmp_path, {"score.py": "def init(): raise OSError('init')\ndef run(b): return b"})
    seen: list[BaseException] = []

    class Raising:
        def run(self, paths: list[str]) -> list[str]:
            raise ValueError("run")

    for entry in (Raising(), tmp_path / "score.py"):
        with bench_of(entry) as bench:
            bench._engine.on_error = seen.append  # type: ignore[attr-defined]
            with suppress(WorkerStartError):
                bench.attempt(["a"])
    job = ParallelJob(Raising(), PrebuiltInput([["a"]], kind="files"), JobSettings(max_retries=1))
    job.faults = (Fault.raises(KeyError, attempt=1),)
    with ProbeSession(job, "files") as bench:
        bench._engine.on_error = seen.append  # type: ignore[attr-defined]
        bench.run(job)
    # What a fault raises is not the script's.
    assert [str(error) for error in seen] == ["run", "init", "run"]


def test_what_is_asked_of_a_worker_is_answered_in_its_process(script: Path) -> None:
    with bench_of(script) as bench:
        assert bench.call_in_worker(os.getpid) == os.getpid()


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


def test_each_worker_of_a_session_can_be_looked_at(script: Path) -> None:
    with bench_of(script, workers=2) as bench:
        bench.start(0, Looking)
        bench.start(1, Looking)
        # It takes the context, and its init() writes no file.
        assert bench.observed == ((True, False), (True, False))


class Patching(Looking):
    """An observer that patches the standard library while it looks."""

    def __enter__(self) -> Self:
        self._dumps = json.dumps
        json.dumps = lambda *arguments, **options: self._dumps(*arguments, **options)
        return self

    def __exit__(self, *exc_info: object) -> None:
        json.dumps = self._dumps


def test_what_an_observer_patches_does_not_stay(script: Path) -> None:
    dumps = json.dumps
    with bench_of(script, workers=2) as bench:
        for worker in (0, 1):
            bench.start(worker, Patching)
            assert json.dumps is dumps
        bench.attempt(["a"])
    assert json.dumps is dumps
