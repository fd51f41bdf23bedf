"""Models on disk, as `NAME=PATH` or `PATH`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from pytest_parallelrun.emulator.errors import InputError


def find_models(models: Iterable[str | os.PathLike[str]], *, base: Path | None = None) -> dict[str, Path]:
    """Name -> absolute path, in the order given. Without a name it is the last part of the path.

    Relative paths start at `base`, by default the current folder. InputError where a path does not exist.
    """
    found: dict[str, Path] = {}
    for model in models:
        text = os.fspath(model)
        name, separator, path_text = text.partition("=")
        if not separator or os.path.exists(os.path.join(base or "", text)):
            name, path_text = "", text
        path = Path(os.path.abspath(os.path.join(base or "", os.path.expanduser(path_text))))
        if not path.exists():
            raise InputError(f"model '{text}': '{path}' does not exist; give NAME=PATH or PATH of a file or folder.")
        name = name or path.name
        if name in found and found[name] != path:
            raise InputError(f"model '{text}': the name '{name}' is already that of '{found[name]}'.")
        found[name] = path
    return found


def model_directory(models: Mapping[str, Path]) -> Path | None:
    """What AZUREML_MODEL_DIR names: the folder of the first model, or the folder that holds its file."""
    for path in models.values():
        return path if path.is_dir() else path.parent
    return None
