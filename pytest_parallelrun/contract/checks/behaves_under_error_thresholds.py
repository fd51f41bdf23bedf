"""In generated jobs, counts, retries and verdict are not what the thresholds allow."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_parallelrun.contract.generation.generated_jobs import judge_job
from pytest_parallelrun.contract.generation.runner import conclude, require_valid_items

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.generation.runner import ExampleRunner


@settings(deadline=None)
@given(data=st.data())
def test_behaves_under_error_thresholds(
    parallelrun_examples: ExampleRunner, parallelrun_check: Check, data: st.DataObject
) -> None:
    """In generated jobs, counts, retries and verdict are what the thresholds allow."""
    __tracebackhide__ = True
    bench = parallelrun_examples
    require_valid_items(bench, parallelrun_check)
    for plain in bench.plain_jobs:
        conclude(bench, parallelrun_check, partial(judge_job, bench, plain))
    job = data.draw(bench.jobs, label="job")
    conclude(bench, parallelrun_check, lambda: judge_job(bench, job))
