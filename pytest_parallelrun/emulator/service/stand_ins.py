"""Stand-ins for the modules that exist only on the service, a new set for every emulated worker.

The files below standins/ are laid out like the service's packages. Each is executed for every worker under its Azure
name, so that its state belongs to one worker, as in a separate process.
"""

from __future__ import annotations

import functools
import os
import pkgutil
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Literal, NoReturn

from pytest_parallelrun.emulator.service import STAND_IN_PACKAGES
from pytest_parallelrun.emulator.service.missing_api import NotCoveredImportError, not_covered, refuse_attribute
from pytest_parallelrun.emulator.service.worker_info import WorkerInfo


class StandInLoader(SourceFileLoader):
    """Adds information on the worker to a module as `_worker`, executes it and adds it to `loaded`."""

    def __init__(self, name: str, file: str, worker_info: WorkerInfo, loaded: list[ModuleType]) -> None:
        super().__init__(name, file)
        self._worker_info = worker_info
        self._loaded = loaded

    def get_code(self, fullname: str) -> CodeType:
        """Compiled once per process and not stored: every worker executes it, none changes it."""
        return _compiled(self.path)

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__

        def refuse(attribute: str) -> NoReturn:
            refuse_attribute(name, attribute)

        module.__dict__["_worker"] = self._worker_info
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


_STANDINS = Path(__file__).parent / "standins"
_FILES = {
    ".".join(file.relative_to(_STANDINS).with_suffix("").parts).removesuffix(".__init__"): str(file)
    for file in _STANDINS.rglob("*.py")
    if file.parent != _STANDINS or file.stem != "__init__"
}
"""By the Azure name of the module."""
INSTALLED_PARTS = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
"""Part of the path of an installed package."""


class StandIns(MetaPathFinder):
    """Finds the stand-ins of one worker; on sys.meta_path while that worker is active.

    A module or package of the user's own below `code_root`, or in a folder of `python_path`, wins over a stand-in; a
    folder without an __init__.py does not, because on the service the installed package wins over it. An installed
    azureml loses, but its other modules can be imported, unless `azureml` is "installed": then all of it is real.
    """

    def __init__(
        self,
        worker_info: WorkerInfo,
        *,
        code_root: Path,
        azureml: Literal["standin", "installed"],
        python_path: Sequence[str] = (),
    ) -> None:
        self._worker_info = worker_info
        self._python_path = python_path
        self._code_root = os.path.abspath(code_root)
        self._roots = STAND_IN_PACKAGES - {"azureml"} if azureml == "installed" else STAND_IN_PACKAGES
        self._loaded: list[ModuleType] = []

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The stand-in of that name, or None.

        Raises NotCoveredImportError for unknown names below a package that is a stand-in. This also handles `from
        azureml.core import Environment`: for a name that a package lacks, Python tries a module.
        """
        if not self._stands_for(name.partition(".")[0], target):
            return None
        if name in _FILES:
            return self._spec(name)
        parent = name.rpartition(".")[0]
        if parent in _FILES and not _others_find(name, path, target):
            # Not with its own name: `from package import name` drops a ModuleNotFoundError that carries it.
            raise NotCoveredImportError(not_covered(name), name=parent)
        return None

    def close(self) -> None:
        """Closes the files of the stand-ins when the worker ends. Idempotent."""
        for module in self._loaded:
            if "_close" in vars(module):
                module._close()

    def _stands_for(self, root: str, target: ModuleType | None) -> bool:
        if root not in self._roots:
            return False
        # Decided once: a script that changes sys.path must not get half a package.
        if any(module.__name__ == root for module in self._loaded):
            return True
        if root == "entry_script" and _others_find(root, None, target):
            return False
        spec = PathFinder.find_spec(root, [self._code_root, *self._folders_below_code_root(), *self._python_path])
        return spec is None or spec.origin is None

    def _folders_below_code_root(self) -> list[str]:
        """Entries of sys.path inside the code root; those of an environment there are installed packages."""
        start = os.path.join(self._code_root, "")
        entries = (os.path.join(os.path.abspath(entry), "") for entry in sys.path)
        return [
            entry
            for entry in entries
            if entry.startswith(start) and not any(part in entry[len(start) - 1 :] for part in INSTALLED_PARTS)
        ]

    def _spec(self, name: str) -> ModuleSpec:
        file = _FILES[name]
        spec = ModuleSpec(name, StandInLoader(name, file, self._worker_info, self._loaded), origin=file)
        spec.has_location = True
        if file.endswith("__init__.py"):
            spec.submodule_search_locations = _installed_folders(name)
        return spec


def _others_find(name: str, path: Sequence[str] | None, target: ModuleType | None) -> bool:
    """Whether another finder has that module: an installed one, or the user's own."""
    for finder in sys.meta_path:
        find_spec = getattr(finder, "find_spec", None)
        if not isinstance(finder, StandIns) and find_spec is not None and find_spec(name, path, target):
            return True
    return False


def _installed_folders(package: str) -> list[str]:
    """The __path__ of the real package, found without importing it; empty if it is not installed."""
    parent = package.rpartition(".")[0]
    spec = PathFinder.find_spec(package, _installed_folders(parent) if parent else None)
    if spec is None or spec.submodule_search_locations is None:
        return []
    folders = list(spec.submodule_search_locations)
    # The real azureml consists of several distributions, possibly in several folders of sys.path.
    return folders if parent else list(pkgutil.extend_path(folders, package))
