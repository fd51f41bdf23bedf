"""sys.stdout and sys.stderr as a worker gets them: its own, and safe to close.

A script that closes, detaches or rewraps its stdout would otherwise close the stream with which pytest
captures, and take the whole test run with it.
"""

from __future__ import annotations

import codecs
import io
from typing import TextIO


class _ToHost(io.RawIOBase):
    """Bytes written here come out as text on a stream of the host, which stays open."""

    def __init__(self, host: TextIO) -> None:
        self._host = host
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        payload = bytes(data)  # type: ignore[call-overload]
        self._host.write(self._decoder.decode(payload))
        return len(payload)

    def fileno(self) -> int:
        return self._host.fileno()

    def isatty(self) -> bool:
        return False


class WorkerStream(io.TextIOWrapper):
    """A real text stream, so that reconfigure(), buffer, detach() and close() do what they do elsewhere."""

    def __init__(self, host: TextIO) -> None:
        super().__init__(
            io.BufferedWriter(_ToHost(host)),
            encoding="utf-8",
            errors="backslashreplace",
            line_buffering=True,
            write_through=True,
        )
