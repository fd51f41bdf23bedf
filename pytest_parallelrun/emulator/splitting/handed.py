"""An input that comes as mini-batches already: what was drawn, or saved, and is to be run just so."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.splitting.base import InputKind, MiniBatch

if TYPE_CHECKING:
    from typing import TypeAlias

    import pandas as pd

    Payload: TypeAlias = Sequence[str] | pd.DataFrame
    """The content of a mini-batch: file paths, or rows."""


class HandedInput:
    """Mini-batches with their content, numbered from 0 in their order. Settings on splitting do not change them.

    kind: what all of them are. Each delivery gets a copy.
    """

    def __init__(self, mini_batches: Sequence[Payload], *, kind: InputKind) -> None:
        self.kind = kind
        self._payloads = tuple(mini_batches)
        files = kind == "files"
        # As elsewhere: files are counted before the first attempt, rows as they are processed.
        self.total_mini_batches = len(self._payloads) if files else None
        self.total_items = sum(map(len, self._payloads)) if files else None

    def mini_batches(self) -> Iterator[MiniBatch]:
        first = 0
        for number, payload in enumerate(self._payloads):
            yield MiniBatch(number, len(payload), first, payload)
            first += len(payload)

    def load(self, mini_batch: MiniBatch) -> list[str] | pd.DataFrame:
        payload = mini_batch.position
        if isinstance(payload, (list, tuple)):
            return list(payload)
        return payload.copy(deep=True)  # type: ignore[attr-defined, no-any-return]

    def item_names(self, mini_batch: MiniBatch) -> Sequence[str]:
        payload = mini_batch.position
        if isinstance(payload, (list, tuple)):
            return [os.path.basename(path) for path in payload]
        first = mini_batch.first_item + 1
        return [f"row {row}" for row in range(first, first + mini_batch.size)]

    def describe(self) -> str:
        return f"{len(self._payloads)} mini-batches as they were handed over"
