"""What the parent and a worker process say to each other, as bytes on two pipes.

Messages are tuples of plain values, written by `marshal`: both sides are the same interpreter, and it is there without
an import. What the tuples hold is said where they are made.
"""

from __future__ import annotations

import marshal

# To the worker.
START, RUN, CALL, INIT, SHUTDOWN = range(5)

# From the worker.
PHASE, UP, DOWN, BEGUN, OVER, RETURNED, RAISED, CALLED, STOPPED = range(9)

LENGTH_BYTES = 8

TYPE_CHECKING = False
if TYPE_CHECKING:
    Message = tuple[object, ...]


def frame(message: Message) -> bytes:
    """The bytes of a message, its length first."""
    data = marshal.dumps(message)  # type: ignore[arg-type]
    return len(data).to_bytes(LENGTH_BYTES, "little") + data


class MessageDecoder:
    """Takes bytes as they come and gives the messages in them."""

    def __init__(self) -> None:
        self._data = bytearray()

    def messages(self, more: bytes) -> list[Message]:
        """The messages that are complete with these bytes."""
        buffer = self._data
        buffer += more
        found: list[Message] = []
        start = 0
        while len(buffer) - start >= LENGTH_BYTES:
            first = start + LENGTH_BYTES
            end = first + int.from_bytes(buffer[start:first], "little")
            if len(buffer) < end:
                break
            with memoryview(buffer) as view, view[first:end] as data:
                found.append(marshal.loads(data))
            start = end
        if start:
            del buffer[:start]
        return found
