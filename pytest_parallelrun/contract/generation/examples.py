"""Mini-batches and jobs of the generated checks: those that Hypothesis draws, and those that always run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice, zip_longest
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.phrases import items_text
from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import ItemName
from pytest_parallelrun.strategies import Cell, Files, Item, Rows, job_settings, recipes
from pytest_parallelrun.strategies.faults import draw_faults
from pytest_parallelrun.strategies.files import ITEM_KINDS
from pytest_parallelrun.strategies.frames import malformed_kinds

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from pytest_parallelrun.contract.generation.runner import ExampleRunner, Recipe
    from pytest_parallelrun.emulator.faults import FaultKind
    from pytest_parallelrun.emulator.setting_table import Profile
    from pytest_parallelrun.strategies import Sample

MAX_CELLS_TRIED = 40
"""For a wide table; each column gets one before any gets a second."""
MAX_JOB_LENGTH = 6
"""Items of a generated job: enough for several mini-batches, few enough for all their retries."""
MAX_FAULTS = 5
MAX_PARTITIONS = 3
"""For a generated job, the smallest ones of the sample."""

_FAULTS: tuple[FaultKind, ...] = ("raises", "times_out", "crashes", "returns", "drops", "load_fails")
"""retry_is_harmless checks second deliveries."""
_LOSSES: tuple[FaultKind, ...] = ("drops",)
"""The only fault after which run() gets the same mini-batch again."""


def recipe_of(sample: Sample, numbers: Sequence[int]) -> Recipe:
    """Valid items of the sample, by their numbers."""
    if sample.kind == "files":
        return Files(tuple(Item(sample.names[number]) for number in numbers))
    return Rows(tuple(numbers))


def describe(sample: Sample, recipe: Recipe) -> str:
    """The items of a recipe as text."""
    if isinstance(recipe, Files):
        names = [item.name if item.kind is None else f"{item.name} ({_words(item.kind)})" for item in recipe.items]
        return items_text(tuple(names))
    # The user knows the folder of the sample.
    row_names = [sample.names[row] for row in recipe.rows]
    rows = items_text(tuple(ItemName(os.path.basename(name.file), name.row) for name in row_names))
    cells = [
        f"{_words(cell.kind)} in column {cell.column!r}"
        + (" of all rows" if cell.row is None else f" of its row {cell.row + 1}")
        for cell in recipe.cells
    ]
    return f"{rows}; {', '.join(cells)}" if cells else rows


def part_of(recipe: Recipe, positions: Sequence[int]) -> Recipe:
    """Some of the items of a recipe, with their malformed parts."""
    if isinstance(recipe, Files):
        return Files(tuple(recipe.items[position] for position in positions))
    moved = {position: number for number, position in enumerate(positions)}
    cells = tuple(
        Cell(None if cell.row is None else moved[cell.row], cell.column, cell.kind)
        for cell in recipe.cells
        if cell.row is None or cell.row in moved
    )
    return Rows(tuple(recipe.rows[position] for position in positions), cells)


def _words(kind: str) -> str:
    return kind.replace("_", " ")


def mini_batches_to_draw(runner: ExampleRunner) -> SearchStrategy[Recipe]:
    """Valid and malformed mini-batches of the sample."""
    return runner.observations.remember(
        "mini-batches to draw", lambda: recipes(runner.sample, odd=True, max_size=runner.max_items)
    )


def edge_cases(runner: ExampleRunner) -> tuple[Recipe, ...]:
    """Recipes of mini-batches of the first suitable item, each malformed in one way: alone, and after a valid item.

    The latter fail in the middle of run(), which may leave something behind.
    """
    return runner.observations.remember("edge cases", lambda: _edge_cases(runner.sample))


def _edge_cases(sample: Sample) -> tuple[Recipe, ...]:
    # With partitions, it is the first item of the smallest one, together with the others of it.
    first, *others = min(sample.partitions.values(), key=len, default=(0,))
    if sample.kind == "files":
        rest = tuple(Item(sample.names[number]) for number in others)
        alone = tuple(Files((Item(sample.names[first], kind), *rest)) for kind in ITEM_KINDS)
        before = () if sample.partitions else tuple(map(Item, sample.names[1:2]))
        return alone + tuple(Files((*before, *recipe.items)) for recipe in alone if before)
    by_turns = (cell for turn in zip_longest(*_malformed_cells(sample)) for cell in turn if cell)
    cells = list(islice(by_turns, MAX_CELLS_TRIED))
    pairs = [] if sample.partitions or sample.size < 2 else cells[: len(sample.frame.columns)]
    return (
        *(Rows((first, *others), (cell,)) for cell in cells),
        *(Rows((first + 1, first), (replace(cell, row=1),)) for cell in pairs),
    )


def _malformed_cells(sample: Sample) -> Iterator[list[Cell]]:
    """Malformed cells for each column; a repeated label names the first column with it."""
    labels = list(sample.frame.columns)
    for position, label in enumerate(labels):
        if labels.index(label) == position and str(label) not in sample.settings.partition_keys:
            yield [Cell(0, label, kind) for kind in malformed_kinds(sample, position)]


@dataclass(frozen=True, kw_only=True)
class JobToTry:
    """A job of valid items.

    sizes: items of each mini-batch. bad: position of an unreadable item, or None.
    """

    recipe: Recipe
    sizes: tuple[int, ...]
    settings: JobSettings
    faults: tuple[Fault, ...] = ()
    bad: int | None = None

    @property
    def bad_mini_batch(self) -> int | None:
        """Number of the mini-batch with the unreadable item, or None."""
        if self.bad is None:
            return None
        return next(number for number, end in enumerate(accumulate(self.sizes)) if self.bad < end)

    def part(self, number: int) -> Recipe:
        """The mini-batch of that number."""
        end = sum(self.sizes[: number + 1])
        first = end - self.sizes[number]
        if isinstance(self.recipe, Files):
            return Files(self.recipe.items[first:end])
        return Rows(self.recipe.rows[first:end])


def jobs_to_draw(runner: ExampleRunner) -> SearchStrategy[JobToTry]:
    """Jobs of a few valid items, with thresholds, faults at attempts that can occur, and an unreadable file."""
    profile = runner.observations.entry.settings.profile
    most_items = min(MAX_JOB_LENGTH, runner.max_items)
    jobs = _jobs_of_partitions if runner.sample.partitions else _jobs_of_items
    return runner.observations.remember("jobs to draw", lambda: jobs(runner.sample, profile, most_items))


def _jobs_of_items(sample: Sample, profile: Profile, most_items: int) -> SearchStrategy[JobToTry]:
    from hypothesis import strategies as st

    recipes_of_items = recipes(sample, max_size=most_items)
    settings = job_settings(profile=profile)
    sizes = [st.integers(1, most) for most in range(1, most_items + 1)]
    bad = [st.none() | st.integers(0, last) if sample.kind == "files" else st.none() for last in range(most_items)]
    kinds = st.sampled_from([_FAULTS, _LOSSES])

    @st.composite
    def drawn(draw: DrawFn) -> JobToTry:
        recipe = draw(recipes_of_items)
        size = draw(sizes[recipe.size - 1])
        chosen = draw(settings)
        faults = draw_faults(draw, -(-recipe.size // size), chosen, draw(kinds), MAX_FAULTS)
        even = tuple(min(size, recipe.size - first) for first in range(0, recipe.size, size))
        return JobToTry(recipe=recipe, sizes=even, settings=chosen, faults=faults, bad=draw(bad[recipe.size - 1]))

    return drawn()


def _jobs_of_partitions(sample: Sample, profile: Profile, most_items: int) -> SearchStrategy[JobToTry]:
    """The same of whole partitions, each of which is a mini-batch, whatever its number of items."""
    from hypothesis import strategies as st

    parts = sorted(sample.partitions.values(), key=len)[:MAX_PARTITIONS]
    chosen_parts = st.lists(st.sampled_from(parts), min_size=1, max_size=len(parts), unique=True)
    settings = job_settings(profile=profile)
    kinds = st.sampled_from([_FAULTS, _LOSSES])

    @st.composite
    def drawn(draw: DrawFn) -> JobToTry:
        parts = draw(chosen_parts)
        chosen = draw(settings)
        faults = draw_faults(draw, len(parts), chosen, draw(kinds), MAX_FAULTS)
        job = _job_of(sample, parts, settings=chosen, faults=faults)
        bad = draw(st.none() | st.integers(0, job.recipe.size - 1)) if sample.kind == "files" else None
        return replace(job, bad=bad)

    return drawn()


def plain_jobs(runner: ExampleRunner) -> tuple[JobToTry, ...]:
    """The simplest jobs in which run() is called again after a loss.

    All results of the first mini-batch are lost once; with files, one file is unreadable and another follows. They
    always run, so that a verdict does not depend on a seed.
    """
    return runner.observations.remember("plain jobs", lambda: _plain_jobs(runner))


def _plain_jobs(runner: ExampleRunner) -> tuple[JobToTry, ...]:
    sample, profile = runner.sample, runner.observations.entry.settings.profile
    parts = sorted(sample.partitions.values(), key=len) or [(number,) for number in range(min(2, sample.size))]
    settings = JobSettings(rules="documented", max_retries=1, profile=None if profile == "v2" else profile)
    settings = settings.without_thresholds()
    # run() may return many rows for an item: losing one would not matter.
    most_results = max(attempt.returned or 1 for attempt in runner.observations.baseline.result.attempts)
    loss = Fault.drops(most_results, mini_batch=0, attempt=1)
    jobs = [_job_of(sample, parts[:1], settings=settings, faults=(loss,))]
    if sample.kind == "files":
        jobs.append(_job_of(sample, parts[:2], settings=settings, bad=0))
    return tuple(jobs)


def _job_of(
    sample: Sample,
    parts: Sequence[Sequence[int]],
    *,
    settings: JobSettings,
    faults: tuple[Fault, ...] = (),
    bad: int | None = None,
) -> JobToTry:
    """Parts of the sample, by the numbers of their items, each as a mini-batch."""
    recipe = recipe_of(sample, [number for part in parts for number in part])
    return JobToTry(recipe=recipe, sizes=tuple(map(len, parts)), settings=settings, faults=faults, bad=bad)
