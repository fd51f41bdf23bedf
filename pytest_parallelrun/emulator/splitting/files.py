"""File input: mini-batches of a number of file paths."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence

from pytest_parallelrun.emulator.rules import FileGrouping
from pytest_parallelrun.emulator.splitting.model import (
    Form,
    InputKind,
    ItemName,
    LoadError,
    MiniBatch,
    count_text,
)


class FileSplitter:
    """Returns absolute paths, `files_per_mini_batch` at a time; the last mini-batch may be smaller.

    Sizes of files do not matter, and an empty file is an item (v1 troubleshooting guide of the parallel run step:
    `mini_batch_size` is the number of files).

    root: absolute folder with its closing separator, or "" if the names are absolute paths.
    names: in order; the root is added when they are loaded, because a million absolute paths would need much memory.
    grouping: "flat", or "directory": a mini-batch never spans folders, their remainder is a mini-batch.
    known: of a list of paths, those that are known to exist; others are checked when their mini-batch is loaded, and
    the order of the list stays. None: the names are those of a folder.
    label: the input as named in a plan.
    """

    kind: InputKind = "files"
    form: Form = "files"
    total_mini_batches: int | None
    total_items: int | None

    def __init__(
        self,
        root: str,
        names: list[str],
        files_per_mini_batch: int,
        *,
        grouping: FileGrouping = "flat",
        known: Collection[str] | None = None,
        label: str,
    ) -> None:
        self._root = root
        self._size = files_per_mini_batch
        self._by_folder = grouping == "directory"
        listed = known is not None
        self._known = known
        self._label = label
        self._names = names if listed or not self._by_folder else sorted(names, key=_folder_and_name)
        self._runs = _folder_runs(self._names) if self._by_folder else [(0, len(names))]
        # Messages leave out the common folder of a list; only its length counts here.
        self._shared = os.path.commonprefix(names).rfind(os.sep) + 1 if listed else 0  # noqa: RUF071
        self.total_items = len(names)
        self.total_mini_batches = sum(-(-(end - start) // self._size) for start, end in self._runs)

    def mini_batches(self) -> Iterator[MiniBatch]:
        size, number = self._size, 0
        for start, end in self._runs:
            for first in range(start, end, size):
                yield MiniBatch(id=number, size=min(size, end - first), first_item=first, position=None)
                number += 1

    def load(self, mini_batch: MiniBatch) -> list[str]:
        root, first = self._root, mini_batch.first_item
        paths = [root + name for name in self._names[first : first + mini_batch.size]]
        known = self._known
        if known is not None:
            for path in paths:
                if path not in known and not os.access(path, os.F_OK):
                    raise LoadError(f"'{path}' does not exist")
        return paths

    def item_names(self, mini_batch: MiniBatch) -> Sequence[ItemName]:
        first = mini_batch.first_item
        names = self._names[first : first + mini_batch.size]
        return [ItemName(name[self._shared :]) for name in names]

    def describe(self) -> str:
        return (
            f"{count_text(len(self._names), 'file')} {self._label}, {self._size:,} a mini-batch"
            f"{', never across folders' if self._by_folder else ''}: "
            f"{count_text(self.total_mini_batches or 0, 'mini-batch')}"
        )


def _folder_and_name(name: str) -> tuple[str, str]:
    folder, _, last = name.replace(os.sep, "/").rpartition("/")
    return folder, last


def _folder_runs(names: Sequence[str]) -> list[tuple[int, int]]:
    """First and past-the-last index of every run of names in the same folder."""
    runs: list[tuple[int, int]] = []
    start, folder = 0, None
    for index, name in enumerate(names):
        current = name.rpartition(os.sep)[0]
        if current != folder:
            if index:
                runs.append((start, index))
            start, folder = index, current
    runs.append((start, len(names)))
    return runs
