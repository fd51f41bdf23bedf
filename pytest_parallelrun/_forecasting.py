"""Makes the forecast of an entry after its last check, from the run of its sample. It never changes a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_parallelrun._collection import entry_module_of
from pytest_parallelrun.contract.bounds import MAX_REPEATED
from pytest_parallelrun.contract.dependence.run_time import full_size
from pytest_parallelrun.contract.entry.baseline import Baseline, run_baseline
from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
from pytest_parallelrun.contract.entry.init_calls import TooManyInitCalls
from pytest_parallelrun.contract.entry.observations import Observations
from pytest_parallelrun.emulator.errors import ParallelRunError
from pytest_parallelrun.emulator.probe import WorkerStartError
from pytest_parallelrun.forecast.request import ForecastRequest, FullJob

if TYPE_CHECKING:
    from pytest_parallelrun.forecast.resources import Resources


class Forecasting:
    """The hook after the last check of each entry. `made` has forecasts that no report has taken yet, by entry."""

    def __init__(self, request: ForecastRequest) -> None:
        self._request = request
        self._fixtures: dict[str, dict[type, Any]] = {}
        self.made: dict[str, dict[str, object]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        module = entry_module_of(item)
        if module is None or module.plan.replay is not None:
            return
        name = module.plan.nodeid
        fixtures = self._fixtures.setdefault(name, {})
        fixtures |= {type(value): value for value in getattr(item, "funcargs", {}).values()}
        following = None if nextitem is None else entry_module_of(nextitem)
        # The last check may be one that is skipped, without any fixture.
        entry = fixtures.get(EntryUnderTest)
        if entry is None or (following is not None and following.plan.nodeid == name):
            return
        if hasattr(item.config, "workerinput"):
            # One worker of pytest-xdist is enough.
            try:
                mark = f"forecast-{module.plan.target.entry.label}-{name}".replace("/", "-")
                (entry.folder.parent.parent / mark).touch(exist_ok=False)
            except FileExistsError:
                return
        try:
            self.made[name] = self._forecast(entry, fixtures, module.plan.sample.no_input)
        except Exception as error:
            self.made[name] = {"problem": f"{type(error).__name__}: {error}"}

    def _forecast(self, entry: EntryUnderTest, fixtures: Mapping[type, Any], no_input: str) -> dict[str, object]:
        from pytest_parallelrun.forecast.forecast import forecast
        from pytest_parallelrun.forecast.sample import sample_of

        if entry.sample is None:
            return {"problem": no_input}
        baseline = fixtures.get(Baseline) or run_baseline(entry)
        result = baseline.result
        if not any(attempt.returned is not None for attempt in result.attempts):
            why = result.reason or "run() was never called"
            failure = next((one.failure for one in result.attempts if one.failure is not None), None)
            return {
                "problem": "no mini-batch of the sample succeeded, so nothing was measured: "
                + (why if failure is None else failure.error)
            }
        resources = _measured(entry)
        sample = sample_of(result, resources.init)
        assert sample is not None
        observations = fixtures.get(Observations) or Observations(entry, baseline)
        items = full_size(observations)
        if entry.settings.partition_keys or not items:
            items = round(sample.items)
        job = FullJob(
            request=self._request,
            settings=entry.settings,
            kind=entry.kind,
            bytes_per_item=0.0 if entry.kind == "files" else observations.bytes_per_row,
            items=items,
        )
        return forecast(job, sample, resources, _note_on_random(observations))


def _note_on_random(observations: Observations) -> Sequence[str]:
    """A note if results are random. A sample that takes long is not run again to find out."""
    try:
        if observations.screening.has_begun:
            found = observations.nondeterministic
        elif observations.baseline.busy > MAX_REPEATED:
            return ()
        else:
            first, second = (observations.observe(observations.asked) for _ in range(2))
            found = observations.differing(first, second)
    except (WorkerStartError, TooManyInitCalls):
        return ()
    if found is None or found.harmless:
        return ()
    return [
        f"results are random: two identical runs differ in {found}. Run times and failures are those of one run of the "
        "sample, and another run may give another forecast"
    ]


def _measured(entry: EntryUnderTest) -> Resources:
    """Memory and processor time of a worker process that runs the sample."""
    from pytest_parallelrun.emulator.engines.process.pool import ON_POSIX
    from pytest_parallelrun.forecast.resources import Resources, measure

    if not ON_POSIX:
        return Resources(problem="worker processes need Linux or macOS")
    redirected = entry.redirected()
    settings = entry.settings.without_thresholds().replace(
        instance_count=1,
        max_concurrency_per_instance=1,
        max_retries=0,
        environment_variables=redirected.environment,
    )
    try:
        job = entry.job_of(entry.copy_sample().input, settings, arguments=redirected.arguments)
        return measure(job)
    except ParallelRunError as error:
        return Resources(problem=str(error))
