"""Corrupts one item of a mini-batch and runs it in a worker.

A missing file, a folder in its place, a cell that is not a number: the script itself is never patched.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.contract.bounds import MAX_CORRUPTED_ITEMS
from pytest_parallelrun.contract.corruption.attempts import CorruptionTrial
from pytest_parallelrun.contract.corruption.broken_content import damages_of
from pytest_parallelrun.contract.corruption.injection import State, opens, try_bad_file, try_cells, with_needs
from pytest_parallelrun.contract.entry.init_calls import TooManyInitCalls
from pytest_parallelrun.contract.entry.mini_batches import answer_of, merged, paths_of
from pytest_parallelrun.contract.entry.preconditions import require_answers, skip_without_worker
from pytest_parallelrun.contract.entry.sample_attempts import OFF_MAIN_THREAD
from pytest_parallelrun.contract.rows.errors import only_flags_differ
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.probe import WorkerStartError

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.corruption.attempts import CorruptedAttempt, Need
    from pytest_parallelrun.contract.corruption.broken_content import Damage
    from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.probe import ProbeResult, ProbeSession


CORRUPTION = "corruption"
"""Name of this question to the worker that is asked everything."""

_UNREADABLE: tuple[State, ...] = ("missing", "folder")


def require_corruption_trial(observations: Observations, check: Check) -> CorruptionTrial:
    """The attempts, made once for the two checks that need them. Ends the check if none is possible."""
    __tracebackhide__ = True
    with skip_without_worker(check):
        require_answers(observations, check)
        trial = observations.remember("corruption", lambda: _try_items(observations))
    if isinstance(trial, str):
        check.cannot_decide(trial)
    return trial


def _try_items(observations: Observations) -> CorruptionTrial | str:
    """One mini-batch of up to MAX_CORRUPTED_ITEMS items, with one bad item at a time; or why there is none."""
    if not observations.groups:
        return (
            "no mini-batch of the sample has a result for each of its items, so a loss would not show: see "
            "test_returns_valid_type and test_returns_one_result_per_item"
        )
    several, single = _several_items(observations), _single_item(observations)
    known = _of_known_worker(observations) or _of_one_fresh_worker(observations)
    if known is not None:
        return known
    observations.restore()
    with observations.entry.session(probe_limit=observations.probe_limit) as session:
        for mini_batch in (several, single):
            trial = _try_mini_batch(observations, session, mini_batch)
            if trial is not None:
                return trial
    return (
        "a bad item would not show: run() succeeds for the mini-batches of the sample, but fails for "
        f"{several.items()} on a fresh worker"
    )


class KnownTrial(NamedTuple):
    """Attempts by a worker that has seen the items before. after: the valid mini-batch again, after bad ones.

    broken: attempts with broken content of the first file, for each kind of damage.
    """

    trial: CorruptionTrial
    after: list[ProbeResult]
    broken: list[list[CorruptedAttempt]]


def ask_corruption(observations: Observations, session: ProbeSession) -> KnownTrial | None:
    """Results of a worker for bad items; None if it fails for the valid ones."""
    if not observations.groups:
        return None
    mini_batch = _several_items(observations)
    valid = observations.attempt(session, mini_batch)
    if valid.ended.outcome != "succeeded":
        return None
    trial = _trial_with(observations, mini_batch, valid)
    if observations.kind != "files":
        return KnownTrial(replace(trial, attempts=try_cells(session, mini_batch, valid)), [], [])
    after = []
    for state in _UNREADABLE:
        trial.attempts.append(try_bad_file(observations, session, mini_batch, state)._replace(need="needed"))
        after.append(observations.attempt(session, mini_batch))
    if all(attempt.lost <= 1 for attempt in trial.attempts):
        empty = try_bad_file(observations, session, mini_batch, "empty")
        after.append(observations.attempt(session, mini_batch))
        trial = replace(trial, empty=empty if empty.ended.outcome in ("exception", "short") else None)
    broken = [_try_damage(observations, session, mini_batch, damage) for damage in damages_of(_first_path(mini_batch))]
    if broken:
        observations.restore()
        after.append(observations.attempt(session, mini_batch))
    return KnownTrial(trial, after, broken)


def _trial_with(observations: Observations, mini_batch: SampleMiniBatch, valid: ProbeResult) -> CorruptionTrial:
    return CorruptionTrial(
        observations=observations,
        mini_batch=mini_batch,
        valid=valid,
        setting_up=observations.screening.opened,
        attempts=[],
    )


def _of_known_worker(observations: Observations) -> CorruptionTrial | None:
    """Results of that worker; None if they may depend on what it had seen.

    They do not if each bad item shows and the valid ones have the same results afterwards.
    """
    known = _known(observations)
    if known is None or any(_is_hidden(observations, known.trial, tried) for tried in known.broken):
        return None
    return known.trial if _tells(observations, known.trial, known.after) else None


def _known(observations: Observations) -> KnownTrial | None:
    return cast("KnownTrial | None", observations.screening.answers[CORRUPTION]) if observations.is_known else None


def _tells(observations: Observations, trial: CorruptionTrial, after: list[ProbeResult]) -> bool:
    """Whether each bad item shows, and changes nothing for the valid ones afterwards."""
    valid = answer_of(trial.valid.ended)
    if any(observations.first_difference(valid, answer_of(result.ended)) is not None for result in after):
        return False
    shows = (
        bad.need == "not needed" or bad.ended.outcome in ("exception", "short") or trial.names_error(bad)
        for bad in trial.attempts
    )
    return observations.kind != "files" or all(shows)


def _of_one_fresh_worker(observations: Observations) -> CorruptionTrial | None:
    """Results of a worker that gets bad files first, and then valid ones; None if several are needed.

    That is enough if it does not open its items, or if it kept only what it read of valid ones.
    """
    known = _known(observations)
    if known is None or observations.kind != "files":
        return None
    mini_batch, reads = known.trial.mini_batch, observations.screening.opened.read
    # Where it opens its items, they may hang, and off the main thread nothing can stop that.
    unread = not any(path in reads or os.path.realpath(path) in reads for path in paths_of(mini_batch.payload))
    thread = "worker" if unread else observations.entry.settings.thread
    trial = _trial_with(observations, mini_batch, known.trial.valid)
    observations.restore()
    with (
        suppress(TooManyInitCalls, WorkerStartError),
        observations.entry.session(probe_limit=observations.probe_limit, thread=thread) as session,
    ):
        not_needed: list[State] = []
        if unread:
            valid, paths = answer_of(trial.valid.ended), paths_of(mini_batch.payload)
            bad = [try_bad_file(observations, session, mini_batch, state, whole=True) for state in _UNREADABLE]
            results = [*(one.result for one in bad), observations.attempt(session, mini_batch)]
            if any(opens(one.files, path) for one in results for path in paths):
                return None
            same = [observations.first_difference(valid, answer_of(one.ended)) is None for one in results]
            if not same[-1]:
                return None
            observations.remember(OFF_MAIN_THREAD, lambda: True)
            if all(same):
                trial.attempts.extend(one._replace(need="not needed") for one in bad)
                return trial
            # It looks at them: whether there is such a file, how large it is.
            not_needed = [state for state, is_same in zip(_UNREADABLE, same, strict=False) if is_same]
        for state in _UNREADABLE:
            need: Need = "not needed" if state in not_needed else "needed"
            trial.attempts.append(try_bad_file(observations, session, mini_batch, state)._replace(need=need))
        if all(bad.lost <= 1 for bad in trial.attempts):
            empty = try_bad_file(observations, session, mini_batch, "empty")
            trial = replace(trial, empty=empty if empty.ended.outcome in ("exception", "short") else None)
        observations.restore()
        if not _tells(observations, trial, [observations.attempt(session, mini_batch)]):
            return None
        if not unread:
            session.renew()
        damages = damages_of(_first_path(mini_batch))
        tried = [_try_damage(observations, session, mini_batch, damage) for damage in damages]
        return None if any(_is_hidden(observations, trial, one) for one in tried) else trial
    return None


def _may_hide(observations: Observations, trial: CorruptionTrial, broken: CorruptedAttempt) -> bool:
    """Whether broken content changes the result of its item as if there were nothing to tell."""
    if broken.ended.outcome != "succeeded":
        return broken.ended.outcome == "wrong_type"
    if trial.names_error(broken):
        return False
    random = observations.nondeterministic
    if random is not None and random.all_rows:
        return False
    if only_flags_differ(trial.valid_rows, as_rows(broken.ended.value)):
        return False
    return observations.first_difference(answer_of(trial.valid.ended), answer_of(broken.ended)) is not None


def _is_hidden(observations: Observations, trial: CorruptionTrial, tried: list[CorruptedAttempt]) -> bool:
    """Whether the result is the same whatever is broken about the content, and that is not to be seen."""
    if not all(_may_hide(observations, trial, broken) for broken in tried):
        return False
    if any(broken.ended.outcome == "wrong_type" for broken in tried):
        return True
    first, *others = (answer_of(broken.ended) for broken in tried)
    return bool(others) and observations.first_difference(first, others[0]) is None


def _try_damage(
    observations: Observations,
    session: ProbeSession,
    mini_batch: SampleMiniBatch,
    damage: Damage,
    *,
    anew: bool = False,
) -> list[CorruptedAttempt]:
    """Attempts with slightly broken content, and, where that succeeds, with nothing else. anew: by fresh workers."""
    tried: list[CorruptedAttempt] = []
    for content in (damage.slight, damage.total):
        if anew:
            session.renew()
        tried.append(try_bad_file(observations, session, mini_batch, content, damage.description))
        if tried[-1].ended.outcome != "succeeded":
            break
    return tried


def _hides_broken_content(
    observations: Observations, session: ProbeSession, trial: CorruptionTrial
) -> CorruptedAttempt | None:
    """An attempt with broken content that is hidden; by fresh workers, as one may keep what it read."""
    for damage in damages_of(_first_path(trial.mini_batch)):
        tried = _try_damage(observations, session, trial.mini_batch, damage)
        if _is_hidden(observations, trial, tried):
            tried = _try_damage(observations, session, trial.mini_batch, damage, anew=True)
            if _is_hidden(observations, trial, tried):
                return tried[-1]._replace(need="needed")
    return None


def _first_path(mini_batch: SampleMiniBatch) -> str:
    return paths_of(mini_batch.payload)[0]


def ends_for_bad_items(observations: Observations) -> bool:
    """Whether run() is known to fail or return at once if a file of its mini-batch is unreadable."""
    trial = observations.recalled("corruption") or _of_known_worker(observations)
    return isinstance(trial, CorruptionTrial) and all(
        bad.ended.outcome not in ("timeout", "crashed") for bad in trial.attempts
    )


def reads_no_items(observations: Observations) -> bool:
    """Whether run() is known not to read the files of its mini-batch: then it cannot fail for one."""
    trial = observations.recalled("corruption")
    return isinstance(trial, CorruptionTrial) and all(bad.need == "not needed" for bad in trial.attempts)


def _try_mini_batch(
    observations: Observations, session: ProbeSession, mini_batch: SampleMiniBatch
) -> CorruptionTrial | None:
    """None if run() does not succeed for the valid items. All on fresh workers."""
    attempts: list[CorruptedAttempt] = []
    empty = None
    if observations.kind == "files":
        # Bad items first: a cache of the valid item would hide that it is unreadable. The script may also refuse items
        # that it has seen, so each attempt is the first on its worker.
        for state in _UNREADABLE:
            session.renew()
            attempts.append(try_bad_file(observations, session, mini_batch, state))
    valid = _try_valid(observations, session, mini_batch)
    if valid is None:
        return None
    if observations.kind == "files":
        attempts = with_needs(observations, session, mini_batch, valid, attempts)
        empty = _try_empty(observations, session, mini_batch, attempts)
    else:
        attempts = try_cells(session, mini_batch, valid)
    trial = CorruptionTrial(
        observations=observations,
        mini_batch=mini_batch,
        valid=valid,
        setting_up=session.setting_up,
        attempts=attempts,
        empty=empty,
    )
    # There may be no further worker for it, and what is known of the others stays.
    with suppress(TooManyInitCalls, WorkerStartError):
        hidden = _hides_broken_content(observations, session, trial) if observations.kind == "files" else None
        trial.attempts.extend([] if hidden is None else [hidden])
    return trial


def _try_empty(
    observations: Observations, session: ProbeSession, mini_batch: SampleMiniBatch, attempts: list[CorruptedAttempt]
) -> CorruptedAttempt | None:
    """The result for an empty file, if it raises or returns fewer, unlike unreadable ones.

    It can be read, so there may be nothing to report, but it can still cost the others.
    """
    if any(attempt.lost > 1 for attempt in attempts):
        return None
    # There may be no worker left for it; the other results stay valid.
    with suppress(TooManyInitCalls, WorkerStartError):
        session.renew()
        empty = try_bad_file(observations, session, mini_batch, "empty")
        # Any other outcome is reported by test_handles_generated_mini_batches.
        return empty if empty.ended.outcome in ("exception", "short") else None
    return None


def _single_item(observations: Observations) -> SampleMiniBatch:
    """A mini-batch of one item, or the smallest partition, whose results may need all of it."""
    if observations.entry.settings.partition_keys:
        return min(observations.groups, key=lambda mini_batch: mini_batch.size)
    return observations.groups[0].part(0)


def _several_items(observations: Observations) -> SampleMiniBatch:
    """A mini-batch of several items: the first of the sample, or items of several."""
    mini_batches = observations.groups
    several = next((mini_batch for mini_batch in mini_batches if mini_batch.size > 1), None)
    if observations.entry.settings.partition_keys:
        return several or mini_batches[0]
    if several is not None:
        return several.part(*range(min(several.size, MAX_CORRUPTED_ITEMS)))
    return merged(mini_batches[:MAX_CORRUPTED_ITEMS])


def _try_valid(observations: Observations, session: ProbeSession, mini_batch: SampleMiniBatch) -> ProbeResult | None:
    """The attempt at the valid items; on a fresh worker if a bad one broke this one."""
    observations.restore()
    result = observations.attempt(session, mini_batch)
    if result.ended.outcome != "succeeded":
        session.renew()
        observations.restore()
        result = observations.attempt(session, mini_batch)
    return result if result.ended.outcome == "succeeded" else None
