"""Gives the process to one emulated worker at a time, and finally back to the host.

Environment, folder, arguments and modules are swapped when the worker changes, and only if they differ.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Container
from contextlib import ExitStack, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TextIO

from pytest_parallelrun.emulator.entry import EntryFile
from pytest_parallelrun.emulator.process_tree import MARK
from pytest_parallelrun.emulator.sandbox.interpreter import Interpreter
from pytest_parallelrun.emulator.sandbox.modules import CodeRootFinder, code_root_at, is_installed_path, is_shared
from pytest_parallelrun.emulator.sandbox.patches import Patches
from pytest_parallelrun.emulator.sandbox.process_exit import (
    ExitHandlers,
    Handler,
    ScriptProcesses,
    apply_start_method,
    start_method,
)
from pytest_parallelrun.emulator.sandbox.process_state import (
    apply_environment,
    process_state_restored,
    read_environment,
    seed_from_system,
)
from pytest_parallelrun.emulator.sandbox.registrations import Registrations
from pytest_parallelrun.emulator.sandbox.streams import OutputTail, WorkerStream
from pytest_parallelrun.emulator.service import STAND_IN_PACKAGES
from pytest_parallelrun.emulator.service.mlflow_tracking import MLflowState, exchange_state, tracking_environment
from pytest_parallelrun.emulator.service.stand_ins import StandIns
from pytest_parallelrun.emulator.worker.process_resources import MAIN_PROCESS, ProcessNamer, name_process, process_name
from pytest_parallelrun.emulator.worker.script import EntryFunctions, functions_of, import_script
from pytest_parallelrun.emulator.worker_plan import WorkerPlan

if TYPE_CHECKING:
    from _typeshed.importlib import MetaPathFinderProtocol

_ANY_ROOT = code_root_at(Path(os.sep))
"""For objects, whose code has no folder."""


class Worker:
    """One emulated worker process: its number counts all workers of the job, its instance the machines."""

    script: object
    """The module or object, known once Sandbox.start has imported it."""
    functions: EntryFunctions
    """Known after find_functions()."""

    def __init__(self, number: int, instance: int, plan: WorkerPlan) -> None:
        self.number = number
        self.instance = instance
        self.name = f"process{number:03d}"
        self.folder = plan.folder / self.name
        self.folder.mkdir()
        entry = plan.entry
        self.stand_ins = StandIns(
            plan.worker_info(self.name, instance),
            code_root=plan.code_root,
            azureml=plan.azureml,
            python_path=plan.python_path,
        )
        script = str(entry.path) if isinstance(entry, EntryFile) else entry.label
        self.argv = [script, *plan.arguments]
        self.environment: dict[str, str] = {}
        self.cwd = str(self.folder)
        self.temporary: str | None = None
        """That of `tempfile`, which finds it by the environment."""
        self.path: list[str] = []
        self.meta_path: list[MetaPathFinderProtocol] = []
        self.modules: dict[str, ModuleType] = {}
        self.mlflow_state: MLflowState = {}
        self.start_method: str | None = None
        self.process_name = self.name
        self.stdout: TextIO | None = None
        self.stderr: TextIO | None = None
        self.own_streams: tuple[WorkerStream, ...] = ()
        self.tail = OutputTail()
        self.exit_handlers: list[tuple[object, Handler]] = []

    def find_functions(self) -> None:
        """Looks up run(), init() and shutdown(); AttributeError without run()."""
        self.functions = functions_of(self.script)


class Sandbox:
    """A context manager around a job; inside it, `switch` makes a worker the active one."""

    def __init__(self, plan: WorkerPlan) -> None:
        self._plan = plan
        entry = plan.entry
        self._code_root = code_root_at(entry.code_root) if isinstance(entry, EntryFile) else None
        self._python_path = [code_root_at(Path(folder)) for folder in plan.python_path if os.path.isdir(folder)]
        self._registrations = Registrations(lambda name: self._stays(name, sys.modules[name]))
        self._interpreter = Interpreter()
        self._patches = Patches(self._registrations.is_kept)
        self._exits = ExitHandlers((self._code_root or _ANY_ROOT).shares)
        self.processes = ScriptProcesses(plan.folder)
        self.active: Worker | None = None
        self._started: list[Worker] = []
        self._hidden: dict[str, ModuleType] = {}

    def __enter__(self) -> Sandbox:
        self._stack = ExitStack()
        self._host_modules = sys.modules.copy()
        self._host_names: Container[str] = self._host_modules
        self._host_argv, self._host_folder = sys.argv, os.getcwd()
        self._host_streams = sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__
        self._released = False
        self._stack.callback(self._restore_modules)
        self._stack.enter_context(process_state_restored())
        self._stack.enter_context(self.processes)
        self._path, self._host_path = sys.path, list(sys.path)
        # A worker starts from the host's state, not from that of the active worker.
        self._environ, self._host_environment = os.environ, dict(os.environ)
        self._host_start_method = start_method()
        self._host_process_name = process_name() or MAIN_PROCESS
        # The import system's listing of the folder may not contain a script written a moment ago.
        importlib.invalidate_caches()
        self._take_over(self._host_modules)
        self._hide_modules()
        self._visible = set(sys.modules)
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._stack:
            self.release()
            self._interpreter.end()
            for worker in self._started:
                worker.stand_ins.close()
                _let_go_of_streams(worker)
            self._started.clear()

    def start(self, worker: Worker) -> None:
        """Makes a new worker the active one and imports its script; raises whatever the import raises."""
        self._started.append(worker)
        tracking = tracking_environment(self._plan, worker.name)
        worker.environment = {
            **self._host_environment,
            **tracking,
            **self._plan.environment_of(worker.instance),
            MARK: self.processes.mark,
        }
        stdout, stderr = self._host_streams[:2]
        logged = self._plan.logs is not None
        worker.own_streams = (
            WorkerStream(stdout, "stdout", self._plan.log_of(worker, "stdout") if logged else None, worker.tail),
            WorkerStream(stderr, "stderr", self._plan.log_of(worker, "stderr") if logged else None, worker.tail),
        )
        worker.stdout, worker.stderr = worker.own_streams
        finders: list[MetaPathFinderProtocol] = [
            ProcessNamer(worker.name),
            worker.stand_ins,
            *self._registrations.host_finders,
        ]
        if self._code_root is None:
            worker.path = [*self._plan.python_path, *self._host_path]
        else:
            installed = [entry for entry in self._host_path if is_installed_path(entry)]
            worker.path = [self._code_root.folder, *self._plan.python_path, *installed]
        roots = [*([self._code_root] if self._code_root else ()), *self._python_path]
        finders[:0] = map(CodeRootFinder, roots)
        worker.meta_path = finders
        self.switch(worker)
        if worker.environment.get("TZ") != self._host_environment.get("TZ") and hasattr(time, "tzset"):
            # It is there when a process starts.
            time.tzset()
        seed_from_system()
        entry = self._plan.entry
        worker.script = import_script(*entry.script) if isinstance(entry, EntryFile) else entry.target

    def switch(self, worker: Worker) -> None:
        """Makes `worker`, which is not active, the active one."""
        self.acquire()
        self._suspend()
        sys.argv = worker.argv
        # The objects of the host, since a script may have rebound the names.
        sys.path, sys.meta_path = self._path, self._registrations.meta_path
        sys.path[:] = worker.path
        worker.meta_path = self._registrations.finders_for(worker.meta_path)
        sys.meta_path[:] = worker.meta_path
        os.environ = self._environ  # noqa: B003 - as above
        apply_environment(worker.environment)
        tempfile.tempdir = worker.temporary
        _enter_folder(worker.cwd)
        apply_start_method(worker.start_method)
        name_process(worker.process_name)
        sys.modules.update(worker.modules)
        sys.stdout, sys.stderr = worker.stdout, worker.stderr
        sys.__stdout__, sys.__stderr__ = worker.own_streams  # type: ignore[misc]
        self._host_mlflow_state = exchange_state(worker.mlflow_state)
        self._exits.current = worker.exit_handlers
        self.active = worker

    def release(self) -> None:
        """Restores modules, folder, arguments, environment, streams and interpreter of the host until a worker is
        active again.

        Other effects of a script on the process, such as its children, stay for its workers.
        """
        if self._released:
            return
        self._suspend()
        self.processes.give_back()
        self._released = True
        sys.modules.update(self._hidden)
        sys.argv = self._host_argv
        sys.path = self._path
        sys.path[:] = self._host_path
        os.environ = self._environ  # noqa: B003 - a script may have bound another mapping to the name
        self._patches.give_back()
        self._interpreter.give_back()
        self._registrations.give_back()
        self._exits.give_back()
        apply_environment(self._host_environment)
        os.chdir(self._host_folder)
        apply_start_method(self._host_start_method)
        name_process(self._host_process_name)
        sys.stdout, sys.stderr = self._host_streams[:2]
        sys.__stdout__, sys.__stderr__ = self._host_streams[2:]  # type: ignore[misc]
        self._last_module = _last_module()

    def _take_over(self, host_modules: Container[str]) -> None:
        self._registrations.take_over(host_modules)
        self._interpreter.take_over()
        self._exits.take_over()
        self._patches.take_over()

    def acquire(self) -> None:
        """Gives the process to the workers until `release`. What is patched from then on is not the host's."""
        if not self._released:
            return
        self._released = False
        self.processes.take_over()
        host_imported = _last_module() != self._last_module
        if host_imported:
            self._host_names = set(sys.modules)
        self._take_over(self._host_names)
        for name in self._hidden:
            sys.modules.pop(name, None)
        if host_imported:
            # What the host imported meanwhile belongs to no worker.
            self._visible.update(sys.modules)

    def _suspend(self) -> None:
        worker, self.active = self.active, None
        if worker is None:
            return
        worker.argv = sys.argv
        worker.path = list(sys.path)
        worker.mlflow_state = exchange_state(self._host_mlflow_state)
        if list(sys.meta_path) != worker.meta_path:
            worker.meta_path = list(sys.meta_path)
            self._registrations.keep_finders(worker.meta_path)
        worker.environment = read_environment()
        worker.temporary = tempfile.tempdir
        try:
            worker.cwd = os.getcwd()
        except FileNotFoundError:
            # The script removed the folder it was in.
            worker.cwd = str(worker.folder)
        worker.start_method = start_method()
        worker.process_name = process_name() or worker.process_name
        worker.stdout, worker.stderr = sys.stdout, sys.stderr
        worker.modules = {}
        for name in sys.modules.keys() - self._visible:
            module = sys.modules[name]
            if self._stays(name, module):
                self._visible.add(name)
            else:
                worker.modules[name] = sys.modules.pop(name)

    def _stays(self, name: str, module: object) -> bool:
        """Whether an imported module is shared by all workers and outlives the job."""
        if name.partition(".")[0] in STAND_IN_PACKAGES and self._plan.azureml == "standin":
            # A stand-in, or a part of the real package that depends on one.
            return False
        return is_shared(name, module, self._code_root or _ANY_ROOT)

    def _hide_modules(self) -> None:
        own_names: set[str] = set()
        if self._code_root is not None:
            own_names = self._code_root.top_level_names()
        for folder in self._python_path:
            own_names |= folder.top_level_names()
        own_names -= sys.stdlib_module_names
        # The script must not find a real azureml loaded by the host.
        known = {} if self._code_root is None else self._code_root.known_shared
        for name, module in sys.modules.copy().items():
            top = name.partition(".")[0]
            if known.get(name) is module and top not in own_names:
                continue
            if top in STAND_IN_PACKAGES:
                hidden = self._plan.azureml == "standin"
            elif top == __name__.partition(".")[0]:
                hidden = False
            elif self._code_root is None:
                hidden = top in own_names
            else:
                hidden = top in own_names or not is_shared(name, module, self._code_root)
                if not hidden:
                    known[name] = module
            if hidden:
                self._hidden[name] = sys.modules.pop(name)

    def _restore_modules(self) -> None:
        with warnings.catch_warnings():
            # Files that a module leaves open are closed with it, which must not concern the host.
            warnings.simplefilter("ignore", ResourceWarning)
            for name, module in sys.modules.copy().items():
                # Installed packages stay loaded: loading numpy again in a process fails.
                if name not in self._host_modules and not self._stays(name, module):
                    del sys.modules[name]
            del module
        for name, module in self._host_modules.items():
            if sys.modules.get(name) is not module:
                sys.modules[name] = module


def _last_module() -> tuple[int, str]:
    """The number of loaded modules, and the name of the last one: an import changes one of them."""
    return len(sys.modules), next(reversed(sys.modules))


def _enter_folder(folder: str) -> None:
    try:
        os.chdir(folder)
    except FileNotFoundError:
        # The script removed the folder that it works in.
        os.makedirs(folder)
        os.chdir(folder)


def _let_go_of_streams(worker: Worker) -> None:
    for stream in (worker.stdout, worker.stderr, *worker.own_streams):
        # The script may have closed, detached or replaced it.
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()  # type: ignore[union-attr]
    for own in worker.own_streams:
        own.release()
