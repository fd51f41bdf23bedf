"""The messages between the parent and a worker process, as bytes on two pipes.

A message is its name and its fields, plain values written by `marshal`: both sides are the same interpreter, and unlike
dataclasses and pickle it needs no import.
"""

from __future__ import annotations

import marshal

LENGTH_BYTES = 8

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**options):
        return lambda kind: kind


_KINDS: dict[str, type[Message]] = {}


@dataclass_transform(kw_only_default=True)
class Message:
    """Created with its fields by name; a missing one has its default."""

    def __init_subclass__(cls) -> None:
        _KINDS[cls.__name__] = cls

    def __init__(self, **fields: object) -> None:
        self.__dict__ = fields

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def to_bytes(self) -> bytes:
        """Name and fields, with their length first."""
        data = marshal.dumps((type(self).__name__, self.__dict__))
        return len(data).to_bytes(LENGTH_BYTES, "little") + data


class Start(Message):
    """To the worker, once: how to start.

    name: of the worker. script: dotted name, path and label. stand_ins: pickled arguments for them. appended: the file
    for its results. init_failure: a fault for init(). watch: whether to report opened files. observer: module and name
    of a class.
    """

    name: str
    script: tuple[str, str, str]
    argv: list[str]
    code_path: list[str]
    installed: list[str]
    preloaded: list[str]
    stand_ins: bytes
    logging_level: str
    appended: str | None
    thread: str
    init: bool
    init_failure: dict[str, Any] | None
    watch: bool
    quiet: bool
    observer: tuple[str, str] | None


class Run(Message):
    """To the worker: a mini-batch. payload: a list of paths or dicts, or pickled: a DataFrame, or paths that came late.

    attempt: its number, from 1. drops: number of results to drop.
    """

    mini_batch: int
    attempt: int
    first_item: int
    partition: tuple[tuple[str, str], ...]
    payload: Any
    drops: int
    watch: bool


class Call(Message):
    """To the worker: call a function of a module; arguments: pickled."""

    module: str
    name: str
    arguments: bytes


class Shutdown(Message):
    """To the worker: the last one."""


class PhaseBegun(Message):
    """From the worker, while it starts."""

    phase: str


class Up(Message):
    """From the worker: init() returned. touched: files that were opened. observed: the observer's result."""

    touched: list[list[str]] | None
    observed: bytes | None


class StartupFailed(Message):
    """From the worker, its last one. failure: see `Failure.from_plain`."""

    failure: dict[str, Any]
    touched: list[list[str]] | None
    observed: bytes | None


class RunBegun(Message):
    """From the worker: a pickled payload is unpickled."""


class RunFinished(Message):
    """From the worker: run() is done, and sending its results takes a moment."""


class Returned(Message):
    """From the worker: run() returned. running: seconds in it.

    count: of results, None for a wrong type. value: the results as a list, or as `encoded` by result_serializer.
    represented: objects that are sent only as text. failure: why they do not count. written: path, offset, length and
    error of what was appended to the worker's file.
    """

    running: float
    count: int | None
    value: Any = None
    encoded: bytes | None = None
    represented: int = 0
    failure: dict[str, Any] | None = None
    written: tuple[str, int, int, str] | None = None
    touched: list[list[str]] | None = None


class Raised(Message):
    """From the worker: run() raised or, by its phase, loading the mini-batch did."""

    running: float
    failure: dict[str, Any]
    touched: list[list[str]] | None


class Called(Message):
    """From the worker: the pickled result of the function, or why it failed."""

    value: bytes = b""
    failure: dict[str, Any] | None = None


class GapMet(Message):
    """From the worker, at any time: see StandInGap."""

    thing: str
    advice: str


class Stopped(Message):
    """From the worker, its last one: shutdown() is over. threads, files: left by the script."""

    failure: dict[str, Any] | None
    threads: list[str]
    files: list[str]


class MessageDecoder:
    """Turns arriving bytes into messages."""

    def __init__(self) -> None:
        self._data = bytearray()

    def messages(self, more: bytes) -> list[Message]:
        """The messages completed by these bytes."""
        buffer = self._data
        buffer += more
        complete: list[Message] = []
        start = 0
        while len(buffer) - start >= LENGTH_BYTES:
            first = start + LENGTH_BYTES
            end = first + int.from_bytes(buffer[start:first], "little")
            if len(buffer) < end:
                break
            with memoryview(buffer) as view, view[first:end] as data:
                name, fields = marshal.loads(data)
            kind = _KINDS[name]
            message = kind.__new__(kind)
            message.__dict__ = fields
            complete.append(message)
            start = end
        if start:
            del buffer[:start]
        return complete
