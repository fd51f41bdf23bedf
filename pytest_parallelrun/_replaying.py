"""Options on what is generated, saved and run again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_parallelrun._options import Given, absolute
from pytest_parallelrun.emulator.errors import InputError

if TYPE_CHECKING:
    from pytest_parallelrun.contract.cases.saved_case import SavedCase
    from pytest_parallelrun.emulator.entry import EntryFile


def replayed_case(items: Sequence[Given], *, plan: bool) -> SavedCase | None:
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


def script_of(case: SavedCase, scripts: Mapping[str, EntryFile]) -> EntryFile:
    """The script to run a case with, of those given, by node id; the one that it was saved for where there are several.

    UsageError where it cannot be told.
    """
    if len(scripts) == 1:
        return next(iter(scripts.values()))
    if case.entry in scripts:
        return scripts[case.entry]
    given = f"{len(scripts)} entries are given, none of them the one" if scripts else "no entry is given"
    raise pytest.UsageError(
        f"--parallelrun-replay={case.folder}: {given}. It was saved for {case.entry}: add --parallelrun-entry=PATH."
    )


def folder_to_save(items: Sequence[Given]) -> Path | None:
    """The folder of --parallelrun-save. UsageError where it is a file."""
    for item in items[-1:]:
        folder = absolute(item)
        if folder.exists() and not folder.is_dir():
            raise pytest.UsageError(f"{item.origin}={item.value}: is a file; give a folder.")
        return folder
    return None


def seconds_to_generate(items: Sequence[Given]) -> float | None:
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
