"""How the workers of a job start, for every engine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from pytest_parallelrun.emulator.entry import EntryFile, EntryObject
from pytest_parallelrun.emulator.sandbox.modules import is_installed_path
from pytest_parallelrun.emulator.service.worker_info import WorkerInfo

PYTHON_PATH = "PYTHONPATH"
_TEMPORARY = ("TMPDIR", "TEMP", "TMP")
MAX_TEMPORARY = 72
"""Characters of a temporary folder: sockets of multiprocessing are in it, whose paths are short (104 on macOS)."""


class NumberedWorker(Protocol):
    """A worker of any engine, named "process000" and so on."""

    @property
    def name(self) -> str: ...
    @property
    def instance(self) -> int: ...


class Host(NamedTuple):
    """What workers inherit: environment variables, and the folders of installed packages on sys.path."""

    environment: Mapping[str, str]
    installed: tuple[str, ...]

    @classmethod
    def here(cls) -> Host:
        """Those of this process."""
        installed = (os.path.abspath(path) for path in sys.path if path and is_installed_path(path))
        return cls(dict(os.environ), tuple(installed))


@dataclass(frozen=True, kw_only=True)
class WorkerPlan:
    """The common settings of all workers of a job.

    arguments: sys.argv[1:], the runtime's own first. environment: added to that of the host. folder: contains the
    working folder of each worker. started_in: the folder of the host. logs: for the logs of workers; below `folder` if
    None. appended: the file for results, None if they are not appended. host: what workers inherit, None for that of
    this process.
    """

    entry: EntryFile | EntryObject
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path
    output_dir: Path | None = None
    models: Mapping[str, Path] = field(default_factory=dict)
    logging_level: str = "INFO"
    azureml: Literal["standin", "installed"] = "standin"
    started_in: Path = field(default_factory=Path.cwd)
    logs: Path | None = None
    appended: Path | None = None
    host: Host | None = None

    @property
    def log_folder(self) -> Path:
        """The folder with the layout of `logs` on the service."""
        return self.folder / "logs" if self.logs is None else self.logs

    def log_of(self, worker: NumberedWorker, stream: Literal["stdout", "stderr"]) -> Path:
        """The folder for the output of a worker, if it is kept."""
        folder = self.log_folder / "user" / stream / instance_name(worker.instance)
        return folder / f"{worker.name}.{stream}.txt"

    def environment_of(self, instance: int) -> dict[str, str]:
        """`environment`, with the temporary folder of a machine, which all its workers share and no other job."""
        folder = self.folder / f"tmp{instance}"
        if len(str(folder)) > MAX_TEMPORARY or not self.environment.keys().isdisjoint(_TEMPORARY):
            return dict(self.environment)
        folder.mkdir(parents=True, exist_ok=True)
        return {**dict.fromkeys(_TEMPORARY, str(folder)), **self.environment}

    def worker_info(self, name: str, instance: int) -> WorkerInfo:
        """What the stand-ins say about the worker of that name."""
        entry = self.entry
        return WorkerInfo(
            agent_name=name,
            output_dir=self.output_dir,
            working_dir=self.code_root,
            entry_dir=entry.path.parent if isinstance(entry, EntryFile) else self.code_root,
            log_dir=self.log_folder / "user" / "entry_script_log" / instance_name(instance),
            logging_level=self.logging_level,
            models=self.models,
        )

    @property
    def python_path(self) -> list[str]:
        """The folders of PYTHONPATH, which Python puts after that of the script and before installed packages."""
        return [entry for entry in self.environment.get(PYTHON_PATH, "").split(os.pathsep) if entry]

    @property
    def code_root(self) -> Path:
        """The folder that is on sys.path; for an object, which has none, that of the host."""
        return self.entry.code_root if isinstance(self.entry, EntryFile) else self.started_in


def instance_name(instance: int) -> str:
    """Name of a machine in the logs, instead of the id of its node."""
    return f"instance{instance}"
