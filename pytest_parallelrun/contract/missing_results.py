"""Why run() returned fewer results than items: its items are tried again, alone, in pairs and in other numbers.

A cause is named only where attempts show it that would have ended otherwise without it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.contract.bounds import (
    MAX_ALONE,
    MAX_CALLS,
    MAX_PAIRED,
    MAX_PAIRS,
    MAX_SEARCHED_BYTES,
    MAX_SMALL,
    MAX_TRIED_SECONDS,
    evenly,
)
from pytest_parallelrun.contract.dependence.kept_state import kept_state
from pytest_parallelrun.contract.dependence.state import RESULTS_KEPT, STATE_KEPT
from pytest_parallelrun.contract.entry.init_calls import TooManyInitCalls
from pytest_parallelrun.contract.entry.mini_batches import is_files, merged, paths_of, rows_of
from pytest_parallelrun.contract.phrases import items_text, sentences
from pytest_parallelrun.contract.rows.items import late_row, stem_of
from pytest_parallelrun.contract.rows.values import json_in
from pytest_parallelrun.contract.script_source import spent_iterator
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.probe import WorkerStartError
from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.contract.finding import Cause
    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.probe import ProbeSession
    from pytest_parallelrun.emulator.splitting.model import ItemName

MAX_TEXT = 60
"""Characters of a value that items share."""
_OWN_ROWS = (
    "Return in each call the rows of its own items: collect items and rows in lists that run() makes, not in those of "
    "the module, and finish what is left in them before run() returns. The service counts the results of each call; "
    "what a later call returns, or shutdown() writes, is not counted"
)
_NO_VALUE = ("", "nan", "None", "NaT", "<NA>")


class Missing(NamedTuple):
    """which: the items without a result, as a sentence. evidence, fix: of the cause, "" if it is not known.

    attempt: the one that shows it. cause: as far as other checks report the same.
    """

    which: str
    attempt: AttemptEnded
    evidence: str = ""
    fix: str = ""
    cause: Cause | None = None


def missing_results(observations: Observations, attempt: AttemptEnded) -> Missing:
    """What an attempt that returned too few results lacks, and why."""
    baseline = observations.baseline
    names = baseline.item_names(attempt)
    late = late_row(observations.entry, baseline)
    if late is not None:
        observations.remember(RESULTS_KEPT, lambda: True)
        other = late.later
        return Missing(
            which=_no_result_for(late.missing),
            attempt=late.attempt,
            evidence=f"The result of {late.item} came with mini-batch {other.mini_batch.id} ({baseline.items(other)}): "
            "run() keeps results of one call for a later one.",
            fix=_OWN_ROWS,
            cause=STATE_KEPT,
        )
    unknown = Missing(which=_among(observations, attempt, names), attempt=attempt)
    if attempt.mini_batch.partition:
        # A single item would be a partition that does not exist.
        return unknown
    try:
        with observations.entry.session(probe_limit=observations.probe_limit) as session:
            return _tried(_Trials(observations, session, attempt), unknown)
    except (_CannotTell, TooManyInitCalls, WorkerStartError):
        return unknown


class _CannotTell(Exception):
    """An attempt failed, or they take too long."""


class _Trials:
    """Attempts of one worker at items of the sample by their positions: first those of the mini-batch, then others."""

    def __init__(self, observations: Observations, session: ProbeSession, attempt: AttemptEnded) -> None:
        self.observations = observations
        self.session = session
        self.returned = attempt.returned or 0
        self.size = attempt.mini_batch.size
        self.missing = self.size - self.returned
        self.mini_batch = observations.whole(attempt)
        others = [one for one in observations.answered if one.id != self.mini_batch.id]
        self.pool: SampleMiniBatch = merged([self.mini_batch, *others])
        self.on_fresh_workers = False
        self._seconds = 0.0

    def rows(self, positions: Sequence[int]) -> list[object]:
        if self._seconds > MAX_TRIED_SECONDS:
            raise _CannotTell
        if self.on_fresh_workers:
            self.session.renew()
        self.observations.restore()
        ended = self.observations.attempt(self.session, self.pool.part(*positions))[0]
        self._seconds += ended.running
        if ended.returned is None:
            raise _CannotTell
        return as_rows(ended.value)

    def count(self, positions: Sequence[int]) -> int:
        return len(self.rows(positions))

    def names(self, positions: Sequence[int]) -> list[ItemName]:
        return [self.pool.names[position] for position in positions]


def _tried(trials: _Trials, unknown: Missing) -> Missing:
    every = range(trials.size)
    before = trials.count(every)
    alone = [trials.rows([position]) for position in every] if trials.size <= MAX_ALONE else None
    if {before, trials.count(every), trials.count(every)} != {trials.returned}:
        return _of_kept_state(trials, unknown, before)
    none = [] if alone is None else [position for position in every if not alone[position]]
    if len(none) == trials.missing == trials.size:
        return _of_no_results(trials, unknown)
    if len(none) == trials.missing:
        return unknown._replace(which=f"{_no_result_for(trials.names(none))}{_in_common(trials, none)}")
    if 0 < len(none) < trials.size and _stops_at(trials, none[0]):
        return unknown._replace(
            which=_no_result_for(trials.names(every[none[0] :])),
            evidence=f"{trials.names(none)[0]} has no result alone either; the items after it have one without it: "
            "run() stops at it.",
            fix="Go on with the next item there: `continue`, or better an error row, in place of `break` or `return`.",
        )
    found = _shared_key(trials, alone) or _by_number(trials)
    if found is not None:
        return unknown._replace(evidence=found[0], fix=found[1])
    if alone is not None and not none:
        return unknown._replace(evidence="Each of its items has a result when it is alone in a mini-batch.")
    return unknown


def _of_no_results(trials: _Trials, unknown: Missing) -> Missing:
    """run() returns nothing, whatever it gets."""
    kept = kept_state(trials.observations, trials.mini_batch)
    if kept.grows:
        return unknown._replace(evidence=kept.evidence, fix=_OWN_ROWS)
    evidence, fix = spent_iterator(str(trials.observations.entry.entry.path))
    if not evidence and trials.size < len(trials.pool.names):
        evidence, fix = _by_number(trials) or ("", "")
    return unknown._replace(evidence=evidence, fix=fix)


def _of_kept_state(trials: _Trials, unknown: Missing, before: int) -> Missing:
    """run() returns another number of results after its items were run one by one; `before` on a fresh worker."""
    every = range(trials.size)
    trials.on_fresh_workers = True
    if {trials.count(every), trials.count(every)} != {before}:
        return unknown._replace(evidence="Fresh workers return different numbers of results for the same items.")
    found = _shared_key(trials, None) if before == trials.returned else None
    if found is not None:
        return unknown._replace(evidence=found[0], fix=found[1])
    trials.on_fresh_workers = False
    counts = [before, *(trials.count(every) for _ in range(MAX_CALLS - 1))]
    kept = kept_state(trials.observations, trials.mini_batch)
    trials.observations.remember(RESULTS_KEPT, lambda: True)
    return unknown._replace(
        evidence=sentences(
            f"In {MAX_CALLS} calls one after the other, the same {count_text(trials.size, 'item')} give "
            f"{', '.join(map(str, counts))} results: run() depends on more than its items.",
            kept.evidence,
        ),
        # What a call keeps back comes with a later one.
        fix=_OWN_ROWS if kept.grows and max(counts) > before else kept.fix,
        cause=STATE_KEPT,
    )


def _in_common(trials: _Trials, without: Sequence[int]) -> str:
    """What only the items without a result have in common, as a sentence; "" if there is nothing."""
    alone = "It alone has" if len(without) == 1 else "They alone have"
    for label, values in _keys(trials.mini_batch):
        value = values[without[0]]
        if [position for position, other in enumerate(values) if other == value] == list(without):
            if value in _NO_VALUE:
                return f" {alone} no {label}."
            if len(without) > 1:
                return f" {alone} '{value[:MAX_TEXT]}' as {label}."
    return ""


def _stops_at(trials: _Trials, first: int) -> bool:
    """Whether an item that has a result alone has one after this item too."""
    after = next((position for position in range(first + 1, trials.size) if trials.count([position])), None)
    if after is None or trials.returned != (trials.count(range(first)) if first else 0):
        return False
    return trials.count([first, after]) == 0 and trials.count([after, first]) > 0


def _shared_key(trials: _Trials, alone: Sequence[Sequence[object]] | None) -> tuple[str, str] | None:
    """Evidence and fix where items that have something in common share a result."""
    keys = list(_keys(trials.pool))
    if alone is not None:
        keys.append(("result", [repr(rows)[1:-1] for rows in alone]))
    with_result = [position for position in range(trials.size) if alone is None or alone[position]]
    for label, values in keys:
        if len({values[position] for position in with_result}) != trials.returned:
            continue
        same = [pair for pair in combinations(with_result, 2) if values[pair[0]] == values[pair[1]]]
        others = [pair for pair in combinations(range(len(values)), 2) if values[pair[0]] != values[pair[1]]]
        if not same or not others or not _share_results(trials, same, others):
            continue
        one, two = same[0]
        first, second = trials.names((one, two))
        if label == "result":
            return (
                f"Equal results are returned once: {first} and {second} have {values[one][:MAX_TEXT]} each when "
                f"alone, and that once together. The mini-batch has {trials.returned} different results.",
                "Return a list with a result for each item, equal ones too, in place of set() or drop_duplicates().",
            )
        value = values[one] if len(values[one]) <= MAX_TEXT else f"{values[one][:MAX_TEXT]}..."
        return (
            f"Items with the same {label} share one result: {first} and {second} ({value}) have one each when alone, "
            f"and one together. The mini-batch has {trials.returned} different values of it, and "
            f"{count_text(trials.returned, 'result')}.",
            f"Give each item a result of its own where the {label} repeats: append rows to a list, or key them by what "
            "is unique (the path, the index). A dict or set with such keys keeps one of them, and so do "
            "drop_duplicates() and groupby().",
        )
    return None


def _share_results(trials: _Trials, same: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> bool:
    """Whether some pairs of each kind have one result and two."""
    some = evenly(same, MAX_PAIRS)
    return (
        all(trials.count(pair) == 1 for pair in some)
        and all(trials.count(pair) == 2 for pair in evenly(others, MAX_PAIRS))
        and all(trials.count([item]) == 1 for item in some[0])
    )


def _keys(pool: SampleMiniBatch) -> Iterator[tuple[str, list[str]]]:
    """What items may be identified by: a label, and the value of each item as text."""
    if not is_files(pool.payload):
        table = rows_of(pool.payload)
        columns = [str(name) for name in table.columns]
        values = {name: list(map(str, table.iloc[:, place].tolist())) for place, name in enumerate(columns)}
        chosen = (
            [[name] for name in columns] + [list(pair) for pair in combinations(columns[:MAX_PAIRED], 2)] + [columns]
        )
        for names in chosen:
            label = "values in all columns" if names == columns and len(columns) > 1 else " and ".join(names)
            yield label, [", ".join(cells) for cells in zip(*(values[name] for name in names), strict=True)]
        return
    paths = paths_of(pool.payload)
    stems = [stem_of(os.path.basename(path)) for path in paths]
    yield "file name", [os.path.basename(path) for path in paths]
    yield "name without the extension", stems
    for sign in "_-.":
        yield f"name before the last '{sign}'", [stem.rpartition(sign)[0] or stem for stem in stems]
        yield f"name before the first '{sign}'", [stem.partition(sign)[0] for stem in stems]
    texts = []
    for path in paths:
        with open(path, "rb") as file:
            texts.append(file.read(MAX_SEARCHED_BYTES).decode("utf-8", "replace").strip())
    yield "content", texts
    held = [json_in(text) for text in texts]
    records = [one if isinstance(one, dict) else {} for one in held]
    for name in dict.fromkeys(name for one in records for name in one):
        yield f"value of '{name}'", [str(one.get(name)) for one in records]


def _by_number(trials: _Trials) -> tuple[str, str] | None:
    """Evidence and fix where the number of items alone decides on the number of results, in either order of them."""
    most = len(trials.pool.names)
    counts: dict[int, int] = {}
    for turned in (False, True):
        positions = range(most)[::-1] if turned else range(most)
        sizes = {*range(1, MAX_SMALL + 1), trials.size, trials.returned, most}
        here = {size: trials.count(positions[:size]) for size in sorted(sizes) if 0 < size <= most}
        edge = _edge(trials, positions, here)
        for size in (edge - 1, edge, edge + 1, 2 * edge - 1, 2 * edge):
            if 0 < size <= most and size not in here:
                here[size] = trials.count(positions[:size])
        if turned and any(counts.get(size, count) != count for size, count in here.items()):
            return None
        counts.update(here)
    fits = [
        (law, number)
        for law in _LAWS
        for number in range(1, most)
        if law.is_shown_by(number, most) and law.fits(number, counts)
    ]
    if len(fits) != 1:
        return None
    law, number = fits[0]
    near = {number - 1, number, number + 1, 2 * number - 1, 2 * number, trials.size, most}
    shown = sorted(near & counts.keys())
    return (
        f"It returns {', '.join(str(counts[size]) for size in shown)} results for {', '.join(map(str, shown))} items, "
        "whichever they are.",
        (law.fix if number > 1 else law.fix_of_one or law.fix).format(number=number),
    )


def _edge(trials: _Trials, positions: Sequence[int], counts: Mapping[int, int]) -> int:
    """From how many items on the number of results changes: where the first one comes, or the first one is missing."""
    largest = max(size for size in counts if size <= MAX_SMALL)
    if counts[largest] not in (0, largest):
        return largest
    low, high, start = largest, max(counts), counts[largest]
    while high - low > 1:
        middle = (low + high) // 2
        unchanged = trials.count(positions[:middle]) == (0 if start == 0 else middle)
        low, high = (middle, high) if unchanged else (low, middle)
    return high if start == 0 else low


class _Law(NamedTuple):
    """A number of results by the number of items, and what to look for in the script."""

    results: Callable[[int, int], int]
    is_shown_by: Callable[[int, int], bool]
    fix: str
    fix_of_one: str = ""

    def fits(self, number: int, counts: Mapping[int, int]) -> bool:
        return all(self.results(size, number) == count for size, count in counts.items())


_LAWS = (
    _Law(
        lambda size, chunk: size // chunk * chunk,
        lambda chunk, most: 1 < chunk <= most // 2,
        "A loop that works in chunks of {number} leaves out the last one where it is not full. Work on what is left "
        "after the loop too.",
    ),
    _Law(
        lambda size, group: size // group,
        lambda group, most: 1 < group <= most // 2,
        "There is one result for {number} items: return one for each of them, for the last group too.",
    ),
    _Law(
        lambda size, group: -(-size // group),
        lambda group, most: 1 < group <= most // 2,
        "There is one result for {number} items: return one for each of them.",
    ),
    _Law(
        lambda size, most_results: min(size, most_results),
        lambda number, most: number + 2 <= most,
        "There are never more than {number} results: look for a slice such as [:{number}] or head(), a zip() with "
        "something that has {number}, or a `break`.",
        "There is one result for the whole mini-batch: look for a `return` inside the loop, an append() after it, or a "
        "row that sums the mini-batch up.",
    ),
    _Law(
        lambda size, fewer: max(size - fewer, 0),
        lambda fewer, most: fewer + 3 <= most,
        "The number of results is always {number} below that of items: look for a slice such as [{number}:], "
        "range(1, n) or range(n - 1), next() before the loop, or a zip() of neighbours.",
    ),
)


def _no_result_for(names: Sequence[ItemName]) -> str:
    return f"No result for: {items_text(names)}."


def _among(observations: Observations, attempt: AttemptEnded, names: Sequence[ItemName]) -> str:
    """The items, or the rows that are missing in an index that tells them."""
    if attempt.mini_batch.size == 1:
        return f"Items: {observations.baseline.items(attempt)}."
    rows = [] if names[0].row is None else _rows_not_in_index(attempt)
    if rows:
        return f"By the index of what it returned: {items_text([names[row] for row in rows])}."
    return f"They are among {observations.baseline.items(attempt)}."


def _rows_not_in_index(attempt: AttemptEnded) -> list[int]:
    """Positions of rows that a returned DataFrame lacks; none if its index does not show it.

    An index that counts from 0 without gaps may be new.
    """
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(attempt.value, pandas.DataFrame):
        return []
    index = attempt.value.index
    if index.name is not None or not pandas.api.types.is_integer_dtype(index.dtype):
        return []
    kept = list(index)
    every = range(attempt.mini_batch.size)
    if len(set(kept)) != len(kept) or not set(kept).issubset(every) or sorted(kept) == list(range(len(kept))):
        return []
    return sorted(set(every).difference(kept))
