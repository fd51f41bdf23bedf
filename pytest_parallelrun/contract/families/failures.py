"""Does a failure show, and does it cost no more than what failed?"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.cases.case import Case
from pytest_parallelrun.contract.corruption.items import try_bad_items
from pytest_parallelrun.contract.corruption.missing_files import (
    MissingFileTrial,
    gone_on_without,
    side_files,
    try_without,
)
from pytest_parallelrun.contract.entry.mini_batches import paths_of
from pytest_parallelrun.contract.entry.preconditions import skip_without_worker
from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.contract.phrases import OVERVIEW, shown_for
from pytest_parallelrun.contract.rows.comparison import difference, row_text
from pytest_parallelrun.contract.rows.errors import ValidRows, says_nothing
from pytest_parallelrun.emulator.output import as_rows

if TYPE_CHECKING:
    from pytest_parallelrun.contract.cases.case import Expectation
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.corruption.attempts import CorruptedAttempt, CorruptionTrial
    from pytest_parallelrun.contract.entry.observations import Observations, SampleMiniBatch

MAX_DEPENDENCY_FILES = 2
"""Files beside the items that are taken away: each costs an init()."""

AN_ERROR_ROW = (
    "catch the exception of one item alone and return a row that names the item and its error, such as "
    '{"file": name, "error": str(error)}'
)


@lru_cache(maxsize=1)
def _bad_items(trials: Observations) -> CorruptionTrial:
    """What was tried, for both checks of this family; they are made anew for every entry, and this with them."""
    return try_bad_items(trials)


def test_reports_failures(parallelrun_observations: Observations, parallelrun_check: Check) -> None:
    """An item that cannot be read, or a missing model, shows: run() raises, returns fewer, or a row names the error."""
    __tracebackhide__ = True
    trials = parallelrun_observations
    bad_items = _tried(trials, parallelrun_check)
    swallowed = next((bad for bad in bad_items.tries if bad.tried.ended.outcome == "wrong_type"), None)
    if swallowed is not None:
        parallelrun_check.fail(_into_a_wrong_type(trials, bad_items, swallowed))
    for without in _all_without(trials, bad_items, parallelrun_check):
        parallelrun_check.fail(_goes_on(trials, bad_items, without))
    assert bad_items.group is not None
    assert bad_items.sound is not None
    assert bad_items.setting_up is not None
    never_found = gone_on_without(trials, bad_items.group, bad_items.sound, bad_items.setting_up)
    if never_found is not None:
        parallelrun_check.fail(_never_found(trials, bad_items.group, never_found))
    like_any_other = next((bad for bad in bad_items.tries if _looks_sound(bad_items, bad)), None)
    if like_any_other is not None:
        parallelrun_check.advise(_like_any_other(trials, bad_items, like_any_other))
        return
    _note_hangs(bad_items, parallelrun_check)
    reason = _undecided(trials, bad_items)
    if reason:
        parallelrun_check.cannot_decide(reason)


def test_one_bad_item_costs_one_item(parallelrun_observations: Observations, parallelrun_check: Check) -> None:
    """A mini-batch with one bad item still has results for its other items."""
    __tracebackhide__ = True
    trials, settings = parallelrun_observations, parallelrun_observations.entry.settings
    bad_items = _tried(trials, parallelrun_check)
    assert bad_items.group is not None
    size = len(bad_items.group.payload)
    if size < 2:
        parallelrun_check.cannot_decide(
            "it needs a mini-batch of two items or more that succeeds: give a sample with more items"
        )
    tries = [*bad_items.tries, *filter(None, [bad_items.empty])]
    costly = next((bad for bad in tries if bad.lost > 1), None)
    if costly is not None:
        one_by_one = trials.kind == "files" and not settings.partition_keys and settings.files_per_mini_batch == 1
        if one_by_one and "mini_batch_size" in settings.explicit:
            parallelrun_check.note(
                f"one bad item would fail a whole mini-batch ({_error(costly)}), which mini_batch_size=1, set on "
                "purpose, keeps to that item"
            )
            return
        if settings.partition_keys:
            parallelrun_check.note(
                f"one bad item fails its whole partition ({_error(costly)}), as is due where a result needs all of it"
            )
            return
        parallelrun_check.advise(_costs_more(trials, bad_items, costly, one_by_one=one_by_one))
        return
    quiet = [bad for bad in bad_items.tries if bad.tried.ended.outcome == "succeeded"]
    if len(quiet) == len(bad_items.tries) and all(bad.need != "needed" for bad in quiet):
        if any(_names_its_error(bad_items, bad) for bad in quiet):
            return
        parallelrun_check.cannot_decide(
            _undecided(trials, bad_items) or "run() succeeds with a bad item because it does not read its items"
        )


def _tried(trials: Observations, check: Check) -> CorruptionTrial:
    __tracebackhide__ = True
    with skip_without_worker(check):
        bad_items = _bad_items(trials)
    if bad_items.reason:
        check.cannot_decide(bad_items.reason)
    return bad_items


def _looks_sound(bad_items: CorruptionTrial, bad: CorruptedAttempt) -> bool:
    """Whether the bad item is needed, and came back as a result that nobody can tell from a sound one."""
    return bad.tried.ended.outcome == "succeeded" and bad.need == "needed" and not _names_its_error(bad_items, bad)


def _names_its_error(bad_items: CorruptionTrial, bad: CorruptedAttempt) -> bool:
    """Whether a row tells of the bad item, as none does while all are sound."""
    assert bad_items.group is not None
    sound = ValidRows(bad_items.sound_rows, bad_items.group.names)
    rows = as_rows(bad.tried.ended.value)
    if bad.echo and len(rows) == len(bad_items.sound_rows):
        # Rows of a table in their order: the others have texts for numbers now, which is no error of theirs.
        rows = rows[:1]
    return any(sound.names_error(row, echo=bad.echo) for row in rows)


def _undecided(trials: Observations, bad_items: CorruptionTrial) -> str:
    """Why nothing can be said about the items; "" where something can."""
    if trials.kind != "files":
        if any(bad.need == "needed" for bad in bad_items.tries):
            return ""
        return (
            "no numeric cell of the sample changes a result, as far as it shows, so a cell that cannot be parsed "
            "would not matter"
        )
    hidden = [
        bad
        for bad in bad_items.tries
        if bad.need == "unknown" and bad.tried.ended.outcome == "succeeded" and not _names_its_error(bad_items, bad)
    ]
    if not hidden:
        return ""
    return (
        f"run() returned as many results as ever while of {hidden[0].item} {hidden[0].how}, and no opening of that "
        "file was seen: a native reader hides it, so it cannot be told whether a failure was swallowed"
    )


def _note_hangs(bad_items: CorruptionTrial, check: Check) -> None:
    for bad in bad_items.tries:
        if bad.tried.ended.outcome == "timeout":
            check.note(f"where of an item {bad.how}, run() hangs until its timeout, at every try, before that shows")


def _all_without(trials: Observations, bad_items: CorruptionTrial, check: Check) -> list[MissingFileTrial]:
    """The first thing that the script reads beside its items, and whose loss it hides; [] where there is none."""
    group, sound = bad_items.group, bad_items.sound
    assert group is not None
    assert sound is not None
    assert bad_items.setting_up is not None
    opened = dict.fromkeys([*bad_items.setting_up.read, *sound.files.read])
    for side in side_files(trials.entry, opened, paths_of(group.payload))[:MAX_DEPENDENCY_FILES]:
        without = try_without(trials, group, sound, side)
        if without.answer == "wrong type":
            return [without]
        if side.is_model:
            if without.answer == "other rows" or (
                without.answer == "same rows" and _used(without, sound.files.written)
            ):
                return [without]
        elif without.answer == "other rows":
            # A file that may be missing on purpose still must not be garbage: who goes on then catches everything.
            spoiled = try_without(trials, group, sound, side, "garbage")
            if spoiled.answer in ("other rows", "wrong type") and _same_rows(without, spoiled):
                return [without]
            check.note(f"without {side.what} run() goes on with other results, as if it were there by choice")
        if without.answer == "same rows" and side.is_model and side.paths:
            check.note(f"without {side.what} run() returns the same, though it opens it")
    return []


def _used(without: MissingFileTrial, written: dict[str, None]) -> bool:
    """Whether what a model is for may have gone to files of the script's own, since rows do not show it."""
    return bool(without.side.paths and written)


def _same_rows(one: MissingFileTrial, other: MissingFileTrial) -> bool:
    if one.tried is None or other.tried is None:
        return False
    return difference(as_rows(one.tried.ended.value), as_rows(other.tried.ended.value)) is None


def _error(bad: CorruptedAttempt) -> str:
    failure = bad.tried.ended.failure
    return "" if failure is None else failure.error


def _location(trials: Observations, group: SampleMiniBatch) -> Location:
    return Location(
        phase="run",
        mini_batch=group.id,
        items=group.items(),
        attempts=trials.entry.settings.max_retries + 1,
    )


def _case(
    trials: Observations, group: SampleMiniBatch, bad: CorruptedAttempt, expects: Expectation = "no_harm"
) -> Case:
    return Case(kind=trials.kind, mini_batches=(bad.payload,), expects=expects, partitions=(group.partition,))


def _into_a_wrong_type(trials: Observations, bad_items: CorruptionTrial, bad: CorruptedAttempt) -> Finding:
    assert bad_items.group is not None
    return Finding(
        what=f"run() hides that {bad.item} cannot be read ({bad.how}): {_error(bad)}",
        location=_location(trials, bad_items.group),
        counts=f"with that item sound, the same {len(bad_items.group.payload)} item(s) have their results",
        service=shown_for("wrong_type") + ". What really happened is in no log of the service",
        fix=f"let the exception out of run(), or {AN_ERROR_ROW}",
        case=_case(trials, bad_items.group, bad),
    )


def _like_any_other(trials: Observations, bad_items: CorruptionTrial, bad: CorruptedAttempt) -> Finding:
    group, ended = bad_items.group, bad.tried.ended
    assert group is not None
    rows = as_rows(ended.value)
    differs = difference(bad_items.sound_rows, rows)
    if differs is None:
        came_back = f"the same rows as with a sound item, such as {row_text(rows[0])}"
    elif differs[1] == "no such row":
        came_back = f"no row of it, which the {len(rows)} rows of the other items hide: {len(rows)} is enough"
    else:
        came_back = differs[1]
    blank = any(map(says_nothing, rows)) and not any(map(says_nothing, bad_items.sound_rows))
    as_what = "a row that says nothing of it" if blank else "a result like any other"
    return Finding(
        what=f"{bad.item}, which cannot be read ({bad.how}), comes back as {as_what}, so that no threshold can see it: "
        f"{came_back}",
        location=_location(trials, group),
        counts=f"{len(group.payload)} item(s) in, one of them bad, {ended.returned} result(s) out, 0 failed",
        service=f"nothing: the item counts as succeeded in {OVERVIEW}",
        fix=f"let the exception out of run(), return no row for it, or {AN_ERROR_ROW}",
        case=_case(trials, group, bad),
    )


def _goes_on(trials: Observations, bad_items: CorruptionTrial, without: MissingFileTrial) -> Finding:
    group, tried = bad_items.group, without.tried
    assert group is not None
    assert tried is not None
    failure = tried.ended.failure
    who = "init() hides that it failed and run() goes on" if without.in_init else "run() hides it"
    if without.answer == "wrong type" and failure is not None:
        outcome = failure.error
    elif without.answer == "same rows":
        outcome = "it returns the same rows, and its own files are written without the model"
    else:
        outcome = f"it returns {without.shown}"
    return Finding(
        what=f"While {without.side.what} is missing, {who}: {outcome}",
        location=_location(trials, group),
        service=(
            shown_for("wrong_type") if without.answer == "wrong type" else f"nothing: all items succeed in {OVERVIEW}"
        ),
        fix="let the exception of loading it out of init(), so that the job stops with the cause in its log",
    )


def _never_found(trials: Observations, group: SampleMiniBatch, without: MissingFileTrial) -> Finding:
    who = "init() hides that and run() goes on" if without.in_init else "run() hides that and goes on"
    given = "" if without.side.is_model else ", or give the model with --parallelrun-model=PATH"
    return Finding(
        what=f"The script looks for '{without.side.paths[0]}', which is not there; {who}, with all the sample.",
        location=_location(trials, group),
        service=f"nothing: all items succeed in {OVERVIEW}",
        fix=f"let the exception of loading it out of init(), and look for the model where it is{given}",
    )


def _costs_more(
    trials: Observations, bad_items: CorruptionTrial, bad: CorruptedAttempt, *, one_by_one: bool
) -> Finding:
    group, ended = bad_items.group, bad.tried.ended
    assert group is not None
    size, lost = len(group.payload), bad.lost
    tries = trials.entry.settings.max_retries + 1
    again = "" if ended.outcome == "short" else f", after {tries} tries that all end alike"
    remark = "with mini_batch_size 1, the default, that is the one item; it shows with any larger size"
    return Finding(
        what=f"One bad item fails its whole mini-batch: of {bad.item} {bad.how}, and run() ends with {_error(bad)}",
        location=_location(trials, group),
        traceback="" if ended.failure is None else ended.failure.traceback,
        counts=f"{size} items in, 1 of them bad, {lost} lost: {lost - 1} sound item(s) too{again}",
        service=shown_for(ended.outcome),
        fix=f"in the loop over the items {AN_ERROR_ROW}, and raise for what would fail every item alike",
        remark=remark if one_by_one else "",
        cause=Cause.of_attempt(ended),
        case=_case(trials, group, bad, "results"),
    )
