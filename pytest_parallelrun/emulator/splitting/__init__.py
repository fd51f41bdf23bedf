"""An input -> its mini-batches, lazily. `open_input()` tells what kind of input it is."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pytest_parallelrun.emulator.errors import EmptyInputError, InputError
from pytest_parallelrun.emulator.splitting.base import (
    InputKind,
    LoadError,
    MiniBatch,
    SplitSettings,
    Splitter,
)
from pytest_parallelrun.emulator.splitting.delimited import CsvSplitter
from pytest_parallelrun.emulator.splitting.files import FileSplitter
from pytest_parallelrun.emulator.splitting.frame import FrameSplitter
from pytest_parallelrun.emulator.splitting.handed import HandedInput
from pytest_parallelrun.emulator.splitting.paths import Place, files_among, locate

if TYPE_CHECKING:
    import pandas as pd

    from pytest_parallelrun.emulator.splitting.base import Source

__all__ = [
    "HandedInput",
    "InputKind",
    "LoadError",
    "MiniBatch",
    "SplitSettings",
    "Splitter",
    "open_input",
]

_TABLE = re.compile(r"\.(csv|tsv)$", re.IGNORECASE)
_TELLING = ("sv", "parquet", "jsonl", "ndjson", "gz", "bz2", "xz", "zip", "zst")
"""Ends of the names that the two patterns are tried on; they would be slow on a million others."""
_NOT_YET = re.compile(r"\.(parquet|jsonl|ndjson|[ct]sv\.(gz|bz2|xz|zip|zst))$", re.IGNORECASE)


def open_input(source: Source, settings: SplitSettings, *, base: Path | None = None) -> Splitter:
    """The splitter of an input.

    source: a DataFrame; a HandedInput; the path of a folder, a glob or a file; or a list of such paths, which keeps its
        order. A folder stands for all files below it, whatever they are. Given .csv and .tsv files are
        tables, unless the profile is "batch", where run() gets file paths always (authoring guide of batch
        scoring scripts). Relative paths are resolved against `base`, by default the working directory.
    Raises InputError for an input that is missing, unreadable, remote, not supported, or that mixes tables
    with other paths; EmptyInputError for one without items. Files in a list are looked for only when their
    mini-batch is loaded, but for tables, which must be read to be split.
    """
    if isinstance(source, HandedInput):
        return source
    if _is_frame(source):
        return FrameSplitter(cast("pd.DataFrame", source), settings.bytes_per_mini_batch)
    listed = isinstance(source, (list, tuple))
    given = [_text(path) for path in source] if isinstance(source, (list, tuple)) else [_text(source)]
    if not given:
        raise EmptyInputError("input: the list of paths is empty.")
    folder = os.path.abspath(base or os.curdir)
    known = files_among(given) if listed else frozenset()
    places = {path: locate(path, folder, must_exist=not listed) for path in dict.fromkeys(given) if path not in known}
    label = "of a list" if listed else _label(places[given[0]])
    if _kind(given, places, settings.profile) == "tabular":
        return CsvSplitter(
            [file for path in given for file in (_named(places[path]) if path in places else [(path, path)])],
            settings.bytes_per_mini_batch,
            encoding=settings.encoding,
            delimiter=settings.delimiter,
            label=label,
        )
    if listed:
        root = ""
        names = [name for path in given for name in (_absolute(places[path]) if path in places else (path,))]
    else:
        root, names = places[given[0]].root, places[given[0]].names
    if not names:
        raise EmptyInputError(f"input '{given[0]}': there is no file in the folder or below it.")
    return FileSplitter(
        root,
        names,
        settings.files_per_mini_batch,
        grouping=settings.rules.file_grouping,
        known=known if listed else None,
        label=label,
    )


def _absolute(place: Place) -> list[str]:
    return [place.root + name for name in place.names]


def _named(place: Place) -> list[tuple[str, str]]:
    """Absolute paths with the names that messages give them."""
    return [(place.root + name, place.given if place.form == "file" else name) for name in place.names]


def _is_frame(source: object) -> bool:
    # Who has a DataFrame has imported pandas; who has paths need not.
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(source, pandas.DataFrame)


def _text(path: object) -> str:
    if isinstance(path, (str, os.PathLike)):
        return os.fsdecode(path)
    raise InputError(
        f"input of type {type(path).__name__}: give a path (str or Path), a list or tuple of paths, "
        "or one pandas DataFrame."
    )


def _kind(given: Sequence[str], places: Mapping[str, Place], profile: str) -> InputKind:
    """What the paths stand for. Those that are not in `places` are known to be files."""
    for place in places.values():
        if place.form == "folder" and "MLTable" in place.names:
            raise InputError(
                f"input '{place.given}': a folder with an MLTable file is not supported yet. "
                "Give the folder of the data that it describes, or its .csv files."
            )
    if profile == "batch":
        return "files"
    table: str | None = None
    other: str | None = None
    for path in given:
        place_or_none = places.get(path)
        if place_or_none is not None and place_or_none.form == "folder":
            other = other or path
            continue
        names = [path] if place_or_none is None or place_or_none.form == "file" else _absolute(place_or_none)
        for name in names:
            if not name.lower().endswith(_TELLING):
                other = other or name
            elif _NOT_YET.search(name):
                raise InputError(
                    f"input '{name}': this format is not supported yet as a table. "
                    "Convert a sample to .csv, or give its folder to hand paths to run()."
                )
            elif _TABLE.search(name):
                table = table or name
            else:
                other = other or name
    if table and other:
        raise InputError(
            f"input mixes a table ('{table}') with other paths ('{other}'): run() gets either. "
            "Give the folder to hand paths, the .csv files to hand DataFrames."
        )
    return "tabular" if table else "files"


def _label(place: Place) -> str:
    relation = {"folder": "in ", "glob": "matching ", "file": ""}[place.form]
    return f"{relation}'{place.given}'"
