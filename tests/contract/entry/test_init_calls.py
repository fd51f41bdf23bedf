"""How often a gate calls init(): the limit, and workers that checks share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_parallelrun.contract import CHECKS
from pytest_parallelrun.contract.check import Check
from pytest_parallelrun.contract.corruption.items import require_corruption_trial
from pytest_parallelrun.contract.entry.baseline import run_baseline
from pytest_parallelrun.contract.entry.init_calls import MAX_INIT_CALLS, RESERVED_INIT_CALLS, TooManyInitCalls
from pytest_parallelrun.contract.entry.observations import Observations
from pytest_parallelrun.contract.entry.questions import QUESTIONS
from pytest_parallelrun.contract.entry.sample_attempts import OFF_MAIN_THREAD
from pytest_parallelrun.contract.generation.runner import ExampleRunner
from tests.contract.entry.test_observations import ECHO, Sample

READS = "def run(b):\n    return [p[-5:] + open(p).read() for p in b]\n"
LISTS = "import os\ndef run(b):\n    return [p[-5:] for p in b if os.path.exists(p)]\n"
CACHES = """
    import functools
    @functools.lru_cache(None)
    def length(path):
        return len(open(path).read())
    def run(b):
        return [f"{p[-5:]}: {length(p)}" for p in b]
"""
HIDES = """
    def run(b):
        rows = []
        for p in b:
            try:
                rows.append(p[-5:] + str(len(open(p).read())))
            except OSError:
                rows.append(p[-5:] + "0")
        return rows
"""


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path)


def observed(sample: Sample, script: str, **settings: object) -> Observations:
    trials = sample.trials(script, **settings)  # type: ignore[arg-type]
    observations = Observations(trials.entry, trials.baseline, QUESTIONS)
    assert observations.nondeterministic is None
    assert observations.is_known
    return observations


@pytest.mark.parametrize(
    ("engine", "instances", "each", "used"),
    [("inprocess", 4, 1, 1), ("inprocess", 1, 2, 1), ("process", 1, 8, 2), ("process", 3, 5, 2)],
)
def test_the_sample_runs_on_few_workers(sample: Sample, engine: str, instances: int, each: int, used: int) -> None:
    trials = sample.trials(ECHO, instance_count=instances, max_concurrency_per_instance=each)
    result = run_baseline(replace(trials.entry, engine=engine)).result
    assert (result.init_calls, result.status) == (used, "Completed")
    assert result.settings.instance_count == instances
    assert f"the gate used {used} of {instances * each} workers, because each of them calls init()" in result.notes


def test_a_job_of_a_test_has_the_workers_of_its_settings(sample: Sample) -> None:
    entry = sample.trials(ECHO).entry
    assert entry.job(instance_count=4).init_calls == 4


def test_a_script_that_ends_its_workers_ends_the_run_of_its_sample(sample: Sample) -> None:
    entry = sample.trials(ECHO, files=40).entry
    entry.entry.path.write_text("import os\ndef run(b):\n    os._exit(3)\n", encoding="utf-8")
    calls = entry.init_calls.total
    result = run_baseline(entry).result
    assert calls + result.init_calls == MAX_INIT_CALLS - RESERVED_INIT_CALLS + 1
    assert result.status == "Failed"
    assert "the script ended its workers, and" in str(result.reason)


def test_starts_without_a_job_keep_to_the_limit(sample: Sample) -> None:
    entry = sample.trials(ECHO).entry
    entry.init_calls.add(MAX_INIT_CALLS - RESERVED_INIT_CALLS - entry.init_calls.total - 1)
    entry.probe_startup(init=False, workers=2)
    with pytest.raises(TooManyInitCalls, match="init\\(\\) budget used up: 23 of 30"):
        entry.probe_startup(workers=2)


@pytest.mark.parametrize(
    ("script", "calls", "needs"),
    [
        pytest.param(READS, 0, {"needed"}, id="reads its items"),
        pytest.param(ECHO, 1, {"not needed"}, id="reads none"),
        pytest.param(LISTS, 1, {"needed", "not needed"}, id="asks whether there is such a file"),
        pytest.param(CACHES, 1, {"needed"}, id="caches what it read"),
    ],
)
def test_bad_items_cost_few_further_workers(sample: Sample, script: str, calls: int, needs: set[str]) -> None:
    observations = observed(sample, script)
    check = Check(strict=False)
    check.begin(next(spec for spec in CHECKS if spec.name == "reports_failures"))
    before = observations.entry.init_calls.total
    trial = require_corruption_trial(observations, check)
    assert observations.entry.init_calls.total - before == calls
    assert {bad.need for bad in trial.attempts} == needs
    assert bool(observations.recalled(OFF_MAIN_THREAD)) == ("not needed" in needs)


def test_a_script_that_hides_bad_items_is_asked_with_fresh_workers(sample: Sample) -> None:
    check = Check(strict=False)
    check.begin(next(spec for spec in CHECKS if spec.name == "reports_failures"))
    trial = require_corruption_trial(observed(sample, HIDES), check)
    assert {(bad.need, bad.ended.outcome) for bad in trial.attempts} == {("needed", "succeeded")}


def test_both_generated_checks_use_one_worker_unless_one_found_something(sample: Sample) -> None:
    observations = observed(sample, ECHO)
    runner = ExampleRunner(observations)
    sessions = []
    for keep, found in ((True, None), (True, "finding"), (True, None), (False, None)):
        runner.judged("recipe", lambda: found)  # type: ignore[arg-type, return-value]  # noqa: B023
        sessions.append(runner._worker)
        runner.end_test(keep=keep)
    first, second, third, fourth = sessions
    assert first is second
    assert second is not third
    assert third is fourth
    assert runner._session is None
