"""A finding: what a check found, in parts that every reader looks for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.phrases import indented

if TYPE_CHECKING:
    from pytest_parallelrun.contract.cases.case import Case
    from pytest_parallelrun.emulator.events import AttemptEnded, Failure

PARTS = ("what", "where", "traceback", "counts", "service", "fix", "explained", "remark", "example", "replay")
"""Of a Finding, those that are shown, in their order."""

_USER_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is wrong, with all that helps; parts that are empty are not shown.

    what: one sentence. where: phase, mini-batch, items, attempt (see `place()`). traceback: the user's own frames.
    counts: the arithmetic. service: what the service would show, and in which log (see service_view). fix: what to
    do. explained: the command that prints the page of the check. cause: the same for findings of one cause in several
    checks (see `cause_of()`), "" where nothing is known.
    case: what to run to see it again. example: what Hypothesis says of it. replay: how to run it, once it is saved.
    """

    what: str
    where: str = ""
    traceback: str = ""
    counts: str = ""
    service: str = ""
    fix: str = ""
    explained: str = ""
    remark: str = ""
    cause: str = ""
    case: Case | None = None
    example: str = ""
    replay: str = ""

    def saying(self, remark: str) -> Finding:
        """The same with a remark at its end."""
        return replace(self, remark=remark)

    def parts(self) -> dict[str, str]:
        """The parts that are texts, by name, for reports that lay them out themselves; none that is empty."""
        return {name: text for name in PARTS if (text := getattr(self, name))}

    def text(self) -> str:
        """All parts, a line or more each."""
        parts = [
            self.what,
            self.where and f"where: {self.where}",
            indented(self.traceback),
            self.counts and f"counts: {self.counts}",
            self.service and f"on the service: {self.service}",
            self.fix and f"to do: {self.fix}",
            self.explained and f"more: {self.explained}",
            self.remark and f"({self.remark})",
            self.example,
            self.replay,
        ]
        return "\n".join(part.rstrip() for part in parts if part)


def place(phase: str, mini_batch: int | None = None, items: str = "", number: int = 1, tries: int = 1) -> str:
    """Where it happened, such as "run(), mini-batch 3 (a.csv, b.csv), attempt 1 of 3"."""
    parts = [f"{phase}()" if phase in ("init", "run", "shutdown") else phase]
    if mini_batch is not None:
        parts.append(f"mini-batch {mini_batch}" + (f" ({items})" if items else ""))
        parts.append(f"attempt {number} of {tries}")
    elif items:
        parts.append(items)
    return ", ".join(parts)


def cause_of(failure: Failure) -> str:
    """The same text for failures that come from the same line of the script by the same kind of error."""
    frames = _USER_FRAME.findall(failure.traceback)
    line = ":".join(frames[-1]) if frames else ""
    return f"{failure.phase} {failure.error.partition(':')[0]} {line}".rstrip()


def cause_of_attempt(attempt: AttemptEnded) -> str:
    """The same for what is wrong with an attempt."""
    failure = attempt.failure
    if failure is None:
        return attempt.outcome
    if attempt.outcome in ("short", "timeout"):
        return attempt.outcome
    if attempt.outcome == "wrong_type":
        # The first sentence says what it returned.
        return f"wrong_type {failure.error.partition('. ')[0]}"
    return cause_of(failure)
