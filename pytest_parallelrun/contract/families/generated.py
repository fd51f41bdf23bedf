"""Does run() hold for mini-batches and failures that nobody thought of? Hypothesis makes them from the sample.

Only the deadline is switched off, as attempts have limits of their own: profiles, seeds and the example database are
the user's.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hypothesis import event, given, settings
from hypothesis import strategies as st

from pytest_parallelrun.contract.entry.preconditions import skip_without_worker
from pytest_parallelrun.contract.generation.generated_jobs import judge_job
from pytest_parallelrun.contract.generation.generated_mini_batches import judge_mini_batch, judge_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.finding import Finding
    from pytest_parallelrun.contract.generation.runner import ExampleRunner


@settings(deadline=None)
@given(data=st.data())
def test_handles_generated_mini_batches(
    parallelrun_examples: ExampleRunner, parallelrun_check: Check, data: st.DataObject
) -> None:
    """Sound mini-batches of any size and order succeed; odd ones do no harm."""
    __tracebackhide__ = True
    bench = parallelrun_examples
    _require_sound_items(bench, parallelrun_check)
    # What became of these is remembered: only the first example tries them.
    _conclude(bench, parallelrun_check, partial(judge_whole, bench))
    for lone in bench.lone_oddities:
        _conclude(bench, parallelrun_check, partial(judge_mini_batch, bench, lone))
    recipe = data.draw(bench.recipes, label="mini-batch")
    event("odd" if recipe.odd else "sound")
    _conclude(bench, parallelrun_check, lambda: judge_mini_batch(bench, recipe))


@settings(deadline=None)
@given(data=st.data())
def test_behaves_under_error_thresholds(
    parallelrun_examples: ExampleRunner, parallelrun_check: Check, data: st.DataObject
) -> None:
    """In generated jobs, counts, retries and verdict are what the thresholds allow."""
    __tracebackhide__ = True
    bench = parallelrun_examples
    _require_sound_items(bench, parallelrun_check)
    for plain in bench.plain_jobs:
        _conclude(bench, parallelrun_check, partial(judge_job, bench, plain))
    job = data.draw(bench.jobs, label="job")
    _conclude(bench, parallelrun_check, lambda: judge_job(bench, job))


def _require_sound_items(bench: ExampleRunner, check: Check) -> None:
    __tracebackhide__ = True
    if bench.sample is None:
        check.cannot_decide(
            "no mini-batch of the sample succeeded, so there is nothing sound to make others of; "
            "see test_job_completes and test_no_silent_losses"
        )


def _conclude(bench: ExampleRunner, check: Check, judge: Callable[[], Finding | None]) -> None:
    __tracebackhide__ = True
    with skip_without_worker(check):
        found = judge()
    if bench.sample is not None and bench.sample.sampled:
        check.note(f"generated from a part of the sample: {bench.sample.sampled}")
    stopped = bench.stopped_by()
    if stopped is not None:
        check.note(stopped)
        if not bench.tried:
            check.cannot_decide(stopped)
    if found is not None:
        check.fail(found)
