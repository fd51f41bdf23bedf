"""The stand-ins of a worker process, made from values that cross into it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NoReturn


@dataclass(frozen=True, kw_only=True)
class WorkerInfo:
    """What the stand-ins tell a script about the worker that runs it.

    agent_name: "process000" and on. output_dir: what AZUREML_BI_OUTPUT_PATH names, None where it is not set.
    working_dir: where the driver was started, the code root. entry_dir: folder of the entry script.
    log_dir: the worker's logs/user/entry_script_log/<node>, which need not exist. logging_level: a name of
    the logging module, in any case. models: path on disk by name.
    """

    agent_name: str
    output_dir: Path | None
    working_dir: Path
    entry_dir: Path
    log_dir: Path
    logging_level: str
    models: Mapping[str, Path]


@dataclass(frozen=True, kw_only=True)
class MiniBatchContext:
    """What the service tells run() about its mini-batch, read-only; there is no more than this.

    retry_count: attempts at it before this one.
    minibatch_index: identity of the mini-batch in the job, from 0.
    global_row_index_lower_bound: index in the whole input of the first row of this mini-batch, from 0.
    partition_key_value: value by key, both texts ({"Store": "1000"}); None without partition_keys.
    dataset: on the service the sub-dataset of this mini-batch; here always None.

    Source: the official samples for partitioned input and for row-wise JSON lines; retry_count: a component that
    Microsoft ships.
    """

    minibatch_index: int
    global_row_index_lower_bound: int
    partition_key_value: dict[str, str] | None = None
    dataset: None = None
    retry_count: int = 0

    def __getattr__(self, name: str) -> NoReturn:
        names = ", ".join(sorted(field.name for field in fields(self)))
        raise AttributeError(f"the context of a mini-batch has no attribute {name!r}. It has: {names}.")


def mini_batch_context(
    mini_batch: int, first_item: int, partition: Iterable[tuple[str, str]], attempt: int
) -> MiniBatchContext:
    """That of an attempt at a mini-batch, by its id, the index of its first item and its partition keys."""
    return MiniBatchContext(
        minibatch_index=mini_batch,
        global_row_index_lower_bound=first_item,
        partition_key_value=dict(partition) or None,
        retry_count=attempt - 1,
    )
