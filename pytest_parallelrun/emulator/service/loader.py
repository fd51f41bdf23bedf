"""Executes the file of a stand-in for one worker."""

from __future__ import annotations

import functools
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, NoReturn

from pytest_parallelrun.emulator.service.missing_api import refuse_attribute

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.service import WorkerFacts


class StandInLoader(SourceFileLoader):
    """Puts the worker's facts into a module as `_worker`, executes it and adds it to `loaded`."""

    def __init__(self, name: str, file: str, facts: WorkerFacts, loaded: list[ModuleType]) -> None:
        super().__init__(name, file)
        self._facts = facts
        self._loaded = loaded

    def get_code(self, fullname: str) -> CodeType:
        """Compiled once per process and not kept on disk: every worker executes it, none changes it."""
        return _compiled(self.path)

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__

        def refuse(attribute: str) -> NoReturn:
            refuse_attribute(name, attribute)

        module.__dict__["_worker"] = self._facts
        module.__dict__["__getattr__"] = refuse
        # Only of a module with a __path__ does `from module import name` ask the finder for what is missing,
        # and only the finder can answer with an ImportError: raised by __getattr__ it would break those who
        # try every loaded module for a name, as pickle does.
        module.__dict__.setdefault("__path__", [])
        super().exec_module(module)
        self._loaded.append(module)


@functools.cache
def _compiled(file: str) -> CodeType:
    code: CodeType = compile(Path(file).read_bytes(), file, "exec", dont_inherit=True)
    return code
