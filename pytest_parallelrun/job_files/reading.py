"""What came of reading: a step of a job definition, and the whole file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_parallelrun.job_files.job_step import JobStep
from pytest_parallelrun.job_files.problems import Finding


@dataclass(frozen=True)
class StepReading:
    """One step: itself, or what is wrong with it. script: its entry script, as far as that was found."""

    name: str
    script: Path | None
    step: JobStep | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class JobFile:
    """A job definition.

    steps: those that are parallel jobs. findings: what is wrong outside of them. skipped: sentences on steps
    that may be parallel jobs and cannot be read here. files: all that were read. is_job: whether it is one at all.
    """

    path: Path
    steps: tuple[StepReading, ...] = ()
    findings: tuple[Finding, ...] = ()
    skipped: tuple[str, ...] = ()
    files: frozenset[Path] = frozenset()
    is_job: bool = True
