"""What an example costs: drawn as a recipe and built, beside a DataFrame that Hypothesis draws cell by cell."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra.pandas import column, data_frames, range_indexes

from pytest_parallelrun.strategies import Sample, mini_batches

COLUMNS = 10
ROWS = 100
EXAMPLES = 100
ROUNDS = 3
LIMIT = 0.1

Draws = Callable[[], list[int]]


def drawing(strategy: st.SearchStrategy[pd.DataFrame]) -> Draws:
    """A function that draws the examples of one test, and says how many rows each had."""
    rows: list[int] = []

    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(frame: pd.DataFrame) -> None:
        rows.append(len(frame))

    def run() -> list[int]:
        rows.clear()
        draw()
        return list(rows)

    return run


def cell_by_cell(fill: st.SearchStrategy[float] | None) -> Draws:
    columns = [column(f"x{number}", elements=st.floats(), fill=fill) for number in range(COLUMNS)]
    return drawing(data_frames(columns, index=range_indexes(max_size=ROWS)))


def from_sample(*, odd: bool) -> Draws:
    table = pd.DataFrame({f"x{number}": [float(row) for row in range(ROWS)] for number in range(COLUMNS)})
    return drawing(mini_batches(Sample(table), odd=odd, max_size=ROWS))  # type: ignore[arg-type]


# On a busy machine it takes minutes, and an alarm inside a draw would look like a flaky strategy.
@pytest.mark.timeout(900)
def test_an_example_costs_a_tenth_of_one_drawn_cell_by_cell(capsys: pytest.CaptureFixture[str]) -> None:
    """All take turns, so that a busy machine slows them all; of the ratios by round the median counts."""
    ways = {
        "data_frames": cell_by_cell(None),
        "data_frames, fill=nothing()": cell_by_cell(st.nothing()),
        "mini_batches": from_sample(odd=False),
        "mini_batches, odd=True": from_sample(odd=True),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    rows: dict[str, list[int]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, draw in ways.items():
            start = time.perf_counter()
            rows[name] += draw()
            seconds[name].append(time.perf_counter() - start)
    theirs, ours = list(ways)[:2], list(ways)[2:]
    ratios = {
        (own, other): median(mine / its for mine, its in zip(seconds[own], seconds[other], strict=True))
        for own in ours
        for other in theirs
    }
    with capsys.disabled():
        print(f"\n{COLUMNS} columns, up to {ROWS} rows: milliseconds an example, its rows (median of {ROUNDS} rounds)")
        for name in ways:
            print(f"{name}: {median(seconds[name]) / EXAMPLES * 1e3:.2f}, {sum(rows[name]) / len(rows[name]):.0f} rows")
        for (own, other), ratio in ratios.items():
            print(f"{own} / {other}: {ratio:.3f}")
    assert max(ratios.values()) <= LIMIT
