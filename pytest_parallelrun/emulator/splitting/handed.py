"""An input that comes as mini-batches already: what was drawn, or saved, and is to be run just so."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from pytest_parallelrun.emulator.splitting.effective_settings import Form
from pytest_parallelrun.emulator.splitting.model import InputKind, MiniBatch

if TYPE_CHECKING:
    import pandas as pd

    from pytest_parallelrun.emulator.splitting.model import Partition, Payload


class HandedInput:
    """Mini-batches with their content, numbered from 0 in their order. Settings on splitting do not change them.

    kind: what all of them are. Each delivery gets a copy. partitions: of each mini-batch, where the context tells one.
    """

    form: Form = "handed"

    def __init__(
        self, mini_batches: Sequence[Payload], *, kind: InputKind, partitions: Sequence[Partition] = ()
    ) -> None:
        self.kind = kind
        self._payloads = tuple(mini_batches)
        self._partitions = tuple(partitions) or ((),) * len(self._payloads)
        files = kind == "files"
        # As elsewhere: files are counted before the first attempt, rows as they are processed.
        self.total_mini_batches = len(self._payloads) if files else None
        self.total_items = sum(map(len, self._payloads)) if files else None

    def mini_batches(self) -> Iterator[MiniBatch]:
        first = 0
        for number, (payload, partition) in enumerate(zip(self._payloads, self._partitions, strict=True)):
            yield MiniBatch(number, len(payload), first, payload, partition)
            first += len(payload)

    def load(self, mini_batch: MiniBatch) -> Payload:
        payload = mini_batch.position
        if self.kind == "tabular":
            rows: pd.DataFrame = cast("pd.DataFrame", payload).copy(deep=True)
            return rows
        items = list(cast("Sequence[str]", payload))
        return items if self.kind == "files" else copy.deepcopy(items)

    def item_names(self, mini_batch: MiniBatch) -> Sequence[str]:
        if self.kind == "files":
            return [os.path.basename(path) for path in cast("Sequence[str]", mini_batch.position)]
        first = mini_batch.first_item + 1
        return [f"row {row}" for row in range(first, first + mini_batch.size)]

    def describe(self) -> str:
        return f"{len(self._payloads)} mini-batches as they were handed over"
