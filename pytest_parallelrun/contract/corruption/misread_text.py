"""Text that a script reads in another encoding than its files have, which raises no error.

A worker reads a mini-batch again with UTF-8 in place of each single-byte encoding, wherever the bytes are valid UTF-8:
text of such an encoding almost never is. Workers import this module by name: do not import pytest or Hypothesis here.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pytest_parallelrun.contract.bounds import MAX_BROKEN_BYTES
from pytest_parallelrun.contract.entry.init_calls import TooManyInitCalls
from pytest_parallelrun.contract.entry.mini_batches import answer_of, first_difference, paths_of
from pytest_parallelrun.contract.rows.values import text_of
from pytest_parallelrun.emulator.probe import WorkerStartError

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.mini_batches import RunOutcome, SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.probe import ProbeSession

ENCODING = "encoding"
"""Name of this question to the worker that is asked everything."""
REPLACED = "\ufffd"
"""What errors="replace" puts in the place of bytes that are not UTF-8."""
_ENCODINGS = ("latin_1", "cp1252", "iso8859_15")
_WORD = re.compile(r"[^\s\"']*[^\x00-\x7f][^\s\"']*")


class AsUtf8(NamedTuple):
    """A mini-batch, the answers for it (as it is, with UTF-8, as it is again), and the encodings that were replaced."""

    mini_batch: SampleMiniBatch
    answer: RunOutcome
    as_utf8: RunOutcome
    again: RunOutcome
    encodings: list[str]


class MisreadText(NamedTuple):
    """mini_batch: whose rows are wrong. what: the evidence. fix. is_lost: whether the rows hold the wrong text."""

    mini_batch: SampleMiniBatch
    what: str
    fix: str
    is_lost: bool


def ask_encoding(observations: Observations, session: ProbeSession) -> AsUtf8 | None:
    """The answers for the first mini-batch with text that is not ASCII; None without one."""
    for mini_batch in observations.groups:
        if any(not content.isascii() for content in _contents(mini_batch)):
            answer = answer_of(observations.attempt(session, mini_batch).ended)
            session.call_in_worker(_read_as_utf8)
            try:
                as_utf8 = answer_of(observations.attempt(session, mini_batch).ended)
            finally:
                encodings = cast("list[str]", session.call_in_worker(_read_as_before))
            again = answer_of(observations.attempt(session, mini_batch).ended)
            return AsUtf8(mini_batch=mini_batch, answer=answer, as_utf8=as_utf8, again=again, encodings=encodings)
    return None


def misread_text(observations: Observations) -> MisreadText | None:
    """Whether rows are wrong because text was read in the wrong encoding."""
    asked = observations.remember(ENCODING, lambda: _asked(observations))
    if asked is None or not asked.answer.rows:
        return None
    mini_batch, encoding = asked.mini_batch, asked.encodings[0].replace("_", "-") if asked.encodings else ""
    rows, contents = " ".join(map(text_of, asked.answer.rows)), b" ".join(_contents(mini_batch))
    wrong = _wrong_word(rows, contents)
    fix = 'name the encoding that the file has, as in open(path, encoding="{}")'
    if wrong is None and REPLACED in rows and (bad := _not_utf8(contents)):
        what = f"rows hold {REPLACED!r} in place of letters, because the file is not UTF-8: as cp1252 it has {bad!r}"
        return MisreadText(mini_batch, what, fix.format("cp1252"), is_lost=False)
    fix = fix.format("utf-8")
    if wrong is not None:
        return MisreadText(mini_batch, f"rows hold {wrong[0]!r}, where the file has {wrong[1]!r}", fix, is_lost=True)
    difference = first_difference(asked.answer, asked.as_utf8)
    if not encoding or difference is None or not asked.as_utf8.rows or first_difference(asked.answer, asked.again):
        return None
    shown = tuple(map(observations.shown, difference))
    what = f"for {mini_batch.items()}, read as {encoding}, run() {shown[0]}; read as UTF-8, which it is, {shown[1]}"
    return MisreadText(mini_batch, what, fix, is_lost=False)


def _asked(observations: Observations) -> AsUtf8 | None:
    if observations.is_known:
        return cast("AsUtf8 | None", observations.screening.answers[ENCODING])
    observations.restore()
    limit = observations.probe_limit
    with suppress(TooManyInitCalls, WorkerStartError), observations.entry.session(probe_limit=limit) as session:
        return ask_encoding(observations, session)
    return None


def _wrong_word(rows: str, contents: bytes) -> tuple[str, str] | None:
    """A word of the rows that is UTF-8 read as something else, and the word of the files that it was."""
    for word in _WORD.findall(rows):
        for encoding in ("cp1252", "latin-1"):
            with suppress(UnicodeError):
                right = word.encode(encoding).decode("utf-8")
                if right.encode() in contents and word.encode() not in contents:
                    return word, right
    return None


def _not_utf8(contents: bytes) -> str:
    """A word of a text that is not UTF-8, read as cp1252; "" for UTF-8 and for what is no text."""
    with suppress(UnicodeDecodeError):
        contents.decode("utf-8")
        return ""
    if REPLACED.encode() in contents or re.search(rb"[\x00-\x08\x0e-\x1f]", contents):
        return ""
    return next(iter(_WORD.findall(contents.decode("cp1252", "replace"))), "")


def _contents(mini_batch: SampleMiniBatch) -> Iterator[bytes]:
    for path in paths_of(mini_batch.payload):
        with suppress(OSError):
            if os.path.getsize(path) <= MAX_BROKEN_BYTES:
                yield Path(path).read_bytes()


_before: dict[str, Callable[..., str]] = {}
_seen: dict[str, None] = {}


def _read_as_utf8() -> None:
    """In a worker: changes how text files are decoded."""
    for name in _ENCODINGS:
        decoder: Any = codecs.lookup(name).incrementaldecoder
        _before[name] = decoder.decode
        decoder.decode = _utf8_first(name, decoder.decode)


def _read_as_before() -> list[str]:
    """In a worker: undoes that; the encodings for which UTF-8 was used."""
    for name, decode in _before.items():
        decoder: Any = codecs.lookup(name).incrementaldecoder
        decoder.decode = decode
    encodings = list(_seen)
    _seen.clear()
    return encodings


def _utf8_first(name: str, decode: Callable[..., str]) -> Callable[..., str]:
    def decode_utf8(decoder: Any, input: bytes, final: bool = False) -> str:
        state = vars(decoder)
        utf8 = state.setdefault("utf8", codecs.getincrementaldecoder("utf-8")())
        if utf8 is not None:
            try:
                text: str = utf8.decode(input, final)
            except UnicodeDecodeError:
                state["utf8"] = None
            else:
                if not text.isascii():
                    _seen[name] = None
                return text
        return decode(decoder, input, final)

    return decode_utf8
