"""The findings of an entry in the order in which they should be read, one for each cause."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_parallelrun.contract.finding import Cause, Finding
from pytest_parallelrun.report.records import CheckOutcome, CheckRecord, EntryReport
from pytest_parallelrun.report.sanitize import first_line


@dataclass(frozen=True, kw_only=True)
class GroupedFinding:
    """A finding with all the checks that met its cause; `record` is that of the check that tells it."""

    record: CheckRecord
    also: tuple[str, ...] = ()

    @property
    def finding(self) -> Finding:
        """What was found; of a check that ended otherwise, such as by an error of ours, its first line."""
        return self.record.finding or Finding(what=first_line(self.record.message))

    @property
    def command(self) -> str:
        """What runs it again, or ""."""
        return self.finding.replay.command if self.finding.replay else ""


def findings(report: EntryReport, *outcomes: CheckOutcome) -> list[GroupedFinding]:
    """Most important first: what fails before advice, then what more checks met, then the order of the checks."""
    groups: dict[tuple[str, Cause | str], list[CheckRecord]] = {}
    for record in report.records:
        if record.outcome in (outcomes or ("failed", "advice")):
            groups.setdefault((record.outcome, (record.finding and record.finding.cause) or record.name), []).append(
                record
            )
    ordered = sorted(groups.values(), key=lambda group: (group[0].outcome != "failed", -len(group)))
    return [GroupedFinding(record=first, also=tuple(record.name for record in others)) for first, *others in ordered]


def place_in_script(told: GroupedFinding, script: str) -> tuple[str, int]:
    """(file, line) that a finding is about: the last frame of the user, the function that failed, or the first line."""
    cause, location = told.finding.cause, told.finding.location
    if cause is not None and cause.frame is not None:
        return cause.frame.file, cause.frame.line
    return script, _lines_of_functions(script).get(location.phase if location else "run", 1)


def _lines_of_functions(script: str) -> Mapping[str, int]:
    try:
        tree = ast.parse(Path(script).read_bytes())
    except (OSError, ValueError, SyntaxError):
        return {}
    return {node.name: node.lineno for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
