"""The mini-batches of the sample that checks compare, and attempts at them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast

from pytest_parallelrun.contract.bounds import MAX_FAILED, MAX_GROUP_BYTES, MAX_GROUPS, MAX_ITEMS, MIN_GROUPS, evenly
from pytest_parallelrun.contract.entry.mini_batches import Observation, SampleMiniBatch, attempt, paths_of
from pytest_parallelrun.contract.entry.sample_copy import copy_file
from pytest_parallelrun.contract.rows.comparison import NondeterministicValues, nondeterministic_values
from pytest_parallelrun.contract.rows.values import Key
from pytest_parallelrun.emulator.splitting.input_paths import locate
from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.sample_copy import SampleCopy
    from pytest_parallelrun.contract.finding import Cause
    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.probe import ProbeResult, ProbeSession
    from pytest_parallelrun.emulator.splitting.model import InputKind, MiniBatch, Payload

T = TypeVar("T")

OFF_MAIN_THREAD = "off the main thread"
"""What is remembered where a mini-batch has succeeded there."""

PROBE_FACTOR = 20
MIN_PROBE = 1.0
"""Seconds."""


class SampleAttempts:
    """Attempts of one entry at a copy of its sample.

    All use the same copy, since rows may contain paths; changes by a script are undone before each worker.
    """

    def __init__(self, entry: EntryUnderTest, baseline: Baseline) -> None:
        self.entry = entry
        self.pair_entry = entry
        """The same, with the engine of the two workers that are compared first."""
        self.cause_of_process: Cause | None = None
        """Why worker processes answer differently, if that is known."""
        self.baseline = baseline
        slowest = max((attempt.running for attempt in baseline.result.attempts), default=0.0)
        # Worker processes do not skip sleep.
        self.process_limit = max(MIN_PROBE, PROBE_FACTOR * slowest)
        # One includes skipped sleep, the other contains other mini-batches.
        self.probe_limit = max(MIN_PROBE, PROBE_FACTOR * min(slowest, baseline.seconds))
        """Seconds of real time for an attempt, in addition to the setting `timeout`; in a process, `process_limit`."""
        if entry.engine != "inprocess":
            self.probe_limit = self.process_limit
        self._remembered: dict[str, object] = {}
        self._strays: set[str] = set()
        self._originals: dict[str, tuple[str, tuple[int, int]]] = {}
        """Path in the copy -> the user's own file, and size and time of the copy."""

    @property
    def kind(self) -> InputKind:
        return self.entry.kind

    @cached_property
    def groups(self) -> tuple[SampleMiniBatch, ...]:
        """The mini-batches of the sample that succeeded in the baseline, evenly chosen if there are many."""
        return tuple(mini_batch for mini_batch in self.answered if mini_batch.id in self.baseline.succeeded)

    @cached_property
    def answered(self) -> tuple[SampleMiniBatch, ...]:
        """The same, or if none succeeded, those for which run() returned a valid type with too few results."""
        return self._load(self._answered_ids)

    @cached_property
    def _answered_ids(self) -> Sequence[int]:
        legal = [attempt.mini_batch.id for attempt in self.baseline.last_returned]
        return sorted(self.baseline.succeeded) or legal

    @cached_property
    def timed_out(self) -> tuple[SampleMiniBatch, ...]:
        """Mini-batches of the sample of which every attempt timed out."""
        in_time = {one.mini_batch.id for one in self.baseline.result.attempts if one.outcome != "timeout"}
        return self._load([id for id in self.baseline.last_attempts if id not in in_time])

    @cached_property
    def asked(self) -> tuple[SampleMiniBatch, ...]:
        """Mini-batches to compare: those that succeeded and a few that failed, or the halves of a single one.

        One that failed may succeed on a fresh worker. No item is in two of them, because a script may refuse, or leave
        out, what it has seen.
        """
        answered = self.answered
        last_attempts = self.baseline.last_attempts
        failed = [id for id, last in last_attempts.items() if last.outcome in ("exception", "wrong_type", "short")]
        if answered and failed:
            return tuple(sorted((*answered, *self._load(failed[:MAX_FAILED])), key=lambda mini_batch: mini_batch.id))
        if len(answered) != 1 or answered[0].size == 1 or self.entry.settings.partition_keys:
            return answered
        (single,) = answered
        middle = single.size // 2
        first, second = single.part(*range(middle)), single.part(*range(middle, single.size))
        return first.numbered(single.id + 1), second.numbered(single.id + 2)

    @property
    def is_halved(self) -> bool:
        """Whether a single mini-batch is split into halves."""
        return not {mini_batch.id for mini_batch in self.answered} <= {mini_batch.id for mini_batch in self.asked}

    def _load(self, ids: Sequence[int]) -> tuple[SampleMiniBatch, ...]:
        """Some of the mini-batches, each with its share of the items, evenly spaced; a partition is never cut."""
        most = MAX_GROUPS
        if ids and self.kind == "tabular":
            largest = max(self.baseline.last_attempts[id].mini_batch.size for id in ids)
            most = max(MIN_GROUPS, min(most, int(MAX_GROUP_BYTES / largest / self.bytes_per_row)))
        chosen = [self.baseline.last_attempts[id] for id in evenly(ids, most)]
        if not self.entry.settings.partition_keys:
            return tuple(self._loaded(attempt, MAX_ITEMS // len(chosen)) for attempt in chosen)
        items, fitting = 0, []
        for last in chosen:
            if items + last.mini_batch.size <= MAX_ITEMS:
                fitting.append(last)
                items += last.mini_batch.size
        smallest = sorted(chosen, key=lambda last: last.mini_batch.size)[:1]
        return tuple(self._loaded(last, last.mini_batch.size) for last in fitting or smallest)

    @cached_property
    def bytes_per_row(self) -> float:
        """Bytes of a row of the sample, if it is a table."""
        sample, job = self.baseline.sample.input, self.baseline.result
        # A job that ended early has not seen all of its rows.
        attempted = (last.mini_batch for last in self.baseline.last_attempts.values())
        batches = attempted if job.status == "Completed" else self.entry.opened.mini_batches()
        locations = [
            locate(path, os.getcwd(), must_exist=True) for path in ([sample] if isinstance(sample, str) else sample)
        ]
        size = sum(os.path.getsize(path) for location in locations for path in location.paths())
        return max(1.0, size / max(sum(batch.size for batch in batches), 1))

    def whole(self, attempt: AttemptEnded) -> SampleMiniBatch:
        """The mini-batch of an attempt, up to MAX_ITEMS of its items."""
        return self._loaded(attempt, MAX_ITEMS)

    def _loaded(self, attempt: AttemptEnded, most_items: int) -> SampleMiniBatch:
        batch = attempt.mini_batch
        positions = evenly(range(batch.size), most_items)
        whole = SampleMiniBatch(
            id=batch.id,
            first_item=batch.first_item,
            payload=self._copied(batch),
            names=self.baseline.item_names(attempt),
            partition=batch.partition,
        )
        return whole.part(*positions).numbered(batch.id, batch.first_item)

    def _copied(self, batch: MiniBatch) -> Payload:
        """Its content; changes of the files are undone by `restore`."""
        payload = self.entry.load(self._copy, batch)
        if self.kind == "files":
            originals = paths_of(self.entry.opened.load(batch))
            for original, path in zip(originals, paths_of(payload), strict=True):
                with suppress(OSError):
                    stat = os.stat(path)
                    self._originals.setdefault(path, (original, (stat.st_size, stat.st_mtime_ns)))
        return payload

    @cached_property
    def left_out(self) -> str:
        """What `answered` lacks of the sample, as text; "" if it is the whole sample."""
        ids, compared = self._answered_ids, sum(one.size for one in self.answered)
        items = sum(self.baseline.last_attempts[id].mini_batch.size for id in ids)
        if compared >= items:
            return ""
        return (
            f"compared {compared:,} of {count_text(items, 'item')}, from {len(self.answered):,} of "
            f"{count_text(len(ids), 'mini-batch')}, evenly spaced"
        )

    def differing(self, first: Observation, second: Observation) -> NondeterministicValues | None:
        """The difference between two identical runs; None if there is none."""
        keys: set[Key] = set()
        harmless = swapped = True
        for mini_batch in self.asked:
            rows, others = first.rows(mini_batch), second.rows(mini_batch)
            if rows is None and others is None:
                continue
            if rows is None or others is None:
                return NondeterministicValues(frozenset(), all_rows=True)
            values = nondeterministic_values(rows, others)
            if values is not None:
                if values.all_rows:
                    return values
                keys.update(values.keys)
                harmless = harmless and values.harmless
                swapped = swapped and values.swapped
        return NondeterministicValues(frozenset(keys), harmless=harmless, swapped=swapped) if keys else None

    def shown(self, text: str) -> str:
        """A text without the folder of the copy, which means nothing to a user."""
        return self._copy.relative(text)

    def recalled(self, name: str) -> object:
        """What `remember` returned, where it was asked already, else None."""
        return self._remembered.get(name)

    def remember(self, name: str, ask: Callable[[], T]) -> T:
        """The result of `ask`, which is called once for all checks."""
        if name not in self._remembered:
            self._remembered[name] = ask()
        return cast("T", self._remembered[name])

    def share_with(self, other: SampleAttempts, remembered: str | None) -> None:
        """Gives another one this copy of the sample with its mini-batches, and what is remembered under a name, if
        anything is.
        """
        other.__dict__.update({"_copy": self._copy, "answered": self.answered})
        other._strays, other._originals = self._strays, self._originals
        if remembered in self._remembered:
            other._remembered[remembered] = self._remembered[remembered]

    def observe(self, mini_batches: Sequence[SampleMiniBatch]) -> Observation:
        """Attempts at the mini-batches in this order on a fresh worker. WorkerStartError if none starts."""
        observation = Observation()
        self.restore()
        with self.entry.session(probe_limit=self.probe_limit) as session, session.held():
            for mini_batch in mini_batches:
                observation.attempts.append((mini_batch, self.attempt(session, mini_batch)))
        return observation

    def attempt(
        self, session: ProbeSession, mini_batch: SampleMiniBatch, *, worker: int = 0, number: int = 1
    ) -> ProbeResult:
        """One attempt at a mini-batch; `restore()` removes new files next to the sample."""
        result = attempt(session, mini_batch, worker=worker, number=number)
        self.entry.outputs.note(result.files)
        if self._copy.is_copy:
            self._strays.update(path for path in result.files.written if path.startswith(self._copy.root))
        return result

    def restore(self) -> None:
        """Restores files of the copy that a script changed, moved or deleted, and removes those that it created."""
        originals = self._originals
        for path in self._strays - originals.keys():
            # A folder too: a script may move its input.
            shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else _remove(path)
        self._strays.clear()
        for path, (original, stat) in originals.items():
            try:
                now = os.stat(path)
            except OSError:
                copy_file(original, path)
                continue
            if (now.st_size, now.st_mtime_ns) != stat:
                os.remove(path)
                copy_file(original, path)

    @property
    def root(self) -> str:
        """The folder of the sample that the mini-batches are from; it ends with a separator."""
        return self._copy.root

    @cached_property
    def _copy(self) -> SampleCopy:
        return self.entry.copy_sample(lazily=True)


def _remove(path: str) -> None:
    with suppress(OSError):
        os.remove(path)
