"""What the paths of an input stand for: a table, JSON lines, or files that are handed over by their paths."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.splitting.mltable import NAME as MLTABLE

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.splitting.input_paths import Place
    from pytest_parallelrun.emulator.splitting.model import SplitSettings

Format = Literal["files", "delimited", "parquet", "json_lines"]

_TELLING = ("sv", "parquet", "gz", "bz2", "xz", "zip", "zst")
"""Ends of the names that the patterns are tried on; they would be slow on a million others."""
_DELIMITED = re.compile(r"\.[ct]sv(\.(gz|bz2|xz|zip|zst))?$", re.IGNORECASE)
_PARQUET = re.compile(r"\.parquet$", re.IGNORECASE)

ROW_MODE = (
    "--amlbi_pf_enabled True --amlbi_pf_run_mode component --amlbi_file_format jsonl --amlbi_mini_batch_rows ROWS"
)
"""The program arguments that make the runtime hand lines of a file instead of its path."""


def is_mltable(place: Place, settings: SplitSettings) -> bool:
    """Whether a given path is a folder that an MLTable file describes, and not one of files alone."""
    return place.form == "folder" and MLTABLE in place.names and settings.input_type is None


def format_of(given: Sequence[str], places: Mapping[str, Place], settings: SplitSettings, *, listed: bool) -> Format:
    """What the given paths stand for. Those that are not in `places` are known to be files.

    InputError for tables together with other paths, and for a single file that v2 does not take.
    """
    if settings.mini_batch_rows is not None:
        return "json_lines"
    if settings.profile == "batch" or settings.input_type == "uri_folder":
        return "files"
    found: dict[Format, str] = {}
    for path in given:
        place = places.get(path)
        if place is not None and place.form == "folder":
            found.setdefault("files", path)
            continue
        for name in [path] if place is None or place.form == "file" else place.paths():
            found.setdefault(_format_of_name(name), name)
    if len(found) > 1:
        tables = {form: name for form, name in found.items() if form != "files"}
        if "files" in found:
            raise InputError(
                f"input mixes a table ('{next(iter(tables.values()))}') with other paths ('{found['files']}'): run() "
                "gets either. Give the folder to hand paths, the files of the table to hand DataFrames."
            )
        raise InputError(f"input mixes tables of two formats ({', '.join(map(repr, tables.values()))}): give one.")
    (form,) = found
    if form == "files" and not listed and settings.profile == "v2" and places[given[0]].form == "file":
        raise InputError(_single_file(given[0]))
    return form


def _format_of_name(name: str) -> Format:
    if name.lower().endswith(_TELLING):
        if _DELIMITED.search(name):
            return "delimited"
        if _PARQUET.search(name):
            return "parquet"
    return "files"


def _single_file(given: str) -> str:
    lines = ""
    if given.lower().endswith((".json", ".jsonl", ".ndjson")):
        lines = f" To hand its lines as dicts, add the program arguments {ROW_MODE!r}."
    return (
        f"input '{given}': Input format UriFile is not supported, as the service says of a single file that is no "
        f"table. Give its folder, or a folder with a copy of it, to hand its path.{lines}"
    )
