"""What became of a copy of the sample: which of its files a script changed, took away or added."""

from __future__ import annotations

import filecmp
import os
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.emulator.splitting.input_paths import MLTABLE, files_below, is_mltable, locate
from pytest_parallelrun.emulator.splitting.mltable import files_of

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.sample_copy import SampleCopy
    from pytest_parallelrun.emulator.splitting.model import SplitSettings


class Changes(NamedTuple):
    """Names of files, relative to what was given."""

    modified: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()


def changes_of(sample: str | tuple[str, ...], copy: SampleCopy, settings: SplitSettings) -> Changes:
    """Compares the copy with the original: names, and contents where size or time differ.

    settings: under which it was split.
    """
    given = [sample] if isinstance(sample, str) else list(sample)
    copies = [copy.input] if isinstance(copy.input, str) else copy.input
    modified: dict[str, None] = {}
    gone: dict[str, None] = {}
    known: dict[str, set[str]] = {}
    for original, copied in zip(given, copies, strict=True):
        place = locate(original, os.getcwd(), must_exist=True)
        base, names = place.root, place.names
        described = is_mltable(place, settings)
        if described:
            files = files_of(os.path.normpath(place.root), place.input_path)
            if files is None:
                # Run() gets rows.
                continue
            base, names = files
        if place.form == "folder":
            root = os.path.join(copied, "")
        elif place.form == "file":
            root = copied.removesuffix(place.names[0])
        else:
            root = copied.removesuffix(os.path.relpath(os.path.abspath(os.path.expanduser(original)), place.root))
        known.setdefault(root, set()).update([*names, MLTABLE] if described else names)
        for name in names:
            if not os.path.lexists(root + name):
                gone[name] = None
            elif not _same(base + name, root + name):
                modified[name] = None
    return Changes(tuple(modified), tuple(gone), tuple(_new(known)))


def _same(original: str, copied: str) -> bool:
    try:
        before, after = os.stat(original), os.stat(copied)
    except OSError:
        # A dangling link, which the copy is as well.
        return not os.path.exists(original) and not os.path.exists(copied)
    if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
        return True
    return os.path.isfile(copied) and filecmp.cmp(original, copied, shallow=False)


def _new(known: dict[str, set[str]]) -> list[str]:
    """Files below the copied folders that were not copied."""
    paths = {os.path.normpath(root + name) for root, names in known.items() for name in names}
    found: dict[str, None] = {}
    for root in known:
        for name in files_below(root) if os.path.isdir(root) else ():
            if os.path.normpath(root + name) not in paths:
                found[name] = None
    return list(found)
