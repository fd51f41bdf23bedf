"""Results depend on mini_batch_size."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.contract.bounds import MAX_MERGED, MAX_SINGLES, MAX_SUSPECTS
from pytest_parallelrun.contract.cases.case import Case
from pytest_parallelrun.contract.dependence.kept_state import kept_state
from pytest_parallelrun.contract.dependence.randomness import is_drawn
from pytest_parallelrun.contract.dependence.state import (
    STATE_KEPT,
    case_of_history,
    dependence,
    on_service,
    traceback_of,
)
from pytest_parallelrun.contract.entry.mini_batches import (
    RunOutcome,
    SampleMiniBatch,
    answer_of,
    called_as,
    joined,
    joined_answers,
    merged,
    paths_of,
    rows_of,
    singles_of,
)
from pytest_parallelrun.contract.entry.preconditions import pass_unless_random, require_rows, skip_without_worker
from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.contract.phrases import KEEP_WITH_ITEM, sentences
from pytest_parallelrun.contract.rows.comparison import reassigned, row_text
from pytest_parallelrun.contract.script_source import reordering_call
from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.probe import ProbeSession


_ONE_ITEM = "the sample has a single item, which makes mini-batches of one size only"
_FOR_EACH_ITEM = (
    "compute each result from its own item only. Statistics, ranks, positions or padding over the mini-batch, and work "
    "on its first or last item alone, depend on its size. Take such values from the model or a file."
)
_OF_CHUNKS = (
    "return a result for each item. A loop over chunks may drop or cut the last chunk if it is not full: process what "
    "is left after the loop too, as range(0, len(items), size) with items[start:start + size] does."
)
_OF_FORM = (
    "make the form of a value independent of other items. In a pandas column, one missing value turns integers into "
    'floats: set the type before formatting, as in frame["n"].astype("Int64"), or format each value, as in f"{n:g}".'
)
_OF_EXTRA_ROWS = (
    "return rows of the items alone. A summary row or a header is repeated for each mini-batch; a listing of the "
    "folder finds files of other mini-batches too: use only the paths in mini_batch. If such rows are wanted, add the "
    "check to parallelrun_accept, with the reason."
)
_OF_OTHER_ITEMS = (
    "use only the paths in mini_batch: a listing of the folder (os.listdir(), glob) finds files of other mini-batches "
    "too."
)


def test_independent_of_mini_batch_size(parallelrun_observations: Observations, parallelrun_check: Check) -> None:
    """The same items give the same results in one mini-batch and in several."""
    __tracebackhide__ = True
    observations, check = parallelrun_observations, parallelrun_check
    with skip_without_worker(check):
        keys = observations.entry.settings.partition_keys
        if keys:
            check.cannot_decide(f"partition_keys={','.join(keys)}: a partition is one mini-batch, whatever its size")
        require_rows(observations, check)
        if not observations.groups:
            check.cannot_decide(
                "run() returns fewer results than items, so they cannot be assigned to items and compared; see "
                "test_returns_one_result_per_item"
            )
        if observations.screening.agrees:
            if not observations.screening.compares_sizes:
                check.cannot_decide(_ONE_ITEM)
            pass_unless_random(observations, check)
            return
        history = dependence(observations)
        if history is not None and history.origin != "memory":
            check.cannot_decide(history.why_undecided())
        search = _SizeSearch(observations, fresh=history is not None)
        sizes = search.first_difference()
        if sizes is not None:
            if is_drawn(observations, sizes.split.merged):
                check.cannot_decide(
                    "results depend on random numbers, and another mini_batch_size draws different ones. Seed from the "
                    "item to make results repeatable."
                )
            check.fail(_of_size(observations, sizes, kept=history is not None))
        if not search.compared:
            check.cannot_decide(_ONE_ITEM)
        if history is not None:
            check.note("results depend on what came before, so two items alone were compared, on fresh workers")
        pass_unless_random(observations, check)


class _Split(NamedTuple):
    """The same items as one mini-batch, and as several."""

    merged: SampleMiniBatch
    parts: tuple[SampleMiniBatch, ...]


class _SizeDifference(NamedTuple):
    """The answers to a split. difference: both as text, from the first row that differs. others: see _SizeSearch."""

    split: _Split
    of_merged: RunOutcome
    of_parts: RunOutcome
    difference: tuple[str, str]
    others: str


class _SizeSearch:
    """Asks fresh workers, each for items that it has not seen: a repeated item is a retry.

    fresh: a new worker for each mini-batch, if results depend on what came before.
    """

    def __init__(self, observations: Observations, *, fresh: bool) -> None:
        self._observations = observations
        self._fresh = fresh
        self._next_id = max(observations.baseline.last_attempts, default=0) + 1
        self.compared = 0
        self._others = ""
        """A sentence on a mini-batch for which run() opens items that are not in it."""

    def first_difference(self) -> _SizeDifference | None:
        """The first mini-batch whose parts give other rows, with as few items as were found."""
        mini_batches = self._observations.groups
        if self._fresh:
            # Each answer now costs an init(), and no state can depend on the identity of a mini-batch.
            for split in islice(_pairs(mini_batches), 1):
                self.compared += 1
                return self._renamed(split)
            return None
        several = [mini_batch for mini_batch in mini_batches if mini_batch.size > 1]
        suspects = self._differing_singles(several) if several else self._merged(mini_batches)
        for split in suspects[:MAX_SUSPECTS]:
            if self._differ(split):
                smallest = self._smallest(split)
                if smallest is not None:
                    return smallest
        return None

    def _differing_singles(self, mini_batches: Sequence[SampleMiniBatch]) -> list[_Split]:
        """Mini-batches whose items give other rows one by one, with the identity of the whole mini-batch."""
        observations, splits, singles = self._observations, [], 0
        observations.restore()
        with observations.entry.session(probe_limit=observations.probe_limit) as session:
            for mini_batch in mini_batches:
                if singles >= MAX_SINGLES:
                    break
                cut = mini_batch.size > MAX_SINGLES
                whole = mini_batch.part(*range(MAX_SINGLES)) if cut else mini_batch
                split = _Split(whole, singles_of(whole))
                # A part is another mini-batch than the observed one.
                expected = self._ask([split.merged]) if cut else observations.forward.answer(mini_batch)
                singles += len(split.parts)
                self.compared += 1
                actual = self._ask_session(session, called_as(split.merged, split.parts))
                if observations.first_difference(expected, actual) is not None:
                    splits.append(split)
        return splits

    def _merged(self, mini_batches: tuple[SampleMiniBatch, ...]) -> list[_Split]:
        """Mini-batches of one item each, joined to one."""
        parts = mini_batches[:MAX_MERGED]
        if len(parts) < 2:
            return []
        self.compared += 1
        return [_Split(merged(parts), parts)]

    def _smallest(self, split: _Split) -> _SizeDifference | None:
        """The difference for two items, otherwise for all."""
        parts = split.parts
        for pair in (parts[:2], parts[-2:]) if len(parts) > 2 else ():
            smaller = self._renamed(_Split(merged(pair), pair))
            if smaller is not None:
                return smaller
        return self._renamed(split)

    def _differ(self, split: _Split) -> bool:
        """Whether the parts give other rows as separate mini-batches, as in a job with another size."""
        observations = self._observations
        forward = observations.forward
        if any(part is mini_batch for part in split.parts for mini_batch in observations.groups):
            of_merged = self._ask([split.merged])
            of_parts = joined_answers([answer for part in split.parts if (answer := forward.answer(part)) is not None])
        else:
            observed = any(split.merged is mini_batch for mini_batch in observations.groups)
            known = forward.answer(split.merged) if observed else None
            of_merged = known or self._ask([split.merged])
            numbered = []
            for part in split.parts:
                self._next_id += 1
                numbered.append(part.numbered(self._next_id))
            of_parts = self._ask(numbered)
        # More items take more time, which says nothing about their rows.
        return of_merged.ended.outcome != "timeout" and observations.first_difference(of_merged, of_parts) is not None

    def _renamed(self, split: _Split) -> _SizeDifference | None:
        """The difference if the parts have the identity of the whole: number and first row may be in the rows."""
        of_merged, of_parts = self._ask([split.merged]), self._ask(called_as(split.merged, split.parts))
        difference = self._observations.first_difference(of_merged, of_parts)
        if difference is None or of_merged.ended.outcome == "timeout":
            return None
        return _SizeDifference(
            split=split, of_merged=of_merged, of_parts=of_parts, difference=difference, others=self._others
        )

    def _ask(self, mini_batches: Sequence[SampleMiniBatch]) -> RunOutcome:
        """All rows of the mini-batches, or the first failure."""
        self._observations.restore()
        with self._observations.entry.session(probe_limit=self._observations.probe_limit) as session:
            return self._ask_session(session, mini_batches)

    def _ask_session(self, session: ProbeSession, mini_batches: Sequence[SampleMiniBatch]) -> RunOutcome:
        answers = []
        for mini_batch in mini_batches:
            if self._fresh:
                session.renew()
            ended, files = self._observations.attempt(session, mini_batch)
            answers.append(answer_of(ended))
            root, own = self._observations.root, paths_of(mini_batch.payload)
            others = sorted(path for path in files.read.keys() - own if path.startswith(root) and os.path.isfile(path))
            if others and mini_batch.size == 1:
                name = self._observations.shown(others[0])
                self._others = f"For {mini_batch.items()} alone, run() opens {name} too."
            if answers[-1].rows is None:
                break
        return joined_answers(answers)


def _pairs(mini_batches: Sequence[SampleMiniBatch]) -> Iterator[_Split]:
    """Two items, together and separately."""
    for mini_batch in mini_batches:
        if mini_batch.size > 1:
            two = mini_batch.part(0, 1)
            yield _Split(two, singles_of(two))
    if len(mini_batches) > 1:
        yield _Split(merged(mini_batches[:2]), tuple(mini_batches[:2]))


def _cause(observations: Observations, sizes: _SizeDifference, *, kept: bool) -> tuple[str, str]:
    """What the rows show of the cause, and the fix."""
    if kept:
        fix = kept_state(observations, sizes.split.parts[0]).fix or "create what run() changes inside of run()"
        return sizes.others, f"{fix}. State kept between calls is often kept between items too"
    if sizes.others:
        return sizes.others, _OF_OTHER_ITEMS
    merged_rows, rows = sizes.of_merged.rows, sizes.of_parts.rows
    if merged_rows is None or rows is None or len(merged_rows) == len(rows):
        moved = reassigned(rows, merged_rows, observations.ignoring, ()) if rows and merged_rows else None
        if moved is not None:
            return (
                f"The values are the same, but at other items: in the one mini-batch {moved.name.rstrip(':=')} gets "
                f"{moved.got}, the value of {moved.owner.rstrip(':=')}."
                + reordering_call(str(observations.entry.entry.path)),
                KEEP_WITH_ITEM,
            )
        if rows and merged_rows and sorted(map(_without_form, rows)) == sorted(map(_without_form, merged_rows)):
            return (
                "The values are the same, in another form: the type of a column may depend on its other rows.",
                _OF_FORM,
            )
        return "", _FOR_EACH_ITEM + ("" if observations.kind == "files" else _of_other_rows(observations))
    # Rows that a chunk lost are in the parts, once. A summary differs, and a listing gives each part the same rows.
    together, apart = set(map(row_text, merged_rows)), {row_text(row) for row in rows}
    extra = not together <= apart or len(apart) < len(rows) > sizes.split.merged.size
    return "", _OF_EXTRA_ROWS if extra else _OF_CHUNKS


def _without_form(row: object) -> str:
    """Its text, in which numbers and nulls look the same whatever the type of their column."""
    numbers = re.sub(r"(?<![\w.])-?\d+(\.\d*)?(e[-+]?\d+)?(?!\w)", lambda match: repr(float(match[0])), repr(row))
    return re.sub(r"\b(nan|None|NaT|null)\b|<NA>", "nan", numbers, flags=re.IGNORECASE)


def _of_other_rows(observations: Observations) -> str:
    """What keeps a result that needs other rows. Of a column with few values, rows may belong together."""
    frame = rows_of(joined([mini_batch.payload for mini_batch in observations.groups]))
    columns = [name for name in frame.columns if frame[name].dtype.kind not in "bf"]
    keys = [name for name in columns if 1 < frame[name].astype(str).nunique() <= len(frame) // 4]
    together = f", or keep the rows of a {keys[0]} together with partition_keys={keys[0]}" if keys else ""
    return f" Compute what needs other rows (diff(), shift(), rolling()) before the job{together}."


def _of_size(observations: Observations, sizes: _SizeDifference, *, kept: bool) -> Finding:
    (combined, parts), rows = sizes.split, sizes.of_parts.rows
    together, apart = sizes.difference
    failed = sizes.of_parts if rows is None else sizes.of_merged
    part_sizes = " and ".join(sorted({str(part.size) for part in parts}, key=int))
    evidence, fix = _cause(observations, sizes, kept=kept)
    counts = ""
    if sizes.of_merged.rows is not None and rows is not None:
        counts = f"{count_text(len(sizes.of_merged.rows), 'row')} in one mini-batch, {len(rows)} in {len(parts)}"
    if rows is not None:
        case = case_of_history(observations, (combined,), sizes.of_parts)
    else:
        case = Case(
            kind=observations.kind,
            mini_batches=tuple(part.payload for part in parts),
            ignoring=observations.ignoring,
            partitions=tuple(part.partition for part in parts),
        )
    return Finding(
        what=sentences(
            f"Results depend on mini_batch_size: for the same {combined.size} items run() {together} as one "
            f"mini-batch; as {len(parts)} mini-batches of {part_sizes} it {apart}.",
            evidence,
        ),
        location=Location(phase="run", mini_batch=combined.id, items=combined.items()),
        traceback=traceback_of(failed),
        counts=counts,
        service=on_service(
            "mini_batch_size is changed to make a job faster, and the last mini-batch is often smaller",
            sizes.of_merged,
            sizes.of_parts,
        ),
        fix=fix,
        cause=STATE_KEPT if kept else (None if failed.ended.failure is None else Cause.of_attempt(failed.ended)),
        case=case,
    )
