"""What the workers of a job start from, whichever engine runs them."""

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


class NumberedWorker(Protocol):
    """A worker of any engine: its name is "process000" and on."""

    @property
    def name(self) -> str: ...
    @property
    def instance(self) -> int: ...


class Host(NamedTuple):
    """What workers inherit: environment variables, and the folders of sys.path with what is installed."""

    environment: Mapping[str, str]
    installed: tuple[str, ...]

    @classmethod
    def here(cls) -> Host:
        """That of this process."""
        installed = (os.path.abspath(path) for path in sys.path if path and is_installed_path(path))
        return cls(dict(os.environ), tuple(installed))


@dataclass(frozen=True, kw_only=True)
class WorkerPlan:
    """What all workers of a job start from.

    arguments: sys.argv[1:], the runtime's own first. environment: added to that of the host.
    folder: each worker works in a folder of its own below it. started_in: the folder of the host.
    logs: where the logs of workers go; below `folder` where it is None. appended: the file that results are appended
    to, None where they are not. host: what workers inherit, None for what this process has.
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
        """The folder that is laid out as `logs` is on the service."""
        return self.folder / "logs" if self.logs is None else self.logs

    def log_of(self, worker: NumberedWorker, stream: Literal["stdout", "stderr"]) -> Path:
        """Where the output of a worker goes, if it is kept."""
        folder = self.log_folder / "user" / stream / instance_name(worker.instance)
        return folder / f"{worker.name}.{stream}.txt"

    def worker_info(self, name: str, instance: int) -> WorkerInfo:
        """What the stand-ins tell a script about the worker of that name."""
        entry = self.entry
        return WorkerInfo(
            agent_name=name,
            output_dir=self.output_dir,
            working_dir=self.code_root,
            entry_dir=entry.path.parent if isinstance(entry, EntryFile) else self.code_root,
            log_dir=self.log_folder / "user" / "entry_script_log" / instance_name(instance),
            logging_level=self.logging_level,
            models=self.models,
            arguments=self.arguments,
        )

    @property
    def python_path(self) -> list[str]:
        """The folders of PYTHONPATH, which Python puts after that of the script and before what is installed."""
        return [entry for entry in self.environment.get(PYTHON_PATH, "").split(os.pathsep) if entry]

    @property
    def code_root(self) -> Path:
        """The folder that is on sys.path; for an object, which has none, that of the host."""
        return self.entry.code_root if isinstance(self.entry, EntryFile) else self.started_in


def instance_name(instance: int) -> str:
    """What a machine is called in the logs, where the service has the id of its node."""
    return f"instance{instance}"
