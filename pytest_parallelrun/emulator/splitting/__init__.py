"""An input -> its mini-batches, lazily. `open_input()` detects the kind of input.

Splitters are imported where they are needed: a worker process imports this package for its types alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard, cast

from pytest_parallelrun.emulator.errors import EmptyInputError, InputError
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.input_paths import (
    Format,
    InputLocation,
    files_among,
    format_of,
    is_mltable,
    locate,
)
from pytest_parallelrun.emulator.splitting.model import (
    MultiInput,
    Source,
    Splitter,
    TableSplitter,
    refuse_rows,
)

if TYPE_CHECKING:
    import pandas as pd


def open_input(source: Source, settings: JobSettings, *, base: Path | None = None) -> Splitter:
    """The splitter of an input.

    source: a DataFrame; an opened input; the path of a folder, a glob or a file; or a list of such paths, which keeps
        its order. A folder stands for all files below it, whatever they are, unless an MLTable file says what they are.
        Given .csv, .tsv and .parquet files are tables, unless the profile is "batch", where run() gets file paths
        always (authoring guide of batch scoring scripts), as it does with `input_type` "uri_folder", also of a folder
        with an MLTable file. With `mini_batch_rows` all files are JSON lines. Under profile "v1" each folder, glob or
        MLTable of a list is an input of its own (SDK reference of ParallelRunStep: `inputs`). Relative paths are
        resolved against `base`, by default the working directory.
    Raises InputError for an input that is missing, unreadable, remote, not supported, or that mixes tables
    with other paths; EmptyInputError for one without items. Files in a list are looked for only when their
    mini-batch is loaded, but for tables, which must be read to be split.
    """
    if is_opened(source):
        return source
    if _is_frame(source):
        frame = cast("pd.DataFrame", source)
        refuse_rows("frame", settings.mini_batch_rows, "input")
        from pytest_parallelrun.emulator.splitting.frame import FrameSplitter

        if settings.partition_keys:
            from pytest_parallelrun.emulator.splitting.partitions import CHUNK_BYTES, PartitionedTable

            return PartitionedTable(FrameSplitter(frame, CHUNK_BYTES), settings.partition_keys)
        return FrameSplitter(frame, settings.bytes_per_mini_batch)
    listed = isinstance(source, (list, tuple))
    given = source if isinstance(source, (list, tuple)) else [source]
    paths = [path if type(path) is str else _text(path) for path in given]
    if not paths:
        raise EmptyInputError("input: the list of paths is empty.")
    folder = os.path.abspath(base or os.curdir)
    known = files_among(paths) if listed else set()
    locations = {
        path: locate(path, folder, must_exist=not listed) for path in dict.fromkeys(paths) if path not in known
    }
    opening = _Opening(locations, known, settings)
    if listed and settings.profile == "v1":
        inputs = list(_inputs_of_v1(paths, locations))
        if len(inputs) > 1:
            return MultiInput([opening.opened(paths, listed=alone is None) for alone, paths in inputs])
    return opening.opened(paths, listed=listed)


def _inputs_of_v1(paths: Sequence[str], locations: dict[str, InputLocation]) -> list[tuple[str | None, list[str]]]:
    """The inputs of a list: each folder or glob is one, and files that stand side by side are one together."""
    inputs: list[tuple[str | None, list[str]]] = []
    for path in paths:
        location = locations.get(path)
        alone = None if location is None or location.form == "file" else path
        if inputs and alone is None and inputs[-1][0] is None:
            inputs[-1][1].append(path)
        else:
            inputs.append((alone, [path]))
    return inputs


class _Opening:
    """Opens one input of located paths; those that are not in `locations` are in `known`, and files."""

    def __init__(self, locations: dict[str, InputLocation], known: Set[str], settings: JobSettings) -> None:
        self._locations = locations
        self._known = known
        self._settings = settings

    def opened(self, paths: Sequence[str], *, listed: bool) -> Splitter:
        tables = [
            path for path in paths if path in self._locations and is_mltable(self._locations[path], self._settings)
        ]
        if tables and len(paths) > 1:
            raise InputError(
                f"input '{tables[0]}': a folder with an MLTable file is an input of its own. Give it alone; several "
                "inputs are for profile v1."
            )
        if tables:
            from pytest_parallelrun.emulator.splitting.mltable import open_mltable

            location = self._locations[paths[0]]
            return open_mltable(os.path.normpath(location.root), location.input_path, self._settings)
        form = format_of(paths, self._locations, self._settings, listed=listed)
        label = "of a list" if listed else _label(self._locations[paths[0]])
        if form == "json_lines":
            from pytest_parallelrun.emulator.splitting.json_lines import JsonLinesSplitter

            rows = self._settings.mini_batch_rows
            assert rows is not None
            return JsonLinesSplitter(self._named_paths(paths), rows, label=label)
        if form == "files":
            return self._files(paths, listed=listed, label=label)
        keys = self._settings.partition_keys
        if keys:
            from pytest_parallelrun.emulator.splitting.partitions import CHUNK_BYTES, PartitionedTable

            return PartitionedTable(self._table(form, paths, CHUNK_BYTES, label), keys)
        return self._table(form, paths, self._settings.bytes_per_mini_batch, label)

    def _table(self, form: Format, paths: Sequence[str], size: int, label: str) -> TableSplitter:
        files = self._named_paths(paths)
        if form == "parquet":
            from pytest_parallelrun.emulator.splitting.parquet import ParquetSplitter

            return ParquetSplitter(files, size, label=label)
        from pytest_parallelrun.emulator.splitting.delimited import CsvSplitter

        settings = self._settings
        return CsvSplitter(files, size, encoding=settings.encoding, delimiter=settings.delimiter, label=label)

    def _files(self, paths: Sequence[str], *, listed: bool, label: str) -> Splitter:
        settings, locations = self._settings, self._locations
        if listed:
            root = ""
            names = list(paths)
            if locations:
                names = [name for path in paths for name in (locations[path].paths() if path in locations else (path,))]
        else:
            root, names = locations[paths[0]].root, locations[paths[0]].names
        if not names:
            raise EmptyInputError(f"input '{paths[0]}': there is no file in the folder or below it.")
        known = self._known if listed else None
        keys = settings.partition_keys
        if keys:
            from pytest_parallelrun.emulator.splitting.partitions import PartitionedFileSplitter, values_by_path

            values = [
                values_of_file
                for path in paths
                for values_of_file in values_by_path(locations[path].names if path in locations else [path], keys, path)
            ]
            return PartitionedFileSplitter(root, names, values, keys, known=known, label=label)
        from pytest_parallelrun.emulator.splitting.files import FileSplitter

        return FileSplitter(
            root,
            names,
            settings.files_per_mini_batch,
            grouping=settings.rules.file_grouping,
            known=known,
            label=label,
        )

    def _named_paths(self, paths: Sequence[str]) -> list[tuple[str, str]]:
        return [
            file
            for path in paths
            for file in (self._locations[path].named_paths() if path in self._locations else [(path, path)])
        ]


def is_opened(source: Source) -> TypeGuard[Splitter]:
    return hasattr(source, "mini_batches")


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


def _label(location: InputLocation) -> str:
    relation = {"folder": "in ", "glob": "matching ", "file": ""}[location.form]
    return f"{relation}'{location.input_path}'"
