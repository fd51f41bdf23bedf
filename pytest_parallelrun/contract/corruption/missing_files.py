"""What a script reads beside its items: models, and files that lie with its code or that its arguments name.

Each can be taken away for the workers of one bench, to see whether the script says that it is missing.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_parallelrun.contract.entry.mini_batches import paths_of
from pytest_parallelrun.contract.entry.observations import attempt
from pytest_parallelrun.contract.rows.comparison import difference
from pytest_parallelrun.contract.rows.errors import ValidRows
from pytest_parallelrun.emulator.arguments import split_option
from pytest_parallelrun.emulator.entry import EntryFile
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.probe import WorkerStartError

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observations import Observations, SampleMiniBatch
    from pytest_parallelrun.emulator.probe import ProbeResult
    from pytest_parallelrun.emulator.worker.file_watch import FilesTouched


MAX_BYTES = 20 << 20
MAX_FILES = 500
"""A code root that is larger is not copied to leave a file out."""

_CODE = (".py", ".pyc", ".pyo", ".pyi", ".so", ".pyd", ".dll", ".dylib")
_NOT_COPIED = ("__pycache__", ".git", ".hg", ".tox", ".nox", ".venv", "venv", "node_modules", ".mypy_cache")
_GARBAGE = b"\x00\xff\xfe not what it should be \x00\xff" * 8

_LIKE_A_MODEL = re.compile(
    r"model|weight|\.(?:pkl|pickle|joblib|onnx|pt|pth|h5|hdf5|keras|safetensors|ckpt|pmml|bst|ubj|mar)$", re.IGNORECASE
)

State = Literal["missing", "garbage"]


@dataclass(frozen=True)
class DependencyFile:
    """Something that the script reads beside its items.

    what: as findings name it. paths: of the files that were opened. is_model: whether it was given as a model.
    """

    what: str
    paths: tuple[str, ...]
    is_model: bool = False
    models: Mapping[str, Path] = field(default_factory=dict)
    argument: int | None = None
    variable: str | None = None
    base: str = ""
    """The path that the argument or variable names."""

    def bench_without(self, entry: EntryUnderTest, state: State) -> dict[str, object]:
        """What to hand to EntryUnderTest.bench() so that workers find it missing, or full of garbage."""
        if self.models:
            return {"models": {name: self._instead(entry, str(path), state) for name, path in self.models.items()}}
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
        """A path of the same name: an empty folder, or files of the same names that hold garbage."""
        instead = entry.new_folder("missing") / os.path.basename(os.path.normpath(original))
        for path in self.paths if state == "garbage" else ():
            if _is_below(path, original):
                relative = os.path.relpath(os.path.realpath(path), os.path.realpath(original))
                target = Path(os.path.normpath(instead / relative))
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(_GARBAGE)
        if not instead.exists() and (self.is_model or os.path.isdir(original)):
            # Also for a file: a model must be there to be given, and a folder cannot be read as a file either.
            instead.mkdir()
        return instead

    def _code_without(self, entry: EntryUnderTest, state: State) -> EntryFile:
        root = entry.entry.code_root
        copy = entry.new_folder("code") / root.name
        left_out = {os.path.abspath(path) for path in self.paths}

        def ignored(folder: str, names: list[str]) -> list[str]:
            return [name for name in names if name in _NOT_COPIED or os.path.join(folder, name) in left_out]

        shutil.copytree(root, copy, ignore=ignored, ignore_dangling_symlinks=True)
        for path in self.paths if state == "garbage" else ():
            target = copy / os.path.relpath(path, root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_GARBAGE)
        return EntryFile(copy / entry.entry.path.relative_to(root), copy)


def side_files(entry: EntryUnderTest, opened: Iterable[str], items: Iterable[str]) -> list[DependencyFile]:
    """What the script opened beside its items, the most likely model first. items: paths of the sample's copy."""
    own = set(items)
    paths = [path for path in opened if path not in own and os.path.isfile(path) and not path.endswith(_CODE)]
    found = list(_models(entry, paths))
    if not found:
        found.extend(_named(entry, paths))
        found.extend(_beside_the_code(entry, paths))
    return found


def model_sought_in_vain(entry: EntryUnderTest, opened: Iterable[str], items: Iterable[str]) -> DependencyFile | None:
    """A model that the script tried to open and that is not there, while it opened nothing else beside its items.

    None where there is none; a file with the code is taken for a model by its name.
    """
    tried = list(opened)
    if any(side.paths for side in side_files(entry, tried, items)):
        return None
    lost = [path for path in tried if not os.path.exists(path) and not path.endswith(_CODE)]
    sought = [*_models(entry, lost), *_named(entry, lost), *_beside_the_code(entry, lost)]
    return next((side for side in sought if side.paths and (side.is_model or _LIKE_A_MODEL.search(side.what))), None)


def _models(entry: EntryUnderTest, paths: list[str]) -> Iterator[DependencyFile]:
    if entry.models:
        below = [path for path in paths if any(_is_below(path, str(model)) for model in entry.models.values())]
        names = ", ".join(f"'{name}'" for name in entry.models)
        yield DependencyFile(f"the model {names}", tuple(below), is_model=True, models=entry.models)
    folder = entry.settings.environment_variables.get("AZUREML_MODEL_DIR")
    if folder and os.path.exists(folder):
        below = [path for path in paths if _is_below(path, folder)]
        yield DependencyFile(
            "the model in AZUREML_MODEL_DIR", tuple(below), is_model=True, variable="AZUREML_MODEL_DIR", base=folder
        )


def _named(entry: EntryUnderTest, paths: list[str]) -> Iterator[DependencyFile]:
    """Files that program arguments or environment variables lead to."""
    for position, argument in enumerate(entry.arguments):
        _, given = split_option(argument)
        below = [path for path in paths if given and os.path.isabs(given) and _is_below(path, given)]
        if below:
            yield DependencyFile(
                f"'{given}', which the program arguments name,", tuple(below), argument=position, base=given
            )
    for name, value in entry.settings.environment_variables.items():
        below = [path for path in paths if os.path.isabs(value) and _is_below(path, value)]
        if below and name != "AZUREML_MODEL_DIR":
            yield DependencyFile(f"'{value}', which {name} names,", tuple(below), variable=name, base=value)


def _beside_the_code(entry: EntryUnderTest, paths: list[str]) -> Iterator[DependencyFile]:
    root = str(entry.entry.code_root)
    below = [path for path in paths if _is_below(path, root) and "site-packages" not in Path(path).parts]
    if below and _is_small(root):
        for path in below:
            yield DependencyFile(
                f"'{Path(os.path.relpath(path, root)).as_posix()}', which lies with the code,", (path,)
            )


def _is_below(path: str, folder: str) -> bool:
    real, base = os.path.realpath(path), os.path.realpath(folder)
    return real == base or real.startswith(os.path.join(base, ""))


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
            if count > MAX_FILES or size > MAX_BYTES:
                return False
    return True


RunOutcome = Literal["reported", "wrong type", "other rows", "same rows"]


class MissingFileTrial(NamedTuple):
    """What the script made of a mini-batch without something. shown: what it returned, in words.

    in_init: whether init() or the import was where it looked for it and went on.
    """

    side: DependencyFile
    answer: RunOutcome
    tried: ProbeResult | None = None
    shown: str = ""
    in_init: bool = False


def try_without(
    trials: Observations, group: SampleMiniBatch, sound: ProbeResult, side: DependencyFile, state: State = "missing"
) -> MissingFileTrial:
    """A fresh worker that finds it missing or spoiled, and gets a mini-batch that is sound."""
    options = side.bench_without(trials.entry, state)
    with trials.entry.bench(probe=trials.probe, **options) as bench:  # type: ignore[arg-type]
        try:
            tried = attempt(bench, group)
        except WorkerStartError:
            return MissingFileTrial(side, "reported")
        rows = as_rows(tried.ended.value)
        looked_in_init = _looked_for(side, bench.setting_up.read)
    if tried.ended.outcome == "wrong_type":
        return MissingFileTrial(side, "wrong type", tried, in_init=looked_in_init)
    if tried.ended.outcome != "succeeded":
        return MissingFileTrial(side, "reported", tried)
    sound_rows = as_rows(sound.ended.value)
    told = ValidRows(sound_rows, group.names)
    if any(told.names_error(row) for row in rows):
        return MissingFileTrial(side, "reported", tried)
    other = _other_rows(trials, sound_rows, rows)
    if other is None:
        return MissingFileTrial(side, "same rows", tried, in_init=looked_in_init)
    return MissingFileTrial(side, "other rows", tried, other, looked_in_init)


def gone_on_without(
    trials: Observations, group: SampleMiniBatch, sound: ProbeResult, setting_up: FilesTouched
) -> MissingFileTrial | None:
    """The model that was not there while the sample succeeded, where the script hides garbage in its place as well.

    None where it found its model, looked for none, tells of it in its rows, or may do without it by choice.
    """
    opened = dict.fromkeys([*setting_up.read, *sound.files.read])
    side = model_sought_in_vain(trials.entry, opened, paths_of(group.payload))
    if side is None or any(ValidRows((), group.names).says_error(row) for row in as_rows(sound.ended.value)):
        return None
    spoiled = try_without(trials, group, sound, side, "garbage")
    return spoiled if spoiled.answer == "same rows" else None


def _other_rows(trials: Observations, sound: Sequence[object], rows: Sequence[object]) -> str | None:
    """A row that is another one without it; None where all are the same, as far as they are not random."""
    if difference(sound, rows) is None:
        return None
    changing = trials.changing
    if changing is None:
        found = difference(sound, rows)
    elif changing.all_rows:
        return None
    else:
        found = difference(sound, rows, ignoring=changing.keys)
    return None if found is None else f"{found[1]} where it returned {found[0]}"


def _looked_for(side: DependencyFile, opened: Sequence[str] | dict[str, None]) -> bool:
    names = {os.path.basename(path) for path in side.paths}
    return any(os.path.basename(path) in names for path in opened)
