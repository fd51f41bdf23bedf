"""The plainest odd mini-batches: one item with one thing that is odd, for each thing that can be.

They are tried whatever Hypothesis draws, so that an empty file is never left to chance, and a verdict not to a seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import TYPE_CHECKING

from pytest_parallelrun.strategies import Cell, Files, Item, Rows
from pytest_parallelrun.strategies.files import ITEM_KINDS
from pytest_parallelrun.strategies.frames import odd_kinds

if TYPE_CHECKING:
    from pytest_parallelrun.strategies import Sample

MOST = 40
"""Of a wide table; each column has its turn before one has a second."""


def lone_oddities(sample: Sample) -> tuple[Files | Rows, ...]:
    """Recipes of mini-batches of the first item that can be it, each odd in one way."""
    # With partitions the item is the first of the smallest one, and the others of it are there too.
    whole = min(sample.partitions.values(), key=len, default=(0,))
    if sample.kind == "files":
        others = tuple(Item(sample.names[number]) for number in whole[1:])
        return tuple(Files((Item(sample.names[whole[0]], kind), *others)) for kind in ITEM_KINDS)
    by_column = zip_longest(*_cells(sample))
    return tuple(Rows(whole, (cell,)) for cell in islice((cell for turn in by_column for cell in turn if cell), MOST))


def _cells(sample: Sample) -> Iterator[list[Cell]]:
    """The odd cells of each column; a label that comes again names the first column that has it."""
    labels = list(sample.frame.columns)
    for place, label in enumerate(labels):
        if labels.index(label) == place and str(label) not in sample.settings.partition_keys:
            yield [Cell(0, label, kind) for kind in odd_kinds(sample, place)]
