"""Broken content for a file whose format is known: what cannot be parsed, and what parses and is not what is expected.

Each kind of damage comes twice. The first leaves nearly all of the content, the second nearly nothing: what looks at
the bytes (counts, hashes, words) tells the two apart, and what hides that it failed does not.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from typing import NamedTuple
from xml.etree import ElementTree

from pytest_parallelrun.contract.bounds import MAX_BROKEN_BYTES
from pytest_parallelrun.contract.rows.values import number_in

_JUNK = b"\x07\x13\xfb\xfe not what it should be"
_BINARY = {
    "zip archive": (b"PK\x03\x04",),
    "gzip file": (b"\x1f\x8b",),
    "picture": (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\x00", b"MM\x00*", b"RIFF"),
}
"""Formats by how their files begin."""


class Damage(NamedTuple):
    """description: what is bad about the file, after "because"."""

    description: str
    slight: bytes
    total: bytes


def damages_of(path: str) -> list[Damage]:
    """How the content of a file can be broken; none where its format is not known."""
    try:
        if os.path.getsize(path) > MAX_BROKEN_BYTES:
            return []
        with open(path, "rb") as stream:
            content = stream.read()
    except OSError:
        return []
    for name, signatures in _BINARY.items():
        for signature in signatures:
            if content.startswith(signature):
                return [Damage(f"the {name} is cut short", content[: len(content) * 2 // 3], signature + _JUNK)]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return []
    return [*_of_json(text), *_of_xml(text), *(_of_table(text) if path.lower().endswith((".csv", ".tsv")) else ())]


def _of_json(text: str) -> Iterator[Damage]:
    stripped = text.rstrip()
    if not stripped.startswith(("{", "[")):
        return
    try:
        held = [json.loads(stripped)]
    except ValueError:
        try:
            held = [json.loads(line) for line in stripped.splitlines()]
        except ValueError:
            return
    yield Damage("its JSON is cut short", stripped[:-1].encode(), b'{"no')
    changed, replaced = _without_first_number(held)
    if replaced:
        lines = "\n".join(json.dumps(each) for each in changed)  # type: ignore[attr-defined]
        yield Damage("the first number in its JSON is the text '?'", lines.encode(), b'{"no": "such thing"}')


def _without_first_number(value: object) -> tuple[object, bool]:
    """A value of JSON with a text for its first number, and whether it has one."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "?", True
    replaced = False
    changed: dict[object, object] = {}
    for key, each in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        changed[key], replaced = (each, True) if replaced else _without_first_number(each)
    if isinstance(value, dict):
        return changed, replaced
    return (list(changed.values()), replaced) if isinstance(value, list) else (value, False)


def _of_xml(text: str) -> Iterator[Damage]:
    try:
        ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError):
        return
    yield Damage("its XML is cut short", text.rstrip()[:-1].encode(), b"<no")


def _of_table(text: str) -> Iterator[Damage]:
    lines = text.splitlines()
    delimiter = max(",;\t|", key=lines[0].count) if lines else ","
    try:
        rows = list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        return
    numbers = [
        (row, at) for row in range(1, len(rows)) for at, cell in enumerate(rows[row]) if number_in(cell) is not None
    ]
    several = len({row for row, _ in numbers}) > 1
    if several:
        first = {one for one in numbers if one[0] == numbers[0][0]}
        slight, total = (_as_csv(rows, cells, delimiter) for cells in (first, set(numbers)))
        yield Damage(f"its row {numbers[0][0]} has the text '?' for each number", slight, total)
    yield Damage("it is no CSV after its last row", text.encode() + _JUNK, _JUNK)


def _as_csv(rows: list[list[str]], without: set[tuple[int, int]], delimiter: str) -> bytes:
    """The rows with "?" in the cells of `without`: each a row and a column."""
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator="\n").writerows(
        ["?" if (row, at) in without else cell for at, cell in enumerate(cells)] for row, cells in enumerate(rows)
    )
    return stream.getvalue().encode()
