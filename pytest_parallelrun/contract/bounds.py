"""How much of a sample the checks compare, however large it is, and how they say what they left out.

The job itself runs the whole sample. What is compared afterwards is bounded in mini-batches, items and bytes, so that
the cost of a gate grows with the sample by one pass over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

MAX_COPIED_FILES = 1_000
MAX_COPIED_BYTES = 100 * 1024**2
"""A larger sample is copied once, for the job; other checks copy the files that they use."""

MAX_GROUPS = 12
MAX_ITEMS = 300
"""Mini-batches of the sample that checks repeat on other workers, and their items together; each gets a share."""
MAX_FAILED = 3
"""Mini-batches that failed in the job and are tried again."""
MAX_SINGLES = 30
"""Items that are run alone."""
MAX_MERGED = 8
"""Mini-batches of one item that are joined."""

MAX_KEPT_BYTES = 64 * 1024**2
"""Of what run() returned for the sample: results of later mini-batches are kept more and more rarely."""
MAX_RESULTS = 1_000
MAX_ROWS = 20_000
MAX_ROW_BYTES = 16 * 1024**2
"""Of these, the results that are examined one by one, with their rows."""

MAX_NAMED_RESULTS = 12
MAX_NAMED_ROWS = 500
"""Results that are searched for the names of their items, rows of each, and items that may be named."""
MAX_SEARCHED_PAIRS = 250_000
"""Pairs of a row and an item of one mini-batch, up to which golden output assigns rows by the names in them."""
MAX_SEARCHED_BYTES = 64 << 10
"""Of an item that is searched for ids."""

MAX_DRAWN_BATCHES = 32
MAX_DRAWN_BYTES = 32 * 1024**2
"""Mini-batches from which the generated checks take their items, and their bytes in the input."""

MAX_ALIGNED = 100
"""Rows that are aligned by the values that they have in common."""


def evenly(values: Sequence[T], most: int) -> Sequence[T]:
    """Some of them, the first and the last included."""
    if len(values) <= most:
        return values
    return [values[number * (len(values) - 1) // max(most - 1, 1)] for number in range(most)]
