"""Nothing in the output tells which item a row came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.entry.returned_rows import (
    appending,
    returned_rows,
    writes_files_instead,
)
from pytest_parallelrun.contract.finding import Finding
from pytest_parallelrun.contract.rows.comparison import row_text
from pytest_parallelrun.contract.rows.identity import unnamed_row_of_files, unnamed_row_of_table

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observations import Observations


def test_rows_name_their_item(
    parallelrun_entry: EntryUnderTest,
    parallelrun_baseline: Baseline,
    parallelrun_observations: Observations,
    parallelrun_check: Check,
) -> None:
    """Each row tells which item it is from, since the order of the output is not guaranteed."""
    __tracebackhide__ = True
    returned = returned_rows(parallelrun_baseline)
    if not any(len(one.value) for one in returned):  # type: ignore[arg-type]
        parallelrun_check.cannot_decide(
            "run() returned no rows" if returned else parallelrun_baseline.why_nothing_returned()
        )
    values = {one.mini_batch: one.value for one in returned}
    look = unnamed_row_of_files if parallelrun_observations.kind == "files" else unnamed_row_of_table
    found = look(parallelrun_entry, values)
    if found.reason:
        parallelrun_check.cannot_decide(found.reason)
    if found.row is None or writes_files_instead(parallelrun_observations, parallelrun_check):
        return
    label = next(one.label for one in returned if one.mini_batch == found.mini_batch)
    parallelrun_check.advise(
        Finding(
            what=f"{appending(parallelrun_entry)} nothing in a row tells which item it is from: "
            f"{row_text(found.row.value)}, of {label}.",
            service="rows of several workers come in any order, so that they cannot be put back to their items",
            fix=found.fix,
        )
    )
