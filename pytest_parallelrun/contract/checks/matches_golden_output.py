"""The rows of the sample are not the accepted ones."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.contract.confirmation import MAX_REPEATED
from pytest_parallelrun.contract.entry.baseline import run_baseline
from pytest_parallelrun.contract.entry.entry_under_test import TooManyInitCalls
from pytest_parallelrun.contract.entry.preconditions import skip_without_results, why_random
from pytest_parallelrun.contract.finding import Finding
from pytest_parallelrun.contract.golden_file import (
    GoldenFileError,
    GoldenOutput,
    golden_output,
    read_golden_file,
    too_large,
    write_golden_file,
)
from pytest_parallelrun.contract.phrases import indented, sentences
from pytest_parallelrun.contract.rows.comparison import (
    NO_SUCH_ROW,
    NondeterministicValues,
    RowChange,
    changed_rows,
    nondeterministic_values,
    row_text,
    scales_of,
)
from pytest_parallelrun.contract.rows.items import UNIT, rows_by_item
from pytest_parallelrun.contract.rows.leaves import Key, leaves_of, name_of, names_of_now, without_workers
from pytest_parallelrun.emulator.errors import ParallelRunError
from pytest_parallelrun.emulator.event_log import NOT_KEPT
from pytest_parallelrun.emulator.probe import WorkerStartError
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.golden_file import GoldenRequest

MAX_SHOWN = 5
"""Rows, items and differences in a finding."""
MAX_CELL = 60


def test_matches_golden_output(
    parallelrun_entry: EntryUnderTest,
    parallelrun_baseline: Baseline,
    parallelrun_golden: GoldenRequest,
    parallelrun_check: Check,
) -> None:
    """The rows of the sample are those that were accepted; --parallelrun-update-golden accepts them."""
    __tracebackhide__ = True
    returned = parallelrun_baseline.returned
    if not returned:
        skip_without_results(parallelrun_baseline, parallelrun_check)
    if parallelrun_baseline.result.status == "Failed":
        parallelrun_check.cannot_decide("the job fails, so its output is incomplete; see test_job_completes")
    if not any(len(one.value) for one in returned):
        parallelrun_check.cannot_decide("run() returned no rows")
    gate = _Gate(parallelrun_entry, parallelrun_baseline, parallelrun_golden, parallelrun_check)
    if parallelrun_golden.update:
        gate.update()
    else:
        gate.compare()


class _Gate(NamedTuple):
    """The check of an entry: compares, or accepts."""

    entry: EntryUnderTest
    baseline: Baseline
    golden: GoldenRequest
    check: Check

    def compare(self) -> None:
        """Fails if the file is missing or unreadable, or if rows differ that are not random."""
        __tracebackhide__ = True
        try:
            accepted = read_golden_file(self.golden.file)
        except FileNotFoundError:
            self._not_random(self._current())
            self.check.fail(
                Finding(
                    what=f"There is no golden output for this script: {self.golden.shown} does not exist."
                    f"{self._others()}",
                    fix=f"accept the current output, review the file and commit it: {self.golden.command}",
                )
            )
        except GoldenFileError as error:
            self.check.fail(
                Finding(
                    what=f"Golden output cannot be read: {self.golden.shown}: {error}.",
                    fix=f"restore the file from version control, or write it again: {self.golden.command}",
                )
            )
        current, ignoring = self._current(), set(accepted.not_compared)
        difference = Difference(accepted, current, ignoring)
        if difference and (random := self._not_random(current) - ignoring):
            difference = Difference(accepted, current, ignoring | random)
            self.check.note(f"not compared, because they differ in every run: {_listed(random)}")
        if difference:
            items = {
                str(name).replace(os.sep, "/")
                for attempt in self.baseline.result.attempts
                for name in self.baseline.item_names(attempt)
            }
            self.check.fail(
                Finding(
                    what=difference.text(self.golden.shown, items),
                    fix="if the new output is right, accept it, review the file and commit it: "
                    f"{self.golden.command}\nTo allow small differences of a value, or to leave it out, edit "
                    '"tolerance" or "not compared" in the file.',
                )
            )
        if settings := difference.settings():
            self.check.note(f"the output is the accepted one, although settings changed since: {settings}")

    def update(self) -> None:
        """Writes the current rows; unchanged ones stay as they are in the file."""
        __tracebackhide__ = True
        current = self._current()
        excluded = self._not_random(current)
        try:
            accepted: GoldenOutput | None = read_golden_file(self.golden.file)
        except (FileNotFoundError, GoldenFileError) as error:
            accepted = None
            if isinstance(error, GoldenFileError):
                self.check.note(f"the golden output was replaced, because it could not be read: {error}")
        if accepted is not None:
            excluded |= {name for name in accepted.not_compared if name in current.names}
        current = replace(self._current(excluded), not_compared=tuple(sorted(excluded)))
        changed: set[str] = set()
        if accepted is not None:
            kept = {name: bounds for name, bounds in accepted.tolerance.items() if name in current.names}
            changed = {item for item, _ in Difference(accepted, current, excluded).changes}
            current = replace(current, tolerance=kept)
            if accepted.of_texts == current.of_texts and accepted.not_compared == current.not_compared:
                same = {item: accepted.lines[item] for item in current.lines if item not in changed}
                current = replace(current, lines={**current.lines, **same})
        try:
            write_golden_file(self.golden.file, current.text())
        except (OSError, GoldenFileError) as error:
            self.check.fail(f"Golden output cannot be written: {self.golden.shown}: {error}.")
        before = {} if accepted is None else accepted.lines
        counts = {
            "new": len(current.lines.keys() - before.keys()),
            "changed": len(changed & current.lines.keys() & before.keys()),
            "removed": len(before.keys() - current.lines.keys()),
            "unchanged": len(current.lines.keys() & before.keys() - changed),
        }
        shown = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
        self.check.note(f"golden output was written to {self.golden.shown}; items: {shown}")
        if excluded:
            self.check.note(f"not compared, because they differ in every run: {_listed(excluded)}")

    def _current(self, without: Collection[str] = ()) -> GoldenOutput:
        """The output of this run; the check ends if it is too large."""
        __tracebackhide__ = True
        try:
            return self._output_of(self.baseline, without)
        except (GoldenFileError, RecursionError) as error:
            if not self.golden.update and self.golden.file.exists():
                self.check.fail(f"The output is not the accepted one in {self.golden.shown}: {error}.")
            self.check.cannot_decide(f"{error}: nothing is stored. Give a smaller sample.")

    def _output_of(self, baseline: Baseline, without: Collection[str] = ()) -> GoldenOutput:
        """GoldenFileError if it is too large."""
        if any(attempt.value is NOT_KEPT for attempt in baseline.last_returned):
            raise GoldenFileError(too_large())
        roots = (baseline.sample.root, os.path.join(self.golden.base, ""))

        def clean(text: str) -> str:
            for root in roots:
                parts = text.split(root) if len(root) > 1 else [text]
                text = parts[0] + "".join(part.replace(os.sep, "/") for part in parts[1:])
            return without_workers(text)

        named = {clean(item): rows for item, rows in rows_by_item(baseline).items()}
        return golden_output(named, self.golden.settings, clean, without)

    def _not_random(self, current: GoldenOutput) -> set[str]:
        """The values that differ in every run; the check ends if nothing else is left."""
        __tracebackhide__ = True
        busy = sum(attempt.loading + attempt.running for attempt in self.baseline.result.attempts)
        again = replace(
            self.entry,
            engine="process" if self.entry.engine == "inprocess" and busy <= MAX_REPEATED else self.entry.engine,
            folder=self.entry.new_folder("again"),
        )
        try:
            found = _random_values(current, self._output_of(run_baseline(again)))
        except GoldenFileError:
            found = NondeterministicValues(frozenset(), all_rows=True)
        except (WorkerStartError, TooManyInitCalls, ParallelRunError) as error:
            self.check.cannot_decide(f"the sample could not be run again to see whether its output is random: {error}")
        names = {name_of(key) for key in found.keys} | names_of_now(current.all_rows)
        if found.all_rows or (found.keys and not found.harmless and not self._is_left(current, names)):
            self.check.cannot_decide(f"nothing is stored or compared: {why_random(found)}")
        return names

    def _is_left(self, current: GoldenOutput, without: Collection[str]) -> bool:
        """Whether there is another value than names of items, columns of the input, and constants."""
        columns = getattr(open_input(self.entry.copy_sample().input, self.entry.settings), "columns", ())
        values: dict[str, set[object]] = {}
        for item, rows in current.rows.items():
            for key, value in (pair for row in rows for pair in leaves_of(row).items()):
                name = name_of(key)
                text = str(value).strip("'\",:;")
                if name not in without and name not in columns and name != "text" and text not in item:
                    values.setdefault(name, set()).add(value)
        return any(len(found) > 1 for found in values.values())

    def _others(self) -> str:
        folder = self.golden.file.parent
        others = sorted(path.name for path in folder.glob(f"*{self.golden.file.suffix}"))[:MAX_SHOWN]
        return f" The folder has {', '.join(others)}." if others else ""


class Difference:
    """What is different from the accepted output; false if nothing is."""

    def __init__(self, accepted: GoldenOutput, current: GoldenOutput, ignoring: Collection[str]) -> None:
        self._accepted, self._current = accepted, current
        self._columns = {name for name in accepted.columns.keys() ^ current.columns.keys() if name not in ignoring}
        ignoring = {*ignoring, *self._columns}
        scales = scales_of([*accepted.all_rows, *current.all_rows], accepted.tolerance)
        same_form = accepted.of_texts == current.of_texts
        self.changes = [
            (item, change)
            for item in dict.fromkeys([*accepted.rows, *current.rows])
            if not same_form or accepted.lines.get(item) != current.lines.get(item)
            for change in changed_rows(accepted.rows.get(item, []), current.rows.get(item, []), ignoring, scales)
        ]

    def __bool__(self) -> bool:
        return bool(self.changes or self._columns)

    def settings(self) -> str:
        """The settings that changed, as text."""
        before, now = self._accepted.settings, self._current.settings
        names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        return ", ".join(f"{name}: {before.get(name, 'not set')} -> {now.get(name, 'not set')}" for name in names)

    def text(self, shown: str, sample: Collection[str]) -> str:
        """What changed. sample: names of its items."""
        settings = self.settings()
        return sentences(
            f"The output is not the accepted one in {shown}: {self._counts()}.",
            *self._of_sample(sample),
            *self._of_columns(),
            settings and f"Settings changed since it was accepted: {settings}.",
            self._largest(),
            self._table(),
        )

    def _counts(self) -> str:
        both = [change for _, change in self.changes if change.expected is not NO_SUCH_ROW is not change.actual]
        by_name = Counter(name for change in both for name in change.values)
        names = ", ".join(f"{name} in {count}" for name, count in by_name.most_common(MAX_SHOWN))
        gone = sum(change.actual is NO_SUCH_ROW for _, change in self.changes)
        new = sum(change.expected is NO_SUCH_ROW for _, change in self.changes)
        total = len(self._accepted.all_rows)
        parts = [
            f"{len(both)} of {count_text(total, 'row')} changed ({names})" if both else "",
            f"{count_text(gone, 'row')} missing" if gone else "",
            f"{count_text(new, 'row')} new" if new else "",
        ]
        return ", ".join(part for part in parts if part) or "other columns"

    def _of_sample(self, sample: Collection[str]) -> Iterable[str]:
        """Why the accepted output is outdated, if it is of another sample."""
        gone = [item for item in self._accepted.lines if item not in self._current.lines and item not in sample]
        new = [item for item in self._current.lines if item not in self._accepted.lines]
        if any(item.startswith(UNIT) for item in (*gone, *new)):
            yield (
                "The accepted output is outdated: rows that do not name their item are compared by mini-batch, and the "
                "mini-batches changed."
            )
        elif gone or new:
            parts = [f"{kind} {_listed(items)}" for kind, items in (("has the new", new), ("lacks", gone)) if items]
            yield f"The accepted output is outdated: the sample {' and '.join(parts)}."

    def _of_columns(self) -> Iterable[str]:
        before, now = self._accepted.columns, self._current.columns
        if self._columns:
            parts = (f"{name!r} is {'missing' if name in before else 'new'}" for name in sorted(self._columns))
            yield f"Its columns changed: {', '.join(parts)}."
        for name in before.keys() & now.keys():
            if before[name] != now[name] and before[name] and now[name]:
                yield f"The type of {name!r} changed: {before[name]} -> {now[name]}."

    def _largest(self) -> str:
        """The largest difference of each number."""
        largest: dict[str, tuple[float, str]] = {}
        for item, change in self.changes:
            for name, (left, right) in change.values.items():
                if isinstance(left, (int, float)) and isinstance(right, (int, float)):
                    text = f"{name} {left:.6g} -> {right:.6g} ({item})"
                    largest[name] = max(largest.get(name, (-1.0, "")), (abs(right - left), text))
        shown = [text for _, text in list(largest.values())[:MAX_SHOWN]]
        return f"Largest {'difference' if len(shown) == 1 else 'differences'}: {'; '.join(shown)}." if shown else ""

    def _table(self) -> str:
        """The first rows side by side."""
        rows = [("item", "accepted", "now")]
        rows += [(item, *_side_by_side(change)) for item, change in self.changes[:MAX_SHOWN]]
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        lines = [f"{item:<{widths[0]}}  {left:<{widths[1]}}  {right}" for item, left, right in rows]
        more = len(self.changes) - MAX_SHOWN
        return indented("\n".join([*lines, *([f"and {more} more"] if more > 0 else [])])) if self.changes else ""


def _random_values(first: GoldenOutput, second: GoldenOutput) -> NondeterministicValues:
    """What differs between two runs."""
    keys: set[Key] = set()
    harmless = True
    if first.rows.keys() != second.rows.keys():
        return NondeterministicValues(frozenset(), all_rows=True)
    for item, rows in first.rows.items():
        values = nondeterministic_values(rows, second.rows[item])
        if values is not None and values.all_rows:
            return values
        if values is not None:
            keys |= values.keys
            harmless = harmless and values.harmless
    return NondeterministicValues(frozenset(keys), harmless=harmless)


def _side_by_side(change: RowChange) -> tuple[str, str]:
    left, right = change.expected, change.actual
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        names = [name for name in {**left, **right} if name in change.values]
        return tuple(_cell(", ".join(f"{n}={side[n]}" for n in names if n in side)) for side in (left, right))  # type: ignore[return-value]
    return _cell(left), _cell(right)


def _cell(row: object) -> str:
    if row is NO_SUCH_ROW:
        return "(no row)"
    if not isinstance(row, str):
        return row_text(row, MAX_CELL)
    return row if len(row) <= MAX_CELL else f"{row[:MAX_CELL]}..."


def _listed(names: Collection[str] | Sequence[str]) -> str:
    shown = sorted(names) if isinstance(names, (set, frozenset)) else list(names)
    more = len(shown) - MAX_SHOWN
    return ", ".join(shown[:MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")
