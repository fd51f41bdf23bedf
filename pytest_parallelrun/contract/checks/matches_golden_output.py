"""The rows of the sample are not the accepted ones."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.contract.bounds import MAX_REPEATED
from pytest_parallelrun.contract.entry.baseline import run_baseline
from pytest_parallelrun.contract.entry.init_calls import TooManyInitCalls
from pytest_parallelrun.contract.entry.preconditions import skip_without_results, why_random
from pytest_parallelrun.contract.finding import Finding
from pytest_parallelrun.contract.golden_file import (
    TOO_LARGE,
    GoldenFileError,
    GoldenOutput,
    golden_output,
    read_golden_file,
    write_golden_file,
)
from pytest_parallelrun.contract.phrases import indented, sentences
from pytest_parallelrun.contract.rows.comparison import (
    NO_SUCH_ROW,
    NondeterministicValues,
    RowChange,
    changed_rows,
    nondeterministic_values,
    scales_of,
)
from pytest_parallelrun.contract.rows.items import UNIT, rows_by_item
from pytest_parallelrun.contract.rows.values import DURATION, leaves_of, name_of, names_of_now, without_workers
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
        shown, command = self.golden.shown, self.golden.command
        try:
            accepted = read_golden_file(self.golden.file)
        except FileNotFoundError:
            self._not_random(self._current())
            what = f"There is no golden output for this script: {shown} does not exist.{self._others()}"
            self.check.fail(
                Finding(what=what, fix=f"accept the current output, review the file and commit it: {command}")
            )
        except GoldenFileError as error:
            what = f"Golden output cannot be read: {shown}: {error}"
            what += "" if what.endswith((".", "?")) else "."
            self.check.fail(Finding(what=what, fix=f"correct or restore the file, or write it again: {command}"))
        current, ignoring = self._current(), set(accepted.not_compared)
        difference = Difference(accepted, current, ignoring)
        if difference and (random := self._not_random(current) - ignoring):
            difference = Difference(accepted, current, ignoring | random)
            self.check.note(f"not compared, because they differ in every run: {_listed(random)}")
        if difference:
            attempts = self.baseline.result.attempts
            items = {str(name).replace(os.sep, "/") for one in attempts for name in self.baseline.item_names(one)}
            fix = (
                f"if the new output is right, accept it, review the file and commit it: {command}\n"
                'To allow small differences, or to leave a value out, edit "tolerance" or "not compared" in the file.'
            )
            self.check.fail(Finding(what=difference.text(shown, items), fix=fix))
        if settings := difference.settings():
            self.check.note(f"the output is the accepted one, although settings changed since: {settings}")

    def update(self) -> None:
        """Writes the current rows; unchanged ones stay as they are in the file."""
        __tracebackhide__ = True
        current = self._current()
        random = self._not_random(current)
        accepted, replaced = replace(current, columns={}, lines={}), ""
        with suppress(FileNotFoundError):
            try:
                accepted = read_golden_file(self.golden.file)
            except GoldenFileError as error:
                replaced = f"; it replaces a file that could not be read: {error}"
        excluded = random | current.names.intersection(accepted.not_compared)
        current = replace(
            self._current(excluded),
            tolerance={name: bounds for name, bounds in accepted.tolerance.items() if name in current.numbers},
            not_compared=tuple(sorted(excluded)),
        )
        difference = Difference(accepted, current, excluded)
        changed = set(current.lines) if difference.columns else {item for item, _ in difference.changes}
        before, now = accepted.lines.keys(), current.lines.keys()
        if accepted.of_texts == current.of_texts and accepted.not_compared == current.not_compared:
            same = {item: accepted.lines[item] for item in now - changed}
            current = replace(current, lines={**current.lines, **same})
        try:
            write_golden_file(self.golden.file, current.text())
        except GoldenFileError as error:
            self.check.fail(f"Golden output cannot be written: {self.golden.shown}: {error}.")
        counts = {
            "new": len(now - before),
            "changed": len(now & before & changed),
            "removed": len(before - now),
            "unchanged": len(now & before - changed),
        }
        shown = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
        self.check.note(f"golden output was written to {self.golden.shown}; items: {shown}{replaced}")
        leaves = [leaf for row in current.all_rows for leaf in leaves_of(row).items()]
        durations = {name_of(key) for key, value in leaves if value is DURATION} - excluded
        reasons = {"they differ in every run": random, "their names are those of durations": durations}
        for reason, names in reasons.items():
            if names:
                self.check.note(f"not compared, because {reason}: {_listed(names)}")

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
            raise GoldenFileError(TOO_LARGE)
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
        again = replace(
            self.entry,
            engine="process"
            if self.entry.engine == "inprocess" and self.baseline.busy <= MAX_REPEATED
            else self.entry.engine,
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
        others: set[str] = set()
        for item, rows in current.rows.items():
            for key, value in (leaf for row in rows for leaf in leaves_of(row).items()):
                name = name_of(key)
                if name not in without and name not in columns and key[-1:] != ("text",):
                    values.setdefault(name, set()).add(value)
                    if str(value).strip("'\",:;") not in item:
                        others.add(name)
        return any(len(values[name]) > 1 for name in others)

    def _others(self) -> str:
        folder = self.golden.file.parent
        others = sorted(path.name for path in folder.glob(f"*{self.golden.file.suffix}"))[:MAX_SHOWN]
        return f" The folder has {', '.join(others)}." if others else ""


class Difference:
    """What is different from the accepted output; false if nothing is. columns: new or missing ones."""

    def __init__(self, accepted: GoldenOutput, current: GoldenOutput, ignoring: Collection[str]) -> None:
        self._accepted, self._current = accepted, current
        self.columns = {name for name in accepted.columns.keys() ^ current.columns.keys() if name not in ignoring}
        ignoring = {*ignoring, *self.columns}
        scales = scales_of([*accepted.all_rows, *current.all_rows], accepted.tolerance)
        same_form = accepted.of_texts == current.of_texts
        self.changes = [
            (item, change)
            for item in dict.fromkeys([*accepted.rows, *current.rows])
            if not same_form or accepted.lines.get(item) != current.lines.get(item)
            for change in changed_rows(accepted.rows.get(item, []), current.rows.get(item, []), ignoring, scales)
        ]

    def __bool__(self) -> bool:
        return bool(self.changes or self.columns)

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
        names = ", ".join(f"{name} in {count:,}" for name, count in by_name.most_common(MAX_SHOWN))
        gone = sum(change.actual is NO_SUCH_ROW for _, change in self.changes)
        new = sum(change.expected is NO_SUCH_ROW for _, change in self.changes)
        total = len(self._accepted.all_rows)
        parts = [
            f"{len(both):,} of {count_text(total, 'row')} changed ({names})" if both else "",
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
        if self.columns:
            parts = (f"{name!r} is {'missing' if name in before else 'new'}" for name in sorted(self.columns))
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
        return indented("\n".join([*lines, *([f"and {more:,} more"] if more > 0 else [])])) if self.changes else ""


def _random_values(first: GoldenOutput, second: GoldenOutput) -> NondeterministicValues:
    """What differs between two runs."""
    pairs = [
        nondeterministic_values(rows, second.rows.get(item, []))
        for item, rows in first.rows.items()
        if first.lines[item] != second.lines.get(item)
    ]
    found = [values for values in pairs if values is not None]
    return NondeterministicValues(
        frozenset().union(*(values.keys for values in found)),
        all_rows=first.rows.keys() != second.rows.keys() or any(values.all_rows for values in found),
        harmless=all(values.harmless for values in found),
    )


def _side_by_side(change: RowChange) -> tuple[str, str]:
    left, right = change.expected, change.actual
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        names = [name for name in {**left, **right} if name in change.values]
        return tuple(_cell(", ".join(f"{n}={side[n]}" for n in names if n in side)) for side in (left, right))  # type: ignore[return-value]
    return _cell(left), _cell(right)


def _cell(row: object) -> str:
    if row is NO_SUCH_ROW:
        return "(no row)"
    text = row if isinstance(row, str) else repr(row)
    return text if len(text) <= MAX_CELL else f"{text[:MAX_CELL]}..."


def _listed(names: Collection[str] | Sequence[str]) -> str:
    shown = sorted(names) if isinstance(names, (set, frozenset)) else list(names)
    more = len(shown) - MAX_SHOWN
    return ", ".join(shown[:MAX_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
