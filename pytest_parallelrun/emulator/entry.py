"""An entry script: its location, and the name under which a worker imports it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pytest_parallelrun.emulator.errors import EntryScriptError, did_you_mean, special_file

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class EntryFile:
    """A script on disk. `code_root` is the only folder of the user's that is on sys.path in a worker."""

    path: Path
    code_root: Path

    @property
    def module_name(self) -> str:
        """The dotted name that a worker imports: the path below the code root without `.py`."""
        return self.label.removesuffix(".py").replace("/", ".")

    @property
    def label(self) -> str:
        return self.path.relative_to(self.code_root).as_posix()

    @property
    def script(self) -> tuple[str, str, str]:
        """What a worker needs to import it: the arguments of `import_script`."""
        return self.module_name, str(self.path), self.label


@dataclass(frozen=True)
class EntryObject:
    """A module or any object with run() and optionally init() and shutdown().

    All workers share it, since only a script on disk can be loaded again.
    """

    target: object

    @property
    def label(self) -> str:
        return getattr(self.target, "__name__", None) or f"<{type(self.target).__name__} object>"


def find_entry(entry: object, code: StrPath | None = None) -> EntryFile | EntryObject:
    """The entry for a path of a script, or an object. EntryScriptError if there is none."""
    if not isinstance(entry, (str, os.PathLike)):
        if code is not None:
            raise EntryScriptError(f"code={os.fspath(code)!r} goes with the path of a script, not an object.")
        return EntryObject(entry)
    path = Path(os.path.abspath(os.path.expanduser(os.fspath(entry))))
    if path.is_dir():
        scripts = sorted(file.name for file in path.glob("*.py"))
        raise EntryScriptError(
            f"entry script '{entry}' is a folder; give the script itself"
            + (f", one of: {', '.join(scripts)}." if scripts else ".")
        )
    if not path.is_file():
        if kind := special_file(path):
            raise EntryScriptError(f"entry script '{entry}' is {kind}, not a file.")
        near = [file.name for file in path.parent.glob("*.py")] if path.parent.is_dir() else []
        hint = did_you_mean(path.name, near) if near else f"There is no script in '{path.parent}'."
        raise EntryScriptError(f"entry script '{entry}' does not exist. {hint}")
    if path.suffix != ".py":
        raise EntryScriptError(f"entry script '{entry}' is not a Python file: its name must end in .py.")
    if not os.access(path, os.R_OK):
        raise EntryScriptError(f"entry script '{entry}' cannot be read: permission denied.")
    return EntryFile(path, _code_root(path, code))


def _code_root(path: Path, code: StrPath | None) -> Path:
    if code is None:
        return path.parent
    root = Path(os.path.abspath(os.path.expanduser(os.fspath(code))))
    if not root.is_dir():
        raise EntryScriptError(f"code root '{code}' is not a folder.")
    if not path.is_relative_to(root):
        raise EntryScriptError(f"entry script '{path}' does not lie below the code root '{root}'.")
    return root
