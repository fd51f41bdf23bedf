"""Both presets are judged from the recorded attempts of one run."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pytest_parallelrun.emulator.engines import engine_maker
from pytest_parallelrun.emulator.event_log import EventLog
from pytest_parallelrun.emulator.events import AttemptEnded, Event, Failure, MiniBatchEnded, Outcome
from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.job import ParallelJob
from pytest_parallelrun.emulator.ledger import Ledger
from pytest_parallelrun.emulator.result import JobResult
from pytest_parallelrun.emulator.rule_comparison import compare_presets
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.files import FileSplitter
from tests.emulator.jobs import ROW_BYTES, Names, Rows, Scripted, make_files, run_job, table


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return make_files(tmp_path, 4)


def attempt(
    mini_batch: int,
    outcome: Outcome = "succeeded",
    *,
    number: int = 1,
    loading: float = 0.0,
    running: float = 0.0,
) -> AttemptEnded:
    """An attempt at a mini-batch of one file."""
    batch = list(FileSplitter("", ["f"] * (mini_batch + 1), 1, label="").mini_batches())[mini_batch]
    returned = 1 if outcome == "succeeded" else None
    failure = None if outcome == "succeeded" else Failure("run", "failed")
    return AttemptEnded(
        mini_batch=batch,
        number=number,
        worker=0,
        outcome=outcome,
        returned=returned,
        value=None,
        started=0.0,
        loading=loading,
        running=running,
        failure=failure,
        fault=None,
    )


class ParallelRunException(Exception):
    """Looks like the service's own, which a script raises to control its retries."""

    code = "Retry.NoRetry"


def status_under(
    preset: str,
    own: JobSettings,
    splitter: FileSplitter,
    total: int | None,
    events: EventLog,
    reason: str | None = "it",
) -> str | None:
    """What the job comes to under that preset, where it failed for this reason under its own."""
    outcome = Ledger(own, "files", total).outcome(reason)
    of_preset = compare_presets("", own, splitter, total, events, outcome).outcomes[preset]
    return None if of_preset is None else of_preset.status


def log_of(*events: Event) -> EventLog:
    log = EventLog()
    log.extend(events)
    return log


def observed_of(*events: Event, **settings: object) -> str | None:
    """The observed reading of a documented job over as many files as there are mini-batches in `events`."""
    total = len({event.mini_batch.id for event in events if isinstance(event, AttemptEnded)})
    own = JobSettings.from_mapping(settings)
    splitter = FileSplitter("", ["f"] * total, 1, label="")
    return status_under("observed", own, splitter, total, log_of(*events))


def documented_of(*events: Event, **settings: object) -> str | None:
    total = len({event.mini_batch.id for event in events if isinstance(event, AttemptEnded)})
    own = JobSettings.from_mapping({**settings, "rules": "observed"})
    splitter = FileSplitter("", ["f"] * total, 1, label="")
    return status_under("documented", own, splitter, total, log_of(*events))


def test_a_sound_job_completes_under_both(files: list[str]) -> None:
    result = run_job(Names(), files, error_threshold=0)
    assert result.readings == {"documented": "Completed", "observed": "Completed"}


def test_the_own_preset_has_the_own_status(files: list[str]) -> None:
    result = run_job(Names(), files, Fault.crashes(mini_batch=0), rules="observed", error_threshold=0)
    assert result.readings["observed"] == result.status == "Failed"


def test_a_short_return_may_fail_the_job_only_as_documented(files: list[str]) -> None:
    drops = Fault.drops(1, mini_batch=0)
    result = run_job(Names(), files, drops, mini_batch_size=2, mini_batch_error_threshold=0)
    assert result.readings == {"documented": "Failed", "observed": "Completed"}
    assert any("this job's verdict depends on which Azure document is right" in note for note in result.notes)
    assert any("Failed with rules=documented, Completed with rules=observed" in note for note in result.notes)


def test_a_short_return_that_a_retry_mends_may_fail_the_job_only_as_observed(files: list[str]) -> None:
    drops = Fault.drops(1, mini_batch=0, attempt=1)
    result = run_job(Names(), files, drops, error_threshold=0)
    assert result.readings == {"documented": "Completed", "observed": "Failed"}


def test_a_retry_that_was_not_made_cannot_be_told(files: list[str]) -> None:
    drops = Fault.drops(1, mini_batch=0)
    result = run_job(Names(), files, drops, rules="observed", mini_batch_size=2)
    assert result.readings == {"documented": None, "observed": "Completed"}
    assert "the verdict with rules=documented cannot be derived from these attempts" in result.notes


def test_what_a_stopped_job_did_not_try_cannot_be_told(files: list[str]) -> None:
    drops = Fault.drops(1, mini_batch=0)
    result = run_job(Names(), files, drops, max_retries=0, mini_batch_error_threshold=0)
    assert result.readings == {"documented": "Failed", "observed": None}


def test_a_job_without_workers_fails_under_both(files: list[str]) -> None:
    assert run_job(Names(), files, Fault.init_raises()).readings == {"documented": "Failed", "observed": "Failed"}


def test_a_failure_that_awaits_its_retry_may_fail_the_job_only_as_observed(files: list[str]) -> None:
    result = run_job(Scripted(at0=[ValueError()]), files, mini_batch_error_threshold=0)
    assert result.readings == {"documented": "Completed", "observed": "Failed"}


def test_append_row_without_a_succeeded_item_fails_under_both(files: list[str]) -> None:
    result = run_job(Names(), files, Fault.raises(ValueError), output_action="append_row")
    assert result.readings == {"documented": "Failed", "observed": "Failed"}


def test_a_table_that_was_split_to_its_end_can_be_told() -> None:
    fault = Fault.raises(ValueError, mini_batch=0)
    done = run_job(Rows(), table(4), fault, mini_batch_size=2 * ROW_BYTES, error_threshold=2)
    assert done.readings == {"documented": "Completed", "observed": "Completed"}


def test_a_table_that_a_stopped_job_left_in_part_cannot_be_told() -> None:
    fault = Fault.raises(ValueError, mini_batch=0)
    result = run_job(Rows(), table(4), fault, mini_batch_size=2 * ROW_BYTES, error_threshold=1, max_retries=0)
    assert result.readings == {"documented": "Failed", "observed": None}


def test_the_failed_unit_of_a_table_may_decide() -> None:
    fault = Fault.raises(ValueError, mini_batch=1)
    result = run_job(Rows(), table(4), fault, mini_batch_size=2 * ROW_BYTES, error_threshold=1)
    assert result.readings == {"documented": "Failed", "observed": "Completed"}


def test_mini_batches_without_rows_are_no_gap(tmp_path: Path) -> None:
    for name, text in (("a.csv", "id\n"), ("b.csv", "id\n1\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    result = run_job(Rows(), str(tmp_path / "*.csv"), Fault.load_fails(mini_batch=1))
    assert result.readings == {"documented": "Completed", "observed": "Completed"}


def test_the_second_of_two_deliveries_is_the_one_that_is_read(files: list[str]) -> None:
    entry = Scripted(at0=[ValueError(), ["f00"]])
    result = run_job(entry, files, Fault.delivers_twice(mini_batch=0), max_retries=0, error_threshold=0)
    assert result.readings == {"documented": "Completed", "observed": "Completed"}


def test_a_delivery_in_doubt_does_not_hide_the_attempts_after_it(files: list[str]) -> None:
    entry = Scripted(at0=[["f00"], ValueError(), ValueError()])
    result = run_job(entry, files, Fault.delivers_twice(attempt=1), max_retries=1, error_threshold=0)
    assert result.readings == {"documented": "Failed", "observed": "Failed"}


def two_folders(tmp_path: Path) -> Path:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        make_files(tmp_path / folder, 1)
    return tmp_path


def test_another_grouping_of_files_into_mini_batches_cannot_be_told(tmp_path: Path) -> None:
    result = run_job(Names(), two_folders(tmp_path), Fault.load_fails(), mini_batch_size=2)
    assert result.readings == {"documented": "Completed", "observed": None}


def test_other_files_in_as_many_mini_batches_cannot_be_told(tmp_path: Path) -> None:
    make_files(two_folders(tmp_path) / "a", 4)
    make_files(tmp_path / "b", 3)
    result = run_job(Names(), tmp_path, Fault.load_fails(), mini_batch_size=3)
    other = run_job(Names(), tmp_path, mini_batch_size=3, rules="observed")
    assert result.total_mini_batches == other.total_mini_batches == 3
    assert result.readings["observed"] is None


@pytest.mark.parametrize("size", [1, 2])
def test_a_grouping_that_makes_no_difference_can_be_told(size: int, tmp_path: Path) -> None:
    make_files(two_folders(tmp_path) / "a", 2)
    result = run_job(Names(), tmp_path, Fault.load_fails(mini_batch=0), mini_batch_size=size)
    assert result.readings == {"documented": "Completed", "observed": "Completed"}


def test_a_timeout_that_the_observed_limit_would_not_have_had_cannot_be_told() -> None:
    assert observed_of(attempt(0, "timeout", running=61)) is None


def test_a_timeout_past_the_observed_limit_is_one_there_too() -> None:
    assert observed_of(attempt(0, "timeout", running=90), max_retries=0, error_threshold=0) == "Failed"
    assert observed_of(attempt(0, "timeout", loading=31, running=60), max_retries=0) == "Completed"


def test_a_run_that_was_too_long_only_as_documented_is_a_timeout_there() -> None:
    assert documented_of(attempt(0, running=60), max_retries=0, error_threshold=0) == "Failed"
    assert documented_of(attempt(0, running=59), attempt(1, "exception"), max_retries=0) == "Completed"


def test_loading_that_was_too_long_only_as_observed_is_a_timeout_there() -> None:
    assert observed_of(attempt(0, loading=90), max_retries=0, error_threshold=0) == "Failed"
    assert observed_of(attempt(0, loading=89), max_retries=0, error_threshold=0) == "Completed"


def test_an_observed_timeout_whose_run_was_short_cannot_be_told_as_documented() -> None:
    assert documented_of(attempt(0, "timeout", loading=80, running=10), max_retries=0) is None
    assert documented_of(attempt(0, "timeout", loading=30, running=60), max_retries=0) == "Completed"


@pytest.mark.parametrize("late", [attempt(0, loading=10), attempt(0, running=60)])
def test_a_job_that_completed_with_a_late_attempt_is_judged_anew(late: AttemptEnded) -> None:
    own = JobSettings(rules="observed", task_overhead_timeout=5, max_retries=0, error_threshold=0)
    splitter = FileSplitter("", ["f"], 1, label="")
    assert status_under("documented", own, splitter, 1, log_of(late), None) == "Failed"
    assert status_under("observed", own, splitter, 1, log_of(late), None) == "Completed"


def test_loading_past_its_documented_limit_is_a_timeout_there_too() -> None:
    assert documented_of(attempt(0, "timeout", loading=600), max_retries=0, error_threshold=0) == "Failed"


def test_an_injected_timeout_is_one_under_any_limit(files: list[str]) -> None:
    result = run_job(Names(), files, Fault.times_out(mini_batch=0), error_threshold=0)
    assert result.readings == {"documented": "Failed", "observed": "Failed"}


def test_an_exceeded_threshold_is_told_though_another_mini_batch_is_in_doubt() -> None:
    events = [attempt(0, "timeout", running=61), attempt(1, "exception"), attempt(0, number=2)]
    assert observed_of(*events, max_retries=0, error_threshold=0) == "Failed"
    assert observed_of(*events, max_retries=0) is None


def test_an_attempt_that_must_not_be_retried_is_final_under_both(files: list[str]) -> None:
    error = ParallelRunException("no use")
    result = run_job(Scripted(at0=[error]), files, mini_batch_error_threshold=1)
    assert result.readings == {"documented": "Completed", "observed": "Completed"}


def test_attempts_after_the_end_of_a_mini_batch_do_not_count_again() -> None:
    events = [attempt(0, running=70), attempt(0, "exception", number=2), attempt(1)]
    assert documented_of(*events, max_retries=0, error_threshold=1) == "Completed"


def test_a_table_that_was_not_split_to_its_end_cannot_be_told() -> None:
    own = JobSettings(error_threshold=0)
    splitter = FileSplitter("", ["f"], 1, label="")
    one = attempt(0, "exception")
    ended = MiniBatchEnded(one.mini_batch, "failed", 0, 1)
    assert status_under("observed", own, splitter, None, log_of(one, ended)) is None


def test_rules_that_were_set_one_by_one_hold_under_both(files: list[str]) -> None:
    drops = Fault.drops(1, mini_batch=0)
    settings: dict[str, Any] = {"mini_batch_size": 2, "mini_batch_error_threshold": 0}
    both = run_job(Names(), files, drops, short_return="mini_batch_failed", **settings)
    assert both.readings == {"documented": "Failed", "observed": "Failed"}


def test_the_rules_that_decide_are_known(files: list[str]) -> None:
    drops = Fault.drops(1, mini_batch=0)
    comparison = run_job(Names(), files, drops, mini_batch_size=2, mini_batch_error_threshold=0).comparison
    completing = [rule for rule, outcome in comparison.by_rule.items() if outcome and outcome.status == "Completed"]
    assert completing == ["short_return"]
    observed = comparison.outcomes["observed"]
    assert observed is not None
    assert (observed.failed_items, observed.failed_mini_batches, observed.missing_items) == (1, 0, 1)


def test_no_rule_decides_where_the_presets_agree(files: list[str]) -> None:
    assert run_job(Names(), files, Fault.raises(ValueError), max_retries=0).comparison.by_rule == {}


def test_the_reason_is_that_of_the_preset(files: list[str]) -> None:
    result = run_job(Scripted(at0=[ValueError()]), files, mini_batch_error_threshold=0)
    observed = result.comparison.outcomes["observed"]
    assert observed is not None
    assert observed.reason == "1 failed mini-batch > mini_batch_error_threshold 0"


class Nothing:
    """Returns nothing for any mini-batch."""

    def run(self, items: object) -> list[str]:
        return []


def run_beyond(
    entry: object, source: list[str] | pd.DataFrame, *, output: Path | None = None, **settings: Any
) -> JobResult:
    job = ParallelJob(entry, source, JobSettings(**settings), output=output)
    return job.run_on(engine_maker("inprocess"), beyond_threshold=True)


STOPS: dict[str, Any] = {"max_retries": 0, "mini_batch_error_threshold": 1, "error_threshold": -1}


def test_the_attempts_beyond_a_threshold_tell_what_the_other_preset_gives(files: list[str]) -> None:
    result = run_beyond(Nothing(), files, **STOPS)
    assert result.readings == {"documented": "Failed", "observed": "Completed"}
    observed = result.comparison.outcomes["observed"]
    assert observed is not None
    assert observed.failed_items == 4


def test_they_count_for_nothing_else(files: list[str]) -> None:
    result, plain = run_beyond(Nothing(), files, **STOPS), run_job(Nothing(), files, **STOPS)
    assert plain.readings["observed"] is None
    assert result.mini_batches[3].status == "unfinished"
    for name in ("reason", "failed_mini_batches", "failed_items", "total_items", "init_calls"):
        assert getattr(result, name) == getattr(plain, name)
    assert [a.mini_batch.id for a in result.attempts] == [a.mini_batch.id for a in plain.attempts] == [0, 1]


@pytest.mark.parametrize("beyond", [run_beyond, run_job])
def test_what_a_table_has_beyond_the_threshold_is_not_of_the_job(beyond: Callable[..., JobResult]) -> None:
    result = beyond(Nothing(), table(6), mini_batch_size=ROW_BYTES, **STOPS)
    assert result.total_mini_batches == 2
    assert result.readings["observed"] == ("Completed" if beyond is run_beyond else None)


def test_nothing_is_appended_beyond_a_threshold(files: list[str], tmp_path: Path) -> None:
    entry = Scripted(at0=[[]], at1=[[]])
    result = run_beyond(entry, files, output=tmp_path / "out", output_action="append_row", **STOPS)
    assert result.readings == {"documented": "Failed", "observed": "Completed"}
    assert result.output_path is not None
    assert result.output_path.read_text(encoding="utf-8") == ""


def test_a_row_that_waited_for_its_mini_batch_is_not_appended_beyond_a_threshold(files: list[str]) -> None:
    entry = Scripted(**{f"at{number}": [[], [], []] for number in range(4)})
    result = run_beyond(entry, files, output_action="append_row", **{**STOPS, "max_retries": 1})
    assert result.readings == {"documented": "Failed", "observed": "Failed"}


def test_no_attempt_is_made_beyond_a_threshold_where_the_other_preset_is_known(files: list[str]) -> None:
    entry = Scripted(at0=[ValueError()])
    result = run_beyond(entry, files, **{**STOPS, "mini_batch_error_threshold": 0})
    assert result.readings == {"documented": "Failed", "observed": "Failed"}
    assert entry.order == [0]


def test_none_is_made_where_a_limit_was_not_waited_for(files: list[str]) -> None:
    class Slow:
        calls = 0

        def run(self, paths: list[str]) -> list[str]:
            self.calls += 1
            time.sleep(70)
            return paths

    slow = Slow()
    assert run_beyond(slow, files, **STOPS).readings == {"documented": "Failed", "observed": None}
    assert slow.calls == 2


def test_a_job_that_loses_its_workers_beyond_a_threshold_ended_at_it(files: list[str]) -> None:
    class Stops(Exception):
        code = "Retry.StopProcess"

    Stops.__name__ = "ParallelRunException"
    result = run_beyond(Scripted(at0=[[]], at1=[[]], at2=[Stops()]), files, **STOPS)
    assert result.reason == "2 failed mini-batches > mini_batch_error_threshold 1"
    assert result.readings == {"documented": "Failed", "observed": None}


def test_the_seconds_beyond_a_threshold_are_not_of_the_job(files: list[str]) -> None:
    class Sleeps:
        def run(self, paths: list[str]) -> list[str]:
            time.sleep(30)
            return []

    assert run_beyond(Sleeps(), files, **STOPS).duration == pytest.approx(60, abs=5)
