"""The plainest odd mini-batches: one item with one thing that is odd, for each thing that can be.

They are tried whatever Hypothesis draws, so that an empty file is never left to chance, and a verdict not to a seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import TYPE_CHECKING

from pytest_parallelrun.strategies import Cell, Files, Item, Rows
from pytest_parallelrun.strategies.cells import kinds_of
from pytest_parallelrun.strategies.files import ITEM_KINDS

if TYPE_CHECKING:
    import pandas as pd

    from pytest_parallelrun.strategies import Sample

MOST = 40
"""Of a wide table; each column has its turn before one has a second."""


def lone_oddities(sample: Sample) -> tuple[Files | Rows, ...]:
    """Recipes of mini-batches of the first item that can be it, each odd in one way."""
    if sample.kind == "files":
        return tuple(Files((Item(sample.names[0], kind),)) for kind in ITEM_KINDS)
    by_column = zip_longest(*_cells(sample.frame))
    return tuple(Rows((0,), (cell,)) for cell in islice((cell for turn in by_column for cell in turn if cell), MOST))


def _cells(frame: pd.DataFrame) -> Iterator[list[Cell]]:
    """The odd cells of each column; a label that comes again names the first column that has it."""
    labels = list(frame.columns)
    for place, label in enumerate(labels):
        if labels.index(label) == place:
            yield [Cell(0, label, kind) for kind in kinds_of(frame.iloc[:, place])]
