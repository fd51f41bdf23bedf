from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun import JobSettings
from pytest_parallelrun._check_hooks import outer_timeout
from tests.conftest import Run, Write
from tests.plugin.counts import TOTAL

ASKS = """
    def test_it(parallelrun_entry):
        assert parallelrun_entry.budget == {}
"""


@pytest.mark.parametrize(("options", "budget"), [((), "None"), (("--parallelrun-budget=2.5",), "2.5")])
def test_the_entry_knows_it(project: Path, gate: Run, write: Write, options: tuple[str, ...], budget: str) -> None:
    write("test_mine.py", ASKS.format("'?'").replace("'?'", budget))
    gate("-k", "test_it", *options).assert_outcomes(passed=1, deselected=TOTAL)


def test_the_ini_twin_is_used(project: Path, gate: Run, write: Write, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nparallelrun_budget = 7")
    write("test_mine.py", ASKS.format("7"))
    gate("-k", "test_it").assert_outcomes(passed=1, deselected=TOTAL)


def test_the_outer_timeout_leaves_time_for_mini_batches_that_take_all_of_theirs() -> None:
    settings = JobSettings(timeout=100, max_retries=4)
    assert outer_timeout(settings, None) >= 10 * 100 * 5


def test_the_outer_timeout_leaves_time_for_the_budget() -> None:
    assert outer_timeout(JobSettings(), 5000) - outer_timeout(JobSettings(), None) == 5000 - 300


LIMIT = """
    def pytest_collection_finish(session):
        markers = [item.get_closest_marker("timeout") for item in session.items]
        print("limits:", [str(marker and marker.args) for marker in markers])
        session.items.clear()
"""


@pytest.mark.installed_plugins
@pytest.mark.parametrize(
    ("options", "limit"),
    [
        (("--parallelrun-set=timeout=5", "--parallelrun-set=max_retries=0"), "(950,)"),
        (("--timeout=30",), "None"),
        (("--pdb",), "None"),
        (("--trace",), "None"),
        (("-p", "no:timeout"), "None"),
    ],
    ids=["ours", "the user's", "debugger", "trace", "no pytest-timeout"],
)
def test_each_generated_test_has_a_limit_unless_the_user_wants_another(
    project: Path, gate: Run, write: Write, options: tuple[str, ...], limit: str
) -> None:
    write("conftest.py", LIMIT)
    gate("-k", "entry_imports", *options).stdout.fnmatch_lines([f"*limits: [[]'{limit}']"])


def test_a_limit_in_the_ini_file_is_the_users(
    project: Path, gate: Run, write: Write, pytester: pytest.Pytester
) -> None:
    write("conftest.py", LIMIT)
    pytester.makeini("[pytest]\ntimeout = 60")
    gate("-k", "entry_imports").stdout.fnmatch_lines(["*limits: [[]'None']"])
