"""What a worker process is started with: the message that it reads first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.engines.process.process_tree import can_tell_memory
from pytest_parallelrun.emulator.entry import EntryFile
from pytest_parallelrun.emulator.errors import EntryScriptError, SettingsError
from pytest_parallelrun.emulator.service.worker_info import plain_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_parallelrun.emulator.engines import Observer
    from pytest_parallelrun.emulator.engines.process.worker_process import WorkerProcess
    from pytest_parallelrun.emulator.entry import EntryObject
    from pytest_parallelrun.emulator.sandbox.sandbox import Host, WorkerPlan
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import InputKind


ROOT = str(Path(__file__).parents[4])
"""The folder that this package is in."""
ON_POSIX = os.name == "posix"


def check_possible(engine: str, entry: EntryFile | EntryObject, settings: JobSettings) -> None:
    """Refuses what the worker processes of an engine cannot run. EntryScriptError, SettingsError."""
    if not ON_POSIX:
        raise SettingsError(
            f"engine='{engine}' needs Linux or macOS: it kills the process group of a worker, which Windows has not. "
            "Use engine='inprocess'."
        )
    if not isinstance(entry, EntryFile):
        raise EntryScriptError(
            f"engine='{engine}' takes the path of a script: {entry.label} lives in this process, and "
            "a worker process cannot get it. Give the .py file, or use engine='inprocess'."
        )
    if settings.memory_limit is not None and not can_tell_memory():
        raise SettingsError(
            f"memory_limit={settings.memory_limit}: this system does not tell how much memory a process takes (Linux "
            "does, in /proc): leave it out."
        )


def own_file(appended: Path, instance: int, pid: int | str) -> Path:
    """Where a worker alone writes what is appended to `appended` in the end, named as on the service."""
    return appended.parent / f"temp_{instance}_{pid}_{appended.name}"


def start_message(
    plan: WorkerPlan,
    host: Host,
    worker: WorkerProcess,
    settings: JobSettings,
    kind: InputKind,
    *,
    init: bool,
    init_fails: tuple[str, str] | None,
    watch: bool,
    quiet: bool,
    observer: type[Observer] | None,
) -> dict[str, object]:
    """Plain values. init_fails: error and traceback of a fault that is put into init(). watch: tell what is opened."""
    entry = plan.entry
    assert isinstance(entry, EntryFile)
    appended = plan.appended
    return {
        "script": (entry.module_name, str(entry.path), entry.label),
        "argv": [str(entry.path), *plan.arguments],
        "code_path": [str(entry.code_root)],
        "installed": _with_this_package(host.installed),
        "preloaded": ["pandas"] if kind == "tabular" else [],
        "facts": plain_facts(plan.facts_of(worker.name, worker.instance), plan.code_root, plan.azureml),
        "logging_level": plan.logging_level,
        "appended": None if appended is None else str(own_file(appended, worker.instance, "<pid>")),
        "thread": settings.thread,
        "init": init,
        "init_fails": init_fails,
        "watch": watch,
        "quiet": quiet,
        "observer": None if observer is None else (observer.__module__, observer.__qualname__),
    }


def _with_this_package(installed: Sequence[str]) -> list[str]:
    """What is installed, and the folder of this package, however it got there."""
    return list(installed) if ROOT in installed else [*installed, ROOT]
