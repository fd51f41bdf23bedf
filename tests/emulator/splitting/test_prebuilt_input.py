"""Mini-batches that are handed over as they are."""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd

from pytest_parallelrun import JobSettings, ParallelJob
from pytest_parallelrun.emulator.splitting import PrebuiltInput, open_input


def test_files_are_counted_before_and_rows_as_they_come() -> None:
    files = PrebuiltInput([["/d/a", "/d/b"], ["/d/c"]], kind="files")
    assert (files.total_mini_batches, files.total_items) == (2, 3)
    rows = PrebuiltInput([pd.DataFrame({"x": [1, 2]})], kind="tabular")
    assert (rows.total_mini_batches, rows.total_items) == (None, None)


def test_mini_batches_are_numbered_in_their_order_and_have_names() -> None:
    files = PrebuiltInput([["/d/a", "/d/b"], ["/d/c"]], kind="files")
    assert [(batch.id, batch.size, batch.first_item) for batch in files.mini_batches()] == [(0, 2, 0), (1, 1, 2)]
    assert [files.item_names(batch) for batch in files.mini_batches()] == [["a", "b"], ["c"]]
    frames = [pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": [3]})]
    rows = PrebuiltInput(frames, kind="tabular")
    assert [rows.item_names(batch) for batch in rows.mini_batches()] == [["row 1", "row 2"], ["row 3"]]


def test_each_delivery_is_a_copy() -> None:
    paths, frame = ["a"], pd.DataFrame({"x": [1]})
    for payload, kind in ((paths, "files"), (frame, "tabular")):
        handed = PrebuiltInput([payload], kind=kind)  # type: ignore[arg-type]
        (batch,) = handed.mini_batches()
        copy = handed.load(batch)
        assert copy is not payload
        if isinstance(copy, pd.DataFrame):
            copy.insert(0, "y", 1)
        else:
            cast("list[str]", copy).clear()
    assert paths == ["a"]
    assert list(frame.columns) == ["x"]


def test_it_is_an_input_of_a_job_whatever_the_settings_say_of_splitting() -> None:
    class Names:
        def run(self, paths: list[str]) -> list[str]:
            return paths

    handed = PrebuiltInput([["a", "b"], ["c"]], kind="files")
    assert open_input(handed, JobSettings()) is handed
    result = ParallelJob(Names(), handed, JobSettings(mini_batch_size=1)).run()
    assert [batch.size for batch in result.mini_batches] == [2, 1]
    assert result.rows == ["a", "b", "c"]
    assert handed.describe() == "2 mini-batches as they were handed over"


def test_items_are_numbered_over_all_mini_batches_empty_ones_included() -> None:
    files = PrebuiltInput([["a", "b"], [], ["c"], ["d"]], kind="files")
    found = list(files.mini_batches())
    assert [(batch.id, batch.size, batch.first_item) for batch in found] == [(0, 2, 0), (1, 0, 2), (2, 1, 2), (3, 1, 3)]
    assert [files.load(batch) for batch in found] == [["a", "b"], [], ["c"], ["d"]]


def test_files_that_were_handed_over_as_a_tuple_are_delivered_as_a_list() -> None:
    files = PrebuiltInput([("/d/a", "/d/b")], kind="files")
    (batch,) = files.mini_batches()
    assert files.load(batch) == ["/d/a", "/d/b"]
    assert files.item_names(batch) == ["a", "b"]


def test_the_kind_is_that_of_what_was_handed_over() -> None:
    assert (PrebuiltInput([], kind="files").kind, PrebuiltInput([], kind="tabular").kind) == ("files", "tabular")


def test_a_delivered_table_shares_no_memory_with_the_one_that_was_handed_over() -> None:
    # pandas copies on write, native code that writes into a column does not.
    frame = pd.DataFrame({"x": [1, 2]})
    rows = PrebuiltInput([frame], kind="tabular")
    (batch,) = rows.mini_batches()
    delivered = rows.load(batch)
    assert isinstance(delivered, pd.DataFrame)
    assert not np.shares_memory(delivered["x"].to_numpy(), frame["x"].to_numpy())
