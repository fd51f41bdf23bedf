"""Stand-in for azureml_user.parallel_run: the helper that entry scripts take logger and folders from."""

from __future__ import annotations

import logging
import os
import time
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.service.missing_api import StandIn

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.service.worker_info import WorkerInfo

__all__ = ["EntryScript"]

# Put there by the loader.
_worker: WorkerInfo = globals()["_worker"]


class _LogFile(logging.FileHandler):
    """Makes its folder and file with the first record: a script that logs nothing leaves nothing."""

    def _open(self) -> TextIOWrapper:
        os.makedirs(os.path.dirname(self.baseFilename), exist_ok=True)
        return super()._open()


def _make_logger() -> logging.Logger:
    # Not from logging.getLogger: that registry is one per process, and would mix the workers' loggers.
    logger = logging.Logger("EntryScript", _worker.logging_level.upper())
    logger.parent = logging.root
    formatter = logging.Formatter(
        "%(asctime)s|%(name)s|%(levelname)s|%(process)d|%(thread)d|%(funcName)s()|%(message)s"
    )
    formatter.converter = time.gmtime
    handler = _LogFile(
        Path(_worker.log_dir) / f"{_worker.agent_name}.txt",
        encoding="utf-8",
        delay=True,
        errors="backslashreplace",
    )
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    return logger


_LOGGER = _make_logger()


def _close() -> None:
    """Closes the logger's handlers, those that the script added too; nobody else would."""
    for handler in tuple(_LOGGER.handlers):
        _LOGGER.removeHandler(handler)
        handler.close()


class EntryScript(StandIn):
    """One object per worker, whoever makes it and however often.

    Source: "Troubleshooting the ParallelRunStep", on logging and on folders. Folders are strings, for
    os.path.join and Path alike.
    """

    def __new__(cls) -> EntryScript:
        return _ENTRY_SCRIPT

    @property
    def logger(self) -> logging.Logger:
        """Writes to <log_dir>/<agent_name>.txt, in UTC and from the job's logging_level on.

        Records reach the root logger's handlers as well, so that pytest shows them.
        """
        return _LOGGER

    @property
    def log_dir(self) -> str:
        """The folder for the script's own logs; the script has to make it."""
        return str(_worker.log_dir)

    @property
    def agent_name(self) -> str:
        return _worker.agent_name

    @property
    def output_dir(self) -> str:
        """AZUREML_BI_OUTPUT_PATH, or "." where that is not set; made where it does not exist."""
        if _worker.output_dir is None:
            return "."
        os.makedirs(_worker.output_dir, exist_ok=True)
        return str(_worker.output_dir)

    @property
    def working_dir(self) -> str:
        """Where the job was started, the code root; the worker itself works in another folder."""
        return str(_worker.working_dir)

    @property
    def dir(self) -> str:
        return str(_worker.entry_dir)


_ENTRY_SCRIPT = object.__new__(EntryScript)
