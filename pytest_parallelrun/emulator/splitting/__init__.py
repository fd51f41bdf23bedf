"""An input -> its mini-batches, lazily. `open_input()` tells what kind of input it is."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
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
from pytest_parallelrun.emulator.splitting.paths import Place, locate

if TYPE_CHECKING:
    import pandas as pd

    from pytest_parallelrun.emulator.splitting.base import Source

__all__ = [
    "InputKind",
    "LoadError",
    "MiniBatch",
    "SplitSettings",
    "Splitter",
    "open_input",
]

_TABLE = re.compile(r"\.(csv|tsv)$", re.IGNORECASE)
_NOT_YET = re.compile(r"\.(parquet|jsonl|ndjson|[ct]sv\.(gz|bz2|xz|zip|zst))$", re.IGNORECASE)


def open_input(source: Source, settings: SplitSettings, *, base: Path | None = None) -> Splitter:
    """The splitter of an input.

    source: a DataFrame; the path of a folder, a glob or a file; or a list of such paths, which keeps its
        order. A folder stands for all files below it, whatever they are. Given .csv and .tsv files are
        tables, unless the profile is "batch", where run() gets file paths always (authoring guide of batch
        scoring scripts). Relative paths are resolved against `base`, by default the working directory.
    Raises InputError for an input that is missing, unreadable, remote, not supported, or that mixes tables
    with other paths; EmptyInputError for one without items. Files in a list are looked for only when their
    mini-batch is loaded, but for tables, which must be read to be split.
    """
    if _is_frame(source):
        return FrameSplitter(cast("pd.DataFrame", source), settings.bytes_per_mini_batch)
    listed = isinstance(source, (list, tuple))
    given = [_text(path) for path in source] if isinstance(source, (list, tuple)) else [_text(source)]
    if not given:
        raise EmptyInputError("input: the list of paths is empty.")
    folder = os.path.abspath(base or os.curdir)
    places = [locate(path, folder, must_exist=not listed) for path in given]
    label = "of a list" if listed else _label(places[0])
    if _kind(places, settings.profile) == "tabular":
        return CsvSplitter(
            [(place.root + name, _name(place, name)) for place in places for name in place.names],
            settings.bytes_per_mini_batch,
            encoding=settings.encoding,
            delimiter=settings.delimiter,
            label=label,
        )
    if not any(place.names for place in places):
        raise EmptyInputError(f"input '{given[0]}': there is no file in the folder or below it.")
    root = "" if listed else places[0].root
    names = [place.root + name for place in places for name in place.names] if listed else places[0].names
    return FileSplitter(
        root,
        names,
        settings.files_per_mini_batch,
        grouping=settings.rules.file_grouping,
        listed=listed,
        label=label,
    )


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


def _kind(places: Sequence[Place], profile: str) -> InputKind:
    for place in places:
        if place.form == "folder" and "MLTable" in place.names:
            raise InputError(
                f"input '{place.given}': a folder with an MLTable file is not supported yet. "
                "Give the folder of the data that it describes, or its .csv files."
            )
    if profile == "batch":
        return "files"
    tables: list[str] = []
    others: list[str] = []
    for place in places:
        if place.form == "folder":
            others.append(place.given)
            continue
        for name in place.names:
            path = place.root + name if place.form == "glob" else place.given
            if _NOT_YET.search(name):
                raise InputError(
                    f"input '{path}': this format is not supported yet as a table. "
                    "Convert a sample to .csv, or give its folder to hand paths to run()."
                )
            (tables if _TABLE.search(name) else others).append(path)
    if tables and others:
        raise InputError(
            f"input mixes a table ('{tables[0]}') with other paths ('{others[0]}'): run() gets either. "
            "Give the folder to hand paths, the .csv files to hand DataFrames."
        )
    return "tabular" if tables else "files"


def _label(place: Place) -> str:
    relation = {"folder": "in ", "glob": "matching ", "file": ""}[place.form]
    return f"{relation}'{place.given}'"


def _name(place: Place, name: str) -> str:
    return place.given if place.form == "file" else name
