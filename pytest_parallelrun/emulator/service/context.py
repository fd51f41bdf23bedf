"""The second argument of run(mini_batch, context)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NoReturn


@dataclass(frozen=True, kw_only=True)
class MiniBatchContext:
    """What the service tells run() about its mini-batch, read-only; there is no more than this.

    minibatch_index: identity of the mini-batch in the job, from 0.
    global_row_index_lower_bound: index in the whole input of the first row of this mini-batch, from 0.
    partition_key_value: value by key, both texts ({"Store": "1000"}); None without partition_keys.
    dataset: on the service the sub-dataset of this mini-batch; here always None.

    Source: the official samples for partitioned input and for row-wise JSON lines.
    """

    minibatch_index: int
    global_row_index_lower_bound: int
    partition_key_value: dict[str, str] | None = None
    dataset: None = None

    def __getattr__(self, name: str) -> NoReturn:
        names = ", ".join(sorted(field.name for field in fields(self)))
        raise AttributeError(f"the context of a mini-batch has no attribute {name!r}. It has: {names}.")
