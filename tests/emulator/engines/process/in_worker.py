"""What tests have executed in worker processes, which import this module for it: it imports next to nothing."""

from __future__ import annotations

import os


class Seen:
    """An observer: whether it was asked to look."""

    def __init__(self) -> None:
        self._looked = False

    def __enter__(self) -> Seen:
        return self

    def __exit__(self, *exc_info: object) -> None: ...

    def inspect(self, functions: object) -> None:
        self._looked = True

    def result(self) -> bool:
        return self._looked


def pid_of_worker() -> int:
    """Asked of a worker."""
    return os.getpid()


def end_worker() -> None:
    """Asked of a worker."""
    os._exit(5)


def fail() -> None:
    """Asked of a worker."""
    raise ValueError("cannot say")
