"""How a check says what it found. A finding is one text: what happened, the arithmetic, what to do."""

from __future__ import annotations

from typing import NoReturn

import pytest

from pytest_parallelrun.contract import CheckSpec


class CheckFailed(AssertionError):
    """A finding that fails the gate; shown as its text alone."""


class Check:
    """The check that is running: what it found, and how it ends.

    advice: a finding that does not fail the gate, unless the run is strict. skipped: why it could not decide.
    """

    def __init__(self, spec: CheckSpec, *, strict: bool) -> None:
        self.spec = spec
        self._strict = strict
        self.advice: str | None = None
        self.notes: list[str] = []

    def fail(self, finding: str) -> NoReturn:
        """Ends the check as failed."""
        __tracebackhide__ = True
        raise CheckFailed(finding)

    def advise(self, finding: str) -> None:
        """Records advice; a failure under --parallelrun-strict."""
        __tracebackhide__ = True
        if self._strict:
            raise CheckFailed(f"{finding}\n(advice, which fails under --parallelrun-strict)")
        self.advice = finding

    def note(self, text: str) -> None:
        """Records something worth knowing that is no finding."""
        self.notes.append(text)

    def cannot_decide(self, reason: str) -> NoReturn:
        """Ends the check as skipped: never a pass without evidence."""
        __tracebackhide__ = True
        if self._strict:
            raise CheckFailed(f"could not be checked: {reason}\n(a failure under --parallelrun-strict)")
        pytest.skip(reason)
