"""What a mini-batch that was made up shows: a sound one must succeed, an odd one must do no harm."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.cases.case import Case
from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.contract.phrases import items_text, shown_for
from pytest_parallelrun.contract.rows.comparison import difference
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.splitting.model import ItemName

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.observations import SampleMiniBatch
    from pytest_parallelrun.contract.generation.runner import ExampleRunner, Recipe
    from pytest_parallelrun.emulator.events import AttemptEnded, Outcome
    from pytest_parallelrun.emulator.splitting.model import Payload

HARMLESS: frozenset[Outcome] = frozenset({"succeeded", "short", "exception", "load_error"})
"""What may become of an odd mini-batch."""

_VERBS: dict[Outcome, str] = {
    "timeout": "hangs",
    "crashed": "ends its worker process",
    "wrong_type": "returns nothing that counts",
    "exception": "raises",
    "short": "returns fewer results than items",
    "load_error": "cannot be given its items",
}
FIXES: dict[Outcome, str] = {
    "timeout": "find the loop or the wait that does not end for such an item, and give it a limit",
    "crashed": "raise an exception instead of ending the process; if native code dies, check the item before it",
    "wrong_type": "return a list, a tuple or a DataFrame on every way out of run(), also after an except",
    "exception": "every subset of the sample, in any order, can be a mini-batch on the service: make run() take it",
    "short": "return one result for every item, an error row for one that could not be scored",
}

_KEPT = (
    "something is kept or used up between calls of run(), such as a global, an open file or a cache; "
    "see also test_independent_of_history"
)


def judge_mini_batch(bench: ExampleRunner, recipe: Recipe) -> Finding | None:
    """What is wrong with run() for this mini-batch; None where nothing is, or it could not be tried any more."""
    for part in odd_parts(recipe):
        if part in bench.hanging:
            return bench.hanging[part]
    return bench.judged(recipe, lambda: _judge(bench, recipe))


def judge_whole(bench: ExampleRunner) -> Finding | None:
    """The largest sound mini-batch, tried whatever is drawn; where it fails, the shortest beginning that does."""
    assert bench.sample is not None
    longest = bench.most_items
    found = judge_mini_batch(bench, _beginning(bench, longest))
    # A partition is whole or not at all.
    fails, succeeds = (longest, 0) if not bench.sample.partitions else (1, 0)
    while found is not None and fails - succeeds > 1:
        middle = (fails + succeeds) // 2
        shorter = judge_mini_batch(bench, _beginning(bench, middle))
        if shorter is None:
            succeeds = middle
        else:
            fails, found = middle, shorter
    return found


def _beginning(bench: ExampleRunner, size: int) -> Recipe:
    from pytest_parallelrun.strategies import Files, Item, Rows

    assert bench.sample is not None
    numbers: Sequence[int] = range(size)
    if bench.sample.partitions:
        numbers = max(bench.sample.partitions.values(), key=len)
    if bench.sample.kind == "files":
        return Files(items=tuple(Item(bench.sample.names[number]) for number in numbers))
    return Rows(rows=tuple(numbers))


def describe(bench: ExampleRunner, recipe: Recipe) -> str:
    """The items of a recipe in words."""
    assert bench.sample is not None
    if hasattr(recipe, "items"):
        names = [item.name if item.kind is None else f"{item.name} ({_words(item.kind)})" for item in recipe.items]
        return items_text(tuple(names))
    # The folder of the sample says nothing that the user does not know.
    row_names = [bench.sample.names[row] for row in recipe.rows]
    rows = items_text(tuple(ItemName(os.path.basename(name.file), name.row) for name in row_names))
    cells = [
        f"{_words(cell.kind)} in column {cell.column!r}"
        + (" of all rows" if cell.row is None else f" of its row {cell.row + 1}")
        for cell in recipe.cells
    ]
    return f"{rows}; {', '.join(cells)}" if cells else rows


def odd_parts(recipe: Recipe) -> Iterator[object]:
    """What is odd in a recipe, thing by thing, whatever item it is in."""
    if hasattr(recipe, "items"):
        yield from {item.kind for item in recipe.items if item.kind is not None}
    else:
        yield from {(cell.column, cell.kind) for cell in recipe.cells}


def _judge(bench: ExampleRunner, recipe: Recipe) -> Finding | None:
    sentinel = bench.sentinel
    payload = bench.build(recipe)
    before = bench.seen
    ended = bench.attempt(payload, bench.partition_of(recipe)).ended
    allowed = HARMLESS if recipe.odd else bench.enough
    found = None
    if ended.outcome not in allowed:
        found = _confirmed(bench, recipe, payload, ended, allowed, before)
    elif recipe.odd and sentinel is not None:
        found = _spoiled(bench, recipe, payload)
    if found is None:
        bench.discard(payload)
    return found


def _confirmed(
    bench: ExampleRunner,
    recipe: Recipe,
    payload: Payload,
    ended: AttemptEnded,
    allowed: frozenset[Outcome],
    before: int,
) -> Finding | None:
    """The finding, told by a fresh worker: the mini-batches before, or a busy machine, may be the cause."""
    again = ended if bench.confirmed or not bench.renew() else bench.attempt(payload, bench.partition_of(recipe)).ended
    if again.outcome not in allowed:
        bench.confirmed = True
        found = _finding(bench, recipe, payload, again)
        return _remembered_hang(bench, recipe, found) if again.outcome == "timeout" else found
    if ended.outcome in ("timeout", "crashed"):
        return None
    return _only_warm(bench, recipe, payload, ended, before)


def _only_warm(bench: ExampleRunner, recipe: Recipe, payload: Payload, ended: AttemptEnded, before: int) -> Finding:
    assert ended.failure is not None
    return Finding(
        what=f"run() {_VERBS[ended.outcome]} for {_kind(recipe)} mini-batch ({describe(bench, recipe)}) on a worker "
        f"that had {before} others before, and not on a fresh one: {ended.failure.error}",
        location=Location(phase="run", mini_batch=ended.mini_batch.id, items=describe(bench, recipe)),
        traceback=ended.failure.traceback,
        service=shown_for(ended.outcome),
        fix=_KEPT,
        cause=Cause.of_attempt(ended),
        case=_case(bench, recipe, *(payload,) * (before + 1)),
    )


def _remembered_hang(bench: ExampleRunner, recipe: Recipe, found: Finding) -> Finding:
    """Finds which odd thing hangs, alone in a mini-batch, so that no other mini-batch with it is waited for."""
    for part in odd_parts(recipe):
        if not bench.may_go_on():
            break
        alone = _with_only(recipe, part, whole=bool(bench.partition_of(recipe)))
        payload = bench.build(alone)
        ended = bench.attempt(payload, bench.partition_of(alone)).ended
        if ended.outcome == "timeout":
            bench.hanging[part] = _finding(bench, alone, payload, ended)
            return bench.hanging[part]
        bench.discard(payload)
    return found


def _with_only(recipe: Recipe, part: object, *, whole: bool) -> Recipe:
    """One item with what is odd, or, of a partition, all of its items."""
    from pytest_parallelrun.strategies import Cell, Files, Item, Rows

    if isinstance(recipe, Files):
        odd = next(item for item in recipe.items if item.kind == part)
        others = (Item(name) for name in dict.fromkeys(item.name for item in recipe.items) if name != odd.name)
        return Files(items=(odd, *others) if whole else (odd,))
    cell = next(cell for cell in recipe.cells if (cell.column, cell.kind) == part)
    if whole:
        rows = tuple(dict.fromkeys(recipe.rows))
        place = None if cell.row is None else rows.index(recipe.rows[cell.row])
        return Rows(rows=rows, cells=(Cell(place, cell.column, cell.kind),))
    row = cell.row or 0
    return Rows(rows=(recipe.rows[row],), cells=(Cell(None if cell.row is None else 0, cell.column, cell.kind),))


def _spoiled(bench: ExampleRunner, recipe: Recipe, payload: Payload) -> Finding | None:
    """Whether a sound mini-batch afterwards fails, or comes to something else than on a fresh worker."""
    before = bench.seen
    problem, after = _after(bench)
    if problem is None or not bench.renew():
        return None
    # Told by a fresh worker: one of the mini-batches before may be the cause.
    first = bench.attempt(payload, bench.partition_of(recipe)).ended
    problem, _ = _after(bench)
    fresh = bench.renew()
    assert bench.sentinel is not None
    group, expected = bench.sentinel
    if problem is None and after.outcome not in bench.enough and after.outcome not in ("timeout", "crashed"):
        return _used_up(bench, group, after, before)
    if problem is None or first.outcome not in HARMLESS:
        return None
    if fresh and expected is not None and _sound_one_spoils_too(bench, recipe):
        bench.rows_count = False
        return None
    return Finding(
        what=f"After an odd mini-batch ({describe(bench, recipe)}) run() is spoiled for a sound one: {problem}.",
        location=Location(phase="run", mini_batch=group.id, items=group.items()),
        counts=f"the odd mini-batch itself: {first.outcome}; the sound one succeeds on a fresh worker",
        service="mini-batches that have nothing wrong fail or come out wrong, on one worker only, and at random",
        fix="undo what run() changes (globals, open files, buffers) also when it fails: with, try/finally",
        cause=Cause(kind="spoiled"),
        case=Case(
            kind=bench.trials.kind,
            mini_batches=(payload, group.payload),
            partitions=(bench.partition_of(recipe), group.partition),
            expects="no_harm",
            expected_rows=None if expected is None else tuple(expected),
        ),
    )


def _sound_one_spoils_too(bench: ExampleRunner, recipe: Recipe) -> bool:
    """Whether the oddity has nothing to do with it: then it is the business of independent_of_history."""
    from pytest_parallelrun.strategies import Files, Item, Rows

    if isinstance(recipe, Files):
        sound: Recipe = Files(items=tuple(Item(name) for name in dict.fromkeys(item.name for item in recipe.items)))
    else:
        sound = Rows(rows=tuple(dict.fromkeys(recipe.rows)))
    payload = bench.build(sound)
    bench.attempt(payload, bench.partition_of(sound))
    bench.discard(payload)
    problem, _ = _after(bench)
    bench.renew()
    return problem is not None


def _used_up(bench: ExampleRunner, group: SampleMiniBatch, ended: AttemptEnded, before: int) -> Finding:
    assert ended.failure is not None
    return Finding(
        what=f"run() {_VERBS[ended.outcome]} for a sound mini-batch ({group.items()}) on a worker that had {before} "
        f"others before, and not on a fresh one: {ended.failure.error}",
        location=Location(phase="run", mini_batch=group.id, items=group.items()),
        traceback=ended.failure.traceback,
        service=shown_for(ended.outcome),
        fix=_KEPT,
        cause=Cause.of_attempt(ended),
        case=Case(
            kind=bench.trials.kind,
            mini_batches=(group.payload,) * (before + 1),
            partitions=(group.partition,) * (before + 1),
        ),
    )


def _after(bench: ExampleRunner) -> tuple[str | None, AttemptEnded]:
    """What is wrong with the sentinel now, and the attempt at it."""
    assert bench.sentinel is not None
    group, expected = bench.sentinel
    ended = bench.attempt_group(group).ended
    if ended.outcome not in bench.enough:
        return (ended.failure.error if ended.failure is not None else ended.outcome), ended
    if expected is None or not bench.rows_count:
        return None, ended
    differs = difference(expected, as_rows(ended.value))
    problem = None if differs is None else f"it returns {differs[1]} where a fresh worker returns {differs[0]}"
    return problem, ended


def _finding(bench: ExampleRunner, recipe: Recipe, payload: Payload, ended: AttemptEnded) -> Finding:
    assert ended.failure is not None
    items = describe(bench, recipe)
    returned = "none that count" if ended.returned is None else str(ended.returned)
    return Finding(
        what=f"run() {_VERBS[ended.outcome]} for {_kind(recipe)} mini-batch that was made of the sample: "
        f"{ended.failure.error}",
        location=Location(phase="run", mini_batch=ended.mini_batch.id, items=items),
        traceback=ended.failure.traceback,
        counts=f"{recipe.size} item(s) in, results out: {returned}",
        service=shown_for(ended.outcome),
        fix=FIXES.get(ended.outcome, ""),
        cause=Cause.of_attempt(ended),
        example=f"mini-batch: {recipe!r}",
        # With the timeout of the job: what is mended may well wait longer than a probe may.
        case=_case(bench, recipe, payload),
    )


def _case(bench: ExampleRunner, recipe: Recipe, *payloads: Payload) -> Case:
    return Case(
        kind=bench.trials.kind,
        mini_batches=payloads,
        expects="no_harm" if recipe.odd else "results",
        partitions=(bench.partition_of(recipe),) * len(payloads),
    )


def _kind(recipe: Recipe) -> str:
    return "an odd" if recipe.odd else "a sound"


def _words(kind: str) -> str:
    return kind.replace("_", " ")
