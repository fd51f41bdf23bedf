"""Entries, inputs and shorthand for the tests of jobs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.job import ParallelJob
from pytest_parallelrun.emulator.service.worker_info import MiniBatchContext
from pytest_parallelrun.emulator.settings import JobSettings

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.result import JobResult

ROW_BYTES = 8
"""Length of a row of table() as a line of CSV."""


class Names:
    """Returns the name of each file."""

    def run(self, paths: list[str]) -> list[str]:
        return [os.path.basename(path) for path in paths]


class Rows:
    """Returns the table that it gets."""

    def run(self, table: pd.DataFrame) -> pd.DataFrame:
        return table


class Scripted:
    """Answers the attempts at each mini-batch one by one; what is left over are file names.

    An answer that is an exception is raised, any other is returned.
    """

    def __init__(self, **answers: Sequence[object]) -> None:
        self._answers = {int(name.removeprefix("at")): list(given) for name, given in answers.items()}
        self.order: list[int] = []

    def run(self, paths: list[str], context: MiniBatchContext) -> object:
        self.order.append(context.minibatch_index)
        answers = self._answers.get(context.minibatch_index)
        if not answers:
            return [os.path.basename(path) for path in paths]
        answer = answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def make_files(folder: Path, count: int) -> list[str]:
    """Empty files f00, f01 and so on."""
    paths = [folder / f"f{number:02d}" for number in range(count)]
    for path in paths:
        path.touch()
    return [str(path) for path in paths]


def table(rows: int) -> pd.DataFrame:
    """One column of numbers as text, ROW_BYTES a row."""
    frame: pd.DataFrame = pd.DataFrame({"id": [f"{row:07d}" for row in range(rows)]})
    return frame


def run_job(
    entry: object,
    source: str | Path | list[str] | pd.DataFrame,
    *faults: Fault,
    output: Path | None = None,
    **settings: Any,
) -> JobResult:
    return ParallelJob(entry, source, JobSettings(**settings), faults=faults, output=output).run()


def attempts(result: JobResult, mini_batch: int) -> list[str]:
    """Outcomes of the attempts at a mini-batch."""
    return [attempt.outcome for attempt in result.mini_batches[mini_batch].attempts]


def statuses(result: JobResult) -> list[str]:
    return [batch.status for batch in result.mini_batches]
