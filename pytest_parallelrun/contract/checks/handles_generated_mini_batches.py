"""Of generated mini-batches, valid ones fail, or malformed ones hang, crash or break others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from hypothesis import event, given
from hypothesis import strategies as st

from pytest_parallelrun.contract.cases.case import Case
from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.contract.generation.examples import (
    describe,
    edge_cases,
    mini_batches_to_draw,
    part_of,
    recipe_of,
    settings_of_examples,
)
from pytest_parallelrun.contract.generation.runner import HARMLESS, conclude, require_valid_items
from pytest_parallelrun.contract.phrases import sentences, shown_for
from pytest_parallelrun.contract.rows.comparison import difference
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.splitting.model import count_text
from pytest_parallelrun.strategies import Cell, Files, Item, Rows

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.generation.runner import ExampleRunner, Recipe
    from pytest_parallelrun.emulator.events import AttemptEnded, Outcome
    from pytest_parallelrun.emulator.splitting.model import Payload

_VERBS: dict[Outcome, str] = {
    "timeout": "hangs",
    "crashed": "ends its worker process",
    "wrong_type": "returns something that is not a list or a DataFrame",
    "exception": "raises",
    "short": "returns fewer results than items",
    "load_error": "cannot load its items",
}

_KEPT = (
    "find what run() keeps or uses up between its calls, such as a global, an open file or a cache, and create it "
    "inside run()"
)


@settings_of_examples()
@given(data=st.data())
def test_handles_generated_mini_batches(
    parallelrun_examples: ExampleRunner, parallelrun_check: Check, data: st.DataObject
) -> None:
    """Valid mini-batches of any size and order succeed; malformed ones do no harm."""
    __tracebackhide__ = True
    runner = parallelrun_examples
    require_valid_items(runner, parallelrun_check)
    if not runner.edge_cases_pass:
        # A finding is remembered for the next examples, too.
        conclude(runner, parallelrun_check, partial(_judge_largest, runner))
        for edge_case in edge_cases(runner):
            conclude(runner, parallelrun_check, partial(_judge_fewest, runner, edge_case))
        runner.edge_cases_pass = True
    recipe = data.draw(mini_batches_to_draw(runner), label="mini-batch")
    event("odd" if recipe.odd else "sound")
    conclude(runner, parallelrun_check, lambda: _judge_fewest(runner, recipe))


def _judge(runner: ExampleRunner, recipe: Recipe) -> Finding | None:
    """What is wrong with run() for this mini-batch; None if nothing is, or if no time is left."""
    for part in _malformed_parts(recipe):
        if part in runner.hanging:
            return runner.hanging[part]
    return runner.judged(recipe, lambda: _try(runner, recipe))


def _judge_largest(runner: ExampleRunner) -> Finding | None:
    """The largest valid mini-batch, tried in any case; if it fails, the shortest prefix that fails."""
    largest = runner.max_items
    finding = _judge(runner, _beginning(runner, largest))
    # A partition cannot be shortened.
    fails, succeeds = (largest, 0) if not runner.sample.partitions else (1, 0)
    while finding is not None and fails - succeeds > 1:
        middle = (fails + succeeds) // 2
        shorter = _judge(runner, _beginning(runner, middle))
        if shorter is None:
            succeeds = middle
        else:
            fails, finding = middle, shorter
    return None if finding is None else _fewest(runner, _beginning(runner, fails), finding)


def _judge_fewest(runner: ExampleRunner, recipe: Recipe) -> Finding | None:
    finding = _judge(runner, recipe)
    return None if finding is None else _fewest(runner, recipe, finding)


def _fewest(runner: ExampleRunner, recipe: Recipe, finding: Finding) -> Finding:
    """The finding with the same cause and as few items as possible in the time that is left."""
    if runner.sample.partition_of(recipe):
        return finding

    def found(positions: Sequence[int]) -> Finding | None:
        smaller = _judge(runner, part_of(recipe, positions)) if positions else None
        return smaller if smaller is not None and smaller.cause == finding.cause else None

    positions = list(range(recipe.size))
    # The last item makes the shortest prefix fail, and often suffices.
    for alone in dict.fromkeys((positions[-1], positions[0])):
        if len(positions) > 1 and (smaller := found([alone])) is not None:
            return smaller
    count = len(positions) // 2
    while count:
        first = 0
        while first < len(positions):
            fewer = positions[:first] + positions[first + count :]
            if (smaller := found(fewer)) is not None:
                positions, finding = fewer, smaller
            else:
                first += count
        count //= 2
    return finding


def _beginning(runner: ExampleRunner, size: int) -> Recipe:
    numbers: Sequence[int] = range(size)
    if runner.sample.partitions:
        numbers = max(runner.sample.partitions.values(), key=len)
    return recipe_of(runner.sample, numbers)


def _malformed_parts(recipe: Recipe) -> Iterator[object]:
    """The malformed parts of a recipe, whatever item they are in."""
    if isinstance(recipe, Files):
        yield from {item.kind for item in recipe.items if item.kind is not None}
    else:
        yield from {(cell.column, cell.kind) for cell in recipe.cells}


def _try(runner: ExampleRunner, recipe: Recipe) -> Finding | None:
    sentinel = runner.sentinel
    payload = runner.build(recipe)
    before = runner.seen
    allowed = HARMLESS if recipe.odd else runner.valid_outcomes
    finding = afterwards = None
    with runner.held():
        ended = runner.attempt(payload, recipe)
        if ended.outcome in allowed and recipe.odd and sentinel is not None:
            afterwards = _sentinel_problem(runner)
    if ended.outcome not in allowed:
        finding = _confirmed(runner, recipe, payload, ended, allowed, before)
    elif afterwards is not None:
        finding = _breaks_the_next(runner, recipe, payload, *afterwards)
    if finding is None:
        runner.discard(payload)
    return finding


def _confirmed(
    runner: ExampleRunner,
    recipe: Recipe,
    payload: Payload,
    ended: AttemptEnded,
    allowed: frozenset[Outcome],
    before: int,
) -> Finding | None:
    """The finding, repeated on a fresh worker, because earlier mini-batches or a busy machine may be the cause."""
    hangs = ended.outcome == "timeout"
    confirmed = runner.hang_confirmed if hangs else runner.confirmed
    fresh = not confirmed and runner.renew()
    if hangs and not fresh and not confirmed:
        # A machine that was suspended looks like a script that waits.
        return None
    again = runner.attempt(payload, recipe, patient=hangs) if fresh else ended
    runner.hang_confirmed = runner.hang_confirmed or (fresh and again.outcome == "timeout")
    if again.outcome not in allowed:
        runner.confirmed = True
        finding = _finding(runner, recipe, payload, again)
        return _remembered_hang(runner, recipe, finding) if again.outcome == "timeout" else finding
    if ended.outcome in ("timeout", "crashed"):
        return None
    items = describe(runner.sample, recipe)
    return _only_warm(
        runner,
        ended,
        before,
        which=f"{_kind(recipe)} mini-batch ({items})",
        location=Location(phase="run", mini_batch=ended.mini_batch.id, items=items),
        case=_case(runner, recipe, *(payload,) * (before + 1)),
    )


def _remembered_hang(runner: ExampleRunner, recipe: Recipe, finding: Finding) -> Finding:
    """Finds which malformed part hangs, alone in a mini-batch, to avoid waiting for others with it."""
    for part in _malformed_parts(recipe):
        if not runner.may_go_on():
            break
        alone = _with_only(recipe, part, all_items=bool(runner.sample.partition_of(recipe)))
        payload = runner.build(alone)
        ended = runner.attempt(payload, alone)
        if ended.outcome == "timeout":
            runner.hanging[part] = _finding(runner, alone, payload, ended)
            return runner.hanging[part]
        runner.discard(payload)
    return finding


def _with_only(recipe: Recipe, part: object, *, all_items: bool) -> Recipe:
    """One item with the malformed part, or all items of a partition."""
    if isinstance(recipe, Files):
        malformed = next(item for item in recipe.items if item.kind == part)
        others = (Item(name) for name in dict.fromkeys(item.name for item in recipe.items) if name != malformed.name)
        return Files(items=(malformed, *others) if all_items else (malformed,))
    cell = next(cell for cell in recipe.cells if (cell.column, cell.kind) == part)
    rows = tuple(dict.fromkeys(recipe.rows)) if all_items else (recipe.rows[cell.row or 0],)
    position = None if cell.row is None else rows.index(recipe.rows[cell.row])
    return Rows(rows=rows, cells=(Cell(position, cell.column, cell.kind),))


def _breaks_the_next(
    runner: ExampleRunner, recipe: Recipe, payload: Payload, problem: str | None, after: AttemptEnded
) -> Finding | None:
    """Whether a valid mini-batch afterwards fails, or differs from a fresh worker."""
    before = runner.seen - 1
    if problem is None or not runner.renew():
        return None
    # Repeated on a fresh worker: an earlier mini-batch may be the cause.
    first = runner.attempt(payload, recipe)
    problem, _ = _sentinel_problem(runner)
    fresh = runner.renew()
    assert runner.sentinel is not None
    sentinel, expected = runner.sentinel
    location = Location(phase="run", mini_batch=sentinel.id, items=sentinel.items())
    if problem is None and after.outcome not in runner.valid_outcomes and after.outcome not in ("timeout", "crashed"):
        return _only_warm(
            runner,
            after,
            before,
            which=f"a valid mini-batch ({sentinel.items()})",
            location=location,
            case=Case(
                kind=runner.observations.kind,
                mini_batches=(sentinel.payload,) * (before + 1),
                partitions=(sentinel.partition,) * (before + 1),
            ),
        )
    if problem is None or first.outcome not in HARMLESS:
        return None
    if fresh and expected is not None and _valid_one_breaks_it_too(runner, recipe):
        runner.rows_count = False
        return None
    return Finding(
        what=f"A malformed mini-batch ({describe(runner.sample, recipe)}) breaks the valid one after it: {problem}.",
        location=location,
        counts=f"the malformed mini-batch itself: {first.outcome}; the valid one succeeds on a fresh worker",
        service="valid mini-batches fail or give wrong rows, apparently at random and on one worker only",
        fix="undo what run() changes (globals, locks, open files, buffers) on every code path: `with`, try/finally",
        cause=Cause(kind="spoiled"),
        case=Case(
            kind=runner.observations.kind,
            mini_batches=(payload, sentinel.payload),
            partitions=(runner.sample.partition_of(recipe), sentinel.partition),
            expects="no_harm",
            expected_rows=None if expected is None else tuple(expected),
        ),
    )


def _valid_one_breaks_it_too(runner: ExampleRunner, recipe: Recipe) -> bool:
    """Whether the malformed part is irrelevant: then independent_of_history reports it."""
    if isinstance(recipe, Files):
        valid: Recipe = Files(items=tuple(Item(name) for name in dict.fromkeys(item.name for item in recipe.items)))
    else:
        valid = Rows(rows=tuple(dict.fromkeys(recipe.rows)))
    payload = runner.build(valid)
    runner.attempt(payload, valid)
    runner.discard(payload)
    problem, _ = _sentinel_problem(runner)
    runner.renew()
    return problem is not None


def _sentinel_problem(runner: ExampleRunner) -> tuple[str | None, AttemptEnded]:
    """What is wrong with the sentinel now, and the attempt at it."""
    assert runner.sentinel is not None
    sentinel, expected = runner.sentinel
    ended = runner.attempt_of_sample(sentinel)
    if ended.outcome not in runner.valid_outcomes:
        return (ended.failure.error if ended.failure is not None else ended.outcome), ended
    if expected is None or not runner.rows_count:
        return None, ended
    rows = difference(expected, as_rows(ended.value))
    problem = None if rows is None else f"it returns {rows[1]} where a fresh worker returns {rows[0]}"
    return problem, ended


def _only_warm(
    runner: ExampleRunner, ended: AttemptEnded, before: int, *, which: str, location: Location, case: Case
) -> Finding:
    assert ended.failure is not None
    kept, cause = runner.kept_state(), runner.cause_of_state(Cause.of_attempt(ended))
    return Finding(
        what=sentences(
            f"run() {_VERBS[ended.outcome]} for {which} on a worker that had {count_text(before, 'mini-batch')} "
            f"before, and not on a fresh one: {ended.failure.error}",
            kept.evidence,
        ),
        location=location,
        traceback=ended.failure.traceback,
        service=shown_for(ended.outcome),
        fix=kept.fix or _KEPT,
        cause=cause,
        case=case,
    )


def _finding(runner: ExampleRunner, recipe: Recipe, payload: Payload, ended: AttemptEnded) -> Finding:
    assert ended.failure is not None
    returned = "none that count" if ended.returned is None else str(ended.returned)
    return Finding(
        what=f"run() {_VERBS[ended.outcome]} for {_kind(recipe)} mini-batch generated from the sample: "
        f"{ended.failure.error}",
        location=Location(phase="run", mini_batch=ended.mini_batch.id, items=describe(runner.sample, recipe)),
        traceback=ended.failure.traceback,
        counts=f"{count_text(recipe.size, 'item')} in, results out: {returned}",
        service=shown_for(ended.outcome),
        fix=runner.fix_of(ended.outcome),
        cause=runner.cause_of(ended),
        example=f"mini-batch: {recipe!r}",
        # With the timeout of the job: a fixed script may wait longer than a probe may.
        case=_case(runner, recipe, payload),
    )


def _case(runner: ExampleRunner, recipe: Recipe, *payloads: Payload) -> Case:
    return Case(
        kind=runner.observations.kind,
        mini_batches=payloads,
        expects="no_harm" if recipe.odd else "results",
        partitions=(runner.sample.partition_of(recipe),) * len(payloads),
    )


def _kind(recipe: Recipe) -> str:
    return "a malformed" if recipe.odd else "a valid"
