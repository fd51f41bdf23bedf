"""Options on what is generated, saved and run again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_parallelrun._options import OptionValue, absolute
from pytest_parallelrun._targets import Target, node_ids
from pytest_parallelrun.emulator.errors import InputError

if TYPE_CHECKING:
    from pytest_parallelrun.contract.cases.saved_case import SavedCase


def replayed_case(items: Sequence[OptionValue], *, plan: bool) -> SavedCase | None:
    """The case of --parallelrun-replay. UsageError for a folder that is none, and together with --parallelrun-plan."""
    if not items:
        return None
    from pytest_parallelrun.contract.cases.saved_case import SavedCase

    item = items[-1]
    if plan:
        raise pytest.UsageError(
            f"{item.origin}={item.value} and --parallelrun-plan exclude each other: a case has no plan."
        )
    try:
        return SavedCase(absolute(item))
    except InputError as error:
        raise pytest.UsageError(f"{item.origin}={item.value}: {error}") from None


def target_of(case: SavedCase, targets: Sequence[Target], root: Path) -> Target:
    """The entry to run a case with, of those given; the one that it was saved for where there are several.

    UsageError where it cannot be told.
    """
    if len(targets) == 1:
        return targets[0]
    for target in targets:
        if case.entry in node_ids(target, root):
            return target
    given = f"{len(targets)} entries are given, none of them the one" if targets else "no entry is given"
    raise pytest.UsageError(
        f"--parallelrun-replay={case.folder}: {given}. It was saved for {case.entry}: add --parallelrun-entry=PATH."
    )


def folder_to_save(items: Sequence[OptionValue]) -> Path | None:
    """The folder of --parallelrun-save. UsageError where it is a file."""
    for item in items[-1:]:
        folder = absolute(item)
        if folder.exists() and not folder.is_dir():
            raise pytest.UsageError(f"{item.origin}={item.value}: is a file; give a folder.")
        return folder
    return None


def seconds_to_generate(items: Sequence[OptionValue]) -> float | None:
    """The value of --parallelrun-budget. UsageError where it is no number above 0."""
    for item in items[-1:]:
        try:
            seconds = float(item.value)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            raise pytest.UsageError(
                f"{item.origin}={item.value}: must be a number of seconds above 0, for all that Hypothesis generates."
            )
        return seconds
    return None
