from __future__ import annotations

from pathlib import Path

from tests.conftest import Run, Write
from tests.plugin.counts import TOTAL


def test_it_makes_a_job_that_is_run_later(project: Path, gate: Run, write: Write) -> None:
    write(
        "test_mine.py",
        """
        from pytest_parallelrun import ParallelJob

        def test_it(parallelrun_factory):
            job = parallelrun_factory(mini_batch_size=3)
            assert isinstance(job, ParallelJob)
            assert job.run().total_mini_batches == 1
            assert job.run().total_mini_batches == 1
        """,
    )
    gate("-k", "test_it").assert_outcomes(passed=1, deselected=TOTAL)


def test_it_can_be_used_inside_given(project: Path, gate: Run, write: Write) -> None:
    write(
        "test_mine.py",
        """
        from hypothesis import given, settings, strategies as st

        @settings(max_examples=5, deadline=None, database=None)
        @given(size=st.integers(1, 5))
        def test_it(parallelrun_factory, size):
            assert parallelrun_factory(mini_batch_size=size).run().succeeded_items == 3
        """,
    )
    gate("-k", "test_it").assert_outcomes(passed=1, deselected=TOTAL)


def test_it_serves_fixtures_of_any_scope(project: Path, gate: Run, write: Write) -> None:
    write(
        "test_mine.py",
        """
        import pytest

        @pytest.fixture(scope="session")
        def result(parallelrun_factory):
            return parallelrun_factory().run()

        def test_it(result):
            assert result.status == "Completed"
        """,
    )
    gate("-k", "test_it").assert_outcomes(passed=1, deselected=TOTAL)
