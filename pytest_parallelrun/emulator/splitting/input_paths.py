"""Paths given by the user -> their files, and whether these are tables.

The names of files are sorted, and need little memory by the million.
"""

from __future__ import annotations

import difflib
import glob
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from operator import methodcaller
from typing import Literal

from pytest_parallelrun.emulator.errors import InputError, special_file
from pytest_parallelrun.emulator.settings import JobSettings

MLTABLE = "MLTable"

_DATABASE = r"(?:jdbc|mssql|sqlserver|mysql|postgres(?:ql)?|oracle|snowflake)(?:\+\w+)?"
REMOTE = re.compile(rf"(azureml|wasbs?|abfss?|adl|https?|s3|gs|hdfs|{_DATABASE}):", re.IGNORECASE)

Format = Literal["files", "delimited", "parquet", "json_lines"]

_DELIMITED = (".csv", ".tsv")
COMPRESSED = (".gz", ".bz2", ".xz", ".zip", ".zst")

ROW_MODE = (
    "--amlbi_pf_enabled True --amlbi_pf_run_mode component --amlbi_file_format jsonl --amlbi_mini_batch_rows ROWS"
)
"""The program arguments that make the runtime pass lines of a file instead of its path."""

# Names are sorted by their POSIX spelling, so that a job is split the same way everywhere.
_POSIX_SPELLING = None if os.sep == "/" else methodcaller("replace", os.sep, "/")

SUGGESTIONS_FROM = 10_000
"""Maximum directory entries that are compared with a misspelt name."""


LISTED_AT_ONCE = 50
"""From this number of paths in a folder on, its listing is used; fewer are checked one by one."""


@dataclass(frozen=True)
class InputLocation:
    """One given path and its files.

    input_path: as the user wrote it.
    root: absolute folder of the names, with its closing separator.
    names: of the files below it, sorted as text by their POSIX spelling; one name for a file.
    """

    input_path: str
    form: Literal["folder", "glob", "file"]
    root: str
    names: list[str]

    def paths(self) -> list[str]:
        """Absolute paths of the files."""
        return [self.root + name for name in self.names]

    def named_paths(self) -> list[tuple[str, str]]:
        """Absolute paths with their names in messages."""
        return [(self.root + name, self.input_path if self.form == "file" else name) for name in self.names]


def locate(input_path: str, base: str, *, must_exist: bool) -> InputLocation:
    """The files of a path.

    `~` is expanded and a relative path resolved against `base`; symbolic links stay as they are.
    Without `must_exist`, a missing file fails its mini-batch.
    InputError for a path that is remote, missing or unreadable, or a glob without a match.
    """
    if not input_path:
        raise InputError("input '': an empty path. Give a folder, a glob or a file.")
    refuse_remote(input_path, f"input '{input_path}'")
    path = os.path.abspath(os.path.join(base, os.path.expanduser(input_path)))
    if os.path.isdir(path):
        root = os.path.join(path, "")
        return InputLocation(input_path, "folder", root, files_below(root))
    # The name of a file may contain brackets; only a missing path is a pattern.
    if glob.has_magic(input_path) and not os.path.lexists(path):
        return _glob(input_path, base)
    if must_exist and not os.path.exists(path):
        raise InputError(f"input '{input_path}' does not exist{_missing_hint(path)}")
    _refuse_special(path, input_path)
    folder, name = os.path.split(path)
    return InputLocation(input_path, "file", os.path.join(folder, ""), [name])


def refuse_remote(address: str, subject: str) -> None:
    """InputError for an address that is not on this machine. subject: start of the message."""
    if not REMOTE.match(address):
        return
    if re.match(_DATABASE, address, re.IGNORECASE):
        raise InputError(
            f"{subject}: databases and SQL queries are not emulated. Save some of its rows as a .csv file."
        )
    if address.lower().startswith("azureml:"):
        advice = "its address (az ml data show for a data asset), then azcopy copy ADDRESS sample --recursive"
    else:
        advice = "azcopy copy ADDRESS sample --recursive, or any other client"
    raise InputError(
        f"{subject}: remote inputs are not downloaded. Copy a few files ({advice}) and pass the local folder: "
        "--parallelrun-input=sample"
    )


def files_below(root: str) -> list[str]:
    """Names, relative to `root`, of all files below it, sorted as text.

    Links to folders are followed, as on the service, except to one of their own parents. InputError for a folder that
    cannot be read.
    """
    names: list[str] = []
    above_root: tuple[str, ...] = ()
    folders = [("", above_root)]
    while folders:
        prefix, above = folders.pop()
        folder = root + prefix
        real = os.path.realpath(folder)
        if real in above:
            continue
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    try:
                        is_folder = entry.is_dir()
                    except OSError:  # For example a link to itself, which nobody can open, like a dangling link.
                        is_folder = False
                    if is_folder:
                        folders.append((prefix + entry.name + os.sep, (*above, real)))
                    else:
                        # Asking a link to itself fails: it is an item that cannot be read.
                        with suppress(OSError):
                            if not entry.is_file():
                                _refuse_special(entry.path, entry.path)
                        names.append(prefix + entry.name)
        except OSError as error:
            raise InputError(f"input folder '{folder}' cannot be read: {error.strerror}.") from error
    names.sort(key=_POSIX_SPELLING)
    return names


def _refuse_special(path: str, named: str) -> None:
    if kind := special_file(path):
        raise InputError(f"input '{named}' is {kind}, not a file: give files, or a folder that contains only files.")


def files_among(paths: Sequence[str]) -> Set[str]:
    """Those of many absolute paths that are files according to the listings of their folders.

    A list of 20,000 paths would otherwise cost as many system calls. Paths that are not returned may be files too;
    check them one by one.
    """
    counts = Counter([path[: path.rfind(os.sep)] for path in paths])
    files: set[str] = set()
    for folder, count in counts.items():
        if count >= LISTED_AT_ONCE and os.path.isabs(folder) and os.path.normpath(folder) == folder:
            try:
                with os.scandir(folder) as entries:
                    files.update([folder + os.sep + entry.name for entry in entries if entry.is_file()])
            except OSError:
                continue
    return files


def _glob(input_path: str, base: str) -> InputLocation:
    # Split as the user wrote it: the base folder may contain brackets.
    folder, pattern = input_path, ""
    while glob.has_magic(folder):
        folder, part = os.path.split(folder)
        pattern = os.path.join(part, pattern) if pattern else part
    root = os.path.join(os.path.abspath(os.path.join(base, os.path.expanduser(folder))), "")
    matches = glob.glob(pattern, root_dir=root, recursive=True)
    # A set, because `**` matches a path in several ways.
    names = sorted({name for name in matches if not os.path.isdir(root + name)}, key=_POSIX_SPELLING)
    for name in names:
        _refuse_special(root + name, root + name)
    if not names:
        reason = "matches folders only; add '/*' for the files in them" if matches else "matches no file"
        raise InputError(f"input '{input_path}': the pattern {reason} (looked in '{root}').")
    return InputLocation(input_path, "glob", root, names)


def _missing_hint(path: str) -> str:
    """The end of a message about a missing path: which part is missing, and the nearest existing name."""
    parent = os.path.dirname(path)
    while not os.path.isdir(parent) and parent != os.path.dirname(parent):
        path, parent = parent, os.path.dirname(parent)
    if os.path.lexists(path):
        return f": '{path}' is not a folder."
    name = os.path.basename(path)
    try:
        with os.scandir(parent) as entries:
            present = [entry.name for entry in islice(entries, SUGGESTIONS_FROM)]
    except OSError:
        present = []
    near = difflib.get_close_matches(name, present, n=1, cutoff=0.6)
    ending = f" Did you mean '{near[0]}'?" if near else ""
    return f": there is no '{name}' in '{parent}'.{ending}"


def is_mltable(location: InputLocation, settings: JobSettings) -> bool:
    """Whether a given path is a folder with an MLTable file, and not used as plain files."""
    return location.form == "folder" and MLTABLE in location.names and settings.input_type is None


def format_of(
    paths: Sequence[str], locations: Mapping[str, InputLocation], settings: JobSettings, *, listed: bool
) -> Format:
    """The kind of the given paths. Those that are not in `locations` are known to be files.

    InputError for tables together with other paths, a compressed table, and a single file that v2 refuses.
    """
    if settings.mini_batch_rows is not None:
        return "json_lines"
    if settings.profile == "batch" or settings.input_type == "uri_folder":
        return "files"
    names: dict[Format, str] = {}
    files = [path for path in paths if path not in locations]
    for path in paths if locations else ():
        location = locations.get(path)
        if location is not None and location.form == "folder":
            names.setdefault("files", path)
        elif location is not None:
            files += [path] if location.form == "file" else location.paths()
    # One name of each ending, not all of 20,000. A compressed file has another ending before it.
    first_names = {name[name.rfind(".") :].lower(): name for name in reversed(files)}
    for ending, first in reversed(first_names.items()):
        for name in files if ending in COMPRESSED else (first,):
            names.setdefault(_format_of_name(name), name)
    if len(names) > 1:
        tables = {form: name for form, name in names.items() if form != "files"}
        if "files" in names:
            raise InputError(
                f"input mixes a table ('{next(iter(tables.values()))}') with other paths ('{names['files']}'): run() "
                "receives either paths or DataFrames. Pass the folder to get paths, or only the files of the table to "
                "get DataFrames."
            )
        raise InputError(f"input mixes tables of two formats ({', '.join(map(repr, tables.values()))}): give one.")
    (form,) = names
    if form == "files" and not listed and settings.profile == "v2" and locations[paths[0]].form == "file":
        raise InputError(_single_file(paths[0]))
    return form


def _format_of_name(name: str) -> Format:
    lower = name.lower()
    if lower.endswith(_DELIMITED):
        return "delimited"
    if lower.endswith(".parquet"):
        return "parquet"
    if lower.endswith(COMPRESSED) and os.path.splitext(lower)[0].endswith(_DELIMITED):
        raise InputError(
            f"input '{name}': Azure ML's reader does not read compressed CSV. Decompress it, or pass its folder, so "
            "that run() gets paths."
        )
    return "files"


def _single_file(path: str) -> str:
    lines = ""
    if path.lower().endswith((".json", ".jsonl", ".ndjson")):
        lines = f" To get its lines as dicts, add the program arguments {ROW_MODE!r}."
    return (
        f"input '{path}': a single file that is not a table is rejected by Azure ML (Input format UriFile is not "
        f"supported). Pass its folder, or a folder with a copy of it, so that run() gets its path.{lines}"
    )
