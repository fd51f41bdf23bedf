"""The inputs of a v1 step: each is split separately, and no mini-batch has items of two of them. Also a part of one.

Source: SDK reference of ParallelRunStep (`inputs`): all of one type, equivalent, in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.splitting.model import (
    USED,
    InputKind,
    ItemName,
    MiniBatch,
    Splitter,
    count_text,
    numbered,
)

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.splitting.model import Payload


class MultiInput:
    """Several opened inputs as one. InputError if they are of different kinds."""

    kind: InputKind

    def __init__(self, inputs: Sequence[Splitter]) -> None:
        self._inputs = list(inputs)
        self.kind = inputs[0].kind
        # A setting that has an effect on one of them has an effect.
        self.form = max((one.form for one in inputs), key=lambda form: len(USED[form].settings))
        for other in inputs:
            if other.kind != self.kind:
                raise InputError(
                    f"inputs of two kinds: {inputs[0].describe()}; {other.describe()}. All inputs of a v1 step are "
                    "files, or all are tables."
                )
        self.total_mini_batches = _total([one.total_mini_batches for one in inputs])
        self.total_items = _total([one.total_items for one in inputs])

    def mini_batches(self) -> Iterator[MiniBatch]:
        return numbered(
            (batch.size, (position, batch), batch.partition)
            for position, one in enumerate(self._inputs)
            for batch in one.mini_batches()
        )

    def load(self, mini_batch: MiniBatch) -> Payload:
        one, batch = self._own(mini_batch)
        return one.load(batch)

    def item_names(self, mini_batch: MiniBatch) -> Sequence[ItemName]:
        one, batch = self._own(mini_batch)
        return one.item_names(batch)

    def describe(self) -> str:
        return f"{len(self._inputs)} inputs: {'; '.join(one.describe() for one in self._inputs)}"

    def _own(self, mini_batch: MiniBatch) -> tuple[Splitter, MiniBatch]:
        position, batch = cast("tuple[int, MiniBatch]", mini_batch.position)
        return self._inputs[position], batch


def _total(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


class PartOfInput:
    """Some mini-batches of an opened input as an input of their own."""

    def __init__(self, whole: Splitter, mini_batches: Sequence[MiniBatch]) -> None:
        self._whole = whole
        self._chosen = mini_batches
        self.kind = whole.kind
        self.form = whole.form
        self.total_mini_batches: int | None = len(mini_batches)
        self.total_items: int | None = sum(batch.size for batch in mini_batches)

    def mini_batches(self) -> Iterator[MiniBatch]:
        return numbered((batch.size, batch, batch.partition) for batch in self._chosen)

    def load(self, mini_batch: MiniBatch) -> Payload:
        return self._whole.load(cast("MiniBatch", mini_batch.position))

    def item_names(self, mini_batch: MiniBatch) -> Sequence[ItemName]:
        return self._whole.item_names(cast("MiniBatch", mini_batch.position))

    def describe(self) -> str:
        return f"{count_text(len(self._chosen), 'mini-batch')} of {self._whole.describe()}"
