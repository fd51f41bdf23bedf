"""An item that cannot be read, or a missing model, is swallowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.corruption.items import (
    AN_ERROR_ROW,
    case_of,
    error_of,
    location_of,
    names_its_error,
    require_corruption_trial,
    why_undecided,
)
from pytest_parallelrun.contract.corruption.missing_files import (
    MissingFileTrial,
    gone_on_without,
    side_files,
    try_without,
)
from pytest_parallelrun.contract.entry.mini_batches import paths_of
from pytest_parallelrun.contract.finding import Finding
from pytest_parallelrun.contract.phrases import OVERVIEW, shown_for
from pytest_parallelrun.contract.rows.comparison import difference, row_text
from pytest_parallelrun.contract.rows.errors import says_nothing
from pytest_parallelrun.emulator.output import as_rows

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.corruption.attempts import CorruptedAttempt, CorruptionTrial
    from pytest_parallelrun.contract.entry.observations import Observations, SampleMiniBatch


MAX_DEPENDENCY_FILES = 2
"""Files beside the items that are taken away: each costs an init()."""


def test_reports_failures(parallelrun_observations: Observations, parallelrun_check: Check) -> None:
    """An item that cannot be read, or a missing model, shows: run() raises, returns fewer, or a row names the error."""
    __tracebackhide__ = True
    trials = parallelrun_observations
    bad_items = require_corruption_trial(trials, parallelrun_check)
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
    reason = why_undecided(trials, bad_items)
    if reason:
        parallelrun_check.cannot_decide(reason)


def _looks_sound(bad_items: CorruptionTrial, bad: CorruptedAttempt) -> bool:
    """Whether the bad item is needed, and came back as a result that nobody can tell from a sound one."""
    return bad.tried.ended.outcome == "succeeded" and bad.need == "needed" and not names_its_error(bad_items, bad)


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


def _into_a_wrong_type(trials: Observations, bad_items: CorruptionTrial, bad: CorruptedAttempt) -> Finding:
    assert bad_items.group is not None
    return Finding(
        what=f"run() hides that {bad.item} cannot be read ({bad.how}): {error_of(bad)}",
        location=location_of(trials, bad_items.group),
        counts=f"with that item sound, the same {len(bad_items.group.payload)} item(s) have their results",
        service=shown_for("wrong_type") + ". What really happened is in no log of the service",
        fix=f"let the exception out of run(), or {AN_ERROR_ROW}",
        case=case_of(trials, bad_items.group, bad),
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
        location=location_of(trials, group),
        counts=f"{len(group.payload)} item(s) in, one of them bad, {ended.returned} result(s) out, 0 failed",
        service=f"nothing: the item counts as succeeded in {OVERVIEW}",
        fix=f"let the exception out of run(), return no row for it, or {AN_ERROR_ROW}",
        case=case_of(trials, group, bad),
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
        location=location_of(trials, group),
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
        location=location_of(trials, group),
        service=f"nothing: all items succeed in {OVERVIEW}",
        fix=f"let the exception of loading it out of init(), and look for the model where it is{given}",
    )
