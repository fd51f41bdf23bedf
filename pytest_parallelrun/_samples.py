"""Sample inputs: what --parallelrun-input names, and whether it can be opened."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pytest

from pytest_parallelrun._options import OptionValue, absolute
from pytest_parallelrun._targets import Target
from pytest_parallelrun.emulator.errors import InputError, SettingsError
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.input_paths import REMOTE, locate

if TYPE_CHECKING:
    from pytest_parallelrun._configuration import EntryPlan
    from pytest_parallelrun.emulator.settings import JobSettings

_NAMED = re.compile(r"([A-Za-z_]\w*)=(.+)", re.DOTALL)


def read_inputs(items: Sequence[OptionValue], targets: Sequence[Target]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The values of NAME=VALUE by name, which only a job definition has a use for, and the other paths."""
    named: dict[str, str] = {}
    paths: list[str] = []
    steps = [target.step for target in targets if target.step is not None]
    for item in items:
        match = _NAMED.fullmatch(item.value)
        if match is None or not steps or os.path.exists(absolute(item)):
            paths.append(_path(item))
        elif any(step.takes_value(match[1]) for step in steps):
            named[match[1]] = match[2]
        else:
            named[match[1]] = _path(OptionValue(match[2], item.origin, item.base))
    return named, tuple(paths)


def _path(item: OptionValue) -> str:
    return item.value if REMOTE.match(item.value) else str(absolute(item))


def check_inputs(plans: Sequence[EntryPlan]) -> None:
    """Opens the inputs of all entries, so that a wrong one ends the run at once and not in each test."""
    seen: list[tuple[object, JobSettings]] = []
    for plan in plans:
        # Often all have the same.
        if (plan.input, plan.settings) not in seen:
            seen.append((plan.input, plan.settings))
            check_input(plan.input, plan.settings, plan.input_origin, plan.origins)


def check_input(
    source: str | tuple[str, ...] | None, settings: JobSettings, origin: str, origins: Mapping[str, str]
) -> None:
    """UsageError for an input that cannot be opened. origins: of the settings."""
    try:
        if isinstance(source, tuple):
            # Only in a list are paths looked at when their mini-batch is loaded; these are options.
            for path in source:
                locate(path, os.getcwd(), must_exist=True)
            open_input(list(source), settings)
        elif source is not None:
            open_input(source, settings)
    except SettingsError as error:
        # Alone the unit of its size can be wrong for an input.
        raise pytest.UsageError(f"{origins.get('mini_batch_size', 'settings')}: {error}") from None
    except InputError as error:
        raise pytest.UsageError(f"{origin}: {error}") from None
