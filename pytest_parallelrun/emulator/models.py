"""Models on disk: by which names they go, and how they lie below AZUREML_MODEL_DIR."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.errors import InputError, not_there
from pytest_parallelrun.emulator.worker.file_watch import unwatched

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.entry import EntryFile, StrPath

    Models = Iterable[StrPath] | Mapping[str, StrPath]
    """Paths on disk, as "PATH" or "NAME=PATH", or by name."""

MODEL_DIR = "AZUREML_MODEL_DIR"
"""The variable; also what its folder is called here, so that errors of a script name it."""

MAX_LISTED = 12
"""Lines of the tree below the variable."""

MAX_COPIED = 50_000_000
"""Bytes of a file on another disk that is copied for each job; of a larger one there is a symbolic link."""

_BELOW = re.compile(rf".*[\\/]parallelrun-[^\\/]+[\\/](?:[a-z]+-\w+[\\/])?{MODEL_DIR}(?:[\\/]+(.*))?", re.DOTALL)
_IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+(\.*)([\w.]*)", re.MULTILINE)


def find_models(models: Models, *, base: Path | None = None) -> dict[str, Path]:
    """Name -> absolute path, in the order given. Without a name it is the last part of the path.

    Relative paths start at `base`, by default the current folder. InputError where a path does not exist.
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
    """A path that exists as it is written is one, whatever "=" is in it."""
    text = os.fspath(model)
    name, separator, path = text.partition("=")
    return ("", text) if not separator or os.path.exists(os.path.join(base or "", text)) else (name, path)


def model_dir_of(folder: Path) -> Path:
    """What AZUREML_MODEL_DIR names in the job of that folder."""
    return folder / MODEL_DIR


def stage_models(models: Mapping[str, Path], folder: Path) -> Path | None:
    """Lays the models out below AZUREML_MODEL_DIR, in the folder of a job; None where there are none.

    A folder lies below it under its own name, a file in it. Source: authoring guide of batch scoring scripts.
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
    """Names of models that are not below AZUREML_MODEL_DIR, since another one has the name of their file or folder."""
    seen: dict[str, Path] = {}
    return [name for name, path in models.items() if seen.setdefault(path.name, path) != path]


def _place(source: Path, target: Path) -> None:
    """Folders are real ones, since os.walk() and Path.rglob() pass by links to folders; files are links or copies."""
    if not source.is_dir():
        _link(source, target)
        return
    seen = set()
    for place, folders, files in os.walk(source, followlinks=True):
        here = target / os.path.relpath(place, source)
        here.mkdir(parents=True, exist_ok=True)
        real = os.path.realpath(place)
        if real in seen:
            # A link in a circle.
            folders.clear()
            continue
        seen.add(real)
        for file in files:
            _link(Path(place, file), here / file)


def _link(source: Path, target: Path) -> None:
    """A hard link, or on another disk a copy, since MLflow refuses a file whose real path is outside of its model."""
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
        # Windows makes them for administrators and developers alone.
        shutil.copyfile(source, target)


def below_model_dir(path: str) -> str | None:
    """A path relative to the AZUREML_MODEL_DIR of a job, "" for that itself; None for one that is elsewhere."""
    match = _BELOW.fullmatch(path)
    return None if match is None else os.path.normpath(match[1]) if match[1] else ""


def original_path(path: str, models: Mapping[str, Path]) -> str:
    """Where the file of a model really is, which its place below AZUREML_MODEL_DIR does not outlive."""
    name, _, rest = (below_model_dir(path) or "").replace("\\", "/").partition("/")
    for model in models.values():
        if name == model.name:
            return os.path.join(model, *rest.split("/")) if rest else str(model)
    return path


def model_dir_entries(models: Mapping[str, Path]) -> dict[str, Path]:
    """What lies in AZUREML_MODEL_DIR, by its name there."""
    return {path.name: path for path in reversed([*models.values()])}


def model_tree(entries: Mapping[str, Path]) -> list[str]:
    """A few lines that show the folder of these entries."""
    lines: list[str] = []
    for name, path in sorted(entries.items()):
        lines += _branch(name, path, "")
    shown = lines[:MAX_LISTED]
    return [*shown, f"and {len(lines) - MAX_LISTED} more"] if len(lines) > MAX_LISTED else shown


def _branch(name: str, path: Path, indent: str) -> Iterator[str]:
    # Two levels tell how the model lies.
    if not path.is_dir():
        yield f"{indent}{name}"
        return
    yield f"{indent}{name}/"
    if len(indent) < 4:
        for inner in sorted(path.iterdir()):
            yield from _branch(inner.name, inner, f"{indent}  ")


def reads_model_dir(entry: EntryFile) -> bool:
    """Whether the text of the script, or of a module of its own that it imports, has the name of the variable."""
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
