"""Which modules belong to a worker, and how it gets its own copy of them.

A worker process imports the script and its modules itself, so every emulated worker gets its own copies of them.
Installed packages are shared: numpy cannot be loaded twice in a process.
"""

from __future__ import annotations

import functools
import os
import site
import sys
import sysconfig
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from pytest_parallelrun.emulator.service.stand_ins import INSTALLED_PARTS

_OUR_PACKAGE = str(Path(__file__).parents[2]) + os.sep


def _below(path: str, folder: str) -> bool:
    return path.startswith(folder if folder.endswith(os.sep) else folder + os.sep)


@functools.cache
def _installed_folders() -> tuple[str, ...]:
    """Folders that an installation put on sys.path: the standard library, site-packages, .pth entries."""
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    # In a virtual environment the paths above are its own; the standard library is where `os` is.
    folders.update((os.path.dirname(os.__file__), os.path.join(sys.base_prefix, "DLLs")))
    folders.update(site.getsitepackages())
    folders.add(site.getusersitepackages())
    for folder in tuple(folders):
        folders.update(_pth_entries(Path(folder)))
    return tuple(sorted(folders))


def _pth_entries(folder: Path) -> set[str]:
    """What editable installs add to sys.path, except lines of code."""
    entries = set()
    for file in sorted(folder.glob("*.pth")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.strip() and not line.startswith(("#", "import ", "import\t")):
                entries.add(os.path.abspath(folder / line.strip()))
    return entries


def is_installed_path(entry: str) -> bool:
    """Whether a sys.path entry came with an installation, not from pytest, PYTHONPATH or the current folder."""
    if entry.startswith("__editable__") or entry.endswith(".zip"):
        return True
    absolute = os.path.abspath(entry) if entry else os.getcwd()
    if any(part in absolute + os.sep for part in INSTALLED_PARTS):
        return True
    return any(absolute == folder or _below(absolute, folder) for folder in _installed_folders())


@functools.cache
def _is_installed(file: str) -> bool:
    if file.endswith(tuple(EXTENSION_SUFFIXES)) or any(part in file for part in INSTALLED_PARTS):
        return True
    return any(_below(file, folder) for folder in _installed_folders())


@functools.lru_cache(maxsize=16)
def code_root_at(folder: Path) -> CodeRoot:
    """One object per folder, so that its results on a thousand modules are reused by the next job."""
    return CodeRoot(folder)


class CodeRoot:
    """The folder that is on sys.path in a worker: `code:` of a job file."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        # A virtual environment inside the code root is installed all the same. A prefix that contains the
        # code root (an image with everything in /usr) says nothing about it.
        self._prefixes_inside = tuple(prefix for prefix in {sys.prefix, sys.base_prefix} if _below(prefix, self.folder))
        self._shared: dict[str, bool] = {}
        self.known_shared: dict[str, ModuleType] = {}
        """Loaded modules that an earlier job found to be shared, by name."""

    def owns(self, file: str) -> bool:
        """Whether a module of that file is part of the user's code, which every worker loads again."""
        if not _below(file, self.folder) or file.startswith(_OUR_PACKAGE):
            return False
        relative = file[len(self.folder) :]
        if any(part in relative for part in INSTALLED_PARTS):
            return False
        return not any(_below(file, prefix) for prefix in self._prefixes_inside)

    def shares(self, file: str) -> bool:
        """Whether a module of that file is installed, so that all workers share it."""
        if file not in self._shared:
            self._shared[file] = self._decide_shared(os.path.abspath(file))
        return self._shared[file]

    def _decide_shared(self, file: str) -> bool:
        return file.startswith(_OUR_PACKAGE) or (not self.owns(file) and _is_installed(file))

    def top_level_names(self) -> set[str]:
        """Names that `import` finds directly below the code root, before any installed package."""
        names = set()
        for entry in os.scandir(self.folder):
            if entry.name.endswith(".py"):
                names.add(entry.name[:-3])
            elif entry.is_dir() and os.path.exists(os.path.join(entry.path, "__init__.py")):
                names.add(entry.name)
        return names


def is_shared(name: str, module: object, code_root: CodeRoot) -> bool:
    """Whether every worker may share this module object: it is installed, built in, or ours."""
    if not isinstance(module, ModuleType) or name == "__main__":
        return True
    # Not getattr, which would load a lazy module.
    facts = vars(module)
    spec = facts.get("__spec__")
    if spec is not None and spec.origin in ("built-in", "frozen"):
        return True
    file = facts.get("__file__")
    if isinstance(file, str):
        return code_root.shares(file)
    folders = [str(folder) for folder in facts.get("__path__") or ()]
    if folders:
        return all(code_root.shares(os.path.join(folder, "__init__.py")) for folder in folders)
    # Created by code, like six.moves: it belongs to its package.
    top = name.partition(".")[0]
    return top != name and top in sys.modules and is_shared(top, sys.modules[top], code_root)


@functools.cache
def _compile(path: str, source: bytes) -> CodeType:
    code: CodeType = compile(source, path, "exec", dont_inherit=True)
    return code


class FreshLoader(SourceFileLoader):
    """Loads a source file without reading or writing bytecode next to the user's code.

    Bytecode is matched by whole seconds and size, so an edit within a second can be missed; and a run must leave no
    __pycache__. The compiled code is kept in memory for the next worker.
    """

    def path_stats(self, path: object) -> dict[str, float]:
        raise OSError("bytecode is not used")

    def source_to_code(self, data: object, path: object, *, _optimize: int = -1) -> CodeType:  # type: ignore[override]
        assert isinstance(data, bytes)
        return _compile(str(path), data)


class CodeRootFinder(MetaPathFinder):
    """Finds the modules of the user's code first, and gives them the loader above."""

    def __init__(self, code_root: CodeRoot) -> None:
        self._code_root = code_root

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        folder = self._code_root.folder
        if path is None:
            if name in sys.builtin_module_names or PathFinder.find_spec(name, [folder]) is None:
                return None
        elif not any(entry == folder or _below(entry, folder) for entry in path):
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.origin is None or not self._code_root.owns(spec.origin):
            return None
        if type(spec.loader) is SourceFileLoader:
            spec.loader = FreshLoader(name, spec.origin)
        return spec
