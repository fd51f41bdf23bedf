"""Flawed scripts that no check finds but the two that generate mini-batches and jobs, each as a line of a table.

`examples_needed.py` measures how many examples find them. Most scripts score their items correctly unless a condition
holds for the mini-batch `b`; the others keep something between mini-batches and are written out.
"""

# ruff: noqa: E501 - a line for each script

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

SampleName = Literal["files", "table", "typed", "wide", "lines", "folders"]

RAISES = "raise ValueError('not supported')"
LOSES = "return scores(b)[1:]"
NONE = "return None"
TEXT = "return 'no scores'"
HANGS = "time.sleep(3600)"
ENDS = "os._exit(3)"


@dataclass(frozen=True)
class Flaw:
    """A script with one flaw. says: which one, unique.

    when, then: a condition for the mini-batch and what run() does wrong. script: in their place, the script.
    """

    sample: SampleName
    says: str
    when: str = ""
    then: str = ""
    script: str = ""

    @property
    def source(self) -> str:
        """The script."""
        body = self.script or f"def run(b):\n    if {self.when}:\n        {self.then}\n    return scores(b)\n"
        return PRELUDES[self.sample] + body


_FILES = '''
import os, re, time

def name(p):
    """Folder and name."""
    return "/".join(p.split(os.sep)[-2:])

def number(p):
    """The number in the name, 0 without."""
    found = re.search(r"item_(\\d+)", p)
    return int(found[1]) if found else 0

def numbers(b):
    return [number(p) for p in b]

def data(p):
    try:
        with open(p, "rb") as stream:
            return stream.read()
    except OSError:
        return b"?"

def unreadable(p):
    return os.path.isdir(p)

def total(p):
    with open(p, encoding="ascii") as stream:
        return f"{name(p)}: {sum(float(line) for line in stream):.2f}"

def score(p):
    try:
        return total(p)
    except Exception as error:
        return f"{name(p)}: error: {type(error).__name__}"

def scores(b):
    return [score(p) for p in b]

def empty(b):
    """Positions of empty files."""
    return [n for n, p in enumerate(b) if not data(p)]

def copies(b):
    """Numbers of copies."""
    return len(b) - len({number(p) for p in b})
'''
_ROWS = '''
import math, os, time
import numpy as np
import pandas as pd

def scores(b):
    return [f"{row[0]}: {row[1]}" for row in b.itertuples(index=False)]

def nulls(column):
    """Positions of nulls."""
    return [n for n, null in enumerate(column.isna()) if null]
'''
_LINES = """
import os, time

def scores(b):
    return [f"{row['id']}: {row['text']}" for row in b]
"""
PRELUDES: Mapping[SampleName, str] = {
    "files": _FILES,
    "folders": _FILES,
    "table": _ROWS,
    "typed": _ROWS,
    "wide": _ROWS,
    "lines": _LINES,
}


def _write_files(folder: Path) -> Path:
    sample = folder / "data"
    sample.mkdir()
    for number in range(1, 7):
        lines = "".join(f"{number * line}.5\n" for line in range(1, 4))
        (sample / f"item_{number}.txt").write_text(lines, encoding="ascii")
    return sample


def _write_folders(folder: Path) -> Path:
    sample = folder / "data"
    for number in range(1, 7):
        (sample / f"shop_{number % 2}").mkdir(parents=True, exist_ok=True)
        text = f"{number}.25\n" * 3
        (sample / f"shop_{number % 2}" / f"item_{(number + 1) // 2}.txt").write_text(text, encoding="ascii")
    return sample


def _write_table(folder: Path) -> Path:
    sample = folder / "data.csv"
    kinds = "aabacbbabcabaacb"
    lines = [f"{100 + n},{n // 2 + 10}.5,{n % 5 + 1},{kind},note {n:02}" for n, kind in enumerate(kinds)]
    sample.write_text("\n".join(["id,value,count,kind,note", *lines]) + "\n", encoding="ascii")
    return sample


def _write_typed(folder: Path) -> Path:
    sample = folder / "data.parquet"
    frame = pd.DataFrame(
        {
            "id": [f"r{n}" for n in range(10)],
            "amount": [n * 3 + 1 for n in range(10)],
            "day": pd.date_range("2024-01-01", periods=10),
            "size": ["s", "m", "m", "l", "s"] * 2,
            "ratio": pd.array([n / 4 for n in range(1, 11)], dtype="float32"),
            "ok": [n % 3 == 0 for n in range(10)],
        }
    )
    frame.to_parquet(sample)
    return sample


def _write_wide(folder: Path) -> Path:
    sample = folder / "data.csv"
    columns = [f"c{n}" for n in range(30)]
    lines = [",".join(f"{row + n}.5" for n in range(30)) for row in range(8)]
    sample.write_text("\n".join([",".join(columns), *lines]) + "\n", encoding="ascii")
    return sample


def _write_lines(folder: Path) -> Path:
    sample = folder / "data.jsonl"
    rows = [{"id": n, "text": f"text {n}", "stars": n % 5 + 1, "lang": ["de", "en", "fr"][n % 3]} for n in range(9)]
    sample.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="ascii")
    return sample


WRITERS: Mapping[SampleName, Callable[[Path], Path]] = {
    "files": _write_files,
    "folders": _write_folders,
    "table": _write_table,
    "typed": _write_typed,
    "wide": _write_wide,
    "lines": _write_lines,
}
"""What write the samples into a folder."""
SETTINGS: Mapping[SampleName, Mapping[str, object]] = {
    "files": {"mini_batch_size": 2, "error_threshold": 10},
    "folders": {"mini_batch_size": 2, "error_threshold": 10},
    "table": {"mini_batch_size": 88, "error_threshold": 10},
    "typed": {"mini_batch_size": 100, "error_threshold": 10},
    "wide": {"mini_batch_size": 600, "error_threshold": 10},
    "lines": {"mini_batch_rows": 3, "error_threshold": 10},
}

# fmt: off
FLAWS = (
    # Sizes.
    Flaw("files", "an odd number of files, more than one, loses one", "len(b) > 1 and len(b) % 2", LOSES),
    Flaw("files", "exactly four files raise", "len(b) == 4", RAISES),
    Flaw("files", "exactly five files become None", "len(b) == 5", NONE),
    Flaw("files", "three files lose one", "len(b) == 3", LOSES),
    Flaw("table", "two rows are squeezed", "len(b) == 2", TEXT),
    Flaw("table", "an odd number of rows, more than one, loses one", "len(b) > 1 and len(b) % 2", LOSES),
    Flaw("table", "a multiple of three loses one", "len(b) % 3 == 0", LOSES),
    Flaw("table", "exactly seven rows raise", "len(b) == 7", RAISES),
    Flaw("table", "a last chunk of one row is lost, in chunks of five", "len(b) > 1 and len(b) % 5 == 1", LOSES),
    Flaw("table", "more than eight rows, but not all, overflow a buffer", "8 < len(b) < 16", RAISES),
    Flaw("table", "rows from 12 to 15", "12 <= len(b) <= 15", NONE),
    Flaw("typed", "three rows look like the three classes", "len(b) == 3", RAISES),
    Flaw("lines", "two lines", "len(b) == 2", LOSES),
    Flaw("lines", "five or seven lines", "len(b) in (5, 7)", RAISES),
    # Orders and combinations.
    Flaw("files", "names must ascend", "sorted(b) != b", RAISES),
    Flaw("files", "the last name comes first", "len(b) > 1 and b[0] == max(b)", RAISES),
    Flaw("files", "item_1 comes last of three or more", "len(b) > 2 and number(b[-1]) == 1", NONE),
    Flaw("files", "three files or more must include item_1", "len(b) > 2 and 1 not in numbers(b)", RAISES),
    Flaw("files", "numbers with a gap lose one", "max(numbers(b)) - min(numbers(b)) >= len(b)", LOSES),
    Flaw("files", "item_3 comes directly before item_2", "'32' in ''.join(map(str, numbers(b)))", RAISES),
    Flaw("files", "item_2 meets item_5, without item_3", "{2, 5} <= set(numbers(b)) and 3 not in numbers(b)", NONE),
    Flaw("files", "names descend, three or more", "len(b) > 2 and sorted(b, reverse=True) == b", RAISES),
    Flaw("folders", "a result for each base name", "len({os.path.basename(p) for p in b}) < len(b)", LOSES),
    Flaw("folders", "files of one folder alone, three or more", "len(b) > 2 and len({os.path.dirname(p) for p in b}) == 1", RAISES),
    Flaw("table", "ids must ascend", "not b.id.is_monotonic_increasing", RAISES),
    Flaw("table", "several rows of one kind", "len(b) > 1 and b.kind.nunique(dropna=False) == 1", RAISES),
    Flaw("table", "no row of kind a among three or more", "len(b) > 2 and 'a' not in set(b.kind)", RAISES),
    Flaw("table", "equal values in all of several rows", "len(b) > 1 and b.value.nunique(dropna=False) == 1", NONE),
    Flaw("table", "kind c comes first of several", "len(b) > 1 and b.kind.iloc[0] == 'c'", RAISES),
    Flaw("table", "values descend in three or more rows", "len(b) > 2 and b.value.is_monotonic_decreasing", RAISES),
    Flaw("table", "the last row of the sample first", "len(b) > 1 and b.id.iloc[0] == 115", LOSES),
    Flaw("typed", "days must ascend", "not b.day.is_monotonic_increasing", RAISES),
    Flaw("typed", "no small size among several", "len(b) > 1 and not (b['size'] == 's').any()", LOSES),
    Flaw("typed", "all are ok", "len(b) > 1 and b.ok.all()", RAISES),
    Flaw("wide", "rows must ascend", "not b.c0.is_monotonic_increasing", RAISES),
    Flaw("lines", "ids must ascend", "[row['id'] for row in b] != sorted(row['id'] for row in b)", RAISES),
    Flaw("lines", "one language in several lines", "len(b) > 1 and len({row['lang'] for row in b}) == 1", NONE),
    # Duplicates.
    Flaw("files", "equal contents become None", "len({data(p) for p in b}) < len(b)", NONE),
    Flaw("files", "a copy waits for its original", "copies(b)", HANGS),
    Flaw("files", "a copy directly after its original ends the process", "any(x == y for x, y in zip(numbers(b), numbers(b)[1:]))", ENDS),
    Flaw("files", "two copies", "copies(b) > 1", NONE),
    Flaw("files", "a copy among four or more", "copies(b) and len(b) > 3", TEXT),
    Flaw("table", "equal ids become None", "b.id.duplicated().any()", NONE),
    Flaw("table", "equal ids hang", "b.id.duplicated().any() and len(b) > 2", HANGS),
    Flaw("table", "the first row again at the end", "len(b) > 2 and b.id.iloc[0] == b.id.iloc[-1]", NONE),
    Flaw("typed", "equal ids end the process", "b.id.duplicated().any()", ENDS),
    Flaw("lines", "equal ids", "len({row['id'] for row in b}) < len(b)", TEXT),
    # One malformed item.
    Flaw("files", "an empty file", "empty(b)", NONE),
    Flaw("files", "a byte order mark", "any(data(p)[:3] == b'\\xef\\xbb\\xbf' for p in b)", TEXT),
    Flaw("files", "another extension", "not all(p.endswith('.txt') for p in b)", HANGS),
    Flaw("files", "null bytes", "any(b'\\0' * 9 in data(p) for p in b)", ENDS),
    Flaw("files", "quotes in a name", "any('\"' in name(p) or \"'\" in name(p) for p in b)", NONE),
    Flaw("files", "a name that is not ASCII", "not all(p.isascii() for p in b)", ENDS),
    Flaw("files", "a file that ends in the middle of a line", "not all(data(p)[-1:] in (b'\\n', b'?', b'') for p in b)", HANGS),
    Flaw("table", "a missing value", "b.value.isna().any()", NONE),
    Flaw("table", "a negative count", "(b['count'] < 0).any()", HANGS),
    Flaw("table", "an infinite value", "np.isinf(b.value).any()", ENDS),
    Flaw("table", "an unseen kind", "not b.kind.dropna().isin(list('abc')).all()", HANGS),
    Flaw("table", "an empty note", "(b.note == '').any()", NONE),
    Flaw("table", "a newline in a note", "b.note.str.contains('\\n', na=False).any()", TEXT),
    Flaw("table", "a long note", "(b.note.str.len() > 999).any()", ENDS),
    Flaw("table", "the largest count overflows", "(b['count'] > 2**40).any()", NONE),
    Flaw("typed", "a missing day", "b.day.isna().any()", NONE),
    Flaw("typed", "a size that the sample lacks", "not b['size'].dropna().isin(['s', 'm', 'l']).all()", HANGS),
    Flaw("typed", "a negative amount", "(b.amount < 0).any()", ENDS),
    Flaw("lines", "null as text", "any(row['text'] is None for row in b)", NONE),
    Flaw("lines", "an unseen language", "any(row['lang'] and row['lang'].startswith('unseen') for row in b)", HANGS),
    # Malformed items in certain company.
    Flaw("files", "an empty file at the end of three or more", "len(b) > 2 and len(b) - 1 in empty(b)", NONE),
    Flaw("files", "an empty file before others", "len(b) > 1 and 0 in empty(b)", NONE),
    Flaw("files", "an empty file between others", "set(empty(b)) - {0, len(b) - 1}", HANGS),
    Flaw("files", "two empty files", "len(empty(b)) > 1", NONE),
    Flaw("files", "none of several files can be scored", "len(b) > 1 and all('error' in row and not unreadable(p) for p, row in zip(b, scores(b)))", NONE),
    Flaw("files", "two files that cannot be scored", "sum('error' in row for row in scores(b)) > 1 and not any(map(unreadable, b))", TEXT),
    Flaw("files", "an empty file in a mini-batch out of order", "len(b) > 1 and empty(b) and numbers(b) != sorted(numbers(b))", NONE),
    Flaw("files", "an empty file and one of another extension", "empty(b) and not all(p.endswith('.txt') for p in b)", ENDS),
    Flaw("files", "a byte order mark in the second file or later, not the last", "any(data(p)[:3] == b'\\xef\\xbb\\xbf' for p in b[1:-1])", NONE),
    Flaw("files", "an empty item_5", "any(number(b[n]) == 5 for n in empty(b))", NONE),
    Flaw("table", "a column without any value in several rows", "len(b) > 1 and b.value.isna().all()", NONE),
    Flaw("table", "no kind in several rows", "len(b) > 1 and b.kind.isna().all()", ENDS),
    Flaw("table", "no note in three or more rows", "len(b) > 2 and b.note.isna().all()", HANGS),
    Flaw("table", "a missing value and a missing kind", "b.value.isna().any() and b.kind.isna().any()", NONE),
    Flaw("table", "a missing value in the last of three or more rows", "len(b) > 2 and len(b) - 1 in nulls(b.value)", HANGS),
    Flaw("table", "a missing value in the first of several rows", "len(b) > 1 and 0 in nulls(b.value)", NONE),
    Flaw("table", "two missing values, not all", "1 < len(nulls(b.value)) < len(b)", NONE),
    Flaw("table", "a missing value and a repeated row", "b.value.isna().any() and b.id.duplicated().any()", NONE),
    Flaw("table", "an unseen kind among five or more", "len(b) > 4 and not b.kind.dropna().isin(list('abc')).all()", NONE),
    Flaw("table", "a zero count with others", "len(b) > 1 and (b['count'] == 0).any()", NONE),
    Flaw("table", "an infinite value below another", "len(b) > 1 and np.isinf(b.value.iloc[1:]).any()", NONE),
    Flaw("table", "an empty note out of order", "(b.note == '').any() and not b.id.is_monotonic_increasing", NONE),
    Flaw("typed", "no day in several rows", "len(b) > 1 and b.day.isna().all()", NONE),
    Flaw("typed", "no ratio in several rows", "len(b) > 1 and b.ratio.isna().all()", TEXT),
    Flaw("typed", "no size in several rows", "len(b) > 1 and b['size'].isna().all()", HANGS),
    Flaw("typed", "the earliest day with others", "len(b) > 1 and (b.day.dt.year < 1700).any()", ENDS),
    Flaw("wide", "an infinite value in any column", "np.isinf(b).any(axis=None)", NONE),
    Flaw("wide", "an infinite value in the 17th column", "np.isinf(b.c16).any()", NONE),
    Flaw("lines", "null stars with others", "len(b) > 1 and any(row['stars'] is None for row in b)", NONE),
    Flaw("lines", "no text in several lines", "len(b) > 1 and all(row['text'] is None for row in b)", ENDS),
    # Several conditions at once.
    Flaw("files", "item_4 first and item_1 last", "len(b) > 1 and number(b[0]) == 4 and number(b[-1]) == 1", RAISES),
    Flaw("files", "a truncated file and a copy", "copies(b) and any(data(p)[-1:] not in (b'\\n', b'?', b'') for p in b)", NONE),
    Flaw("files", "two names with spaces", "sum('  ' in name(p) for p in b) > 1", NONE),
    Flaw("files", "three copies of one file", "any(numbers(b).count(number) > 2 for number in numbers(b))", ENDS),
    Flaw("files", "an empty file directly before a larger number", "any(numbers(b)[n] < number for n in empty(b) for number in numbers(b)[n + 1 : n + 2])", NONE),
    Flaw("files", "a byte order mark in the first of descending names", "len(b) > 1 and data(b[0])[:3] == b'\\xef\\xbb\\xbf' and b == sorted(b)[::-1]", NONE),
    Flaw("files", "an empty file and a name that is not ASCII", "empty(b) and not all(p.isascii() for p in b)", TEXT),
    Flaw("files", "files 1 to 3 without the others", "sorted(numbers(b)) == [1, 2, 3]", RAISES),
    Flaw("table", "more rows of kind c than of kind a, in four or more", "len(b) > 3 and (b.kind == 'c').sum() > (b.kind == 'a').sum()", RAISES),
    Flaw("table", "rows 103 and 112 together, in few", "len(b) < 8 and {103, 112} <= set(b.id)", LOSES),
    Flaw("table", "a negative count and a missing value", "(b['count'] < 0).any() and b.value.isna().any()", NONE),
    Flaw("table", "infinities of both signs", "np.isposinf(b.value).any() and np.isneginf(b.value).any()", TEXT),
    Flaw("table", "two unseen kinds", "(~b.kind.dropna().isin(list('abc'))).sum() > 1", NONE),
    Flaw("table", "counts that cancel out", "len(b) > 1 and b['count'].sum() == 0", ENDS),
    Flaw("table", "an empty note and a long one", "(b.note == '').any() and (b.note.str.len() > 999).any()", NONE),
    Flaw("table", "most of four or more values are missing", "len(b) > 3 and b.value.isna().mean() > 0.5", NONE),
    Flaw("table", "a missing value in a row of kind c", "(b.value.isna() & (b.kind == 'c')).any()", NONE),
    Flaw("table", "a negative count without a row of kind a", "(b['count'] < 0).any() and not (b.kind == 'a').any()", NONE),
    Flaw("table", "three copies of one row", "(b.id.value_counts() > 2).any()", NONE),
    Flaw("table", "a missing kind and descending ids", "len(b) > 1 and b.kind.isna().any() and b.id.is_monotonic_decreasing", HANGS),
    Flaw("typed", "a missing day and a repeated id", "b.day.isna().any() and b.id.duplicated().any()", NONE),
    Flaw("typed", "a huge ratio out of order", "(b.ratio > 1e9).any() and not b.day.is_monotonic_increasing", TEXT),
    Flaw("lines", "null stars and an unseen language", "any(row['stars'] is None for row in b) and any(str(row['lang']).startswith('unseen') for row in b)", NONE),
    Flaw("lines", "null as text out of order", "any(row['text'] is None for row in b) and [row['id'] for row in b] != sorted(row['id'] for row in b)", NONE),
    # What is neither common nor rare among random mini-batches.
    Flaw("files", "starts with item_4", "len(b) > 1 and number(b[0]) == 4", RAISES),
    Flaw("files", "item_2 is the last of four or more", "len(b) > 3 and number(b[-1]) == 2", LOSES),
    Flaw("files", "the numbers make 12", "sum(numbers(b)) == 12", RAISES),
    Flaw("files", "item_6 before item_2, without item_1", "1 not in numbers(b) and '62' in re.sub('[345]', '', ''.join(map(str, numbers(b))))", NONE),
    Flaw("files", "a copy of a later file than item_2", "len([n for n in numbers(b) if n > 2]) > len({n for n in numbers(b) if n > 2})", NONE),
    Flaw("files", "spaces in a name, not of item_1", "any('  ' in name(p) and number(p) != 1 for p in b)", NONE),
    Flaw("files", "an empty file of two", "len(b) == 2 and empty(b)", TEXT),
    Flaw("table", "an unseen kind, not in the first row of the sample", "(~b.kind.dropna().isin(list('abc')) & (b.id.loc[b.kind.dropna().index] != 100)).any()", NONE),
    Flaw("table", "a copy of a row below the fourth", "b.id[b.id > 103].duplicated().any()", TEXT),
    Flaw("table", "the first count is 4, of several", "len(b) > 1 and b['count'].iloc[0] == 4", RAISES),
    Flaw("table", "a missing value in two or three rows", "1 < len(b) < 4 and b.value.isna().any()", ENDS),
    Flaw("table", "a long note below the first row", "(b.note.str.len().iloc[1:] > 999).any()", NONE),
    Flaw("typed", "starts with a large size", "len(b) > 1 and b['size'].iloc[0] == 'l'", LOSES),
    Flaw("typed", "ends with r3, of three or more", "len(b) > 2 and b.id.iloc[-1] == 'r3'", RAISES),
    Flaw("lines", "line 7 first, of several", "len(b) > 1 and b[0]['id'] == 7", LOSES),
    # A failure spoils what is kept.
    Flaw(
        "files",
        "rows of a failed mini-batch stay in a buffer",
        script="""
buffer = []
def run(b):
    for p in b:
        buffer.append(score(p) if unreadable(p) or data(p) == b"?" else total(p))
    rows = buffer[:]
    buffer.clear()
    return rows
""",
    ),
    Flaw(
        "files",
        "a flag stays set after a failure",
        script="""
busy = []
def run(b):
    if busy:
        time.sleep(3600)
    busy.append(1)
    rows = [score(p) if unreadable(p) or data(p) == b"?" else total(p) for p in b]
    busy.clear()
    return rows
""",
    ),
    Flaw(
        "files",
        "a failure ends a coroutine",
        script="""
def scoring():
    row = None
    while True:
        p = yield row
        row = score(p) if unreadable(p) or data(p) == b"?" else total(p)
scorer = scoring()
next(scorer)
def run(b):
    return [scorer.send(p) for p in b]
""",
    ),
    Flaw(
        "files",
        "six failures use up all slots",
        script="""
slots = list(range(6))
def run(b):
    slot = slots.pop()
    rows = [score(p) if unreadable(p) or data(p) == b"?" else total(p) for p in b]
    slots.append(slot)
    return rows
""",
    ),
    Flaw(
        "files",
        "what follows a bad file stays pending",
        script="""
pending = []
def run(b):
    pending.extend(b)
    rows = []
    while pending:
        p = pending.pop(0)
        rows.append(score(p) if unreadable(p) or data(p) == b"?" else total(p))
    return rows
""",
    ),
    Flaw(
        "files",
        "a failure after two good files leaves a buffer",
        script="""
buffer = []
def run(b):
    rows = []
    for p in b:
        rows.append(score(p) if unreadable(p) or data(p) == b"?" else total(p))
        buffer.extend(rows[2:3])
    if len(buffer) > max(0, len(b) - 2):
        rows = rows[1:]
    if len(rows) == len(b):
        buffer.clear()
    return rows
""",
    ),
    Flaw(
        "files",
        "a copy leaves its name",
        script="""
seen = set()
def run(b):
    if seen:
        return scores(b)[1:]
    if copies(b):
        seen.update(b)
    return scores(b)
""",
    ),
    Flaw(
        "table",
        "an infinite value after others stays in a buffer",
        script="""
buffer = []
def run(b):
    for row, value in zip(scores(b), b.value):
        if math.isinf(value):
            raise ValueError(row)
        buffer.append(row)
    rows = buffer[:]
    buffer.clear()
    return rows
""",
    ),
    Flaw(
        "table",
        "a long note after others stays in a buffer",
        script="""
buffer = []
def run(b):
    for row, note in zip(scores(b), b.note):
        if len(str(note)) > 999:
            raise ValueError(row)
        buffer.append(row)
    rows = buffer[:]
    buffer.clear()
    return rows
""",
    ),
    Flaw(
        "table",
        "an unseen kind shifts the codes of others",
        script="""
kinds = ["a", "b", "c"]
def run(b):
    for kind in b.kind.dropna():
        if kind not in kinds:
            kinds.insert(0, kind)
    return [f"{row.id}: {kinds.index(row.kind) if row.kind in kinds else -1}" for row in b.itertuples()]
""",
    ),
    Flaw(
        "table",
        "rows below a missing value stay pending",
        script="""
pending = []
def run(b):
    pending.extend(zip(scores(b), b.value))
    rows = []
    while pending:
        row, value = pending.pop(0)
        if value != value:
            raise ValueError(row)
        rows.append(row)
    return rows
""",
    ),
    Flaw(
        "table",
        "a huge count stays the largest",
        script="""
largest = [1000]
def run(b):
    largest[0] = max(largest[0], int(b["count"].max()))
    return [f"{row.id}: {row.count_ / largest[0]:.6f}" for row in b.rename(columns={"count": "count_"}).itertuples()]
""",
    ),
    # Unreadable files.
    Flaw("files", "an unreadable file in the middle", "any(map(unreadable, b[1:-1]))", NONE),
    Flaw("files", "an unreadable file at the end of three or more", "len(b) > 2 and unreadable(b[-1])", NONE),
    Flaw("files", "an unreadable file among four or more", "len(b) > 3 and any(map(unreadable, b))", TEXT),
)
