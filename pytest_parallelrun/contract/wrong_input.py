"""Whether run() got another kind of input than it expects: paths instead of a table, or a table instead of paths.

This is a common first mistake, and its error does not say so. If the sample can be passed in the other way, one attempt
shows it; otherwise the error does, if the script uses the mini-batch in that way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.contract.entry.init_calls import TooManyInitCalls
from pytest_parallelrun.contract.entry.mini_batches import paths_of
from pytest_parallelrun.contract.script_source import parameters_used
from pytest_parallelrun.emulator.errors import ParallelRunError

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.splitting.model import Payload

_TABLES = (".csv", ".tsv", ".parquet")
_JSON_LINES = (".jsonl", ".ndjson", ".json")
_LIST_AS_FRAME = re.compile(
    r"list indices must be integers or slices, not (str|tuple|list)|'(FileMiniBatch|list)' object has no attribute "
    r"'(columns|iloc|loc|iterrows|itertuples|to_numpy|values|shape|dtypes|apply|assign|groupby|drop|rename|to_dict"
    r"|fillna|astype|reset_index|head|empty|merge|index|dropna|select_dtypes)'"
)
_AS_FRAME = (
    "give the files of the table themselves, --parallelrun-input={table}, and declare the input of the job as "
    "`type: mltable`: of a folder (`uri_folder`), run() gets paths. Or read the paths in run(), as in "
    "pd.concat(pd.read_csv(path) for path in mini_batch)"
)
_AS_FRAME_IN_BATCH = (
    "a batch deployment passes paths, whatever the files are. Read them in run(), as in "
    "pd.concat(pd.read_csv(path) for path in mini_batch)"
)
_AS_PATHS = (
    "declare the input as a folder of files: --parallelrun-set=input_type=uri_folder, and `type: uri_folder` in the "
    "job. Or take the rows from the DataFrame, as in mini_batch.itertuples()"
)
_AS_DICTS = "set --parallelrun-set=mini_batch_rows=10: run() then gets lines of JSON as dicts, and no paths"
_NO_DICTS = "remove mini_batch_rows: run() then gets the paths of the files, and no lines of them as dicts"


class WrongKind(NamedTuple):
    """evidence: what run() got, and what it seems to expect, as a sentence. fix: how to provide it."""

    evidence: str
    fix: str


class _Alternative(NamedTuple):
    """Another way to pass the sample. kind: what run() then gets, as text."""

    kind: str
    fix: str
    entry: EntryUnderTest


def wrong_kind_of_input(entry: EntryUnderTest, baseline: Baseline, attempt: AttemptEnded) -> WrongKind | None:
    """Evidence in an attempt that failed like all others; None if there is none."""
    if attempt.outcome not in ("exception", "short") or entry.settings.partition_keys or entry.sample is None:
        return None
    payload = entry.load(entry.copy_sample(lazily=True), attempt.mini_batch)
    got = _described(payload, baseline.items(attempt))
    if attempt.outcome == "short" and attempt.returned != len(getattr(payload, "columns", ())):
        # It is not the names of columns that were gone through: one item has enough results in any form.
        return None
    for other in _alternatives(entry, payload):
        if _succeeds(other.entry):
            return WrongKind(f"run() got {got}, and expects {other.kind}: with that it succeeds.", other.fix)
    return _by_its_error(entry, attempt, payload, got)


def _described(payload: Payload, items: str) -> str:
    if not isinstance(payload, (list, tuple)):
        columns = ", ".join(map(str, list(payload.columns)[:5]))  # type: ignore[union-attr]
        return f"a DataFrame ({items}, with the columns {columns})"
    of = "dicts" if any(isinstance(item, dict) for item in payload[:1]) else "paths"
    return f"a list of {of} ({items})"


def _alternatives(entry: EntryUnderTest, payload: Payload) -> Iterator[_Alternative]:
    settings = entry.settings
    try:
        if not isinstance(payload, (list, tuple)):
            plain = settings.replace(mini_batch_size=None, input_type="uri_folder")
            yield _Alternative("a list of paths", _AS_PATHS, replace(entry, settings=plain))
            return
        if settings.mini_batch_rows is not None:
            plain = settings.replace(mini_batch_rows=None)
            yield _Alternative("a list of paths", _NO_DICTS, replace(entry, settings=plain))
            return
        paths = paths_of(payload)
        tables = tuple(path for path in paths if path.lower().endswith(_TABLES))
        if tables:
            # The profile "batch" passes paths of tables too.
            plain = settings.replace(mini_batch_size=None, input_type=None)
            if plain.profile == "batch":
                plain = plain.replace(profile="v2")
            yield _Alternative(
                "a DataFrame", _frame_fix(entry, payload), replace(entry, settings=plain, sample=tables[:1])
            )
        elif all(path.lower().endswith(_JSON_LINES) for path in paths):
            plain = settings.replace(mini_batch_size=None, mini_batch_rows=1)
            yield _Alternative("a list of dicts", _AS_DICTS, replace(entry, settings=plain, sample=tuple(paths[:1])))
    except ParallelRunError:
        return


def _frame_fix(entry: EntryUnderTest, payload: Payload) -> str:
    if entry.settings.profile == "batch":
        return _AS_FRAME_IN_BATCH
    tables = [path for path in paths_of(payload) if path.lower().endswith(_TABLES)]
    given = entry.sample if isinstance(entry.sample, str) else ""
    if given.lower().endswith(_TABLES) or not tables:
        table = given if tables else "FILE.csv"
    else:
        table = f"{given.rstrip('/') or 'FOLDER'}/*.{tables[0].rpartition('.')[2]}"
    fix = _AS_FRAME.format(table=table)
    return f"remove input_type={entry.settings.input_type}; {fix}" if entry.settings.input_type else fix


def _succeeds(entry: EntryUnderTest) -> bool:
    """Whether run() returns results for its first mini-batch."""
    try:
        attempt = entry.probe_startup(first_attempt=True).attempt
    except (ParallelRunError, TooManyInitCalls):
        return False
    return attempt is not None and attempt.outcome == "succeeded"


def _by_its_error(entry: EntryUnderTest, attempt: AttemptEnded, payload: Payload, got: str) -> WrongKind | None:
    failure = attempt.failure
    if failure is None or failure.frame is None or not failure.chain:
        return None
    error = failure.chain[0]
    if isinstance(payload, (list, tuple)):
        if _LIST_AS_FRAME.search(error.message) and parameters_used(failure.frame):
            return WrongKind(
                f"run() got {got}, and uses it as a DataFrame: {parameters_used(failure.frame)}.",
                _frame_fix(entry, payload),
            )
        return None
    columns = {str(column) for column in cast("list[object]", list(payload.columns))}  # type: ignore[union-attr]
    if error.path in columns:
        return WrongKind(
            f"run() got {got}, and takes the names of its columns for paths: '{error.path}' is one.", _AS_PATHS
        )
    return None
