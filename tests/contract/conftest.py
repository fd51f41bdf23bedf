"""Scripts are judged by the whole gate, so that a test shows which checks catch a flaw, and that no other does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from tests.conftest import Run, Write
from tests.report.schema import read_valid


@dataclass(frozen=True)
class Judged:
    """The outcomes, messages and notes of all checks, by their names."""

    outcomes: Mapping[str, str]
    messages: Mapping[str, str]
    notes: Mapping[str, Sequence[str]]
    init_calls: int

    def with_outcome(self, outcome: str) -> set[str]:
        return {name for name, found in self.outcomes.items() if found == outcome}

    @property
    def failed(self) -> set[str]:
        return self.with_outcome("failed")

    @property
    def skipped(self) -> set[str]:
        return self.with_outcome("skipped")


class Judge(Protocol):
    def __call__(self, script: str, *arguments: str, input: str | None = ..., name: str = ...) -> Judged: ...


@pytest.fixture
def judge(project: Path, run_pytest: Run, write: Write) -> Judge:
    """Gates a script with three files item_1.txt to item_3.txt, or another input below the folder."""

    def judge(script: str, *arguments: str, input: str | None = "data", name: str = "score.py") -> Judged:
        write(name, script)
        given = () if input is None else (f"--parallelrun-input={input}",)
        run_pytest(f"--parallelrun-entry={name}", "--parallelrun-report=gate.json", *given, *arguments)
        (entry,) = read_valid(project / "gate.json")["entries"]
        return Judged(
            {check["name"]: check["outcome"] for check in entry["checks"]},
            {check["name"]: check["message"] for check in entry["checks"]},
            {check["name"]: [*check["notes"], *check["details"]] for check in entry["checks"]},
            entry["init_calls"],
        )

    return judge
