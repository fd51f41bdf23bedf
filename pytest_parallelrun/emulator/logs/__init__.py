"""The logs of a job, laid out as the service lays them out, so that people find here what they look for there.

Sources: the article on debugging the ParallelRunStep, the troubleshooting guide of batch endpoints.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.folders import make_folder
from pytest_parallelrun.emulator.logs.processed import write_processed
from pytest_parallelrun.emulator.logs.texts import write_texts

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.result import JobResult

LOGS = "logs"
"""The folder of that name on the service, below the one that is given here."""


def usable_logs(folder: Path) -> Path:
    """The folder of the logs below the one that was given. InputError where those of another job are there."""
    make_folder(folder, f"logs '{folder}'")
    if (folder / LOGS).exists() and os.listdir(folder / LOGS):
        raise InputError(f"logs '{folder / LOGS}' exists already and is never overwritten: use an empty folder.")
    return folder / LOGS


def write_logs(logs: Path, result: JobResult, began: float) -> tuple[str, ...]:
    """Writes what is known at the end of a job beside what its workers have written; notes of what went wrong.

    began: seconds since the epoch.
    """
    try:
        logs.mkdir(parents=True, exist_ok=True)
        write_texts(logs, result, began)
        write_processed(logs / "sys" / "job_report", result, began)
    except OSError as error:
        return (f"the logs in '{logs}' are not complete: {error}",)
    return ()
