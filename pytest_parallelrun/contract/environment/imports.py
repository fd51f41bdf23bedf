"""The imports of a script, read from its source and that of its own modules.

Imports that a worker may do without are left out: in `try` with `except ImportError`, under TYPE_CHECKING, below `if
__name__ == "__main__"`, and under conditions on the platform, the Python version, or what is installed.
"""

from __future__ import annotations

import ast
import os
import sys
import tokenize
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeGuard

from pytest_parallelrun.emulator.entry import EntryFile

TRY = (ast.Try, getattr(ast, "TryStar", ast.Try))
CATCHING = {"ImportError", "ModuleNotFoundError"}
CATCHING_ALL = {"Exception", "BaseException"}
OPTIONAL_CONDITIONS = ("os.name", "sys.platform", "platform.", "version_info", "python_version", "find_spec")
"""Names in conditions on the machine or on what is installed."""
NEVER_IN_A_WORKER = ("TYPE_CHECKING", "typing.TYPE_CHECKING", "__name__ == '__main__'", "'__main__' == __name__")
Need = Literal["required", "fallback", "optional"]
"""How much an import is needed. fallback: it replaces one that failed."""
MAX_FOLDERS = 500
"""Folders below the code root that are searched for the script's own modules."""


class Import(NamedTuple):
    """One import.

    module: certainly a module. name: the same with the imported name, which may be a module too.
    """

    name: str
    module: str
    file: Path
    line: int

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]

    @property
    def origin(self) -> str:
        return f"{self.file.name}:{self.line}"


class _Statement(NamedTuple):
    """An import statement. name, names, level: of `from ..name import names`."""

    name: str
    names: tuple[str, ...]
    node: ast.Import | ast.ImportFrom
    need: Need

    @property
    def level(self) -> int:
        return getattr(self.node, "level", 0)

    @property
    def targets(self) -> tuple[str, ...]:
        """Names in it that may be modules."""
        return tuple(f"{self.name}.{name}" if self.name else name for name in self.names) or (self.name,)


def imports_of(entry: EntryFile, python_path: str = "") -> tuple[Import, ...]:
    """The imports of the script and its own modules that a worker needs, without those and the standard library.

    python_path: PYTHONPATH of a worker; its folders below the code root contain own modules.
    """
    reader = _Reader(entry, python_path)
    reader.read(entry.path, entry.module_name.split(".")[:-1], required=True)
    return tuple(reader.imports.values())


class _Reader:
    def __init__(self, entry: EntryFile, python_path: str) -> None:
        self.imports: dict[str, Import] = {}
        others = [entry.code_root / folder for folder in python_path.split(os.pathsep) if folder]
        below = [folder for folder in others if folder.is_relative_to(entry.code_root)]
        self._roots = list(dict.fromkeys((entry.code_root, entry.path.parent, *below)))
        self._changes_path = False
        self._read: dict[Path, bool] = {}
        self._folders: list[Path] | None = None

    def read(self, file: Path, package: Sequence[str], *, required: bool) -> None:
        """Reads one file, and the own modules that it imports. package: names of the surrounding package."""
        if self._read.get(file, False) or (file in self._read and not required):
            return
        self._read[file] = required
        try:
            with tokenize.open(file) as stream:
                text = stream.read()
            with warnings.catch_warnings():
                # For example about escapes in the user's strings.
                warnings.simplefilter("ignore")
                tree = ast.parse(text)
        except (OSError, SyntaxError, UnicodeDecodeError, ValueError, RecursionError):
            # entry_imports reports if it cannot be imported.
            return
        self._changes_path = self._changes_path or "sys.path" in text
        for statement in statements(tree.body):
            self._take(statement, file, package, required=required)

    def _take(self, statement: _Statement, file: Path, package: Sequence[str], *, required: bool) -> None:
        if statement.level:
            above = list(package[: len(package) - statement.level + 1])
            statement = statement._replace(name=".".join([*above, *filter(None, [statement.name])]))
        for target in statement.targets:
            parts = target.split(".")
            if parts[0] in sys.stdlib_module_names or not parts[0]:
                continue
            own = self._own(parts)
            if own:
                needed = required and statement.need != "optional"
                for path in own:
                    self.read(path, path.parent.relative_to(self._roots[0]).parts, required=needed)
            elif required and statement.need == "required" and not statement.level:
                self.imports.setdefault(target, Import(target, statement.name, file, statement.node.lineno))

    def _own(self, parts: Sequence[str]) -> list[Path]:
        """The files that an import of this name executes, if it is one of the script's own modules."""
        return next((files for root in self._roots if (files := _files(root, parts))), []) or self._below(parts)

    def _below(self, parts: Sequence[str]) -> list[Path]:
        """The same in a folder that the script may have put on sys.path."""
        if not self._changes_path:
            return []
        if self._folders is None:
            self._folders = list(_folders_below(self._roots))
        return next((files for root in self._folders if (files := _files(root, parts))), [])


def _files(root: Path, parts: Sequence[str]) -> list[Path]:
    found: list[Path] = []
    folder = root
    for part in parts:
        module, init = folder / f"{part}.py", folder / part / "__init__.py"
        if init.is_file():
            found.append(init)
        elif module.is_file():
            return [*found, module]
        folder = folder / part
    return found


def _folders_below(roots: Iterable[Path]) -> Iterator[Path]:
    waiting = [folder for root in roots for folder in _subfolders(root)]
    for _ in range(MAX_FOLDERS):
        if not waiting:
            return
        folder = waiting.pop(0)
        yield folder
        waiting += _subfolders(folder)


def _subfolders(folder: Path) -> list[Path]:
    """Folders that may be on sys.path: no packages, environments or hidden folders."""
    try:
        below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return []
    return [
        path
        for path in below
        if not path.name.startswith((".", "__"))
        and path.name not in ("site-packages", "dist-packages", "node_modules")
        and not (path / "__init__.py").exists()
        and not (path / "pyvenv.cfg").exists()
    ]


def statements(body: Sequence[ast.stmt], need: Need = "required") -> Iterator[_Statement]:
    """The imports in these statements and below. need: of the statements around."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (_Statement(alias.name, (), node, need) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names if alias.name != "*")
            yield _Statement(node.module or "", names, node, need)
        elif _catches(node):
            yield from statements([*node.body, *node.orelse], "optional")
            for handler in node.handlers:
                yield from statements(handler.body, "fallback" if need == "required" else need)
            yield from statements(node.finalbody, need)
        elif isinstance(node, ast.If):
            condition = ast.unparse(node.test)
            inside: Need = "optional" if any(text in condition for text in OPTIONAL_CONDITIONS) else need
            yield from statements([] if condition in NEVER_IN_A_WORKER else node.body, inside)
            yield from statements(node.orelse, inside)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            suppressed = any("suppress" in ast.unparse(item.context_expr) for item in node.items)
            yield from statements(node.body, "optional" if suppressed else need)
        else:
            yield from statements([*_below(node)], need)


def _below(node: ast.stmt) -> Iterator[ast.stmt]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, (ast.ExceptHandler, ast.match_case)):
            yield from child.body


def _catches(node: ast.stmt) -> TypeGuard[ast.Try]:
    """Whether it is a `try` that continues when an import fails.

    A bare except counts only if the import comes first.
    """
    if not isinstance(node, TRY):
        return False
    for handler in node.handlers:
        if isinstance(handler.body[-1], ast.Raise):
            continue
        types = [] if handler.type is None else ast.walk(handler.type)
        names = {getattr(part, "id", getattr(part, "attr", "")) for part in types}
        of_all = handler.type is None or names & CATCHING_ALL
        if names & CATCHING or (of_all and isinstance(node.body[0], (ast.Import, ast.ImportFrom))):
            return True
    return False
