"""Draws many examples at once, the same in every run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.strategies import SearchStrategy

from pytest_parallelrun.strategies import Files, Rows

T = TypeVar("T")

SAME = settings(database=None, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def drawn(strategy: SearchStrategy[T], count: int) -> list[T]:
    found: list[T] = []

    @settings(SAME, max_examples=count, phases=[Phase.generate])
    @given(strategy)
    def draw(example: T) -> None:
        found.append(example)

    draw()
    return found


def drawn_rows(strategy: SearchStrategy[Rows | Files], count: int) -> list[Rows]:
    return drawn(cast("SearchStrategy[Rows]", strategy), count)


def drawn_files(strategy: SearchStrategy[Rows | Files], count: int) -> list[Files]:
    return drawn(cast("SearchStrategy[Files]", strategy), count)


def smallest(strategy: SearchStrategy[T], condition: Callable[[T], bool]) -> T:
    """What a failing example shrinks to."""
    return find(strategy, condition, settings=settings(SAME, max_examples=1000))


def smallest_rows(strategy: SearchStrategy[Rows | Files], condition: Callable[[Rows], bool]) -> Rows:
    return smallest(cast("SearchStrategy[Rows]", strategy), condition)


def smallest_files(strategy: SearchStrategy[Rows | Files], condition: Callable[[Files], bool]) -> Files:
    return smallest(cast("SearchStrategy[Files]", strategy), condition)
