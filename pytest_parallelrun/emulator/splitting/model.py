"""The interface of splitters: an input is split into mini-batches, lazily and any number of times.

And the inputs that are made of others: of given mini-batches, of several inputs, of a part of one.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, cast, overload

from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.settings import JobSettings

if TYPE_CHECKING:
    import pandas as pd

Source: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | pd.DataFrame | Splitter"
"""An input: the path of a folder, glob or file, a list of these, a DataFrame, or what is opened already."""

Payload: TypeAlias = "Sequence[str] | pd.DataFrame | Sequence[dict[str, object]]"
"""The content of a mini-batch: file paths, rows of a table, or JSON objects, one for each line."""

Partition = tuple[tuple[str, str], ...]
"""Key and value of each partition key, in the order of the setting `partition_keys`."""

T_co = TypeVar("T_co", covariant=True)

InputKind = Literal["files", "tabular", "records"]
"""The argument of run(): a list of paths, a DataFrame, or a list of dicts (JSON lines)."""

Form = Literal["files", "delimited", "parquet", "json_lines", "frame", "mltable", "mltable_row_groups", "prebuilt"]
"""The detected form of an input."""


class LoadError(Exception):
    """A mini-batch that cannot be loaded: a failed attempt, not a wrong setup. It names the path."""


class MiniBatch(NamedTuple):
    """A mini-batch without its content: a job keeps up to a million of them.

    id: from 0, in the order of the input.
    size: number of items (files or rows).
    first_item: index (from 0) of its first item in the input.
    position: where its splitter finds it; internal.
    partition: key values of the items with `partition_keys`, otherwise ().
    """

    id: int
    size: int
    first_item: int
    position: object
    partition: Partition = ()


class ItemName(str):
    """The name of an item in messages: a file, or "row 11 of data.csv"; a string that knows its parts.

    file: relative to the input, or as given; "" for rows without a file. row: data row from 1, None for a file.
    """

    file: str
    row: int | None

    def __new__(cls, file: str, row: int | None = None) -> ItemName:
        of_file = f" of {file}" if file else ""
        name = super().__new__(cls, file if row is None else f"row {row}{of_file}")
        name.file, name.row = file, row
        return name


class Splitter(Protocol):
    """An opened input.

    form: its kind, which decides which settings have an effect.
    total_mini_batches: None if it is known only after splitting (tables); files are counted before the first attempt.
    total_items: None for tables too, whose rows the service counts as they are processed.
    """

    kind: InputKind
    form: Form
    total_mini_batches: int | None
    total_items: int | None

    def mini_batches(self) -> Iterator[MiniBatch]:
        """All mini-batches in the order of the input; each call starts again."""
        ...

    def load(self, mini_batch: MiniBatch) -> Payload:
        """The argument of run(): a new copy for each call. LoadError if it cannot be loaded."""
        ...

    def item_names(self, mini_batch: MiniBatch) -> Sequence[ItemName]: ...

    def describe(self) -> str:
        """One line for the plan: "12 files in 'data', 5 a mini-batch: 3 mini-batches"."""
        ...


class TableSplitter(Splitter, Protocol):
    """Base of tables, whose rows can be partitioned by their columns or by their folders.

    columns: their names. title: its name in messages, such as "the table 'sales.csv'". content: as text, without the
    size of a mini-batch, such as "1,210 rows in 1 file 'data.csv'".
    """

    kind: InputKind = "tabular"
    total_mini_batches: int | None = None
    total_items: int | None = None
    columns: Sequence[str]
    title: str
    content: str
    _size: int

    def load(self, mini_batch: MiniBatch) -> pd.DataFrame: ...

    def path_of(self, mini_batch: MiniBatch) -> str:
        """The file of all rows of a mini-batch, relative to the input; "" if there is none."""
        return ""

    def describe(self) -> str:
        return f"{self.content}, {count_text(self._size, 'byte')} a mini-batch"


def count_text(count: int, noun: str) -> str:
    """Such as "1 file" or "1,210 files"."""
    plural = noun + ("es" if noun.endswith(("ch", "ss")) else "s")
    return f"{count:,} {noun if count == 1 else plural}"


class LazySequence(Sequence[T_co]):
    """A sequence whose elements are made by `_made` when they are asked for. Equal to any sequence of equal ones."""

    noun = "items"

    def _made(self, index: int) -> T_co:
        raise NotImplementedError

    @overload
    def __getitem__(self, index: int) -> T_co: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T_co]: ...
    def __getitem__(self, index: int | slice) -> T_co | Sequence[T_co]:
        if isinstance(index, int) and not -len(self) <= index < len(self):
            raise IndexError(f"there are {len(self)} {self.noun}, from 0")
        chosen = range(len(self))[index]
        return self._made(chosen) if isinstance(chosen, int) else tuple(map(self._made, chosen))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __repr__(self) -> str:
        return repr(tuple(self))


class ItemNames(LazySequence[ItemName]):
    """The names of a mini-batch: one of 1 MB has 30,000 rows."""

    def __init__(self, count: int, name_of: Callable[[int], ItemName]) -> None:
        self._count = count
        self._name_of = name_of

    def __len__(self) -> int:
        return self._count

    def _made(self, index: int) -> ItemName:
        return self._name_of(index)


def row_names(file: str, first: int, count: int) -> Sequence[ItemName]:
    """The names of a number of rows of a file; `first` is from 0."""
    return ItemNames(count, lambda position: ItemName(file, first + position + 1))


def numbered(parts: Iterable[tuple[int, object, Partition]]) -> Iterator[MiniBatch]:
    """Mini-batches of size, position and partition, numbered in order."""
    first = 0
    for number, (size, position, partition) in enumerate(parts):
        yield MiniBatch(id=number, size=size, first_item=first, position=position, partition=partition)
        first += size


def read_range(path: str, offset: int, length: int) -> bytes:
    """Bytes of a file, fewer at its end. LoadError if it cannot be read."""
    try:
        with open(path, "rb") as stream:
            stream.seek(offset)
            return stream.read(length)
    except OSError as error:
        raise LoadError(f"'{path}' cannot be read: {error.strerror}") from error


def check_unchanged(path: str, rows: int, mini_batch: MiniBatch) -> None:
    """LoadError if the number of rows has changed since the mini-batch was cut."""
    if rows != mini_batch.size:
        raise LoadError(f"'{path}' changed since it was split: {rows} rows where there were {mini_batch.size}")


class PrebuiltInput:
    """Mini-batches with their content, numbered from 0 in order. Settings on splitting do not change them.

    kind: of all of them. Each delivery gets a copy. partitions: of each mini-batch, if the context has one.
    """

    form: Form = "prebuilt"

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
        sizes = map(len, self._payloads)
        return numbered(zip(sizes, self._payloads, self._partitions, strict=True))

    def load(self, mini_batch: MiniBatch) -> Payload:
        payload = mini_batch.position
        if self.kind == "tabular":
            rows: pd.DataFrame = cast("pd.DataFrame", payload).copy(deep=True)
            return rows
        items = list(cast("Sequence[str]", payload))
        return items if self.kind == "files" else copy.deepcopy(items)

    def item_names(self, mini_batch: MiniBatch) -> Sequence[ItemName]:
        if self.kind == "files":
            return [ItemName(os.path.basename(path)) for path in cast("Sequence[str]", mini_batch.position)]
        return row_names("", mini_batch.first_item, mini_batch.size)

    def describe(self) -> str:
        return f"{len(self._payloads)} given mini-batches"


class Used(NamedTuple):
    """The settings of SETTINGS that have an effect on a form, and why the others have none."""

    title: str
    settings: frozenset[str]
    why: str


SETTINGS = ("mini_batch_size", "partition_keys", "mini_batch_rows", "encoding", "delimiter")
_SIZE_AND_KEYS = frozenset({"mini_batch_size", "partition_keys"})
_MLTABLE = "the steps of an MLTable say how its files are read"

USED: Mapping[Form, Used] = {
    "files": Used("files", _SIZE_AND_KEYS, "run() gets paths, and reads the files itself"),
    "delimited": Used("CSV files", _SIZE_AND_KEYS | {"encoding", "delimiter"}, "both say how they are read"),
    "parquet": Used("Parquet files", _SIZE_AND_KEYS, "a Parquet file says itself how it is read"),
    "json_lines": Used("JSON lines", frozenset({"mini_batch_rows"}), "lines of JSON are UTF-8, and are counted"),
    "frame": Used("a DataFrame", _SIZE_AND_KEYS, "a DataFrame was read already"),
    "mltable": Used("an MLTable", _SIZE_AND_KEYS, _MLTABLE),
    "mltable_row_groups": Used(
        "an MLTable of Parquet",
        frozenset({"partition_keys"}),
        "each row group of Parquet is a partition of its reader",
    ),
    "prebuilt": Used("given mini-batches", frozenset(SETTINGS), ""),
}


def refuse_rows(form: Form, mini_batch_rows: int | None, subject: str) -> None:
    """InputError if JSON lines are requested of another form, which would change what run() gets."""
    if mini_batch_rows is not None and "mini_batch_rows" not in USED[form].settings:
        raise InputError(
            f"{subject}: mini_batch_rows={mini_batch_rows} only applies to JSON lines, and this is {USED[form].title}: "
            f"{USED[form].why}. Pass .jsonl files, or remove mini_batch_rows (--amlbi_mini_batch_rows)."
        )


def split_notes(form: Form, settings: JobSettings) -> Iterator[str]:
    """Sentences on settings without effect, next to another one or on an input of that form, or that need another."""
    if settings.partition_keys and form in ("delimited", "parquet"):
        needed = "a dataset" if settings.profile == "v1" else "an MLTable"
        yield (
            f"partition_keys: on the service the input must be {needed} that is partitioned by these keys; here "
            f"{USED[form].title} will do"
        )
    set_on_purpose = set(settings.explicit)
    if settings.unused:
        yield settings.unused
        set_on_purpose.remove("mini_batch_size")
    names = [name for name in SETTINGS if name in set_on_purpose and name not in USED[form].settings]
    if names:
        verb = "has" if len(names) == 1 else "have"
        yield f"{' and '.join(names)} {verb} no effect on {USED[form].title}: {USED[form].why}"


class MultiInput:
    """The inputs of a v1 step: each is split separately, and no mini-batch has items of two of them.

    Source: SDK reference of ParallelRunStep (`inputs`): all of one type, equivalent, in their order. InputError if they
    are of different kinds.
    """

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
