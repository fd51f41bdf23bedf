"""Mini-batches of the sample that run() returns something legal for, also where that is fewer results than items.

A script that writes its own files may return [] always, on purpose; it can be timed and run on a thread all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.observing.trials import MOST_GROUPS, Group
from pytest_parallelrun.emulator.splitting import open_input

if TYPE_CHECKING:
    from pytest_parallelrun.contract.observing.trials import Trials
    from pytest_parallelrun.emulator.events import AttemptEnded


def returning_groups(trials: Trials) -> tuple[Group, ...]:
    """Those that succeeded in the baseline; where none did, those with a short return."""
    if trials.groups:
        return trials.groups
    legal = {attempt.mini_batch.id for attempt in trials.baseline.result.attempts if attempt.returned is not None}
    if not legal:
        return ()
    copy = trials.entry.copy_sample()
    splitter = open_input(copy.input, trials.entry.settings)
    groups: list[Group] = []
    for batch in splitter.mini_batches():
        if batch.id in legal and batch.size and len(groups) < MOST_GROUPS:
            names = tuple(copy.without_root(name) for name in splitter.item_names(batch))
            groups.append(Group(batch.id, batch.first_item, splitter.load(batch), names, batch.partition))
    return tuple(groups)


def usual_attempt(trials: Trials, group: Group) -> AttemptEnded:
    """The last attempt of the baseline at a group that returned something legal."""
    return next(
        attempt
        for attempt in reversed(trials.baseline.result.attempts)
        if attempt.mini_batch.id == group.id and attempt.returned is not None
    )
