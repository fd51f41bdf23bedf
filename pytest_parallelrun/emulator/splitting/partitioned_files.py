"""Files that are partitioned: one mini-batch for each combination of the partition keys' values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.splitting.files import FileSplitter
from pytest_parallelrun.emulator.splitting.model import MiniBatch, count_text

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.splitting.model import Partition


class PartitionedFileSplitter(FileSplitter):
    """Hands over the absolute paths of a partition, sorted by the values of its keys; its size does not matter.

    Source: SDK reference of ParallelRunConfig (`partition_keys`), and the official samples for partitioned input.

    names, root, known, label: those of FileSplitter. values: of the keys, for each name.
    """

    def __init__(
        self,
        root: str,
        names: Sequence[str],
        values: Sequence[tuple[str, ...]],
        keys: Sequence[str],
        *,
        known: Collection[str] | None = None,
        label: str,
    ) -> None:
        order = sorted(range(len(names)), key=values.__getitem__)
        super().__init__(root, [names[number] for number in order], 1, known=known, label=label)
        self._keys = tuple(keys)
        self._partitions: list[tuple[Partition, int, int]] = []
        start = 0
        for found, numbers in groupby(order, key=values.__getitem__):
            size = sum(1 for _ in numbers)
            self._partitions.append((tuple(zip(keys, found, strict=True)), start, size))
            start += size
        self.total_mini_batches = len(self._partitions)

    def mini_batches(self) -> Iterator[MiniBatch]:
        for number, (partition, start, size) in enumerate(self._partitions):
            yield MiniBatch(number, size, start, None, partition)

    def describe(self) -> str:
        return (
            f"{count_text(len(self._names), 'file')} {self._label}, one mini-batch for each "
            f"{' and '.join(self._keys)}: {count_text(len(self._partitions), 'mini-batch')}"
        )
