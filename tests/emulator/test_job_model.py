"""The job against a naive model of the rules, written from the rules alone, and laws that hold for every job."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd
import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.job import ParallelJob
from pytest_parallelrun.emulator.result import JobResult
from pytest_parallelrun.emulator.settings import JobSettings
from tests.emulator.jobs import ROW_BYTES, make_files, table

SettingType = Literal["files", "table"]
Preset = Literal["documented", "observed"]
Plan = Mapping[tuple[int, int], str]
"""What is to become of an attempt, by mini-batch and number; what is left out goes well."""

MAX_ITEMS = 12
OUTCOMES = {
    "raises": "exception",
    "no_retry": "exception",
    "times_out": "timeout",
    "crashes": "crashed",
    "load_fails": "load_error",
    "none": "wrong_type",
}


class ParallelRunException(Exception):
    """Looks like the service's own, which a script raises to control its retries."""

    code = "Retry.NoRetry"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A job in a few numbers. `plan` names outcomes; "drops2" loses two results."""

    kind: SettingType = "files"
    items: int = 1
    mini_batch_size: int = 1
    plan: Plan = field(default_factory=dict)
    rules: Preset = "documented"
    max_retries: int = 2
    error_threshold: int = -1
    mini_batch_error_threshold: int = -1
    allowed_failed_percent: float = 100
    append: bool = False
    instances: int = 1
    workers: int = 1


@dataclass
class ExpectedCounts:
    """What the rules make of a scenario."""

    status: str = "Completed"
    exceeded: str | None = None
    processed: int = 0
    failed_mini_batches: int = 0
    succeeded_items: int = 0
    failed_items: int = 0
    outcomes: dict[int, list[str]] = field(default_factory=dict)
    ends: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)


def sizes_of(scenario: Scenario) -> list[int]:
    items, size = scenario.items, scenario.mini_batch_size
    return [min(size, items - first) for first in range(0, items, size)]


def predict(scenario: Scenario) -> ExpectedCounts:
    observed = scenario.rules == "observed"
    sizes = sizes_of(scenario)
    firsts = [0, *itertools.accumulate(sizes)]
    result = ExpectedCounts()
    queue = [(number, 1) for number in range(len(sizes))]
    fresh = len(sizes)
    pending: set[int] = set()
    last_rows: dict[int, list[int]] = {}
    while queue and result.exceeded is None:
        mini_batch, number = queue.pop(0)
        fresh -= number == 1
        size = sizes[mini_batch]
        fate = scenario.plan.get((mini_batch, number), "fine")
        outcome = OUTCOMES.get(fate, "succeeded")
        returned = 0
        if outcome == "succeeded":
            returned = max(0, size - int(fate.removeprefix("drops"))) if fate.startswith("drops") else size
            outcome = "succeeded" if returned == size else "short"
            rows = list(range(firsts[mini_batch], firsts[mini_batch] + returned))
            if observed:
                result.rows += rows
            last_rows[mini_batch] = rows
        result.outcomes.setdefault(mini_batch, []).append(outcome)
        bad = outcome != "succeeded" and not (observed and outcome == "short")
        ended = not bad or fate == "no_retry" or number > scenario.max_retries
        if ended:
            pending.discard(mini_batch)
            failed = size - returned
            if observed and scenario.kind == "table" and bad:
                failed = 1
            result.processed += 1
            result.failed_mini_batches += bad
            result.succeeded_items += returned
            result.failed_items += failed
            result.ends[mini_batch] = ("failed" if bad else "succeeded", returned, failed)
            if not observed:
                result.rows += last_rows.get(mini_batch, [])
        else:
            pending.add(mini_batch)
            queue.append((mini_batch, number + 1))
        counted = result.failed_mini_batches + (len(pending) if observed else 0)
        exhausted = fresh == 0
        if ended and 0 <= scenario.error_threshold < result.failed_items:
            result.exceeded = "error_threshold"
        elif (ended or observed) and 0 <= scenario.mini_batch_error_threshold < counted:
            result.exceeded = "mini_batch_error_threshold"
        elif (
            scenario.allowed_failed_percent < 100
            and (scenario.kind == "files" or exhausted)
            and (ended or observed or (scenario.kind == "table" and exhausted and number == 1))
            and counted / len(sizes) > scenario.allowed_failed_percent / 100
        ):
            result.exceeded = "allowed_failed_percent"
    if result.exceeded is not None or (scenario.append and not result.succeeded_items):
        result.status = "Failed"
    return result


def faults_of(plan: Plan, predicted: ExpectedCounts) -> Iterator[Fault]:
    """Only those that will fire: a fault that never does is an error."""
    for (mini_batch, number), fate in plan.items():
        if len(predicted.outcomes.get(mini_batch, ())) < number:
            continue
        if fate == "raises":
            yield Fault.raises(ValueError, mini_batch=mini_batch, attempt=number)
        elif fate == "no_retry":
            yield Fault.raises(ParallelRunException("no use"), mini_batch=mini_batch, attempt=number)
        elif fate == "times_out":
            yield Fault.times_out(mini_batch=mini_batch, attempt=number)
        elif fate == "crashes":
            yield Fault.crashes(mini_batch=mini_batch, attempt=number)
        elif fate == "load_fails":
            yield Fault.load_fails(mini_batch=mini_batch, attempt=number)
        elif fate == "none":
            yield Fault.returns(None, mini_batch=mini_batch, attempt=number)
        else:
            yield Fault.drops(int(fate.removeprefix("drops")), mini_batch=mini_batch, attempt=number)


class Numbers:
    """Returns the number of each item, of files and of rows alike."""

    def run(self, mini_batch: list[str] | pd.DataFrame) -> object:
        if isinstance(mini_batch, list):
            return [int(os.path.basename(path)[1:]) for path in mini_batch]
        return pd.DataFrame({"number": mini_batch["id"].astype(int)})


@st.composite
def scenarios(draw: st.DrawFn, kind: SettingType) -> Scenario:
    items = draw(st.integers(1, MAX_ITEMS))
    size = draw(st.integers(1, 4))
    retries = draw(st.integers(0, 3))
    count = -(-items // size)
    fates = st.sampled_from([*OUTCOMES, *(f"drops{number}" for number in range(1, size + 1))])
    addresses = st.tuples(st.integers(0, count - 1), st.integers(1, retries + 1))
    # A mini-batch that fails throughout is rare when each attempt is drawn alone.
    hopeless = draw(st.dictionaries(st.integers(0, count - 1), fates, max_size=3))
    plan = {(mini_batch, number): fate for mini_batch, fate in hopeless.items() for number in range(1, retries + 2)}
    plan.update(draw(st.dictionaries(addresses, fates, max_size=6)))
    return Scenario(
        kind=kind,
        items=items,
        mini_batch_size=size,
        plan=plan,
        rules=draw(st.sampled_from(["documented", "observed"])),
        max_retries=retries,
        error_threshold=draw(st.sampled_from([-1, -1, 0, 1, 2, 5])),
        mini_batch_error_threshold=draw(st.sampled_from([-1, -1, 0, 1, 2])),
        allowed_failed_percent=draw(st.sampled_from([100, 100, 0, 10, 25, 33.4, 50, 99])),
        append=draw(st.booleans()),
        instances=draw(st.integers(1, 2)),
        workers=draw(st.integers(1, 2)),
    )


@pytest.fixture(scope="module")
def all_files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return make_files(tmp_path_factory.mktemp("files"), MAX_ITEMS)


def run_scenario(scenario: Scenario, files: list[str]) -> JobResult:
    size = scenario.mini_batch_size
    return ParallelJob(
        Numbers(),
        files[: scenario.items] if scenario.kind == "files" else table(scenario.items),
        JobSettings(
            mini_batch_size=size if scenario.kind == "files" else size * ROW_BYTES,
            rules=scenario.rules,
            max_retries=scenario.max_retries,
            error_threshold=scenario.error_threshold,
            mini_batch_error_threshold=scenario.mini_batch_error_threshold,
            allowed_failed_percent=scenario.allowed_failed_percent,
            output_action="append_row" if scenario.append else "summary_only",
            instance_count=scenario.instances,
            max_concurrency_per_instance=scenario.workers,
        ),
        faults=faults_of(scenario.plan, predict(scenario)),
    ).run()


def numbers(result: JobResult) -> list[object]:
    return [row["number"] if isinstance(row, dict) else row for row in result.rows]


def agree(scenario: Scenario, files: list[str]) -> None:
    predicted = predict(scenario)
    result = run_scenario(scenario, files)
    event(f"{result.status}, exceeded: {result.exceeded}")
    assert (result.status, result.exceeded) == (predicted.status, predicted.exceeded)
    assert (result.reason is None) == (predicted.status == "Completed")
    assert (result.processed_mini_batches, result.failed_mini_batches) == (
        predicted.processed,
        predicted.failed_mini_batches,
    )
    assert (result.succeeded_items, result.failed_items) == (predicted.succeeded_items, predicted.failed_items)
    seen = {batch.id: [attempt.outcome for attempt in batch.attempts] for batch in result.mini_batches}
    assert {mini_batch: outcomes for mini_batch, outcomes in seen.items() if outcomes} == predicted.outcomes
    for batch in result.mini_batches:
        assert (batch.status, batch.succeeded, batch.failed) == predicted.ends.get(batch.id, ("unfinished", 0, 0))
    assert numbers(result) == predicted.rows
    if result.output_path is not None:
        assert result.output_path.read_text(encoding="utf-8").split() == [str(row) for row in predicted.rows]
    reading = result.readings["documented" if scenario.rules == "observed" else "observed"]
    assert result.readings[scenario.rules] == predicted.status
    if reading is not None:
        assert reading == predict(under_the_other_rules(scenario)).status


def under_the_other_rules(scenario: Scenario) -> Scenario:
    other: Preset = "documented" if scenario.rules == "observed" else "observed"
    return Scenario(**{**vars(scenario), "rules": other})


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(scenarios("files"))
@example(Scenario(items=2, plan={(0, 1): "drops1"}, rules="observed", max_retries=0, error_threshold=0))
@example(Scenario(items=3, plan={(0, 1): "raises", (1, 1): "none"}, rules="observed", mini_batch_error_threshold=1))
def test_a_job_over_files_agrees_with_the_model(all_files: list[str], scenario: Scenario) -> None:
    agree(scenario, all_files)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(scenarios("table"))
@example(Scenario(kind="table", items=2, plan={(0, 1): "no_retry", (1, 1): "raises"}, allowed_failed_percent=25))
@example(
    Scenario(kind="table", items=4, mini_batch_size=3, plan={(0, 1): "no_retry"}, rules="observed", error_threshold=1)
)
def test_a_job_over_a_table_agrees_with_the_model(all_files: list[str], scenario: Scenario) -> None:
    agree(scenario, all_files)


either_kind = st.sampled_from(["files", "table"]).flatmap(
    lambda kind: scenarios("files" if kind == "files" else "table")
)


@settings(max_examples=60, deadline=None)
@given(either_kind)
def test_laws_of_every_job(all_files: list[str], scenario: Scenario) -> None:
    result = run_scenario(scenario, all_files)
    batches = result.mini_batches
    assert [batch.id for batch in batches] == list(range(result.total_mini_batches))
    ended = [batch for batch in batches if batch.status != "unfinished"]
    assert result.processed_mini_batches == len(ended) == result.succeeded_mini_batches + result.failed_mini_batches
    assert result.succeeded_items == sum(batch.succeeded for batch in ended)
    assert result.failed_items == sum(batch.failed for batch in ended)
    assert all(len(batch.attempts) <= scenario.max_retries + 1 for batch in batches)
    assert all([a.number for a in batch.attempts] == list(range(1, len(batch.attempts) + 1)) for batch in batches)
    if scenario.rules == "documented":
        assert all(batch.succeeded + batch.failed == batch.size for batch in ended)
    if scenario.kind == "files":
        assert sum(batch.size for batch in batches) == result.total_items == scenario.items
    if result.exceeded is None:
        assert len(ended) == len(batches)
        assert sum(batch.size for batch in batches) == scenario.items


@settings(max_examples=40, deadline=None)
@given(st.integers(1, MAX_ITEMS), st.integers(1, 5), st.sampled_from(["files", "table"]), st.integers(1, 3))
def test_every_item_is_in_exactly_one_mini_batch(
    all_files: list[str], items: int, size: int, kind: SettingType, workers: int
) -> None:
    scenario = Scenario(kind=kind, items=items, mini_batch_size=size, workers=workers)
    assert numbers(run_scenario(scenario, all_files)) == list(range(items))


@settings(max_examples=40, deadline=None)
@given(either_kind, st.integers(1, 3), st.integers(1, 3))
def test_the_number_of_workers_never_changes_the_verdict_of_a_script_without_state(
    all_files: list[str], scenario: Scenario, instances: int, workers: int
) -> None:
    one = run_scenario(Scenario(**{**vars(scenario), "instances": 1, "workers": 1}), all_files)
    more = run_scenario(Scenario(**{**vars(scenario), "instances": instances, "workers": workers}), all_files)
    assert (one.status, one.exceeded, one.reason) == (more.status, more.exceeded, more.reason)
    assert one.rows == more.rows


@settings(max_examples=60, deadline=None)
@given(either_kind)
def test_a_stricter_error_threshold_never_saves_a_job(all_files: list[str], scenario: Scenario) -> None:
    looser = run_scenario(Scenario(**{**vars(scenario), "error_threshold": 2}), all_files)
    stricter = run_scenario(Scenario(**{**vars(scenario), "error_threshold": 1}), all_files)
    assert looser.status == "Completed" or stricter.status == "Failed"
