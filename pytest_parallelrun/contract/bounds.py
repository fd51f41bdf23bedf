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

MIN_GROUPS, MAX_GROUPS = 2, 12
MAX_GROUP_BYTES = 64 * 1024**2
MAX_ITEMS = 300
"""Mini-batches of the sample that checks repeat on other workers, of a table as many as have these bytes; and their
items together, of which each gets a share.
"""
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
MAX_SEARCHED_ROWS = 100_000
"""Of a mini-batch of a table that is searched for the row that a result is about."""
MAX_SEARCHED_PAIRS = 250_000
"""Pairs of a row of the output and an item of one mini-batch, of which one is searched for the other."""
MAX_SEARCHED_BYTES = 64 << 10
"""Of an item that is searched for ids."""

MAX_DRAWN_BATCHES = 32
MAX_DRAWN_BYTES = 32 * 1024**2
"""Mini-batches from which the generated checks take their items, and their bytes in the input."""
MAX_WAITING = 10.0
"""Seconds that a test waits for hanging mini-batches, including the search for the smallest one."""
MIN_HANGING = 5.0
"""Minimum seconds before a mini-batch counts as hanging: it may be slower than those of the sample."""
MAX_REPLACED_WORKERS = 6
"""Workers that a test starts to replace those that a mini-batch ended: each costs an init()."""
MAX_ATTEMPTS_AFTERWARDS = 80
"""Mini-batches or jobs that a test tries after the first finding, to shrink and explain it."""
MIN_SECONDS_AFTERWARDS = 1.0
"""Seconds in which it may be more."""
MAX_GENERATED_SECONDS = 0.05
"""Seconds that a generated mini-batch should take at most, as far as its size decides."""
MIN_GENERATED_ITEMS = 20
"""Items that a generated mini-batch may have in any case, if `timeout` allows it."""
MARGIN_OF_SIZE = 2
"""Factor between `timeout` and the expected time of a mini-batch larger than those of the sample."""

MAX_REPEATS = 40
MAX_REPEAT_SECONDS = 30.0
"""Runs of one mini-batch whose results are random, to tell chance from rows in the wrong place."""
MAX_SUSPECTS = 2
"""Mini-batches that seem to depend on the size, and that fresh workers try again."""
MAX_ALONE = 50
"""Items of a mini-batch that are run one by one to find the one without a result."""
MAX_PAIRS = 6
"""Pairs of items with the same key, and with different ones, that are run to find out what is lost."""
MAX_PAIRED = 8
"""Columns that are taken in pairs as a key."""
MAX_CALLS = 4
"""With the same items, which show what run() keeps."""
MAX_SMALL = 8
"""Numbers of items up to this one are all tried."""
MAX_TRIED_SECONDS = 20.0
"""In run(), until no further attempt is made to find out what is lost."""

MAX_LATE = 3.0
"""Seconds for threads that are at work after run() has returned; some never end."""
MAX_REPEATED = 30.0
"""Seconds of run(), or of sleep that is skipped only in this process, for a sample that is run again."""
MAX_CAUGHT = 50
"""Different exceptions of a worker that are recorded, and paths that it did not find."""
MAX_SENT, MAX_KEYS = 400, 200
"""Characters of a value that a script keeps, which may contain the path of the sample, and keys of a container."""
MAX_SEARCHED_FILES = 2_000
"""And folders, which are searched for a module."""

MAX_CORRUPTED_ITEMS = 4
MAX_CORRUPTED_COLUMNS = 8
MAX_CORRUPTED_SECONDS = 1.0
"""Items of a mini-batch with one bad item, numeric columns of a table that get a bad cell, and seconds in run()."""
MAX_BROKEN_BYTES = 4 * 1024**2
"""Files whose content is broken; larger ones are left as they are."""
MAX_REPLACED_BYTES = 1024**2
"""Of a file whose content is replaced by another one of the same size."""
MAX_DEPENDENCY_FILES = 2
"""Dependency files that are taken away: each costs an init()."""
MAX_CODE_FILES = 500
MAX_CODE_BYTES = 20 * 1024**2
"""A larger code root is not copied to leave out a file."""

MAX_WRITTEN_BYTES = 4 * 1024**2
"""Of a file of the script that is compared line by line; a larger one is compared as a whole."""
MAX_OUTPUT_BYTES = 16 * 1024**2
"""Of a file in the user's results that is restored; a larger one stays as the script leaves it."""

MAX_TIMED_ROWS = 4096
MAX_TIMED_REPETITIONS = 5
MAX_TIMED_SECONDS = 0.1
"""Rows of a table that may be repeated to time run(), attempts at each size, and seconds until no further one starts;
each size gets at least one.
"""
MAX_TIMED_PROBE = 10.0
"""Seconds of real time for an attempt at items whose mini-batches all timed out."""

MAX_ALIGNED = 100
"""Rows that are aligned by the values that they have in common."""


def evenly(values: Sequence[T], most: int) -> Sequence[T]:
    """Some of them, the first and the last included."""
    if len(values) <= most:
        return values
    return [values[number * (len(values) - 1) // max(most - 1, 1)] for number in range(most)]
