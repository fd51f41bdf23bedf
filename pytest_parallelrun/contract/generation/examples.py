"""Mini-batches and jobs of the generated checks: those that Hypothesis draws, and those that always run."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice, zip_longest
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.phrases import items_text
from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import ItemName
from pytest_parallelrun.strategies import Cell, Files, Item, Rows, job_settings, recipes
from pytest_parallelrun.strategies.files import ITEM_KINDS, ItemKind
from pytest_parallelrun.strategies.frames import malformed_kinds
from pytest_parallelrun.strategies.jobs import draw_faults
from pytest_parallelrun.strategies.subsets import window

if TYPE_CHECKING:
    from hypothesis import settings
    from hypothesis.strategies import DrawFn, SearchStrategy

    from pytest_parallelrun.contract.generation.runner import ExampleRunner, Recipe
    from pytest_parallelrun.emulator.faults import FaultKind
    from pytest_parallelrun.emulator.setting_table import Profile
    from pytest_parallelrun.strategies import Sample

EXAMPLES = 20
"""Enough to find what 100 find: see docs/explanation/generated-checks.md."""
MAX_CELLS_TRIED = 40
"""For a wide table; each column gets one before any gets a second."""
MAX_EACH_SIZE = 12
"""Every size up to this is tried, of the larger ones some."""
MAX_COLUMNS = 8
"""Of a wide table: those that are malformed in two of three rows, and those whose commonest value is tried alone."""
COMPANY = 5
"""Items of a mini-batch with a malformed one in the middle."""
DUPLICATES = ((0, 0), (-1, -2, -1), (0, 1, 2, 3, 0), (0, 1, 0, 1, 0))
"""Mini-batches with repeated items, by their numbers; negative ones count from the last item."""
MAX_JOB_LENGTH = 6
"""Items of a generated job: enough for several mini-batches, few enough for all their retries."""
MAX_FAULTS = 5
MAX_PARTITIONS = 3
"""For a generated job, the smallest ones of the sample."""

_FAULTS: tuple[FaultKind, ...] = ("raises", "times_out", "crashes", "returns", "drops", "load_fails")
"""retry_is_harmless checks second deliveries."""
_LOSSES: tuple[FaultKind, ...] = ("drops",)
"""The only fault after which run() gets the same mini-batch again."""


def settings_of_examples() -> settings:
    """The settings of a generated check: the user's, or our number of examples with a profile of Hypothesis."""
    from hypothesis import settings

    return settings(deadline=None) if _has_own_settings() else settings(deadline=None, max_examples=EXAMPLES)


def _has_own_settings() -> bool:
    """Whether the user registered the active profile of Hypothesis.

    Options of pytest derive one from it, such as "ci-with-verbose-verbosity". Profiles that Hypothesis registers itself
    can be replaced under their names.
    """
    from hypothesis import _settings, settings

    name = re.sub(r"-with-(\w+-verbosity|explain-phase)", "", settings._current_profile or "default")
    unchanged = {"default": "", "ci": _settings.CI.show_changed()}
    return settings.get_profile(name).show_changed() != unchanged.get(name)


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
    """Recipes of mini-batches that are always tried, so that a verdict hardly depends on a seed.

    Valid ones of each size, out of order, and of items that are alike. An item malformed in one way: alone; between
    valid ones, where run() fails in the middle and may leave something behind; with others malformed in the same way.
    Then items or columns malformed in different ways, and duplicates.
    """
    return runner.observations.remember("edge cases", lambda: _edge_cases(runner.sample, runner.max_items))


def _edge_cases(sample: Sample, most: int) -> tuple[Recipe, ...]:
    malformed = _malformed_files if sample.kind == "files" else _malformed_rows
    if sample.partitions:
        return tuple(malformed(sample, 1))
    return (*_valid(sample, most), *(recipe for recipe in malformed(sample, most) if recipe.size <= most))


def _valid(sample: Sample, most: int) -> Iterator[Recipe]:
    sizes = {*range(2, MAX_EACH_SIZE + 1), *(most * part // 8 for part in range(1, 9))}
    for size in sorted(size for size in sizes if 1 < size <= most):
        yield recipe_of(sample, range(size)[::-1])
        yield recipe_of(sample, window(sample.size, size, size, size))
    for alike in islice(_alike(sample), MAX_COLUMNS):
        others = [number for number in range(sample.size) if number not in set(alike)]
        for numbers in (alike, others):
            if len(numbers) > 1:
                yield recipe_of(sample, numbers[:most])


def _alike(sample: Sample) -> Iterator[list[int]]:
    """Numbers of items with the most frequent folder or extension, or value of a column."""
    if sample.kind == "files":
        parts: list[Callable[[str], object]] = [os.path.dirname, lambda name: os.path.splitext(name)[1]]
        features = (list(map(part, sample.names)) for part in parts)
    else:
        features = (list(map(repr, column)) for _, column in islice(sample.frame.items(), MAX_CELLS_TRIED))
    for values in features:
        [(commonest, count)] = Counter(values).most_common(1)
        if 1 < count < sample.size:
            yield [number for number, value in enumerate(values) if value == commonest]


def _malformed_files(sample: Sample, most: int) -> Iterator[Files]:
    first, *others = min(sample.partitions.values(), key=len, default=(0,))
    rest = tuple(Item(sample.names[number]) for number in others)
    for kind in ITEM_KINDS:
        yield Files((Item(sample.names[first], kind), *rest))
    if most == 1 or sample.size == 1:
        return
    malformed, *valid = map(Item, sample.names[: min(most, COMPANY)])
    half = len(valid) // 2
    for kind in ITEM_KINDS:
        yield Files((*valid[half:], replace(malformed, kind=kind), *valid[:half]))
        yield Files(tuple(Item(name, kind) for name in sample.names[: min(most, MAX_EACH_SIZE)]))
    several: tuple[tuple[ItemKind, ...], ...] = (("bytes", "zeros"), ITEM_KINDS, ITEM_KINDS[::-1])
    for kinds in several:
        yield Files(tuple(Item(name, kind) for name, kind in zip(sample.names, kinds, strict=False)))
    for numbers in DUPLICATES:
        yield Files(tuple(Item(sample.names[number % sample.size]) for number in numbers))


def _malformed_rows(sample: Sample, most: int) -> Iterator[Rows]:
    first, *others = min(sample.partitions.values(), key=len, default=(0,))
    by_turns = list(zip_longest(*_malformed_cells(sample)))
    cells = [cell for turn in by_turns for cell in turn if cell][:MAX_CELLS_TRIED]
    for cell in cells:
        yield Rows((first, *others), (cell,))
    if most == 1 or sample.size == 1:
        return
    malformed, *valid = range(min(sample.size, most, COMPANY))
    half, three = len(valid) // 2, (malformed, *valid[1:2], valid[0])
    between, row = (*valid[half:], malformed, *valid[:half]), len(valid) - half
    for cell in cells[: len(by_turns[0]) if by_turns else 0]:
        yield Rows(between, (replace(cell, row=row),))
    for cell in cells[:MAX_COLUMNS]:
        yield Rows(three, (cell, replace(cell, row=len(three) - 1)))
    for cell in cells[: MAX_CELLS_TRIED // 2]:
        rows = tuple(range(min(sample.size, most, MAX_EACH_SIZE)))
        yield Rows(rows, tuple(replace(cell, row=row) for row in rows))
    for turn in by_turns:
        yield Rows((*between, malformed)[:most], tuple(replace(cell, row=row) for cell in turn if cell))
    for numbers in DUPLICATES:
        yield Rows(tuple(number % sample.size for number in numbers))


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

    All results of the first mini-batch are lost once; with files, one file is unreadable and another follows, or valid
    ones are in the same mini-batch. They always run, so that a verdict does not depend on a seed.
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
        together = [range(min(COMPANY, sample.size, runner.max_items))]
        for bad in () if sample.partitions else (len(together[0]) // 2, len(together[0]) - 1):
            jobs.append(_job_of(sample, together, settings=settings, bad=bad))
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
