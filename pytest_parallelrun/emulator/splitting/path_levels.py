"""Partition keys among the folders of a path: levels "key=value", or plain ones that keys name by their position."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from pytest_parallelrun.emulator.errors import InputError, did_you_mean

_NAMED = re.compile(r"([^=]+)=(.*)", re.DOTALL)


def named_levels(name: str) -> dict[str, str]:
    """Value by key of the folders "key=value" in a relative path."""
    matches = [_NAMED.fullmatch(level) for level in name.split(os.sep)[:-1]]
    return {match[1]: match[2] for match in matches if match is not None}


def values_by_path(names: Sequence[str], keys: Sequence[str], given: str) -> list[tuple[str, ...]]:
    """The values of the keys for each relative path.

    Where any folder is "key=value", each key is one of these. Where none is, N keys name the first N levels.
    InputError for a key that does not exist, and for a file that does not lie deep enough. given: the input, as the
    user wrote it.
    """
    levels = [named_levels(name) for name in names]
    existing = list(dict.fromkeys(key for found in levels for key in found))
    if not existing:
        return [_first_levels(name, keys, given) for name in names]
    for key in keys:
        if key not in existing:
            raise no_such_key(key, existing, f"a folder '{key}=...' in the input '{given}'")
    values = []
    for name, found in zip(names, levels, strict=True):
        for key in keys:
            if key not in found:
                raise InputError(
                    f"partition_keys={','.join(keys)}: '{name}' in the input '{given}' lies in no folder '{key}=...', "
                    "as others do. Move it away, or give a narrower glob."
                )
        values.append(tuple(found[key] for key in keys))
    return values


def no_such_key(key: str, existing: Sequence[str], sought: str) -> InputError:
    """The error of a key that does not exist; `sought`: what it would have been."""
    have = f" The keys there are: {', '.join(existing)}." if existing else " There are no keys at all."
    near = did_you_mean(key, existing)
    suggestion = f" {near}" if near.startswith("Did") else ""
    return InputError(f"partition_keys: there is no '{key}', {sought}.{suggestion}{have}")


def _first_levels(name: str, keys: Sequence[str], given: str) -> tuple[str, ...]:
    folders = name.split(os.sep)[:-1]
    if len(folders) < len(keys):
        raise InputError(
            f"partition_keys={','.join(keys)}: they name the first {len(keys)} folder level(s) of the input '{given}', "
            f"and '{name}' lies {len(folders)} deep. For columns of a table give a glob of its files, such as "
            "'data/*.csv'."
        )
    return tuple(folders[: len(keys)])
