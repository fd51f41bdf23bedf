"""Local models: their names, and their layout below AZUREML_MODEL_DIR."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pytest_parallelrun.emulator.entry import EntryFile, StrPath
from pytest_parallelrun.emulator.errors import InputError, not_there
from pytest_parallelrun.emulator.worker.file_watch import unwatched

Models = Iterable[StrPath] | Mapping[str, StrPath]
"""Local paths, as "PATH" or "NAME=PATH", or by name."""

MODEL_DIR = "AZUREML_MODEL_DIR"
"""The variable, and the name of its folder, so that errors of a script contain it."""

MAX_LISTED = 12
"""Maximum lines of the tree below the variable."""

MAX_COPIED = 50_000_000
"""Maximum bytes of a file on another disk that is copied for each job; a larger one becomes a symbolic link."""

_BELOW = re.compile(rf".*[\\/]parallelrun-[^\\/]+[\\/](?:[a-z]+-\w+[\\/])?{MODEL_DIR}(?:[\\/]+(.*))?", re.DOTALL)
_IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+(\.*)([\w.]*)", re.MULTILINE)


def find_models(models: Models, *, base: Path | None = None) -> dict[str, Path]:
    """Name -> absolute path, in the order given. By default the name is the last part of the path.

    Relative paths start at `base`, by default the current folder. InputError if a path does not exist.
    """
    named = models.items() if isinstance(models, Mapping) else (_name_and_path(model, base) for model in models)
    paths: dict[str, Path] = {}
    for name, written in named:
        text = f"{name}={os.fspath(written)}" if name else os.fspath(written)
        path = Path(os.path.abspath(os.path.join(base or "", os.path.expanduser(written))))
        if not path.is_file() and not path.is_dir():
            raise InputError(f"model '{text}': '{path}' {not_there(path)}; give NAME=PATH or PATH of a file or folder.")
        if not path.name:
            raise InputError(f"model '{text}': the root of a disk is no model; give PATH of a file or folder.")
        if "/" in name or "\\" in name:
            raise InputError(f"model '{text}': '{name}' is a path, not the name of a model; give NAME=PATH or PATH.")
        name = name or path.name
        if name in paths and paths[name] != path:
            raise InputError(f"model '{text}': the name '{name}' is already that of '{paths[name]}'.")
        paths[name] = path
    return paths


def _name_and_path(model: StrPath, base: Path | None) -> tuple[str, str]:
    """An existing path is a path, even with "=" in it."""
    text = os.fspath(model)
    name, separator, path = text.partition("=")
    return ("", text) if not separator or os.path.exists(os.path.join(base or "", text)) else (name, path)


def model_dir_of(folder: Path) -> Path:
    """The value of AZUREML_MODEL_DIR for the job in that folder."""
    return folder / MODEL_DIR


def stage_models(models: Mapping[str, Path], folder: Path) -> Path | None:
    """Creates the layout of the models below AZUREML_MODEL_DIR in the folder of a job; None without models.

    A folder keeps its own name, a file is directly in it. Source: authoring guide of batch scoring scripts.
    """
    if not models:
        return None
    model_dir = model_dir_of(folder)
    with unwatched():
        model_dir.mkdir(parents=True, exist_ok=True)
        for path in models.values():
            target = model_dir / path.name
            if not os.path.lexists(target):
                _place(path, target)
    return model_dir


def shadowed_models(models: Mapping[str, Path]) -> list[str]:
    """Names of models that are not below AZUREML_MODEL_DIR because another file or folder has the same name."""
    seen: dict[str, Path] = {}
    return [name for name, path in models.items() if seen.setdefault(path.name, path) != path]


def _place(source: Path, target: Path) -> None:
    """Real folders, because os.walk() and Path.rglob() skip links to folders; files are links or copies."""
    if not source.is_dir():
        _link(source, target)
        return
    seen = set()
    for place, folders, files in os.walk(source, followlinks=True):
        here = target / os.path.relpath(place, source)
        here.mkdir(parents=True, exist_ok=True)
        real = os.path.realpath(place)
        if real in seen:
            # A link to one of its own parents.
            folders.clear()
            continue
        seen.add(real)
        for file in files:
            _link(Path(place, file), here / file)


def _link(source: Path, target: Path) -> None:
    """A hard link, or on another disk a copy, because MLflow refuses a file whose real path is outside its model."""
    try:
        os.link(os.path.realpath(source), target)
        return
    except OSError:
        if source.stat().st_size <= MAX_COPIED:
            shutil.copyfile(source, target)
            return
    try:
        target.symlink_to(source)
    except OSError:
        # Windows allows them only for administrators and developers.
        shutil.copyfile(source, target)


def below_model_dir(path: str) -> str | None:
    """A path relative to the AZUREML_MODEL_DIR of a job, "" for the folder itself; None for a path elsewhere."""
    match = _BELOW.fullmatch(path)
    return None if match is None else os.path.normpath(match[1]) if match[1] else ""


def original_path(path: str, models: Mapping[str, Path]) -> str:
    """The original path of a model's file; its path below AZUREML_MODEL_DIR is temporary."""
    name, _, rest = (below_model_dir(path) or "").replace("\\", "/").partition("/")
    for model in models.values():
        if name == model.name:
            return os.path.join(model, *rest.split("/")) if rest else str(model)
    return path


def model_dir_entries(models: Mapping[str, Path]) -> dict[str, Path]:
    return {path.name: path for path in reversed([*models.values()])}


def model_tree(entries: Mapping[str, Path]) -> list[str]:
    """A few lines that show the folder of these entries."""
    lines: list[str] = []
    for name, path in sorted(entries.items()):
        lines += _branch(name, path, "")
    shown = lines[:MAX_LISTED]
    return [*shown, f"and {len(lines) - MAX_LISTED} more"] if len(lines) > MAX_LISTED else shown


def _branch(name: str, path: Path, indent: str) -> Iterator[str]:
    # Two levels show the layout.
    if not path.is_dir():
        yield f"{indent}{name}"
        return
    yield f"{indent}{name}/"
    if len(indent) < 4:
        for inner in sorted(path.iterdir()):
            yield from _branch(inner.name, inner, f"{indent}  ")


def reads_model_dir(entry: EntryFile) -> bool:
    """Whether the text of the script, or of an imported module of its own, contains the name of the variable."""
    waiting, seen = [entry.path], {entry.path}
    while waiting:
        path = waiting.pop()
        text = path.read_text(encoding="utf-8", errors="replace")
        if MODEL_DIR in text:
            return True
        for dots, name in _IMPORT.findall(text):
            start = path.parents[min(len(dots), len(path.parents)) - 1] if dots else entry.code_root
            module = os.path.join(start, *name.split("."))
            found = {file for file in (Path(f"{module}.py"), Path(module, "__init__.py")) if file.is_file()} - seen
            waiting += found
            seen |= found
    return False
