"""Values that the appended file cannot carry: newlines, objects as their repr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.entry.returned_rows import (
    appending,
    returned_rows,
    writes_files_instead,
)
from pytest_parallelrun.contract.finding import Finding, Location
from pytest_parallelrun.contract.rows.round_trip import what_is_lost

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observations import Observations


def test_output_round_trips(
    parallelrun_entry: EntryUnderTest,
    parallelrun_baseline: Baseline,
    parallelrun_observations: Observations,
    parallelrun_check: Check,
) -> None:
    """What is read from the file that results are appended to is what run() returned."""
    __tracebackhide__ = True
    returned = returned_rows(parallelrun_baseline)
    if not returned:
        parallelrun_check.cannot_decide(parallelrun_baseline.why_nothing_returned())
    labels = {one.mini_batch: one.label for one in returned}
    values = {one.mini_batch: one.value for one in returned}
    losses: dict[str, tuple[int, str]] = {}
    for number, what, fix in what_is_lost(values, parallelrun_entry.new_folder("appended")):
        losses.setdefault(fix, (number, what))
    if not losses:
        if not any(len(one.value) for one in returned):  # type: ignore[arg-type]
            parallelrun_check.cannot_decide("run() returned no results that could be appended")
        return
    if writes_files_instead(parallelrun_observations, parallelrun_check):
        return
    first = next(iter(losses.values()))[0]
    parallelrun_check.advise(
        Finding(
            what=f"{appending(parallelrun_entry)} the file does not carry what run() returned: "
            + "; ".join(what for _, what in losses.values())
            + ".",
            location=Location(phase="return", detail=f" of run(), {labels[first]}"),
            service="the appended file has a line for each element of a list, and for a DataFrame columns that are "
            "separated by a space, without header and index",
            fix="; ".join(losses),
        )
    )
