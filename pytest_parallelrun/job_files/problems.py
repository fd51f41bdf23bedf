"""What is wrong with a job definition: findings, each with its place in the file, all of them in one error."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pytest_parallelrun.emulator.errors import ParallelRunError

MOST_SHOWN = 50


@dataclass(frozen=True, order=True)
class Place:
    """Where something stands; line and column count from 1."""

    file: Path
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.origin}:{self.column}"

    @property
    def origin(self) -> str:
        """File and line, which is what a value is said to come from."""
        return f"{shown(self.file)}:{self.line}"


@dataclass(frozen=True, order=True)
class Finding:
    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class JobFileError(ParallelRunError):
    """A job definition that cannot be gated; the text has a line for each finding."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(sorted(set(findings)))
        more = len(self.findings) - MOST_SHOWN
        lines = [*map(str, self.findings[:MOST_SHOWN]), *([f"and {more} more"] if more > 0 else [])]
        super().__init__("\n".join(lines))


@dataclass
class Findings:
    """Collects findings while a definition is read, so that the user learns of all at once."""

    found: list[Finding] = field(default_factory=list)

    def add(self, place: Place, message: str) -> None:
        self.found.append(Finding(place, message))

    def __bool__(self) -> bool:
        return bool(self.found)


def shown(path: Path) -> str:
    """A path as messages have it: relative to the working folder where it lies below."""
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else os.fspath(path)
