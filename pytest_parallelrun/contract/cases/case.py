"""A case: the mini-batches, settings and faults that show a finding, and how they are saved.

It is saved as a folder: case.json, and below items/ the files of its mini-batches.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pytest_parallelrun.contract.cases.plain_json import table_to_plain, to_plain
from pytest_parallelrun.contract.entry.mini_batches import is_files, paths_of
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import LoadError

if TYPE_CHECKING:
    from pytest_parallelrun.contract.cases.plain_json import Plain
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.rows.values import Key
    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.faults import Fault
    from pytest_parallelrun.emulator.splitting.model import InputKind, Partition, Payload

Expectation = Literal["results", "no_harm"]

VERSION = 1
FILE = "case.json"
ITEMS = "items"
MAX_BYTES = 100 * 1024**2
"""For all items together; a larger mini-batch is not copied."""

FOLDER_OF_ITEMS = "{items}"
"""Placeholder in expected rows for the folder of the items, which differs at every replay."""

RAISING = ("raises", "init_raises")


@dataclass(frozen=True, kw_only=True)
class Case:
    """Mini-batches in the order in which one worker gets them. Their files must exist until the test function ends.

    expects: "results": every attempt without a fault returns a result for each item. "no_harm": attempts may raise or
    return fewer, but not return a wrong type, hang or crash. expected_rows: what run() must return for the last
    mini-batch, None if only its outcome matters; ignoring: values in them that differ between any two runs. settings:
    required in addition to the entry's own, such as the timeout of a hang. identities: index and first row of each
    mini-batch for its context, all distinct; by default they count from 0. partitions: key values for the context of
    each, with partition_keys.
    """

    kind: InputKind
    mini_batches: tuple[Payload, ...] = field(compare=False)
    settings: JobSettings = field(default_factory=JobSettings)
    faults: tuple[Fault, ...] = ()
    expects: Expectation = "results"
    expected_rows: tuple[object, ...] | None = None
    ignoring: frozenset[Key] = frozenset()
    identities: tuple[tuple[int, int], ...] = ()
    partitions: tuple[Partition, ...] = ()
    seed: int | None = None


def case_of(entry: EntryUnderTest, attempt: AttemptEnded) -> Case | None:
    """The case of an attempt at a mini-batch of the sample; None where that cannot be loaded."""
    batch = attempt.mini_batch
    try:
        payload = entry.load(entry.copy_sample(lazily=True), batch)
    except LoadError:
        return None
    return Case(
        kind=entry.kind,
        mini_batches=(payload,),
        identities=((batch.id, batch.first_item),),
        partitions=(batch.partition,),
    )


class NotSaved(Exception):
    """Why a case cannot be saved."""


def save_case(
    folder: Path,
    case: Case,
    *,
    entry: str,
    check: str,
    finding: str,
    settings: JobSettings,
    is_secret: Callable[[str], bool] = lambda text: False,
) -> list[str]:
    """Writes the case, and returns a sentence for everything that could not be saved exactly.

    settings: the current ones, for a replay without settings; environment variables and program arguments are never
    written. Expected rows that contain a secret are left out. An earlier case in the folder is replaced. NotSaved if
    the folder contains something else, the items are too large, or writing fails.
    """
    if folder.exists() and not (folder / FILE).is_file() and any(folder.iterdir()):
        raise NotSaved(f"'{folder}' exists and holds no saved case")
    lost: list[str] = []
    remarks: list[str] = []
    root = _root_of(case.mini_batches)
    size = sum(os.path.getsize(path) for path in _paths(case) if os.path.isfile(path))
    if size > MAX_BYTES:
        raise NotSaved(f"its items have {size / 1024**2:.0f} MB, and up to {MAX_BYTES / 1024**2:.0f} MB are copied")
    try:
        content = {
            "version": VERSION,
            "entry": entry,
            "check": check,
            "finding": finding,
            "kind": case.kind,
            "expects": case.expects,
            "mini_batches": [_mini_batch(payload, root, lost) for payload in case.mini_batches],
            "identities": case.identities,
            "partitions": case.partitions,
            "settings": _settings(case.settings),
            "settings_of_the_run": _settings(settings),
            "faults": [_fault(fault, lost) for fault in case.faults],
            "expected_rows": _expected(case, root, lost, is_secret, remarks),
            "ignoring": [to_plain(key, lost) for key in sorted(case.ignoring, key=repr)],
            "seed": case.seed,
        }
        text = json.dumps(content, indent=1)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path in dict.fromkeys(_paths(case)):
            _copy(path, folder / ITEMS / os.path.relpath(path, root))
        # Last: a folder without it is not a case.
        (folder / FILE).write_text(text + "\n", encoding="utf-8")
    except (OSError, RecursionError) as error:
        raise NotSaved(f"{type(error).__name__}: {error}") from error
    remarks += [f"values of type {name} are kept as text" for name in dict.fromkeys(lost)]
    return remarks


def _settings(settings: JobSettings) -> dict[str, Plain]:
    """The settings that were set, except environment variables, which may be secret."""
    written: dict[str, Plain] = {}
    for name in sorted(settings.explicit - {"environment_variables"}):
        if name == "rules":
            written.update(asdict(settings.rules))
        elif name == "mini_batch_size":
            written[name] = settings.mini_batch_size_text
        else:
            value = getattr(settings, name)
            written[name] = list(value) if isinstance(value, tuple) else value
    return written


def replaced(value: object, old: str, new: str) -> object:
    """A row in which a folder is renamed, at any depth."""
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, (list, tuple)):
        return type(value)(replaced(element, old, new) for element in value)
    if isinstance(value, dict):
        return {replaced(key, old, new): replaced(element, old, new) for key, element in value.items()}
    return value


def _mini_batch(payload: Payload, root: str, lost: list[str]) -> dict[str, Plain]:
    if not isinstance(payload, (list, tuple)):
        return {"table": table_to_plain(payload, lost)}  # type: ignore[arg-type]
    if not is_files(payload):
        return {"records": to_plain(list(payload), lost)}
    return {"items": [Path(os.path.relpath(path, root)).as_posix() for path in payload]}


def _fault(fault: Fault, lost: list[str]) -> dict[str, Plain]:
    payload = fault.payload
    if fault.kind in RAISING:
        error = fault.exception()
        payload = type(error).__name__, str(error)
    plain = {name: getattr(fault, name) for name in ("kind", "mini_batch", "attempt", "worker")}
    return {**plain, "payload": to_plain(payload, lost)}


def _expected(case: Case, root: str, lost: list[str], is_secret: Callable[[str], bool], remarks: list[str]) -> Plain:
    if case.expected_rows is None:
        return None
    rows = list(case.expected_rows)
    if is_secret(repr(rows)):
        remarks.append("the rows that it should return hold a secret and are left out")
        return None
    return to_plain(replaced(rows, root, FOLDER_OF_ITEMS) if root else rows, lost)


def _paths(case: Case) -> Iterator[str]:
    for payload in case.mini_batches:
        yield from map(os.path.abspath, paths_of(payload))


def _root_of(mini_batches: tuple[Payload, ...]) -> str:
    """The common folder of all items; "" for tables."""
    folders = {os.path.dirname(os.path.abspath(path)) for payload in mini_batches for path in paths_of(payload)}
    return os.path.commonpath(folders) if folders else ""


def _copy(source: str, target: Path) -> None:
    """Copies an item, also one that is a folder. One that is missing, or a link to nowhere, is missing again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.isdir(source):
        target.mkdir(exist_ok=True)
    elif os.path.exists(source):
        shutil.copy2(source, target)
