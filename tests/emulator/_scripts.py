"""Entry scripts that are written for one test, and jobs that run them over a few small files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

from pytest_parallelrun import JobSettings, ParallelJob
from pytest_parallelrun.emulator.result import JobResult


def write_files(folder: Path, sources: Mapping[str, str]) -> Path:
    """Writes files, by their paths below the folder."""
    for name, source in sources.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source), encoding="utf-8")
    return folder


def make_input(folder: Path, files: int = 2) -> Path:
    data = folder / "data"
    data.mkdir(exist_ok=True)
    for number in range(files):
        (data / f"item{number}.txt").write_text(f"{number}", encoding="utf-8")
    return data


def make_job(folder: Path, source: str, *, files: int = 2, name: str = "score", **settings: Any) -> ParallelJob:
    """A job over that many mini-batches of one file each; the script is `code/<name>.py`."""
    code = write_files(folder / "code", {f"{name}.py": source})
    settings.setdefault("max_retries", 0)
    return ParallelJob(code / f"{name}.py", make_input(folder, files), JobSettings(**settings))


def run_script(folder: Path, source: str, *, files: int = 2, name: str = "score", **settings: Any) -> JobResult:
    return make_job(folder, source, files=files, name=name, **settings).run()


def outcomes(result: JobResult) -> list[str]:
    """Outcomes of all attempts, in the order in which they ended."""
    return [attempt.outcome for attempt in result.attempts]


def errors(result: JobResult) -> list[str]:
    """Why attempts failed, in the order in which they ended."""
    return [attempt.failure.error for attempt in result.attempts if attempt.failure is not None]
