"""sys.stdout and sys.stderr of a worker: its own, and safe to close.

Otherwise a script that closes, detaches or rewraps its stdout would close the stream with which pytest captures, and
end the whole test run.
"""

from __future__ import annotations

import codecs
import io
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal, TextIO


def show(text: str, stream: TextIO | None) -> None:
    """Writes to a stream of the host as far as possible: escapes characters that it cannot encode, and ignores a closed
    one.
    """
    if stream is None or not text:
        return
    with suppress(OSError, ValueError):
        try:
            stream.write(text)
        except UnicodeEncodeError as error:
            stream.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))


class OutputTail:
    """The end of what the streams of a worker were given since it was cleared."""

    MAX = 2000
    """Characters of it."""

    def __init__(self) -> None:
        self.text = ""

    def add(self, text: str) -> None:
        self.text = (self.text + text)[-self.MAX :]

    def clear(self) -> None:
        self.text = ""


class _ToHost(io.RawIOBase):
    """Bytes written here become text on a stream of the host, which stays open."""

    def __init__(self, host: TextIO | None, name: str, log: io.FileIO | None, tail: OutputTail) -> None:
        self._host = host
        self._tail = tail
        self._log = log
        self._name = name
        self._released = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def release(self) -> None:
        self._host = None
        self._released = True
        log, self._log = self._log, None
        if log is not None:
            log.close()

    def _stream(self) -> TextIO | None:
        # An installed module may keep the stream of a worker; after the job it leads to the current one.
        stream: TextIO | None = getattr(sys, self._name) if self._released else self._host
        return stream

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        payload = bytes(data)  # type: ignore[call-overload]
        if self._log is not None:
            self._log.write(payload)
        text = self._decoder.decode(payload)
        self._tail.add(text)
        show(text, self._stream())
        return len(payload)

    def fileno(self) -> int:
        stream = self._stream()
        return super().fileno() if stream is None else stream.fileno()

    def isatty(self) -> bool:
        return False


class WorkerStream(io.TextIOWrapper):
    """A real text stream, so that reconfigure(), buffer, detach() and close() work as usual.

    log: a file that gets all of it too. tail: remembers the end of it.
    """

    def __init__(
        self,
        host: TextIO | None,
        name: Literal["stdout", "stderr"],
        log: Path | None = None,
        tail: OutputTail | None = None,
    ) -> None:
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered, like the stream of the host; closed by release().
        file = None if log is None else open(log, "ab", 0)  # noqa: SIM115
        self._to_host = _ToHost(host, name, file, tail or OutputTail())
        super().__init__(
            io.BufferedWriter(self._to_host),
            encoding="utf-8",
            errors="backslashreplace",
            line_buffering=True,
            write_through=True,
        )

    def release(self) -> None:
        """Ends the job: later output goes to the sys.stdout or sys.stderr of that time."""
        self._to_host.release()
