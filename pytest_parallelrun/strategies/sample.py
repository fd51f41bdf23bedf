"""The sample that mini-batches are drawn from: the items of an input, and their data."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from pytest_parallelrun.emulator.errors import EmptyInputError, InputError, did_you_mean
from pytest_parallelrun.emulator.folders import new_job_folder, remove_job_folder
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.model import InputKind, ItemName, LoadError, MiniBatch, Splitter, count_text
from pytest_parallelrun.strategies.subsets import MAX_NUMBERS

if TYPE_CHECKING:
    from typing import TypeAlias

    import pandas as pd

    from pytest_parallelrun.emulator.splitting.model import Partition, Payload

    StrPath: TypeAlias = str | os.PathLike[str]
    BuiltMiniBatch: TypeAlias = pd.DataFrame | list[str] | list[dict[str, object]]
    SampleSource: TypeAlias = StrPath | Sequence[StrPath] | pd.DataFrame | Splitter
    from hypothesis.errors import InvalidArgument
    from hypothesis.vendor.pretty import RepresentationPrinter


def invalid(message: str) -> InvalidArgument:
    """Hypothesis' error for a wrong argument, to be raised."""
    from hypothesis.errors import InvalidArgument

    return InvalidArgument(message)


def check_whole_number(name: str, value: object, lowest: int, highest: int | None = None) -> None:
    if type(value) is not int or value < lowest or (highest is not None and value > highest):
        allowed = f"of {lowest} or more" if highest is None else f"from {lowest} to {highest}"
        raise invalid(f"{name}={value!r}: must be a whole number {allowed}.")


def check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise invalid(f"{name}={value!r}: must be True or False.")


def check_names(name: str, values: object, allowed: Iterable[str]) -> None:
    """At least one of the allowed names, in a list or tuple."""
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise invalid(f"{name}={values!r}: must be a list or tuple of names. Allowed: {', '.join(allowed)}.")
    for value in values:
        if value not in allowed:
            raise invalid(f"{name}: {value!r} is not one of its names. {did_you_mean(str(value), allowed)}")


def check_sizes(min_size: object, max_size: object, items: int, *, duplicates: bool) -> None:
    """Valid sizes of a mini-batch for this number of items."""
    check_whole_number("min_size", min_size, 1)
    if max_size is not None:
        check_whole_number("max_size", max_size, 1)
    if isinstance(max_size, int) and isinstance(min_size, int) and min_size > max_size:
        raise invalid(f"min_size={min_size} is more than max_size={max_size}.")
    if isinstance(min_size, int) and min_size > items:
        more = " Duplicates of malformed mini-batches come on top of it." if duplicates else ""
        raise invalid(
            f"min_size={min_size}: the sample has {count_text(items, 'item')}, and none is drawn twice.{more}"
        )


_T = TypeVar("_T")

MAX_ITEMS = 1_000
MAX_BYTES = 100 * 1024**2
"""For files: a mini-batch of all of them is copied for an example."""
CHUNK_BYTES = 8 * 1024**2
MAX_BYTES_IN_MEMORY = 64 * 1024
"""Of a file; with MAX_ITEMS 64 MB."""
FOLDERS_KEPT = 10
"""For examples that have ended: a debugger that stops at the last one finds its files."""


class Printed:
    """Printed by Hypothesis as its repr, and not with all fields of a dataclass."""

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        printer.text(repr(self))


class Recipe(Protocol):
    """Content of a mini-batch: items of a sample, and what is malformed in them."""

    def first_item(self, sample: Sample) -> int:
        """The number of its first item in the sample."""
        ...

    def build(self, sample: Sample, folder: StrPath | None = None) -> BuiltMiniBatch: ...


class Sample:
    """The items that mini-batches are made of.

    source: path of a folder, a glob or a file, a list of paths, or a DataFrame. It is read as a job would read it, and
        never changed: a mini-batch of files is a copy of them.
    settings: how the input is read (profile, input_type, encoding, delimiter, partition_keys, mini_batch_rows).
    items: numbers of the items, from 0 in the order of the input, that may be drawn; default all.
    most: largest number of items, up to 65,536. Of more, or of files of more than 100 MB, an evenly spaced subset is
        taken.

    kind: "files", "tabular", or "records" for JSON lines. size: the number of items. names: how messages name each.
    nested: whether cells of a table may be lists or dicts. sampled: in words, what was left out; None where nothing
    was. records: the lines of JSON, not to be changed. partitions: with partition_keys, keys and values -> the numbers
    of the items of the sample that are the partition.
    Equal arguments make equal samples. Raises InvalidArgument for an input that cannot be read or has no item, and for
    numbers of items that it does not have.

    >>> Sample("data", items=[0, 2])  # doctest: +SKIP
    Sample('data', items=(0, 2))
    """

    kind: InputKind
    size: int
    names: tuple[ItemName, ...]
    nested: bool
    sampled: str | None
    records: tuple[dict[str, object], ...]
    partitions: dict[Partition, tuple[int, ...]]

    def __init__(
        self,
        source: SampleSource,
        *,
        settings: JobSettings | None = None,
        items: Iterable[int] | None = None,
        most: int = MAX_ITEMS,
    ) -> None:
        if settings is not None and not isinstance(settings, JobSettings):
            raise invalid(f"settings={settings!r}: give a JobSettings object.")
        check_whole_number("most", most, 1, MAX_NUMBERS)
        self.settings = JobSettings() if settings is None else settings
        self._source = source
        self._items = None if items is None else tuple(items)
        self._most = most
        self._left_out: list[str] = []
        self._frame: pd.DataFrame | None = None
        self._paths: dict[str, str] = {}
        self._contents: dict[str, bytes] = {}
        self.nested = False
        self.records = ()
        self.partitions = {}
        self._folder: str | None = None
        self._ended: deque[str] = deque()
        # Lines one by one: an unreadable one must not affect others.
        one_line = {} if self.settings.mini_batch_rows is None else {"mini_batch_rows": 1}
        split_settings = _SampleSettings.from_mapping({**self.settings.written, **one_line})
        try:
            if _is_frame(source) and not self.settings.partition_keys:
                self._take_frame(cast("pd.DataFrame", source), split_settings)
            else:
                splitter = open_input(source, split_settings)
                takers = {"tabular": self._take_table, "files": self._take_files, "records": self._take_records}
                takers[splitter.kind](splitter)
        except EmptyInputError as error:
            raise invalid(f"an empty sample has nothing to draw from. {error}") from error
        except InputError as error:
            raise invalid(str(error)) from error
        self.size = len(self.names)
        self.sampled = "; ".join(self._left_out) or None

    @property
    def frame(self) -> pd.DataFrame:
        """All rows, an index from 0, the column types of the whole input. Do not change it."""
        if self._frame is None:
            raise invalid(f"{self} is a sample of files: it has no rows.")
        return self._frame

    def path_of(self, name: str) -> str:
        """The user's own file of that name, read-only."""
        if name not in self._paths:
            problem = f"'{name}' is not an item of {self}. " if self.kind == "files" else f"{self} is a table: "
            raise invalid(problem + (did_you_mean(name, self._paths) if self._paths else "its items are rows."))
        return self._paths[name]

    def content_of(self, name: str) -> bytes | None:
        """The content of a small file, read once for hundreds of copies; None of any other."""
        if name not in self._contents:
            path = self.path_of(name)
            with suppress(OSError):
                if os.path.isfile(path) and os.path.getsize(path) <= MAX_BYTES_IN_MEMORY:
                    self._contents[name] = Path(path).read_bytes()
        return self._contents.get(name)

    def partition_of(self, recipe: Recipe) -> Partition:
        """Keys and values of the partition of a recipe; () without partitions."""
        if not self.partitions:
            return ()
        first = recipe.first_item(self)
        return next((partition for partition, items in self.partitions.items() if first in items), ())

    def mini_batch(self, recipe: Recipe, folder: StrPath | None = None) -> BuiltMiniBatch:
        """The argument of run(): `recipe.build(self, folder)`."""
        return recipe.build(self, folder)

    def new_folder(self) -> str:
        """A new folder, removed when Python ends, or soon after the example of Hypothesis that created it."""
        from hypothesis.control import cleanup, currently_in_test_context

        if self._folder is None:
            self._folder = str(new_job_folder("sample-"))
            # Not with the sample: of a call that was pasted from a failing test nobody keeps it.
            weakref.finalize(Sample, remove_job_folder, self._folder)
        folder = tempfile.mkdtemp(dir=self._folder, prefix="")
        if currently_in_test_context():
            cleanup(lambda: self._end(folder))
        return folder

    def _end(self, folder: str) -> None:
        self._ended.append(folder)
        while len(self._ended) > FOLDERS_KEPT:
            shutil.rmtree(self._ended.popleft(), ignore_errors=True)

    def _take_frame(self, frame: pd.DataFrame, settings: JobSettings) -> None:
        self.kind = "tabular"
        chosen = self._chosen(len(frame), "row")
        rows = frame if len(chosen) == len(frame) else frame.take(chosen)
        # Loaded by the splitter, which also copies lists and dicts in cells.
        splitter = open_input(rows, settings)
        self._frame = cast("pd.DataFrame", splitter.load(MiniBatch(id=0, size=len(rows), first_item=0, position=None)))
        self.names = tuple(ItemName("", row + 1) for row in chosen)
        self.nested = _is_nested(self._frame)

    def _take_table(self, splitter: Splitter) -> None:
        import pandas as pd

        self.kind = "tabular"
        names: list[ItemName] = []
        readable = self._readable(splitter, names)
        self._frame = pd.concat(
            [cast("pd.DataFrame", rows).take(positions) for rows, positions in readable], ignore_index=True
        )
        self.names = tuple(names)
        self.nested = _is_nested(self._frame)

    def _take_records(self, splitter: Splitter) -> None:
        import pandas as pd

        self.kind = "records"
        names: list[ItemName] = []
        records: list[dict[str, object]] = []
        for rows, positions in self._readable(splitter, names):
            records.extend(cast("list[dict[str, object]]", rows)[row] for row in positions)
        self.names, self.records = tuple(names), tuple(records)
        # Of which the odd values of a key are told.
        self._frame = pd.DataFrame(records)

    def _readable(self, splitter: Splitter, names: list[ItemName]) -> Iterator[tuple[Payload, Sequence[int]]]:
        """Readable rows, with the positions of those that may be drawn; adds their names to `names`."""
        for mini_batch, positions in self._chosen_of(splitter, "row"):
            try:
                rows = splitter.load(mini_batch)
            except LoadError as error:
                self._left_out.append(f"a mini-batch that cannot be read is left out ({error})")
                continue
            item_names = splitter.item_names(mini_batch)
            names.extend(item_names[row] for row in positions)
            yield rows, positions
        if not names:
            raise invalid(f"an empty sample has nothing to draw from. {self}: none of its rows can be read.")

    def _take_files(self, splitter: Splitter) -> None:
        self.kind = "files"
        files: list[tuple[str, str]] = []
        missing = 0
        for mini_batch, positions in self._chosen_of(splitter, "file"):
            try:
                paths = cast("list[str]", splitter.load(mini_batch))
                item_names = splitter.item_names(mini_batch)
                files.extend((_portable(item_names[file]), paths[file]) for file in positions)
            except LoadError:
                missing += len(positions)
                self._forget_partition(len(files), len(positions))
        if missing:
            # The service fails before it calls run().
            self._left_out.append(f"{count_text(missing, 'missing file')} left out")
        if not files:
            raise invalid(f"an empty sample has nothing to draw from. {self}: none of its files exists.")
        self._paths = dict(files if self.partitions else self._affordable(files))
        self.names = tuple(map(ItemName, self._paths))

    def _chosen_of(self, splitter: Splitter, noun: str) -> Iterator[tuple[MiniBatch, Sequence[int]]]:
        """The mini-batches of the input with the positions of their items that may be drawn."""
        mini_batches = [mini_batch for mini_batch in splitter.mini_batches() if mini_batch.size]
        if self.settings.partition_keys:
            yield from self._chosen_partitions(mini_batches)
            return
        chosen = self._chosen(sum(mini_batch.size for mini_batch in mini_batches), noun)
        position = 0
        for mini_batch in mini_batches:
            first, end = mini_batch.first_item, mini_batch.first_item + mini_batch.size
            start = position
            while position < len(chosen) and chosen[position] < end:
                position += 1
            if position > start:
                yield mini_batch, [item - first for item in chosen[start:position]]

    def _chosen_partitions(self, mini_batches: Sequence[MiniBatch]) -> Iterator[tuple[MiniBatch, Sequence[int]]]:
        """Whole partitions all of whose items may be drawn, up to `most` items."""
        allowed = set(self._items) if self._items is not None else None
        allowed_batches = [
            batch
            for batch in mini_batches
            if allowed is None or allowed.issuperset(range(batch.first_item, batch.first_item + batch.size))
        ]
        if not allowed_batches:
            raise invalid("an empty sample has nothing to draw from: no partition has all of its items.")
        taken = allowed_batches
        while (total := sum(batch.size for batch in taken)) > self._most and len(taken) > 1:
            taken = _evenly(taken, max(1, len(taken) * self._most // total))
        if len(taken) < len(allowed_batches):
            self._left_out.append(f"{len(taken):,} of {len(allowed_batches):,} partitions, evenly spaced")
        first = 0
        for batch in taken:
            self.partitions[batch.partition] = tuple(range(first, first + batch.size))
            yield batch, range(batch.size)
            # One that could not be loaded is left out.
            first += batch.size if batch.partition in self.partitions else 0

    def _forget_partition(self, first: int, size: int) -> None:
        for partition, items in list(self.partitions.items()):
            if items == tuple(range(first, first + size)):
                del self.partitions[partition]

    def _chosen(self, total: int, noun: str) -> Sequence[int]:
        """Numbers of the items that may be drawn, evenly spaced if there are too many."""
        if not total:
            raise invalid("an empty sample has nothing to draw from: the DataFrame has no rows.")
        chosen: Sequence[int] = range(total)
        if self._items is not None:
            for item in self._items:
                check_whole_number("items", item, 0, total - 1)
            chosen = sorted(set(self._items))
            if not chosen:
                raise invalid("an empty sample has nothing to draw from: items=() leaves none.")
        if len(chosen) > self._most:
            self._left_out.append(f"{self._most:,} of {len(chosen):,} {noun}s, evenly spaced")
            chosen = _evenly(chosen, self._most)
        return chosen

    def _affordable(self, files: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Files of MAX_BYTES together, or the first one."""
        sizes = {path: os.path.getsize(path) if os.path.exists(path) else 0 for _, path in files}
        taken = files
        while (total := sum(sizes[path] for _, path in taken)) > MAX_BYTES and len(taken) > 1:
            taken = _evenly(taken, max(1, len(taken) * MAX_BYTES // total))
        if len(taken) < len(files):
            self._left_out.append(
                f"{len(taken):,} of {len(files):,} files, evenly spaced: all have "
                f"{sum(sizes.values()) / 1024**2:,.0f} MB, {MAX_BYTES // 1024**2} MB are taken at most"
            )
        return taken

    def _key(self) -> tuple[object, ...]:
        source = _shown(self._source) if _is_paths(self._source) else id(self._source)
        return source, self.settings, self._items, self._most

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sample) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        shown = _shown(self._source) if _is_paths(self._source) else "frame"
        settings = f", settings={self.settings!r}" if self.settings.explicit else ""
        items = "" if self._items is None else f", items={self._items!r}"
        most = "" if self._most == MAX_ITEMS else f", most={self._most!r}"
        return f"Sample({shown}{settings}{items}{most})"


class _SampleSettings(JobSettings):
    """Settings for splitting with one file per mini-batch, or thousands of rows."""

    files_per_mini_batch = 1
    bytes_per_mini_batch = CHUNK_BYTES


def as_sample(sample: Sample | SampleSource) -> Sample:
    return sample if isinstance(sample, Sample) else Sample(sample)


def _is_frame(source: object) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(source, pandas.DataFrame)


def _is_nested(frame: pd.DataFrame) -> bool:
    """Whether cells may be lists or dicts, which pandas does not copy with the rows."""
    from pandas.api.types import infer_dtype

    objects = (column for _, column in frame.items() if column.dtype == object)
    return any(infer_dtype(column, skipna=True).startswith("mixed") for column in objects)


def _is_paths(source: object) -> bool:
    return isinstance(source, (str, os.PathLike, list, tuple))


def _shown(source: object) -> str:
    if isinstance(source, (list, tuple)):
        return repr([os.fspath(path) for path in source])
    return repr(os.fspath(cast("StrPath", source)))


def _portable(name: str) -> str:
    """A relative name, spelled the same everywhere; with several Windows drives the names are absolute."""
    return name.replace(os.sep, "/").replace(":", "").lstrip("/")


def _evenly(items: Sequence[_T], count: int) -> list[_T]:
    return [items[number * len(items) // count] for number in range(count)]
