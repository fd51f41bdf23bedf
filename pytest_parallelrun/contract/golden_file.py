"""Golden output: the accepted rows of a sample, in a text file for code reviews.

A head of `# name: JSON` lines, an empty line, and a line for each row: its item, a tab, the row. Rows are texts as they
are, or JSON; a text that would not survive an editor is a JSON string.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import cast

from pytest_parallelrun.contract.cases.plain_json import from_plain, to_plain
from pytest_parallelrun.contract.rows.comparison import Tolerance
from pytest_parallelrun.contract.rows.values import json_in, kind_of, leaves_of, name_of, plain
from pytest_parallelrun.emulator.errors import did_you_mean

VERSION = 1
MAX_BYTES = 1_000_000
"""Maximum size of the rows in a file: what can still be reviewed."""
TOO_LARGE = f"the output of the sample has more than {MAX_BYTES // 1_000_000} MB, too much to be reviewed"

_TITLE = "# Accepted output, one line for each row, written by pytest --parallelrun-update-golden"
_TAGS = {"tuple", "dict", "float", "bytes", "text", "datetime", "date", "time", "null", "Timestamp", "Timedelta"}
"""Keys that stand for a value without a JSON form, see `to_plain()`."""
_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that no editor shows, or that end a line."""


class GoldenFileError(Exception):
    """Golden output that cannot be read, or is too large to be written; the text is a clause."""


@dataclass(frozen=True, kw_only=True)
class GoldenRequest:
    """What the options say about the golden output of an entry.

    shown: the file in messages. base: absolute paths below it are relative in the file. settings: those that affect
    rows, without secrets. command: accepts a change.
    """

    file: Path
    shown: str
    base: str
    update: bool
    settings: Mapping[str, str]
    command: str


@dataclass(frozen=True, kw_only=True)
class GoldenOutput:
    """The content of a file. lines: the rows of each item, as written. of_texts: whether they are texts.

    columns: of rows with named values, with their types. tolerance, not_compared: by the name of a value.
    """

    settings: Mapping[str, str]
    of_texts: bool
    columns: Mapping[str, str]
    lines: Mapping[str, Sequence[str]]
    tolerance: Mapping[str, Tolerance] = field(default_factory=dict)
    not_compared: tuple[str, ...] = ()

    @cached_property
    def rows(self) -> dict[str, list[object]]:
        """The rows of each item, to be compared; a JSON object in a text is one with named values."""
        return {item: [_decoded(line, self.of_texts) for line in lines] for item, lines in self.lines.items()}

    @property
    def all_rows(self) -> list[object]:
        return [row for rows in self.rows.values() for row in rows]

    @cached_property
    def names(self) -> set[str]:
        return {*self.columns, *(name_of(key) for row in self.all_rows for key in leaves_of(row))}

    @cached_property
    def numbers(self) -> set[str]:
        """The names of those that may have a tolerance."""
        leaves = (leaf for row in self.all_rows for leaf in leaves_of(row).items())
        found = {name_of(key) for key, value in leaves if type(value) in (int, float)}
        return found.union(name for name, kinds in self.columns.items() if "number" in kinds)

    def text(self) -> str:
        content = {
            "version": VERSION,
            "settings": self.settings,
            "rows": "text" if self.of_texts else "JSON",
            "columns": self.columns,
            "tolerance": {
                name: {bound: value for bound, value in tolerance._asdict().items() if value}
                for name, tolerance in self.tolerance.items()
            },
            "not compared": self.not_compared,
        }
        head = [_TITLE, *(f"# {name}: {_json(content[name])}" for name in _FORMS)]
        body = [f"{_as_text(item, tabs=False)}\t{line}" for item, lines in self.lines.items() for line in lines]
        return "\n".join([*head, "", *body, ""])


def golden_output(
    rows_by_item: Mapping[str, Sequence[object]],
    settings: Mapping[str, str],
    clean: Callable[[str], str],
    without: Collection[str] = (),
) -> GoldenOutput:
    """The output in the form of a file. clean: makes a text the same on every machine. without: columns to leave out.

    GoldenFileError if it is too large.
    """
    of_texts = all(isinstance(row, str) for rows in rows_by_item.values() for row in rows)
    kinds: dict[str, set[str]] = defaultdict(set)
    lines: dict[str, list[str]] = defaultdict(list)
    size = 0
    for item, rows in rows_by_item.items():
        for row in rows:
            content = _plain_row(row, clean)
            if isinstance(row, dict) and isinstance(content, dict):
                for value, (name, written) in zip(row.values(), content.items(), strict=False):
                    kinds[name].update([] if written is None else [kind_of(value)])
                content = {name: value for name, value in content.items() if name not in without}
            lines[item].append(_as_text(str(content)) if of_texts else _json(content))
            size += len(f"{item}\t{lines[item][-1]}\n".encode(errors="replace"))
            if size > MAX_BYTES:
                raise GoldenFileError(TOO_LARGE)
    columns = {name: " or ".join(sorted(found)) for name, found in kinds.items()}
    return GoldenOutput(settings=settings, of_texts=of_texts, columns=columns, lines=lines)


def read_golden_file(file: Path) -> GoldenOutput:
    """Reads a file. GoldenFileError if it is malformed or cannot be read; FileNotFoundError if there is none."""
    try:
        if file.stat().st_size > 2 * MAX_BYTES:
            raise GoldenFileError("it is larger than any that is written")
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise GoldenFileError(str(error.strerror)) from error
    except ValueError as error:
        raise GoldenFileError("it is not UTF-8 text") from error
    head, _, body = text.partition("\n\n")
    content = _read_head(head.split("\n"))
    lines: dict[str, list[str]] = defaultdict(list)
    of_texts = content["rows"] == "text"
    for number, line in enumerate(body.split("\n"), head.count("\n") + 3):
        if line:
            try:
                item, row = line.split("\t", 1)
                item = str(json.loads(item)) if item.startswith('"') else item
                leaves_of(_decoded(row, of_texts))
            except Exception as error:
                # Whatever JSON and pandas raise at values that nobody has written.
                raise GoldenFileError(f"line {number} is not an item, a tab and a row: {line[:60]!r}") from error
            lines[item].append(row)
    tolerance = cast("dict[str, dict[str, float]]", content["tolerance"])
    golden = GoldenOutput(
        settings=cast("dict[str, str]", content["settings"]),
        of_texts=of_texts,
        columns=cast("dict[str, str]", content["columns"]),
        lines=lines,
        tolerance={name: Tolerance(**bounds) for name, bounds in tolerance.items()},
        not_compared=tuple(cast("list[str]", content["not compared"])),
    )
    for name in golden.tolerance.keys() - golden.numbers:
        allowed = did_you_mean(name, golden.numbers or ["{}"])
        raise GoldenFileError(f"'tolerance' names {name!r}, which no row has as a decimal number. {allowed}")
    for name in set(golden.not_compared) - golden.names:
        raise GoldenFileError(f"'not compared' names {name!r}, which no row has. {did_you_mean(name, golden.names)}")
    return golden


def write_golden_file(file: Path, text: str) -> None:
    """Writes all of it or, with GoldenFileError, nothing."""
    beside = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8", newline="\n")
        os.replace(beside, file)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise GoldenFileError(str(error.strerror)) from error


def _read_head(lines: Sequence[str]) -> dict[str, object]:
    if not lines[0].startswith("#"):
        raise GoldenFileError("its head is missing")
    content: dict[str, object] = {"settings": {}, "columns": {}, "tolerance": {}, "not compared": []}
    for number, line in enumerate(lines[1:], 2):
        match = re.fullmatch(r"# ([^:]+): (.+)", line)
        if match is None:
            raise GoldenFileError(f"line {number} is not '# NAME: VALUE': {line[:60]!r}")
        name = match[1]
        if name not in _FORMS:
            raise GoldenFileError(f"line {number} has an unknown name {name!r}. {did_you_mean(name, _FORMS)}")
        try:
            content[name] = json.loads(match[2])
        except (ValueError, RecursionError):
            raise GoldenFileError(f"line {number}: the value of {name!r} is not JSON: {match[2][:60]}") from None
        is_valid, allowed = _FORMS[name]
        if not is_valid(content[name]):
            raise GoldenFileError(f"line {number}: {name!r} cannot be {match[2][:60]}. Allowed: {allowed}")
    if "rows" not in content or "version" not in content:
        raise GoldenFileError("its head lacks 'version' or 'rows'")
    return content


def _of_texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())


def _of_tolerances(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(one, dict)
        and one.keys() <= set(Tolerance._fields)
        and all(type(bound) in (int, float) and 0 <= bound < math.inf for bound in one.values())
        for one in value.values()
    )


_FORMS: dict[str, tuple[Callable[[object], bool], str]] = {
    "version": (lambda value: value == VERSION, f"{VERSION}; another version of pytest-parallelrun wrote it"),
    "settings": (_of_texts, "texts by name"),
    "rows": (lambda value: value in ("text", "JSON"), '"text" or "JSON"'),
    "columns": (_of_texts, "texts by name"),
    "tolerance": (_of_tolerances, 'such as {"score": {"rel": 0.01}} or {"score": {"abs": 0.5}}'),
    "not compared": (
        lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
        'a list of names, such as ["score"]',
    ),
}
"""Names in the head in order, each with a test of its value, and what is allowed."""


def _plain_row(row: object, clean: Callable[[str], str]) -> object:
    """A row as JSON. An object is always one with named values: a single date is its text."""
    if isinstance(row, dict):
        return {clean(str(name)): _plain(value, clean) for name, value in row.items()}
    content = _plain(row, clean)
    return str(next(iter(content.values()))) if isinstance(content, dict) else content


def _plain(value: object, clean: Callable[[str], str]) -> object:
    """A value as JSON: nulls as null, arrays as lists, floats as short as they can be."""
    value = plain(value)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        return clean(str(value))
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, float) and math.isfinite(value):
        return _short(value)
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, (set, frozenset)):
        return [_plain(element, clean) for element in sorted(value, key=repr)]
    if isinstance(value, (list, tuple)):
        return [_plain(element, clean) for element in value]
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return _plain(value.tolist(), clean)
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, dict) and not (len(value) == 1 and value.keys() <= _TAGS):
        return {clean(str(name)): _plain(element, clean) for name, element in value.items()}
    content = to_plain(value, [])
    if isinstance(content, dict) and "text" in content:
        return {"text": clean(str(content["text"]))}
    return content


def _short(value: float) -> float:
    """A float without the digits of its binary form: 0.3 for 0.1 + 0.2, and for the float32 next to 0.3."""
    with suppress(OverflowError):
        single = struct.pack("f", value)
        if len(repr(value)) > 12 and struct.unpack("f", single)[0] == value:
            shorter = (float(f"{value:.{digits}g}") for digits in range(6, 10))
            return next((short for short in shorter if struct.pack("f", short) == single), value)
    return float(f"{value:.15g}") if abs(value) < 1e15 else value


def _decoded(line: str, of_texts: bool) -> object:
    if of_texts:
        text = str(json.loads(line)) if line.startswith('"') else line
        held = json_in(text)
        return held if isinstance(held, dict) else text
    content = json.loads(line)
    if isinstance(content, dict):
        return {name: _value(element) for name, element in content.items()}
    return _value(content)


def _value(content: object) -> object:
    if isinstance(content, list):
        return [_value(element) for element in content]
    if not isinstance(content, dict):
        return content
    if len(content) == 1 and content.keys() <= _TAGS:
        return from_plain(content)
    return {name: _value(element) for name, element in content.items()}


def _as_text(text: str, *, tabs: bool = True) -> str:
    """A text as it is, or as a JSON string if it would not survive an editor."""
    safe = text == text.strip() and not text.startswith('"') and (tabs or "\t" not in text)
    return text if text and safe and not _UNSAFE.search(text) else _json(text)


def _json(content: object) -> str:
    text = json.dumps(content, ensure_ascii=False)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
