"""How a check reports what it found, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, NoReturn

import pytest

from pytest_parallelrun.contract.finding import Finding

if TYPE_CHECKING:
    from pytest_parallelrun.contract import CheckSpec


class CheckFailed(AssertionError):
    """A finding that fails the gate; shown without a traceback."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding)
        self.finding = finding

    def __str__(self) -> str:
        return self.finding.text()


class SkipReason(NamedTuple):
    """Why a check cannot decide. detail: what a report on the job says in any case.

    workers_differ: two workers gave different results, possibly only because they share a process.
    """

    summary: str
    detail: str = ""
    workers_differ: bool = False

    def __str__(self) -> str:
        return f"{self.summary}: {self.detail}" if self.detail else self.summary


class Check:
    """The running check. One object serves all checks of an entry, one after the other.

    Hypothesis needs this: what a test function gets for all its examples must not be created again for each test.
    advice: a finding that fails only a strict run. accepted: an accepted finding and its line. skipped: why it cannot
    decide. notes: for everybody; details: for full reports; figures: measurements for plots.
    """

    spec: CheckSpec

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._reset()

    def _reset(self) -> None:
        self.advice: Finding | None = None
        self.accepted: tuple[Finding, str] | None = None
        self.skipped: SkipReason | None = None
        self.notes: list[str] = []
        self.details: list[str] = []
        self.figures: dict[str, float | str] = {}

    def begin(self, spec: CheckSpec) -> None:
        """Starts the next check."""
        self.spec = spec
        self._reset()

    def fail(self, finding: Finding | str) -> NoReturn:
        """Ends the check as failed."""
        __tracebackhide__ = True
        raise CheckFailed(Finding(what=finding) if isinstance(finding, str) else finding)

    def advise(self, finding: Finding | str) -> None:
        """Records advice, which is a failure under --parallelrun-strict."""
        __tracebackhide__ = True
        advice = Finding(what=finding) if isinstance(finding, str) else finding
        if self._strict:
            raise CheckFailed(advice.saying("advice, which fails under --parallelrun-strict"))
        self.advice = advice

    def note(self, text: str) -> None:
        """Records something worth knowing that is not a finding."""
        if text not in self.notes:
            self.notes.append(text)

    def measured(self, text: str, **figures: float | str) -> None:
        """Records measurements: as text, for -v and the report files, and as numbers."""
        self.details.append(text)
        self.figures = figures

    def cannot_decide(self, reason: SkipReason | str) -> NoReturn:
        """Ends the check as skipped: never a pass without evidence."""
        __tracebackhide__ = True
        self.skipped = SkipReason(reason) if isinstance(reason, str) else reason
        if self._strict:
            raise CheckFailed(
                Finding(what=f"could not be checked: {reason}").saying("a failure under --parallelrun-strict")
            )
        pytest.skip(str(reason))
