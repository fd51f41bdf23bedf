"""What every splitter is: an input that comes apart into mini-batches, lazily and any number of times."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, cast

from pytest_parallelrun.emulator.splitting.effective_settings import Form

if TYPE_CHECKING:
    from typing import TypeAlias

    import pandas as pd

    from pytest_parallelrun.emulator.rules import Rules

    Source: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | pd.DataFrame | PrebuiltInput"
    """An input as it is given: the path of a folder, glob or file, a list of these, a DataFrame, or mini-batches."""

    Payload: TypeAlias = Sequence[str] | pd.DataFrame | Sequence[dict[str, object]]
    """The content of a mini-batch: file paths, rows of a table, or JSON objects, one for each line."""

    Partition: TypeAlias = tuple[tuple[str, str], ...]
    """Key and value of each partition key, in the order of the setting `partition_keys`."""
    import pandas as pd


InputKind = Literal["files", "tabular", "records"]
"""What run() gets: a list of paths, a DataFrame, or a list of dicts (JSON lines)."""


class LoadError(Exception):
    """A mini-batch that cannot be loaded: a failed attempt, not a wrong set-up. It names the path."""


def read_range(path: str, offset: int, length: int) -> bytes:
    """Bytes of a file, fewer at its end. LoadError where it cannot be read."""
    try:
        with open(path, "rb") as stream:
            stream.seek(offset)
            return stream.read(length)
    except OSError as error:
        raise LoadError(f"'{path}' cannot be read: {error.strerror}") from error


class MiniBatch(NamedTuple):
    """One mini-batch, not its content: a job of a million of them keeps them all.

    id: from 0, in the order of the input.
    size: its items: files or rows.
    first_item: 0-based index of its first item in the whole input.
    position: where its splitter finds it again; no other module looks into it.
    partition: what the items have in common, with the setting `partition_keys`; () without.
    """

    id: int
    size: int
    first_item: int
    position: object
    partition: Partition = ()


class Splitter(Protocol):
    """An opened input.

    form: what it turned out to be, which decides on the settings that have an effect.
    total_mini_batches: None where it shows only as the splitting goes on (tables); files are counted before
        the first attempt.
    total_items: None for tables as well, whose rows the service counts as they are processed.
    """

    kind: InputKind
    form: Form
    total_mini_batches: int | None
    total_items: int | None

    def mini_batches(self) -> Iterator[MiniBatch]:
        """All mini-batches in the order of the input; each call starts anew."""
        ...

    def load(self, mini_batch: MiniBatch) -> Payload:
        """What run() gets: a fresh copy each call. LoadError where the mini-batch cannot be had."""
        ...

    def item_names(self, mini_batch: MiniBatch) -> Sequence[str]:
        """For messages: relative file names, or "row 11 of data.csv" (data rows, from 1)."""
        ...

    def describe(self) -> str:
        """One line for the plan: "12 files in 'data', 5 a mini-batch: 3 mini-batches"."""
        ...


class TableSplitter(Splitter, Protocol):
    """A table, whose rows can be partitioned by its columns or by the folders that they lie in."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of its columns."""
        ...

    @property
    def title(self) -> str:
        """What it is called: "the table 'sales.csv'"."""
        ...

    @property
    def content(self) -> str:
        """In words, without the size of a mini-batch: "1,210 rows in 1 file 'data.csv'"."""
        ...

    def path_of(self, mini_batch: MiniBatch) -> str:
        """The file that all rows of a mini-batch are from, below what was given; "" where there is none."""
        ...

    def load(self, mini_batch: MiniBatch) -> pd.DataFrame: ...


class SplitSettings(Protocol):
    """The settings that splitting looks at."""

    @property
    def profile(self) -> str: ...
    @property
    def files_per_mini_batch(self) -> int: ...
    @property
    def bytes_per_mini_batch(self) -> int: ...
    @property
    def rules(self) -> Rules: ...
    @property
    def encoding(self) -> str: ...
    @property
    def delimiter(self) -> str: ...
    @property
    def partition_keys(self) -> tuple[str, ...]: ...
    @property
    def mini_batch_rows(self) -> int | None: ...
    @property
    def input_type(self) -> str | None: ...


def count_text(count: int, noun: str) -> str:
    """Such as "1 file" or "1,210 files"."""
    plural = noun + ("es" if noun.endswith("ch") else "s")
    return f"{count:,} {noun if count == 1 else plural}"


class PrebuiltInput:
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
