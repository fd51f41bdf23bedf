from __future__ import annotations

import os
import time
import types
from pathlib import Path

import pandas as pd
import pytest

from pytest_parallelrun.emulator.errors import FaultError
from pytest_parallelrun.emulator.events import (
    WorkerFailed,
    WorkerStarted,
    WorkerStopped,
)
from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.job import ParallelJob
from pytest_parallelrun.emulator.result import JobResult
from pytest_parallelrun.emulator.service.worker_info import MiniBatchContext
from pytest_parallelrun.emulator.settings import JobSettings
from tests.emulator.jobs import ROW_BYTES, Names, Rows, Scripted, attempts, make_files, run_job, statuses, table


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return make_files(tmp_path, 3)


def started(result: JobResult) -> list[int]:
    return [event.worker for event in result.events if isinstance(event, WorkerStarted)]


def stopped(result: JobResult) -> list[tuple[int, str]]:
    return [(event.worker, event.reason) for event in result.events if isinstance(event, WorkerStopped)]


class Lifecycle:
    """Notes every call; `failing` init() calls fail first."""

    def __init__(self, failing: int = 0) -> None:
        self.calls: list[str] = []
        self._failing = failing

    def init(self) -> None:
        self.calls.append("init")
        if self._failing:
            self._failing -= 1
            raise OSError("no model")

    def run(self, paths: list[str]) -> list[str]:
        self.calls.append("run")
        return paths

    def shutdown(self) -> None:
        self.calls.append("shutdown")


class Wishes:
    """Raises ParallelRunException with `code` at the first attempt at the first file."""

    def __init__(self, code: str | None, delay: float = 0) -> None:
        self._code = code
        self._delay = delay
        self.inits = 0

    def init(self) -> None:
        self.inits += 1

    def run(self, paths: list[str], context: MiniBatchContext) -> list[str]:
        from azureml.exceptions import ParallelRunException

        if context.minibatch_index == 0 and self._code != "done":
            code, self._code = self._code, "done"
            raise ParallelRunException("not now", code, self._delay)
        return paths


def test_a_module_can_be_the_entry(files: list[str]) -> None:
    module = types.ModuleType("score")
    vars(module)["run"] = list
    result = run_job(module, files)
    assert (result.status, result.entry, result.rows) == ("Completed", "score", files)


def test_a_script_can_be_the_entry(tmp_path: Path) -> None:
    script = tmp_path / "mein skript ä" / "score.py"
    script.parent.mkdir()
    script.write_text("def run(paths):\n    return [len(paths)] * len(paths)\n", encoding="utf-8")
    data = tmp_path / "daten ä"
    data.mkdir()
    make_files(data, 3)
    result = run_job(script, data, mini_batch_size=2)
    assert result.rows == [2, 2, 1]


def test_every_run_of_a_job_starts_anew(files: list[str]) -> None:
    job = ParallelJob(Names(), files, faults=[Fault.crashes(mini_batch=0, attempt=1)])
    assert [job.run().rows, job.run().rows] == [["f01", "f02", "f00"]] * 2


def test_settings_may_be_left_out(files: list[str]) -> None:
    job = ParallelJob(Names(), files)
    assert (job.settings, job.engine) == (JobSettings(), "inprocess")


def test_init_is_called_once_a_worker_and_shutdown_at_the_end(files: list[str]) -> None:
    entry = Lifecycle()
    run_job(entry, files)
    assert entry.calls == ["init", "run", "run", "run", "shutdown"]


def test_there_are_as_many_workers_as_instances_times_their_concurrency(files: list[str]) -> None:
    entry = Lifecycle()
    result = run_job(entry, files, instance_count=2, max_concurrency_per_instance=3)
    assert entry.calls.count("init") == entry.calls.count("shutdown") == 6
    instances = [event.instance for event in result.events if isinstance(event, WorkerStarted)]
    assert instances == [0, 0, 0, 1, 1, 1]
    assert result.init_calls == 6


def test_the_time_to_start_is_that_of_all_workers_on_the_clock_of_the_job(files: list[str]) -> None:
    entry = types.SimpleNamespace(init=lambda: time.sleep(20), run=list)
    assert run_job(entry, files, instance_count=2).seconds_to_start == pytest.approx(40, abs=2)


def test_workers_take_turns(files: list[str]) -> None:
    result = run_job(Names(), files, instance_count=2)
    assert [event.worker for event in result.attempts] == [0, 1, 0]


def test_shutdown_is_called_only_at_a_normal_end(files: list[str]) -> None:
    entry = Lifecycle()
    result = run_job(entry, files, Fault.raises(ValueError, mini_batch=0), error_threshold=0, max_retries=0)
    assert result.status == "Failed"
    assert entry.calls == ["init"]
    assert stopped(result) == [(0, "the job was stopped")]


def test_an_exception_in_shutdown_does_not_fail_the_job(files: list[str]) -> None:
    entry = Lifecycle()
    entry.shutdown = lambda: 1 // 0  # type: ignore[assignment, method-assign]
    result = run_job(entry, files)
    assert result.status == "Completed"
    last = [event for event in result.events if isinstance(event, WorkerStopped)][-1]
    assert last.failure is not None
    assert last.failure.phase == "shutdown"
    assert result.notes == (
        "shutdown() of worker 0 failed (the service only logs this): ZeroDivisionError: integer division or modulo by "
        "zero",
    )


@pytest.mark.parametrize("fault", [Fault.crashes(mini_batch=0, attempt=1), Fault.times_out(mini_batch=0, attempt=1)])
def test_a_crash_or_timeout_brings_a_new_worker_with_an_init_of_its_own(fault: Fault, files: list[str]) -> None:
    entry = Lifecycle()
    result = run_job(entry, files, fault)
    assert entry.calls == ["init", "init", "run", "run", "run", "shutdown"]
    assert started(result) == [0, 1]
    assert attempts(result, 0)[1] == "succeeded"


def test_after_an_exception_the_same_worker_goes_on(files: list[str]) -> None:
    entry = Lifecycle()
    run_job(entry, files, Fault.raises(ValueError, mini_batch=0, attempt=1))
    assert entry.calls.count("init") == 1


def test_after_the_last_mini_batch_no_worker_is_replaced(files: list[str]) -> None:
    entry = Lifecycle()
    result = run_job(entry, files, Fault.crashes(mini_batch=2), max_retries=0)
    assert entry.calls.count("init") == 1
    assert result.status == "Completed"


def test_a_retry_goes_to_the_end_of_the_queue(files: list[str]) -> None:
    entry = Scripted(at0=[ValueError(), ValueError()], at1=[ValueError()])
    result = run_job(entry, files)
    assert entry.order == [0, 1, 2, 0, 1, 0]
    assert [batch.status for batch in result.mini_batches] == ["succeeded"] * 3


def test_a_retry_may_go_to_another_worker(files: list[str]) -> None:
    result = run_job(Scripted(at0=[ValueError()]), files, instance_count=2)
    assert [attempt.worker for attempt in result.mini_batches[0].attempts] == [0, 1]


def test_a_retry_has_no_delay(files: list[str]) -> None:
    assert run_job(Scripted(at0=[ValueError(), ValueError()]), files).duration < 60


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_mini_batch_has_one_try_more_than_max_retries(retries: int, files: list[str]) -> None:
    result = run_job(Names(), files, Fault.raises(ValueError, mini_batch=1), max_retries=retries)
    assert attempts(result, 1) == ["exception"] * (retries + 1)
    assert [attempt.number for attempt in result.mini_batches[1].attempts] == list(range(1, retries + 2))


def test_run_max_try_of_v1_counts_all_tries(files: list[str]) -> None:
    result = run_job(Names(), files, Fault.load_fails(), profile="v1", run_max_try=2)
    assert attempts(result, 0) == ["load_error"] * 2


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (ValueError("x"), "exception"),
        (SystemExit(3), "exception"),
        (KeyboardInterrupt(), "exception"),
        (None, "wrong_type"),
        ("text", "wrong_type"),
        ([], "short"),
        (("one",), "succeeded"),
        (pd.DataFrame({"a": [1]}), "succeeded"),
    ],
)
def test_what_run_does_decides_the_outcome(answer: object, outcome: str, files: list[str]) -> None:
    result = run_job(Scripted(at1=[answer]), files, max_retries=0)
    assert attempts(result, 1) == [outcome]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault.raises(ValueError, mini_batch=1), "exception"),
        (Fault.times_out(mini_batch=1), "timeout"),
        (Fault.crashes(mini_batch=1), "crashed"),
        (Fault.load_fails(mini_batch=1), "load_error"),
        (Fault.returns(None, mini_batch=1), "wrong_type"),
        (Fault.drops(1, mini_batch=1), "short"),
    ],
)
def test_a_failed_attempt_fails_all_items_of_its_mini_batch_alone(fault: Fault, outcome: str, files: list[str]) -> None:
    result = run_job(Names(), files, fault, max_retries=1)
    assert attempts(result, 1) == [outcome, outcome]
    assert statuses(result) == ["succeeded", "failed", "succeeded"]
    assert (result.succeeded_items, result.failed_items) == (2, 1)
    assert result.rows == ["f00", "f02"]


def test_a_mini_batch_tells_its_succeeded_and_its_failed_items(tmp_path: Path) -> None:
    drops = Fault.drops(1, mini_batch=0)
    result = run_job(Names(), make_files(tmp_path, 5), drops, mini_batch_size=3, max_retries=0)
    assert [(batch.succeeded, batch.failed) for batch in result.mini_batches] == [(2, 1), (2, 0)]


def test_a_sleep_past_the_timeout_is_a_timeout_at_once(tmp_path: Path) -> None:
    script = tmp_path / "score.py"
    script.write_text("import time\ndef run(paths):\n    time.sleep(61)\n    return paths\n", encoding="utf-8")
    result = run_job(script, make_files(tmp_path, 1), max_retries=0)
    assert attempts(result, 0) == ["timeout"]


def test_a_missing_file_of_a_list_is_a_load_error(files: list[str], tmp_path: Path) -> None:
    result = run_job(Names(), [files[0], str(tmp_path / "gone")], max_retries=0)
    assert attempts(result, 1) == ["load_error"]
    assert "gone" in (result.mini_batches[1].attempts[0].error or "")


@pytest.mark.parametrize("rules", ["documented", "observed"])
def test_more_results_than_items_are_capped_and_noted(rules: str, files: list[str]) -> None:
    result = ParallelJob(Scripted(at1=[["a", "b", "c"]]), files, JobSettings.from_mapping({"rules": rules})).run()
    assert result.succeeded_items == 3
    assert result.mini_batches[1].attempts[0].returned == 3
    assert result.rows == ["f00", "a", "b", "c", "f02"]
    assert any("1 attempt returned more results than items" in note for note in result.notes)


def test_no_retry_gives_the_mini_batch_up_at_once(files: list[str]) -> None:
    result = run_job(Wishes("Retry.NoRetry"), files)
    assert attempts(result, 0) == ["exception"]
    assert statuses(result) == ["failed", "succeeded", "succeeded"]


def test_restart_process_brings_a_new_worker_and_the_mini_batch_is_retried(files: list[str]) -> None:
    entry = Wishes("Retry.RestartProcess")
    result = run_job(entry, files)
    assert entry.inits == 2
    assert attempts(result, 0) == ["exception", "succeeded"]
    assert stopped(result)[0] == (0, "Retry.RestartProcess")


def test_stop_process_leaves_the_work_to_the_other_workers(files: list[str]) -> None:
    entry = Wishes("Retry.StopProcess")
    result = run_job(entry, files, instance_count=2)
    assert (result.status, entry.inits) == ("Completed", 2)
    assert [attempt.worker for attempt in result.mini_batches[0].attempts] == [0, 1]


def test_a_job_whose_workers_were_all_stopped_fails_and_keeps_the_attempts(files: list[str]) -> None:
    result = run_job(Wishes("Retry.StopProcess"), files)
    assert result.status == "Failed"
    assert "the script stopped all workers" in (result.reason or "")
    assert statuses(result) == ["unfinished"] * 3
    assert attempts(result, 0) == ["exception"]
    assert result.readings == {"documented": "Failed", "observed": "Failed"}


def test_the_last_worker_may_stop_when_all_work_is_done(files: list[str]) -> None:
    result = run_job(Wishes("Retry.StopProcess"), files[:1], max_retries=0)
    assert (result.status, statuses(result)) == ("Completed", ["failed"])


@pytest.mark.parametrize("code", ["Retry.Sleep", None])
def test_sleep_delays_the_next_mini_batch_without_sleeping(code: str | None, files: list[str]) -> None:
    result = run_job(Wishes(code, delay=1000), files)
    first, second = result.attempts[:2]
    assert second.started - first.started >= 1000
    assert attempts(result, 0) == ["exception", "succeeded"]


def test_a_second_delivery_comes_at_the_end_of_the_queue_and_replaces_the_first(files: list[str]) -> None:
    entry = Scripted(at0=[["first"], ["second"]])
    result = run_job(entry, files, Fault.delivers_twice(mini_batch=0))
    assert entry.order == [0, 1, 2, 0]
    assert [attempt.number for attempt in result.mini_batches[0].attempts] == [1, 1]
    assert (result.processed_mini_batches, result.succeeded_items, result.failed_items) == (3, 3, 0)
    assert result.rows == ["f01", "f02", "second"]


def test_a_second_delivery_that_fails_is_retried_as_the_same_attempt(files: list[str]) -> None:
    result = run_job(
        Scripted(at0=[["first"], ValueError(), ValueError()]), files, Fault.delivers_twice(attempt=1), max_retries=1
    )
    assert [attempt.number for attempt in result.mini_batches[0].attempts] == [1, 1, 2]
    assert statuses(result) == ["failed", "succeeded", "succeeded"]
    assert result.rows[-1] == "first"


@pytest.mark.parametrize(
    ("faults", "named"),
    [
        ([Fault.crashes(mini_batch=3)], "Fault.crashes(mini_batch=3) never fired"),
        ([Fault.crashes(mini_batch=0, attempt=4)], "Fault.crashes(mini_batch=0, attempt=4)"),
        ([Fault.init_raises(worker=1)], "Fault.init_raises(RuntimeError, worker=1)"),
        ([Fault.drops(1, mini_batch=0), Fault.drops(9, mini_batch=0)], "Fault.drops(9, mini_batch=0) never fired"),
    ],
)
def test_a_fault_that_never_fired_is_an_error(faults: list[Fault], named: str, files: list[str]) -> None:
    with pytest.raises(FaultError) as caught:
        run_job(Names(), files, *faults)
    assert named in str(caught.value)


def test_faults_that_never_fired_are_told_with_how_things_are_counted(files: list[str]) -> None:
    with pytest.raises(FaultError) as caught:
        run_job(Names(), files, Fault.crashes(mini_batch=3), Fault.drops(1, mini_batch=4))
    assert str(caught.value) == (
        "Fault.crashes(mini_batch=3), Fault.drops(1, mini_batch=4) never fired: "
        "no attempt of the job had that address, or an earlier fault had it. "
        "Mini-batches and workers count from 0, attempts from 1."
    )


def test_what_the_sources_disagree_on_is_noted_where_it_matters(files: list[str]) -> None:
    drops = Fault.drops(1, mini_batch=0)
    result = run_job(Names(), files, drops, mini_batch_size=2, mini_batch_error_threshold=0)
    assert result.notes == (
        "this job's verdict depends on which Azure document is right: "
        "Failed with rules=documented, Completed with rules=observed",
    )


def test_a_reading_that_cannot_be_told_is_noted(files: list[str]) -> None:
    result = run_job(Names(), files, Fault.drops(1, mini_batch=0), rules="observed", mini_batch_size=2)
    assert result.readings == {"documented": None, "observed": "Completed"}
    assert result.notes == ("the verdict with rules=documented cannot be derived from these attempts",)


def test_a_fault_that_never_fired_is_none_where_the_job_ended_first(files: list[str]) -> None:
    faults = [Fault.crashes(mini_batch=0), Fault.crashes(mini_batch=2)]
    assert run_job(Names(), files, *faults, mini_batch_error_threshold=0, max_retries=0).status == "Failed"


@pytest.mark.parametrize("source", ["folder", "frame", "list"])
def test_an_input_without_items_fails_with_the_reason_of_the_service(source: str, tmp_path: Path) -> None:
    empty: Path | pd.DataFrame | list[str] = {"folder": tmp_path, "frame": table(0), "list": []}[source]  # type: ignore[assignment]
    result = run_job(Names(), empty, first_task_creation_timeout=5, error_threshold=0)
    assert (result.status, result.exceeded) == ("Failed", None)
    missing = {
        "folder": f"input '{tmp_path}': there is no file in the folder or below it.",
        "frame": "input: the DataFrame has no rows.",
        "list": "input: the list of paths is empty.",
    }[source]
    assert result.reason == (
        f"{missing} On the service no task would be created: "
        "FirstTaskCreationTimeout, unable to create any task within 5 seconds."
    )
    assert (result.total_mini_batches, result.total_items, len(result.mini_batches), result.rows) == (0, 0, 0, [])
    assert result.readings == {"documented": "Failed", "observed": "Failed"}
    assert (result.entry, result.duration, result.notes) == ("<Names object>", 0.0, ())


def test_run_is_not_called_for_a_mini_batch_without_rows(tmp_path: Path) -> None:
    for name, text in (("a.csv", "id\n"), ("b.csv", "id\n1\n2\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    calls: list[int] = []

    class Counting:
        def run(self, rows: pd.DataFrame) -> list[int]:
            calls.append(len(rows))
            return list(rows["id"])

    result = run_job(Counting(), str(tmp_path / "*.csv"))
    assert calls == [2]
    assert [(batch.size, batch.status, len(batch.attempts)) for batch in result.mini_batches] == [
        (0, "succeeded", 0),
        (2, "succeeded", 1),
    ]
    assert (result.status, result.processed_mini_batches, result.succeeded_items) == ("Completed", 2, 2)


def test_an_instance_is_given_up_after_three_failed_inits_per_worker(files: list[str]) -> None:
    entry = Lifecycle(failing=99)
    result = run_job(entry, files, max_concurrency_per_instance=2)
    assert entry.calls == ["init"] * 6
    assert result.status == "Failed"
    assert "init() failed 6 times" in (result.reason or "")
    assert "OSError: no model" in (result.reason or "")
    assert statuses(result) == ["unfinished"] * 3
    assert len(result.worker_failures) == 6


def test_a_worker_whose_init_fails_is_replaced_until_the_limit(files: list[str]) -> None:
    entry = Lifecycle(failing=2)
    result = run_job(entry, files)
    assert result.status == "Completed"
    assert entry.calls.count("init") == 3
    assert started(result) == [2]


def test_an_instance_that_is_given_up_leaves_the_work_to_the_others(files: list[str]) -> None:
    entry = Lifecycle(failing=3)
    result = run_job(entry, files, instance_count=2)
    assert result.status == "Completed"
    assert [event.instance for event in result.events if isinstance(event, WorkerFailed)] == [0, 0, 0]
    assert {event.worker for event in result.attempts} == {3}


def test_faults_can_fail_the_init_of_one_worker(files: list[str]) -> None:
    result = run_job(Names(), files, Fault.init_raises(OSError("full"), worker=1), instance_count=2)
    assert [event.worker for event in result.worker_failures] == [1]
    assert started(result) == [0, 2]


def test_a_script_that_cannot_be_imported_fails_the_job(tmp_path: Path) -> None:
    script = tmp_path / "score.py"
    script.write_text("import nowhere_to_be_found\ndef run(paths): return paths\n", encoding="utf-8")
    result = run_job(script, make_files(tmp_path, 1))
    assert result.status == "Failed"
    assert "loading the entry script failed 3 times" in (result.reason or "")
    assert "nowhere_to_be_found" in (result.reason or "")


def test_the_context_tells_the_partition_and_a_size_that_is_not_looked_at_is_noted(tmp_path: Path) -> None:
    for name in ("Store=2", "Store=10"):
        (tmp_path / name).mkdir()
        make_files(tmp_path / name, 2)

    class Tells:
        def run(self, paths: list[str], context: MiniBatchContext) -> list[object]:
            return [(context.partition_key_value, context.global_row_index_lower_bound)] * len(paths)

    result = run_job(Tells(), tmp_path, partition_keys=["Store"], mini_batch_size=1)
    assert result.rows == [({"Store": "10"}, 0)] * 2 + [({"Store": "2"}, 2)] * 2
    assert "mini_batch_size=1 has no effect: partition_keys determines the mini-batches" in result.notes


def test_rows_of_json_lines_are_dicts_with_the_index_of_the_first_one(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(f'{{"x": {x}}}\n' for x in range(5)), encoding="utf-8")

    class Tells:
        def run(self, rows: list[dict[str, int]], context: MiniBatchContext) -> list[int]:
            return [context.global_row_index_lower_bound * 100 + row["x"] for row in rows]

    row_mode = (
        "--amlbi_pf_enabled True --amlbi_pf_run_mode component --amlbi_file_format jsonl --amlbi_mini_batch_rows 2"
    )
    result = ParallelJob(Tells(), tmp_path / "a.jsonl", program_arguments=row_mode).run()
    assert result.rows == [0, 1, 202, 203, 404]
    assert (result.status, result.total_mini_batches, result.total_items) == ("Completed", 3, 5)
    assert result.notes == ()


def test_a_script_without_run_fails_the_job(files: list[str]) -> None:
    result = run_job(object(), files)
    assert "defines no run(mini_batch)" in (result.reason or "")
    assert {failure.failure.phase for failure in result.worker_failures} == {"define"}


def test_the_context_tells_the_mini_batch_and_its_first_row() -> None:
    seen: list[MiniBatchContext] = []

    class Context:
        def run(self, rows: pd.DataFrame, anything: MiniBatchContext) -> pd.DataFrame:
            seen.append(anything)
            return rows

    run_job(Context(), table(5), mini_batch_size=2 * ROW_BYTES)
    assert [(context.minibatch_index, context.global_row_index_lower_bound) for context in seen] == [
        (0, 0),
        (1, 2),
        (2, 4),
    ]
    assert {(context.partition_key_value, context.dataset) for context in seen} == {(None, None)}


def test_the_context_of_a_retry_is_that_of_its_mini_batch(files: list[str]) -> None:
    entry = Scripted(at2=[ValueError()])
    run_job(entry, files)
    assert entry.order == [0, 1, 2, 2]


def test_every_attempt_gets_a_fresh_copy_with_an_index_from_zero() -> None:
    seen: list[tuple[list[int], list[str]]] = []

    class Spoils:
        def run(self, rows: pd.DataFrame) -> pd.DataFrame:
            seen.append((list(rows.index), list(rows.columns)))
            rows["id"] = rows["mine"] = 1
            raise ValueError

    run_job(Spoils(), table(4), mini_batch_size=2 * ROW_BYTES, max_retries=1)
    assert seen == [([0, 1], ["id"])] * 4


def test_a_returned_list_that_is_changed_later_keeps_its_rows(files: list[str]) -> None:
    class Accumulates:
        def __init__(self) -> None:
            self.all: list[str] = []

        def run(self, paths: list[str]) -> list[str]:
            self.all.clear()
            self.all.extend(os.path.basename(path) for path in paths)
            return self.all

    assert run_job(Accumulates(), files).rows == ["f00", "f01", "f02"]


def test_a_model_lies_below_azureml_model_dir_unless_the_variable_is_set(tmp_path: Path, files: list[str]) -> None:
    model = tmp_path / "model.txt"
    model.touch()

    class Model:
        def run(self, paths: list[str]) -> list[str]:
            folder = os.environ["AZUREML_MODEL_DIR"]
            return [" ".join(os.listdir(folder)) if os.path.isdir(folder) else folder] * len(paths)

    result = ParallelJob(Model(), files, models=[model]).run()
    assert (result.rows[0], result.notes) == ("model.txt", ())
    settings = JobSettings(environment_variables={"AZUREML_MODEL_DIR": "mine"})
    assert ParallelJob(Model(), files, settings, models=[model]).run().rows[0] == "mine"


def test_a_dataframe_is_handed_over_as_one(tmp_path: Path) -> None:
    result = run_job(Rows(), table(3), mini_batch_size=2 * ROW_BYTES)
    assert [batch.size for batch in result.mini_batches] == [2, 1]
    assert result.rows == [{"id": "0000000"}, {"id": "0000001"}, {"id": "0000002"}]
