"""A copy of an MLTable folder that names files: the files wherever they lie, and an MLTable that names the copies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.splitting.mltable import NAME, files_of

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.splitting.input_paths import Place


def copy_of_mltable(place: Place, folder: Path, copy_file: Callable[[str, str], None]) -> str:
    """The folder to give in place of the original: a copy of it, or itself where it makes a table.

    Of a table run() gets rows, and never a path to spoil.
    """
    files = files_of(os.path.normpath(place.root), place.given)
    if files is None:
        return os.path.normpath(place.root)
    import yaml

    root, names = files
    # The last folder is kept as well: a partition key may be in its name.
    target = os.path.join(folder, os.path.basename(os.path.dirname(root)), "")
    for name in names:
        copy_file(root + name, target + name)
    with open(place.root + NAME, encoding="utf-8") as stream:
        content = yaml.safe_load(stream)
    content["paths"] = [{"file": "./" + Path(name).as_posix()} for name in names]
    with open(target + NAME, "w", encoding="utf-8") as stream:
        yaml.safe_dump(content, stream, allow_unicode=True, sort_keys=False)
    return os.path.normpath(target)
