"""Whether a row names an error, so that a reader of the output can distinguish it from a result.

Scripts write errors in many ways. So a row is compared with those of valid items: signs are a word for an error, a
null, another type, another column or another form that no valid row has.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from pytest_parallelrun.contract.rows.values import Key, is_null, number_in, plain, tells_nothing, text_of, values_of

_ERROR = re.compile(
    r"err(?:or|eur|no)|exception|fail|fehler|invalid|unread|corrupt|missing|not[ _-]?found|no[ _-]such|cannot|unable"
    r"|(?:can|could|does|did|was)[ _-]?(?:not|n[o']?t)\b|skip|broken|traceback|unsupported|illegal|denied"
    r"|is[ _]a[ _]directory|bad[ _-](?:file|item|row|data|input|value)|\b(?:null|none|nan|n/a)\b",
    re.IGNORECASE,
)
_NO_ANSWER = ("unknown", "undefined", "unavailable", "not available", "?", "-", "")
_STATUS = re.compile(
    r"(?:^|[_\W])(?:ok|success\w*|valid\w*|stat(?:us|e)|err\w*|fail\w*|code|flag|readable|reason|message|msg|exc\w*)"
    r"(?:$|[_\W])",
    re.IGNORECASE,
)
_DONE = re.compile(r"done|process|written|saved|copied|complete|version|model", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_LETTERS = re.compile(r"[^\W\d_]+")
_OPEN_END = (":", ",", "=", "|", ";", "\t")


class ValidRows:
    """Rows of valid items, for comparison. names: of the items, which are not signs of an error."""

    def __init__(self, rows: Sequence[object], names: Collection[str]) -> None:
        self._names = defaultdict[int, set[str]](set)
        for name in _parts_of(names):
            self._names[len(name)].add(name)
        self._kinds = {_kind(row) for row in rows}
        self._words = {word for row in rows for word in self._error_words(row)}
        self._forms = {self._form(row) for row in rows if isinstance(row, str)}
        self._comparable = sum(isinstance(row, str) for row in rows) > 1
        self._open_ended = any(_is_open(row) for row in rows)
        self._values: dict[Key, list[object]] = {}
        for row in rows:
            for spot, value in values_of(row).items():
                self._values.setdefault(spot, []).append(value)
        # If one row has a string and another a null, or one list is longer, a spot need not be in every row.
        self._required = {spot for spot, held in self._values.items() if len(held) == len(rows) and not _is_word(spot)}
        self._kinds_of = {spot: {_kind(value) for value in held} for spot, held in self._values.items()}
        self._constant = {spot for spot, held in self._values.items() if len(set(map(repr, held))) == 1}

    def names_error(self, row: object, *, echo: str = "") -> bool:
        """Whether the row names an error, so that no valid item has such a row. An empty one does not.

        echo: a text of the input, which is no sign when it is repeated.
        """
        return not says_nothing(row) and self.is_unlike(row, echo=echo)

    def is_unlike(self, row: object, *, echo: str = "") -> bool:
        """Whether no valid item has such a row: it names an error, or is empty."""
        if _kind(row) not in self._kinds or self.says_error(row):
            return True
        if isinstance(row, str):
            if _is_open(row) and not self._open_ended:
                return True
            if self._comparable and len(self._forms) == 1 and self._form(row) not in self._forms:
                return True
        return self._values_differ(row, echo)

    def says_error(self, row: object) -> bool:
        """Whether it contains a word for an error that no valid row has."""
        return bool(self._error_words(row) - self._words)

    def _values_differ(self, row: object, echo: str) -> bool:
        values = values_of(row)
        repeated = set()
        for spot, value in values.items():
            if echo and isinstance(value, str) and not value.replace(echo, ""):
                repeated.add(spot[:-1] if _is_word(spot) else spot)
            elif self._differs(spot, value):
                return True
        return not self._required <= values.keys() | repeated

    def _differs(self, spot: Key, value: object) -> bool:
        kinds = self._kinds_of.get(spot)
        if kinds is None:
            # Another word is not another column: strings have any number of words.
            return not _is_word(spot) and not is_null(value)
        if is_null(value):
            return "null" not in kinds
        if not _is_word(spot) and _kind(value) not in kinds:
            return True
        return _is_status(spot) and spot in self._constant and value != self._values[spot][0]

    def _error_words(self, row: object) -> set[str]:
        text = text_of(row)
        keys = " ".join(str(part) for spot in values_of(row) for part in spot if isinstance(part, str))
        return {word.lower() for word in _ERROR.findall(f"{self._without_names(text)} {keys}")}

    def _form(self, row: str) -> str:
        """The form of a string: what is left without letters and digits."""
        return re.sub(r"\s+", " ", _LETTERS.sub("w", _NUMBER.sub("0", self._without_names(row))))

    def _without_names(self, text: str) -> str:
        # Longer ones first. By their lengths, since a table has as many names as rows.
        for length in sorted(self._names, reverse=True):
            start = 0
            while start + length <= len(text):
                if text[start : start + length] in self._names[length]:
                    text = f"{text[:start]}@{text[start + length :]}"
                start += 1
        return text


def all_say_the_same_error(rows: Sequence[object], texts: Collection[str]) -> bool:
    """Whether all rows, of several items, are the same error. texts: of the items, which a row may repeat."""
    said = {tuple(_said(row, texts)) for row in rows}
    first = next(iter(said), ())
    return len(rows) > 1 and said == {first} and first != () and all(map(_is_error, first))


class SameForAll(NamedTuple):
    """Results that are the same in all rows. alone: whether rows have nothing else, but for what items contain."""

    values: dict[Key, object]
    alone: bool


def same_for_all(rows: Sequence[object], names: Collection[str], contents: Sequence[object]) -> SameForAll | None:
    """The results that do not depend on the item; None if there are none. names, contents: of the items.

    A status such as "ok", the number of rows, and what all items contain are no results.
    """
    if len(rows) < 2 or len(set(map(repr, contents))) < 2:
        return None
    values = [values_of(row) for row in rows]
    held = [{_comparable(value) for value in values_of(content).values()} for content in contents]
    somewhere, everywhere = set.union(*held), set.intersection(*held)
    spots = set.union(*map(set, values))
    same = {spot for spot in spots if len({repr(row.get(spot)) for row in values}) == 1}
    alone = all(
        _comparable(value := row.get(spot)) in somewhere or _repeats(value, names) or tells_nothing(value)
        for row in values
        for spot in spots - same
    )
    results = {
        spot: value
        for spot, value in values[0].items()
        if spot in same
        and value != len(rows)
        and _comparable(value) not in everywhere
        and not any(_STATUS.search(str(text)) or _DONE.search(str(text)) for text in (*spot, value))
        and (alone or not isinstance(value, str) or not _is_word(spot))
    }
    return SameForAll(results, alone) if results else None


def _comparable(value: object) -> object:
    """The same for a number and its text."""
    number = number_in(value)
    return str(value) if number is None else number


def keeps_a_value(before: Sequence[object], after: Sequence[object], texts: Collection[str]) -> bool:
    """Whether something worked out for each item, such as a number that is not the same for all, is in both."""
    if len(before) != len(after) or len(before) < 2:
        return True
    pairs = [(dict(values_of(row)), dict(values_of(other))) for row, other in zip(before, after, strict=True)]
    for spot in set.intersection(*(set(old) & set(new) for old, new in pairs)):
        same = all(repr(old[spot]) == repr(new[spot]) and not _repeats(old[spot], texts) for old, new in pairs)
        if same and len({repr(old[spot]) for old, _ in pairs}) > 1:
            return True
    return False


def only_flags_differ(before: Sequence[object], after: Sequence[object]) -> bool:
    """Whether rows differ only in what is the same for all valid items: then a reader sees which one is unlike them."""
    if len(before) != len(after):
        return False
    values = [values_of(row) for row in before]
    for old, row in zip(values, after, strict=True):
        new = values_of(row)
        for spot in old.keys() | new.keys():
            held = {repr(each.get(spot)) for each in values}
            if repr(old.get(spot)) != repr(new.get(spot)) and len(held) > 1:
                return False
    return True


def _said(row: object, texts: Collection[str]) -> Iterator[str]:
    """What a row says beside the names of its item, and beside that there is no error."""
    fields = row.items() if isinstance(row, dict) else enumerate(row if isinstance(row, (list, tuple)) else [row])
    for name, value in fields:
        if isinstance(row, dict) and is_null(value) and (_STATUS.search(str(name)) or _ERROR.search(str(name))):
            continue
        text = "null" if is_null(value) else str(value)
        for part in sorted(_parts_of(texts), key=len, reverse=True):
            text = text.replace(part, "")
        if text.strip():
            yield text


def _is_error(text: str) -> bool:
    return _ERROR.search(text) is not None or text.strip(" ,;:\t").lower() in _NO_ANSWER


def _repeats(value: object, texts: Collection[str]) -> bool:
    return value is None or any(part in str(value) or str(value) == part for part in _parts_of(texts))


def says_nothing(row: object) -> bool:
    """Whether the whole row is None or blank, so that it identifies neither its item nor an error."""
    return row is None or (isinstance(row, str) and not row.strip())


def _parts_of(names: Collection[str]) -> set[str]:
    parts: set[str] = set()
    for name in names:
        base = re.split(r"[\\/]", name)[-1]
        parts.update((name, base, base.rpartition(".")[0]))
    # A name of one or two letters is in every string.
    return {part for part in parts if len(part) > 2}


def _kind(value: object) -> str:
    value = plain(value)
    if isinstance(value, bool):
        return "bool"
    if is_null(value):
        return "null"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, (list, tuple)):
        return "sequence"
    return type(value).__name__


def _is_open(row: object) -> bool:
    return isinstance(row, str) and (says_nothing(row) or row.rstrip(" ").endswith(_OPEN_END))


def _is_word(spot: Key) -> bool:
    return bool(spot) and isinstance(spot[-1], tuple)


def _is_status(spot: Key) -> bool:
    names = [part for part in spot if isinstance(part, str)]
    return bool(names) and bool(_STATUS.search(names[-1]))
