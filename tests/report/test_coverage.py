from __future__ import annotations

from pathlib import Path

from pytest_parallelrun.report.coverage import NOT_CHECKABLE

FIDELITY = Path(__file__).parents[2] / "docs" / "reference" / "fidelity.md"


def test_what_reports_call_not_checkable_stands_in_the_page_on_fidelity() -> None:
    section = FIDELITY.read_text(encoding="utf-8").split("\n## What is not emulated\n")[1]
    assert [row for row in NOT_CHECKABLE if f"\n| {row[0]} | {row[1]} |\n" not in section] == []
