"""The findings of an entry in the order in which they should be read, one for each cause."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_parallelrun.report.records import CheckOutcome, CheckRecord, EntryReport
from pytest_parallelrun.report.sanitize import first_line

_FRAME = re.compile(r'File "([^"\n]+)", line (\d+)')
_PHASE = re.compile(r"(init|run|shutdown)\(\)")
_COMMAND = "replay: "


@dataclass(frozen=True, kw_only=True)
class GroupedFinding:
    """A finding with all the checks that met its cause; `record` is that of the check that tells it."""

    record: CheckRecord
    also: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """Its first sentence."""
        return self.part("what") or first_line(self.record.message)

    def part(self, name: str) -> str:
        """A part of the finding, "" where it has none."""
        return (self.record.finding or {}).get(name, "")

    @property
    def command(self) -> str:
        """What runs it again, or ""."""
        line = first_line(self.part("replay"))
        return line.removeprefix(_COMMAND) if line.startswith(f"{_COMMAND}pytest ") else ""

    @property
    def no_command(self) -> str:
        """Why there is nothing that runs it again, or ""."""
        return "" if self.command else first_line(self.part("replay"))


def findings(report: EntryReport, *outcomes: CheckOutcome) -> list[GroupedFinding]:
    """Most important first: what fails before advice, then what more checks met, then the order of the checks."""
    groups: dict[tuple[str, str], list[CheckRecord]] = {}
    for record in report.records:
        if record.outcome in (outcomes or ("failed", "advice")):
            groups.setdefault((record.outcome, record.cause or record.name), []).append(record)
    ordered = sorted(groups.values(), key=lambda group: (group[0].outcome != "failed", -len(group)))
    return [GroupedFinding(record=first, also=tuple(record.name for record in others)) for first, *others in ordered]


def place_in_script(told: GroupedFinding, script: str) -> tuple[str, int]:
    """(file, line) that a finding is about: the last frame of the user, the function that failed, or the first line."""
    frames = _FRAME.findall(told.part("traceback"))
    if frames:
        file, line = frames[-1]
        return file, int(line)
    phase = _PHASE.search(told.part("where"))
    return script, _lines_of_functions(script).get(phase[1] if phase else "run", 1)


def _lines_of_functions(script: str) -> Mapping[str, int]:
    try:
        tree = ast.parse(Path(script).read_bytes())
    except (OSError, ValueError, SyntaxError):
        return {}
    return {node.name: node.lineno for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
