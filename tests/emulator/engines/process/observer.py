"""An observer, apart from all else, since a worker process imports the module that it is in."""

from __future__ import annotations


class Seen:
    """An observer: whether it was asked to look."""

    def __init__(self) -> None:
        self._looked = False

    def __enter__(self) -> Seen:
        return self

    def __exit__(self, *exc_info: object) -> None: ...

    def look(self, functions: object) -> None:
        self._looked = True

    def told(self) -> bool:
        return self._looked
