"""The errors of a wrong setup. A failed job is a result, never one of these.

Every message contains the value, its origin, what is allowed and, if there is one, the nearest valid name, in one or
two lines: the plugin shows it as pytest's usage error without a traceback.
"""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Iterable


class ParallelRunError(Exception):
    """Base of the errors of a wrong setup."""


class SettingsError(ParallelRunError, ValueError):
    """A setting, rule, argument or option that is unknown, mistyped, out of range or in conflict."""


class InputError(ParallelRunError):
    """An input that does not exist, cannot be read or parsed, or mixes kinds."""


class EmptyInputError(InputError):
    """An input without a single item."""


class EntryScriptError(ParallelRunError):
    """An entry script that is missing, is a folder, or is outside its code root."""


class FaultError(ParallelRunError):
    """A fault that cannot be injected at its address, or that never happened."""


def did_you_mean(value: str, allowed: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest valid one, or all of them."""
    names = sorted(allowed)
    near = difflib.get_close_matches(value, names, n=1, cutoff=0.6)
    return f"Did you mean '{near[0]}'?" if near else f"Allowed: {', '.join(names)}."


def special_file(path: str | os.PathLike[str]) -> str:
    """What it is where it is neither a file nor a folder, "" where it is, or is not there: opening it may block."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return ""
    kinds = {"a named pipe": stat.S_ISFIFO, "a socket": stat.S_ISSOCK, "a device": stat.S_ISCHR, "a disk": stat.S_ISBLK}
    return next((kind for kind, fits in kinds.items() if fits(mode)), "")


def not_there(path: str | os.PathLike[str]) -> str:
    """What is said of a path that should be a file and is none."""
    kind = special_file(path)
    return f"is {kind}, not a file" if kind else "does not exist"
