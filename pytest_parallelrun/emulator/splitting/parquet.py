"""Tables in Parquet files: mini-batches of whole row groups, which are never split.

The documents only say that `mini_batch_size` is an approximate size. The rule: row groups of a file are added until
their compressed bytes reach it, and a new file starts a new mini-batch (v1 troubleshooting guide of the parallel run
step: mini-batches never cross files).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.emulator.errors import EmptyInputError, InputError
from pytest_parallelrun.emulator.splitting.model import (
    Form,
    ItemName,
    LoadError,
    MiniBatch,
    TableSplitter,
    check_unchanged,
    count_text,
    numbered,
    row_names,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

BYTES_READ_AT_ONCE = 4 * 1024**2
"""Compressed bytes of a mini-batch up to which all columns are read together."""


class _File(NamedTuple):
    """A file; `groups` are rows and compressed bytes of its row groups."""

    path: str
    name: str
    groups: list[tuple[int, int]]


class _Groups(NamedTuple):
    """Consecutive row groups of a file, and the row (from 0) in it at which they start."""

    file: _File
    first: int
    last: int
    first_row: int

    @property
    def size(self) -> int:
        return sum(size for _, size in self.file.groups[self.first : self.last])


class ParquetSplitter(TableSplitter):
    """Hands over DataFrames with an index from 0, and the same columns and types in all of them.

    Columns are taken by name, null where a file does not have one. Types are those of the schemas; where a column has a
    null anywhere, integers are floats and booleans are objects in every mini-batch, as pandas makes them. What pandas
    noted about an index is not looked at: it is a column like any other. A dictionary, which pandas would make
    categories of, belongs to one row group and others have others: its column has plain values.
    Only footers are read before a mini-batch is loaded, and then the row groups of that one.

    paths: (absolute path, name for messages) of each file, in order.
    Raises InputError for a file that cannot be read, columns that have different types, or where pyarrow is missing;
    EmptyInputError where no file has a row.
    """

    form: Form = "parquet"

    def __init__(self, paths: Iterable[tuple[str, str]], bytes_per_mini_batch: int, *, label: str) -> None:
        self._size = bytes_per_mini_batch
        self._files: list[_File] = []
        schemas: dict[str, pa.Schema] = {}
        nulls: set[str] = set()
        for path, name in paths:
            with _opened(path) as file:
                groups = file.metadata
                sizes = [groups.row_group(number) for number in range(groups.num_row_groups)]
                self._files.append(_File(path, name, [(group.num_rows, _compressed(group)) for group in sizes]))
                schemas[path] = _plain(file.schema_arrow)
                if groups.num_rows:
                    nulls |= _columns_with_nulls(file, schemas[path])
        self._schema = _unified(schemas)
        self._nulls = nulls | {
            name for name in self._schema.names for schema in schemas.values() if name not in schema.names
        }
        rows = sum(rows for file in self._files for rows, _ in file.groups)
        if not rows:
            raise EmptyInputError(f"input {label}: there is not a single row of data in it.")
        self.columns = list(self._schema.names)
        self.title = f"the table {label}"
        count = sum(len(file.groups) for file in self._files)
        alone = " (a row group is never split, so no size makes more mini-batches of it)" if count == 1 else ""
        self.content = (
            f"{count_text(rows, 'row')} in {count_text(len(self._files), 'file')} {label}, "
            f"{count_text(count, 'row group')}{alone}"
        )

    def mini_batches(self) -> Iterator[MiniBatch]:
        return numbered((size, span, ()) for file in self._files for span, size in self._spans(file))

    def load(self, mini_batch: MiniBatch) -> pd.DataFrame:
        span = cast("_Groups", mini_batch.position)
        try:
            # Opened inside: a file keeps the pool that it was opened with.
            with _tidy_memory() if span.size > BYTES_READ_AT_ONCE else nullcontext(), _opened(span.file.path) as file:
                frame = self._frame(file, span)
        except (InputError, OSError, ValueError) as error:
            raise LoadError(f"'{span.file.path}' changed since it was split: {error}") from error
        check_unchanged(span.file.path, len(frame), mini_batch)
        return frame

    def item_names(self, mini_batch: MiniBatch) -> Sequence[ItemName]:
        span = cast("_Groups", mini_batch.position)
        return row_names(span.file.name, span.first_row, mini_batch.size)

    def path_of(self, mini_batch: MiniBatch) -> str:
        return cast("_Groups", mini_batch.position).file.name

    def _spans(self, file: _File) -> Iterator[tuple[_Groups, int]]:
        first = size = rows = before = 0
        for number, (group_rows, group_size) in enumerate(file.groups, start=1):
            size += group_size
            rows += group_rows
            if size >= self._size or number == len(file.groups):
                yield _Groups(file, first, number, before), rows
                first, before = number, before + rows
                size = rows = 0

    def _frame(self, file: pq.ParquetFile, span: _Groups) -> pd.DataFrame:
        """Its rows. Of a large row group a few columns are read and converted at a time: memory holds it once."""
        import pandas as pd
        import pyarrow as pa

        fields = list(self._schema)
        step = max(1, len(fields) * BYTES_READ_AT_ONCE // max(span.size, 1))
        parts = [self._columns(file, span, fields[at : at + step]) for at in range(0, len(fields) or 1, step)]
        # Not pd.concat(), which keeps the parts apart: inserting a column next to more than 100 of them warns.
        frame = parts[0] if len(parts) == 1 else pd.DataFrame({name: part[name] for part in parts for name in part})
        for field in self._schema:
            if field.name in self._nulls and pa.types.is_integer(field.type):
                frame[field.name] = frame[field.name].astype("float64")
            elif field.name in self._nulls and pa.types.is_boolean(field.type):
                frame[field.name] = frame[field.name].astype(object)
        return frame

    def _columns(self, file: pq.ParquetFile, span: _Groups, fields: Sequence[pa.Field]) -> pd.DataFrame:
        import pyarrow as pa

        groups, names = list(range(span.first, span.last)), [field.name for field in fields]
        table = file.read_row_groups(groups, columns=names, use_threads=False)
        table = pa.Table.from_arrays(
            [
                table.column(field.name).cast(field.type)
                if field.name in table.column_names
                else pa.nulls(table.num_rows, field.type)
                for field in fields
            ],
            schema=pa.schema(fields),
        )
        return cast("pd.DataFrame", table.to_pandas(ignore_metadata=True, self_destruct=True))


@contextmanager
def _tidy_memory() -> Iterator[None]:
    """Memory that is freed is returned to the system: by default Arrow keeps more than is in use."""
    import pyarrow as pa

    default, pool = pa.default_memory_pool(), pa.system_memory_pool()
    pa.set_memory_pool(pool)
    try:
        # What remains of the mini-batch before.
        pool.release_unused()
        yield
        pool.release_unused()
    finally:
        pa.set_memory_pool(default)


def _opened(path: str) -> pq.ParquetFile:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise InputError(
            f"input '{path}': reading Parquet needs pyarrow: pip install 'pytest-parallelrun[parquet]'."
        ) from None
    try:
        return pq.ParquetFile(path, pre_buffer=False)
    except OSError as error:
        raise InputError(f"input '{path}' cannot be read: {error.strerror or error}.") from error
    except pa.ArrowException as error:
        raise InputError(f"input '{path}' is corrupt, or not a Parquet file: {error}") from error


def _plain(schema: pa.Schema) -> pa.Schema:
    """The schema with the types of values in place of dictionaries, and without what pandas noted in it."""
    import pyarrow as pa

    return pa.schema(
        [field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field for field in schema]
    ).remove_metadata()


def _compressed(group: pq.RowGroupMetaData) -> int:
    return sum(group.column(number).total_compressed_size for number in range(group.num_columns))


def _columns_with_nulls(file: pq.ParquetFile, schema: pa.Schema) -> set[str]:
    """Columns of integers and booleans that have a null: by the statistics, or by a look where there are none."""
    import pyarrow as pa

    columns: set[str] = set()
    unknown: set[str] = set()
    flat = {field.name for field in schema if pa.types.is_integer(field.type) or pa.types.is_boolean(field.type)}
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        for position in range(group.num_columns):
            column = group.column(position)
            if column.path_in_schema in flat:
                statistics = column.statistics
                if statistics is None or not statistics.has_null_count:
                    unknown.add(column.path_in_schema)
                elif statistics.null_count:
                    columns.add(column.path_in_schema)
    for name in unknown - columns:
        if any(batch.column(0).null_count for batch in file.iter_batches(columns=[name])):
            columns.add(name)
    return columns


def _unified(schemas: dict[str, pa.Schema]) -> pa.Schema:
    """The columns of all files; InputError that names the first file whose types do not go with those before."""
    import pyarrow as pa

    unified: pa.Schema | None = None
    for path, schema in schemas.items():
        repeated = sorted({name for name in schema.names if schema.names.count(name) > 1})
        if repeated:
            raise InputError(f"input '{path}': its column '{repeated[0]}' comes more than once. Rename one of them.")
        try:
            schemas_so_far = [schema] if unified is None else [unified, schema]
            unified = pa.unify_schemas(schemas_so_far, promote_options="permissive")
        except pa.ArrowException as error:
            raise InputError(
                f"input '{path}': its columns do not go with those of the files before: {error}"
            ) from error
    return pa.schema([]) if unified is None else unified
