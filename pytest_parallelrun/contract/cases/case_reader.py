"""A saved case as it is read: a stranger may have sent it, so nothing in it is taken for granted.

Items lie inside the folder, links are not followed, and what a case never holds, such as environment variables, is
refused.
"""

from __future__ import annotations

import builtins
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast, get_args

from pytest_parallelrun.contract.cases.case import FILE, ITEMS, RAISING, VERSION
from pytest_parallelrun.contract.cases.plain_json import from_plain
from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.faults import Fault, FaultKind

MAX_SHOWN = 60
"""Characters of a wrong value that are shown."""
_PAYLOADS = {"files": "items", "tabular": "table", "records": "records"}
"""What the mini-batches of each kind hold."""


def read_case(folder: Path) -> Mapping[str, object]:
    """The content of case.json. InputError for a folder that is none of a case, or what is malformed."""
    file = folder / FILE
    if not file.is_file() or file.is_symlink():
        what = "is no folder" if not folder.is_dir() else f"has no {FILE}"
        raise InputError(f"'{folder}' {what}: give a folder that --parallelrun-save or pytest's cache holds.")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"'{file}' cannot be read: {error}") from error
    except RecursionError as error:
        raise InputError(f"'{file}' cannot be read: it is nested too deeply.") from error
    version = content.get("version") if isinstance(content, dict) else None
    if version != VERSION:
        raise InputError(f"'{file}' has version {shown(version)}, and this pytest-parallelrun reads version {VERSION}.")
    problem = next(_problems(content), None)
    if problem is not None:
        raise InputError(f"'{file}': {problem}.")
    return cast("Mapping[str, object]", content)


def shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def copy_items(folder: Path, target: str) -> None:
    """Copies the items of a case. InputError where there is anything but files and folders."""
    source = folder / ITEMS
    if not os.path.lexists(source):
        return
    paths = [str(source)]
    for parent, folders, files in os.walk(source):
        paths += [os.path.join(parent, name) for name in (*folders, *files)]
    for path in paths:
        mode = os.lstat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            what = "a link, which is not followed" if stat.S_ISLNK(mode) else "neither a file nor a folder"
            raise InputError(
                f"'{path}' is {what}: the items of a saved case are files. Remove it, or save the case again."
            )
    try:
        shutil.copytree(source, os.path.join(target, ITEMS), symlinks=True)
    except OSError as error:
        raise InputError(f"the items of '{folder}' cannot be copied: {error}") from error


def fault_of(plain: Mapping[str, object]) -> Fault:
    """A fault again; of an exception that is not built in the text is kept."""
    kind = str(plain["kind"])
    payload = from_plain(plain.get("payload"))
    if kind in RAISING:
        name, text = cast("tuple[str, str]", payload)
        known = getattr(builtins, name, None)
        make = known if isinstance(known, type) and issubclass(known, Exception) else None
        try:
            payload = RuntimeError(f"{name}: {text}") if make is None else make(text)
        except TypeError:
            # A UnicodeDecodeError is not made from a text.
            payload = RuntimeError(f"{name}: {text}")
    address = {name: cast("int | None", plain.get(name)) for name in ("mini_batch", "attempt", "worker")}
    return Fault(kind=kind, payload=payload, **address)  # type: ignore[arg-type]


def _text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _whole_number(value: object) -> bool:
    return type(value) is int and value >= 0


def _list_of(fits: Callable[[Any], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or (isinstance(value, list) and all(map(fits, value)))


def _pair_of(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and len(value) == 2 and all(map(fits, value))


def _settings(value: object) -> bool:
    return value is None or (isinstance(value, dict) and "environment_variables" not in value)


_FIELDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "entry": (_text, "a text"),
    "check": (_text, "a text"),
    "finding": (_text, "a text"),
    "kind": (lambda value: value in ("files", "tabular", "records"), "files, tabular or records"),
    "expects": (lambda value: value in ("results", "no_harm"), "results or no_harm"),
    "mini_batches": (lambda value: isinstance(value, list) and bool(value), "a list of mini-batches"),
    "identities": (_list_of(_pair_of(_whole_number)), "a list of pairs of whole numbers"),
    "partitions": (_list_of(_list_of(_pair_of(_text))), "a list of lists of pairs of texts"),
    "settings": (_settings, "settings by name, without environment variables"),
    "settings_of_the_run": (_settings, "settings by name, without environment variables"),
    "faults": (_list_of(lambda value: isinstance(value, dict)), "a list of faults"),
    "expected_rows": (lambda value: value is None or isinstance(value, list), "a list of rows"),
    "ignoring": (_list_of(lambda value: True), "a list of keys"),
    "seed": (lambda value: value is None or type(value) is int, "a whole number"),
}


def _problems(content: Mapping[str, Any]) -> Iterator[str]:
    for name, (fits, allowed) in _FIELDS.items():
        if not fits(content.get(name)):
            yield f"{name} must be {allowed}, and is {shown(content.get(name))}"
    holds = _PAYLOADS[content["kind"]]
    for index, mini_batch in enumerate(content["mini_batches"]):
        payload = mini_batch.get(holds) if isinstance(mini_batch, dict) else None
        if not isinstance(payload, dict if holds == "table" else list):
            yield f"mini_batches[{index}] must have {holds}, and is {shown(mini_batch)}"
        elif holds == "table":
            yield from (f"mini_batches[{index}]: {problem}" for problem in _problems_of_table(payload))
        elif holds == "items":
            outside = [name for name in payload if not _is_inside(name)]
            yield from (
                f"mini_batches[{index}] has the item {shown(name)}, which is not below {ITEMS}" for name in outside
            )
    for name in ("identities", "partitions"):
        number = len(content.get(name) or ())
        if number not in (0, len(content["mini_batches"])):
            yield f"{name} must have one entry for each mini-batch, and has {number}"
    for index, fault in enumerate(content.get("faults") or ()):
        kind = fault.get("kind")
        if kind not in get_args(FaultKind):
            yield f"faults[{index}] has the kind {shown(kind)}. Allowed: {', '.join(get_args(FaultKind))}"
        elif not _fits(kind, fault.get("payload")):
            yield f"faults[{index}], which {kind}, has the payload {shown(fault.get('payload'))}"


def _is_inside(name: object) -> bool:
    """Whether a name leads to a file below the folder of the items, whatever the system."""
    if not isinstance(name, str) or any(sign in name for sign in "\\\0") or name[1:2] == ":":
        return False
    return all(part not in ("", ".", "..") for part in name.split("/"))


def _fits(kind: str, payload: object) -> bool:
    if kind in RAISING:
        plain = payload.get("tuple") if isinstance(payload, dict) else None
        return _pair_of(lambda value: isinstance(value, str))(plain)
    if kind == "drops":
        return type(payload) is int and payload >= 1
    return kind == "returns" or payload is None


def _problems_of_table(table: Any) -> Iterator[str]:
    rows, columns = table.get("rows"), table.get("columns")
    if not _whole_number(rows) or not isinstance(columns, list):
        yield "a table has a number of rows and a list of columns"
        return
    for column in columns:
        values = column.get("values") if isinstance(column, dict) else None
        if not isinstance(values, list) or not isinstance(column.get("dtype"), str) or "name" not in column:
            yield f"a column has name, dtype and values, and is {shown(column)}"
        elif len(values) != rows:
            yield f"the column {shown(column['name'])} has {len(values)} values in a table of {rows} rows"
