"""Which settings on splitting have an effect on which form of input: one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_parallelrun.emulator.errors import InputError

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.settings import JobSettings

Form = Literal["files", "delimited", "parquet", "json_lines", "frame", "mltable", "mltable_row_groups", "handed"]
"""What an input turned out to be."""


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
    "handed": Used("mini-batches that are handed over", frozenset(SETTINGS), ""),
}


def refuse_rows(form: Form, mini_batch_rows: int | None, what: str) -> None:
    """InputError where lines of JSON are asked of another form, which would change what run() gets. what: the input."""
    if mini_batch_rows is not None and "mini_batch_rows" not in USED[form].settings:
        raise InputError(
            f"{what}: mini_batch_rows={mini_batch_rows} hands lines of JSON, and this is {USED[form].title}: "
            f"{USED[form].why}. Give the files of JSON lines, or take mini_batch_rows (--amlbi_mini_batch_rows) away."
        )


def without_effect(form: Form, settings: JobSettings) -> Iterator[str]:
    """Sentences on what was set and has no effect: beside another setting, or on an input of that form."""
    set_on_purpose = set(settings.explicit)
    if settings.unused:
        yield settings.unused
        set_on_purpose.remove("mini_batch_size")
    names = [name for name in SETTINGS if name in set_on_purpose and name not in USED[form].settings]
    if names:
        verb = "has" if len(names) == 1 else "have"
        yield f"{' and '.join(names)} {verb} no effect on {USED[form].title}: {USED[form].why}"
