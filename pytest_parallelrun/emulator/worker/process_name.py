"""The name of a worker in multiprocessing: processNNN. Source: a runtime of Microsoft that reads it.

Importing multiprocessing takes as long as starting an interpreter, so the name is set when somebody imports it.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

MAIN_PROCESS = "MainProcess"
"""multiprocessing's own name for a process that it did not start."""
_MODULE = "multiprocessing.process"


def process_name() -> str | None:
    """The name of this process, None if multiprocessing is not loaded."""
    module = sys.modules.get(_MODULE)
    name: str | None = None if module is None else module.current_process().name
    return name


def name_process(name: str) -> None:
    """Names this process, if multiprocessing is loaded."""
    module = sys.modules.get(_MODULE)
    if module is not None:
        module.current_process().name = name


class ProcessNamer:
    """A finder that names the process as soon as multiprocessing is imported."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != _MODULE:
            return None
        from importlib.machinery import PathFinder

        spec: Any = PathFinder.find_spec(name, path)
        load = spec.loader.exec_module

        def load_and_name(module: ModuleType) -> None:
            load(module)
            module.current_process().name = self._name

        spec.loader.exec_module = load_and_name
        return spec
