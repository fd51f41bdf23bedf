"""Dependency files of a script: models, and files in its code or named by its arguments.

Each can be removed for the workers of one session, to see whether the script reports that it is missing.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pytest_parallelrun.contract.bounds import MAX_CODE_BYTES, MAX_CODE_FILES
from pytest_parallelrun.contract.entry.sample_copy import copy_file
from pytest_parallelrun.emulator.arguments import split_option
from pytest_parallelrun.emulator.entry import EntryFile
from pytest_parallelrun.emulator.models import MODEL_DIR, below_model_dir

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest


CODE = (".py", ".pyc", ".pyo", ".pyi", ".so", ".pyd", ".dll", ".dylib")
_NOT_COPIED = ("__pycache__", ".git", ".hg", ".tox", ".nox", ".venv", "venv", "node_modules", ".mypy_cache")
_LISTED = os.R_OK | os.X_OK
_GARBAGE = b"\x00\xff\xfe not what it should be \x00\xff" * 8

_LIKE_A_MODEL = re.compile(
    r"model|weight|pickle|joblib|onnx|\.(?:pkl|pt|pth|h5|hdf5|keras|safetensors|ckpt|pmml|bst|ubj|mar)\b", re.IGNORECASE
)
_OTHER_FILE = re.compile(r"[\w-]+\.(?:txt|json|ya?ml|csv|tsv|ini|cfg|toml|xml|md)\b", re.IGNORECASE)

State = Literal["missing", "garbage"]


@dataclass(frozen=True, kw_only=True)
class DependencyFile:
    """A dependency file of the script.

    description: as named in findings. paths: of the files that were opened. is_model: whether it was given as a model.
    """

    description: str
    paths: tuple[str, ...]
    is_model: bool = False
    models: Mapping[str, Path] = field(default_factory=dict)
    argument: int | None = None
    variable: str | None = None
    base: str = ""
    """The path that the argument or variable names."""

    @property
    def looks_like_a_model(self) -> bool:
        """Whether it was given as a model, or is named like one."""
        return self.is_model or names_a_model(self.description)

    def session_without(self, entry: EntryUnderTest, state: State) -> dict[str, object]:
        """Arguments of EntryUnderTest.session() with which workers find it missing or full of garbage."""
        if self.models:
            models = {name: self._instead(entry, str(path), state) for name, path in self.models.items()}
            return {"models": models | dict(self._found_after_all(entry) if state == "garbage" else ())}
        if self.argument is not None:
            arguments = list(entry.arguments)
            instead = str(self._instead(entry, self.base, state))
            arguments[self.argument] = arguments[self.argument].replace(self.base, instead)
            return {"arguments": tuple(arguments)}
        if self.variable is not None:
            variables = dict(entry.settings.environment_variables)
            variables[self.variable] = str(self._instead(entry, self.base, state))
            return {"environment_variables": variables}
        return {"entry": self._code_without(entry, state)}

    def _instead(self, entry: EntryUnderTest, original: str, state: State) -> Path:
        """A path of the same name: an empty folder, or files of the same names with garbage.

        A single file that is a model has another name if it is missing: exists() and isfile() are then both False.
        """
        name = os.path.basename(os.path.normpath(original))
        if state == "missing" and self.is_model and not os.path.isdir(original):
            name = "elsewhere"
        instead = entry.new_folder("missing") / name
        for path in self.paths if state == "garbage" else ():
            if _is_below(path, original):
                relative = os.path.relpath(os.path.realpath(path), os.path.realpath(original))
                target = Path(os.path.normpath(instead / relative))
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(_GARBAGE)
        if not instead.exists() and (self.is_model or os.path.isdir(original)):
            # For a file too: a model must exist, and an argument may name it. A folder cannot be read as a file.
            instead.mkdir()
        return instead

    def _found_after_all(self, entry: EntryUnderTest) -> Iterator[tuple[str, Path]]:
        """Models with the files that the script looked for next to its models."""
        for path in self.paths:
            relative = below_model_dir(path)
            if relative:
                folder = entry.new_folder("missing")
                (folder / relative).parent.mkdir(parents=True, exist_ok=True)
                (folder / relative).write_bytes(_GARBAGE)
                yield folder.name, folder / Path(relative).parts[0]

    def _code_without(self, entry: EntryUnderTest, state: State) -> EntryFile:
        root = entry.entry.code_root
        copy = entry.new_folder("code") / root.name
        left_out = {os.path.abspath(path) for path in self.paths}

        def ignored(folder: str, names: list[str]) -> list[str]:
            paths = {name: os.path.join(folder, name) for name in names}
            unreadable = [name for name, path in paths.items() if os.path.isdir(path) and not os.access(path, _LISTED)]
            return [name for name, path in paths.items() if name in _NOT_COPIED or path in left_out] + unreadable

        shutil.copytree(root, copy, ignore=ignored, ignore_dangling_symlinks=True, copy_function=copy_file)
        for path in self.paths if state == "garbage" else ():
            target = copy / os.path.relpath(path, root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_GARBAGE)
        return EntryFile(copy / entry.entry.path.relative_to(root), copy)


def names_a_model(text: str) -> bool:
    """Whether a path or a line of code seems to be about a model; labels.txt next to a model is none."""
    others = _OTHER_FILE.findall(text)
    return any(map(_LIKE_A_MODEL.search, others or [text]))


def side_files(entry: EntryUnderTest, opened: Iterable[str], items: Iterable[str]) -> list[DependencyFile]:
    """Dependency files that the script opened, the most likely model first. items: paths of the sample's copy."""
    items = set(items)
    paths = [path for path in opened if path not in items and os.path.isfile(path) and not path.endswith(CODE)]
    return list(_models(entry, paths)) or [*_named(entry, paths), *_beside_the_code(entry, paths)]


def missing_model(entry: EntryUnderTest, opened: Iterable[str], items: Iterable[str]) -> DependencyFile | None:
    """A missing model that the script tried to open, if it opened no other dependency file.

    Otherwise None; a file in the code is recognised as a model by its name.
    """
    opened = list(opened)
    if any(file.paths for file in side_files(entry, opened, items)):
        return None
    lost = [path for path in opened if not os.path.exists(path) and not path.endswith(CODE)]
    for file in (*_models(entry, lost), *_named(entry, lost), *_beside_the_code(entry, lost)):
        if file.paths and file.looks_like_a_model:
            return file
    return None


def _models(entry: EntryUnderTest, paths: list[str]) -> Iterator[DependencyFile]:
    if entry.models:
        names = ", ".join(f"'{name}'" for name in entry.models)
        yield DependencyFile(
            description=f"the model {names}",
            paths=tuple(path for path in paths if _is_of_a_model(path, entry.models)),
            is_model=True,
            models=entry.models,
        )
    folder = entry.settings.environment_variables.get(MODEL_DIR)
    if folder and os.path.exists(folder):
        yield DependencyFile(
            description="the model in AZUREML_MODEL_DIR",
            paths=_below(paths, folder),
            is_model=True,
            variable=MODEL_DIR,
            base=folder,
        )


def _named(entry: EntryUnderTest, paths: list[str]) -> Iterator[DependencyFile]:
    """Files in program arguments or environment variables."""
    for position, argument in enumerate(entry.arguments):
        _, value = split_option(argument)
        below = _below(paths, value) if os.path.isabs(value) else ()
        if below:
            yield DependencyFile(
                description=f"'{value}', which the program arguments name,", paths=below, argument=position, base=value
            )
    for name, value in entry.settings.environment_variables.items():
        below = _below(paths, value) if os.path.isabs(value) else ()
        if below and name != MODEL_DIR:
            yield DependencyFile(description=f"'{value}', which {name} names,", paths=below, variable=name, base=value)


def _beside_the_code(entry: EntryUnderTest, paths: list[str]) -> Iterator[DependencyFile]:
    root = str(entry.entry.code_root)
    below = [path for path in _below(paths, root) if "site-packages" not in Path(path).parts]
    if below and _is_small(root):
        for path in below:
            relative = Path(os.path.relpath(path, root)).as_posix()
            yield DependencyFile(description=f"'{relative}', which lies with the code,", paths=(path,))


def _below(paths: list[str], folder: str) -> tuple[str, ...]:
    return tuple(path for path in paths if _is_below(path, folder))


def _is_below(path: str, folder: str) -> bool:
    real, base = os.path.realpath(path), os.path.realpath(folder)
    return real == base or real.startswith(os.path.join(base, ""))


def _is_of_a_model(path: str, models: Mapping[str, Path]) -> bool:
    """Whether it is a file of a model, or was searched where models are."""
    return below_model_dir(path) is not None or any(_is_below(path, str(model)) for model in models.values())


def _is_small(root: str) -> bool:
    size = count = 0
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _NOT_COPIED]
        for name in names:
            count += 1
            try:
                size += os.path.getsize(os.path.join(folder, name))
            except OSError:
                continue
            if count > MAX_CODE_FILES or size > MAX_CODE_BYTES:
                return False
    return True
