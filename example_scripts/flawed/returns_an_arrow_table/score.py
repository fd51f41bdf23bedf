"""Measures pages.

Flawed on purpose: run() returns a table of another library, which is neither a list nor a pandas DataFrame.
"""

from __future__ import annotations

import os

import pyarrow as pa


def run(mini_batch: list[str]) -> pa.Table:
    table = pa.table(
        {
            "page": [os.path.basename(path) for path in mini_batch],
            "size": [os.path.getsize(path) for path in mini_batch],
        }
    )
    # The flaw: the service counts no rows of it.
    return table
