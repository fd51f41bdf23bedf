"""What a failing test shows builds the failing case again, after `from pytest_parallelrun.strategies import *`."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis.strategies import SearchStrategy

import pytest_parallelrun.strategies
from pytest_parallelrun.strategies import Rows, Sample, fault_plans, job_settings, jobs, mini_batches, recipes
from tests.strategies.drawing import drawn_files, drawn_rows

PUBLIC = {name: getattr(pytest_parallelrun.strategies, name) for name in pytest_parallelrun.strategies.__all__}
# Hypothesis before it showed lists and DataFrames as they are, whatever call they came from.
SHOWS_CALLS = hypothesis.__version_info__ >= (6, 168)


def printed(strategy: SearchStrategy[Any], condition: Callable[[Any], bool]) -> tuple[str, object]:
    """What Hypothesis prints for the argument of a test that fails, and the argument itself."""
    last: list[object] = []

    @settings(database=None, deadline=None, derandomize=True, phases=[Phase.generate, Phase.shrink])
    @given(drawn=strategy)
    def fails(drawn: object) -> None:
        last[:] = [drawn]
        assert not condition(drawn)

    with pytest.raises(AssertionError) as caught:
        fails()
    notes: list[str] = getattr(caught.value, "__notes__")  # noqa: B009
    text = next(note for note in notes if "fails(" in note)
    return text.partition("fails(")[2].rpartition(")")[0], last[0]


def pasted(text: str, **names: object) -> object:
    return eval(f"dict({textwrap.dedent(text)})", {**PUBLIC, **names})["drawn"]


def test_recipes_of_files(folder: Path) -> None:
    text, drawn = printed(recipes(folder, odd=True), lambda recipe: recipe.odd)
    assert pasted(text) == drawn
    assert "Files(items=(Item('" in text


def test_recipes_of_rows(frame: pd.DataFrame) -> None:
    text, drawn = printed(recipes(frame, odd=True), lambda recipe: bool(recipe.cells))
    assert pasted(text) == drawn
    assert "Rows(rows=(0,), cells=(Cell(" in text


@pytest.mark.skipif(not SHOWS_CALLS, reason="needs a Hypothesis that shows the calls lists come from")
def test_mini_batches_of_files(folder: Path) -> None:
    text, drawn = printed(mini_batches(folder, odd=True), lambda paths: len(paths) > 1)
    again = pasted(text)
    assert isinstance(again, list)
    assert isinstance(drawn, list)
    assert all(Path(path).exists() for path in again)
    assert [Path(path).name for path in again] == [Path(path).name for path in drawn]


@pytest.mark.skipif(not SHOWS_CALLS, reason="needs a Hypothesis that shows the calls DataFrames come from")
def test_mini_batches_of_rows(frame: pd.DataFrame) -> None:
    text, drawn = printed(mini_batches(frame, odd=True), lambda table: bool(table["number"].isna().any()))
    again = pasted(text, frame=frame)
    assert isinstance(again, pd.DataFrame)
    assert isinstance(drawn, pd.DataFrame)
    pd.testing.assert_frame_equal(again, drawn)


def test_fault_plans() -> None:
    text, drawn = printed(fault_plans(3), lambda plan: len(plan) > 1)
    assert pasted(text) == drawn


def test_settings_of_jobs() -> None:
    text, drawn = printed(job_settings(), lambda chosen: chosen.error_threshold > 0)
    assert pasted(text) == drawn


def test_jobs(folder: Path) -> None:
    text, drawn = printed(jobs(folder, odd=True), lambda case: bool(case.faults))
    assert pasted(text) == drawn


def test_hundreds_of_recipes_are_built_again_from_their_repr(files: Sample, rows: Sample) -> None:
    found = [*drawn_files(recipes(files, odd=True), 150), *drawn_rows(recipes(rows, odd=True), 100)]
    for recipe in found:
        assert eval(repr(recipe), dict(PUBLIC)) == recipe
        assert len({recipe, eval(repr(recipe), dict(PUBLIC))}) == 1
    assert repr(Rows(rows=(1, 2))) == "Rows(rows=(1, 2))"
