"""What travels to nodes that do not see the files of this machine: code root, models, and input files by value."""

from __future__ import annotations

import filecmp
import io
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.emulator.entry import EntryFile
from pytest_parallelrun.emulator.errors import EntryScriptError, InputError

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.worker_plan import WorkerPlan

BUNDLE_LIMIT = 250_000_000
"""Bytes of code root and models that are sent to a node."""
PARCEL_LIMIT = 100_000_000
"""Bytes of the files of one mini-batch that are sent to a node, and of what a worker wrote on their way back."""
NOT_SENT = frozenset({"__pycache__", ".git", ".hg", ".svn", ".venv", ".tox", ".mypy_cache", ".pytest_cache"})
"""Folders below a code root that no script needs."""
_CODE, _MODELS, _WORK, _OUTPUT, _LOGS, _INPUT = "code", "models", "work", "output", "logs", "input"


class Signature(NamedTuple):
    """What shows that another machine sees the same file: its size in bytes, and when it was changed, in ns.

    inode: of a folder, in which a file may be written meanwhile; -1 of a file.
    """

    path: str
    size: int
    changed: int
    inode: int

    @classmethod
    def of(cls, path: str) -> Signature | None:
        """None where there is no such file here."""
        try:
            status = os.stat(path)
        except OSError:
            return None
        inode = status.st_ino if stat.S_ISDIR(status.st_mode) else -1
        return cls(path, status.st_size, status.st_mtime_ns, inode)

    def is_here(self) -> bool:
        here = Signature.of(self.path)
        return here is not None and (here == self or here.inode == self.inode >= 0)


class FilePayload(NamedTuple):
    """The files of a mini-batch: absolute path and content of each."""

    files: list[tuple[str, bytes]]

    @classmethod
    def of(cls, paths: list[str], mini_batch: int) -> FilePayload:
        """InputError where they are too large. What cannot be read here has no content, as it has none there."""
        files: list[tuple[str, bytes]] = []
        total = 0
        for path in paths:
            try:
                total += os.path.getsize(path)
                if total > PARCEL_LIMIT:
                    raise InputError(
                        f"mini-batch {mini_batch}: its files have more than {PARCEL_LIMIT:,} bytes, and a node of the "
                        f"cluster does not see '{path}'. Put the input on storage that all nodes see at the same path, "
                        "or make mini_batch_size smaller."
                    )
                files.append((os.path.abspath(path), Path(path).read_bytes()))
            except OSError:
                files.append((os.path.abspath(path), b""))
        return cls(files)


def bundle_of(plan: WorkerPlan) -> bytes:
    """Code root and models as a zip file. EntryScriptError, InputError: they are too large."""
    room = BUNDLE_LIMIT
    root = plan.code_root
    try:
        files = list(_below(root, _CODE))
        room -= _size_of(files, room, f"code root '{root}'", "give a smaller one with --parallelrun-code")
    except InputError as error:
        raise EntryScriptError(str(error)) from None
    for number, path in enumerate(dict.fromkeys(plan.models.values())):
        model_files = list(_below(path, f"{_MODELS}/{number}/{path.name}"))
        room -= _size_of(model_files, room, f"model '{path}'", "put it where all nodes see it, at the same path")
        files += model_files
    return _zip(files)


def _moved(plan: WorkerPlan, base: Path) -> dict[str, str]:
    """Folders and files of this machine that a node gets, and where they are below the base of its workspace."""
    moved = {str(plan.folder): str(base / _WORK), str(plan.code_root): str(base / _CODE)}
    for number, path in enumerate(dict.fromkeys(plan.models.values())):
        moved[str(path)] = str(base / _MODELS / str(number) / path.name)
        # AZUREML_MODEL_DIR may name the folder of the only model.
        moved.setdefault(str(path.parent), str(base / _MODELS / str(number)))
    if plan.output_dir is not None:
        moved[str(plan.output_dir)] = str(base / _OUTPUT)
    return moved


def _at(text: str, moved: Mapping[str, str]) -> str:
    """An argument, or a value of the environment, with the path on the node; it may follow an option: `--x=PATH`."""
    value = _value_of(text)
    for folder in sorted(moved, key=len, reverse=True):
        if value == folder or value.startswith(folder + os.sep):
            return f"{text.removesuffix(value)}{moved[folder]}{value.removeprefix(folder)}"
    return text


def _value_of(text: str) -> str:
    return text.partition("=")[2] if text.startswith("-") else text


def side_inputs(plan: WorkerPlan) -> list[str]:
    """Paths in arguments and environment of what is here and not sent to a node."""
    moved = _moved(plan, Path(os.sep))
    texts = [*plan.arguments, *plan.environment.values()]
    paths = [_value_of(text) for text in texts if _at(text, moved) == text]
    return [path for path in dict.fromkeys(paths) if os.path.isabs(path) and os.path.exists(path)]


class NodeWorkspace:
    """Folders of a job on a node that does not see those of the machine that runs it."""

    def __init__(self, bundle: bytes) -> None:
        self._base = Path(os.path.realpath(tempfile.mkdtemp(prefix="parallelrun-")))
        for name in (_CODE, _WORK, _OUTPUT, _LOGS, _INPUT):
            (self._base / name).mkdir()
        unpack_into(self._base, bundle)

    def on_this_node(self, plan: WorkerPlan) -> WorkerPlan:
        """The plan with folders of this node, also where the environment and arguments name them."""
        base, entry = self._base, plan.entry
        assert isinstance(entry, EntryFile)
        moved = _moved(plan, base)
        models = {name: Path(_at(str(path), moved)) for name, path in plan.models.items()}
        arguments = tuple(_at(argument, moved) for argument in plan.arguments)
        for before, after in zip(plan.arguments, arguments, strict=True):
            if before != after and Path(_value_of(before)).is_dir():
                # The folder of an output that has a name.
                Path(_value_of(after)).mkdir(parents=True, exist_ok=True)
        return replace(
            plan,
            entry=EntryFile(base / _CODE / entry.path.relative_to(entry.code_root), base / _CODE),
            arguments=arguments,
            environment={name: _at(value, moved) for name, value in plan.environment.items()},
            folder=base / _WORK,
            output_dir=None if plan.output_dir is None else base / _OUTPUT,
            models=models,
            logs=None if plan.logs is None else base / _LOGS,
            started_in=base / _WORK,
        )

    def unpack(self, mini_batch: int, parcel: FilePayload) -> list[str]:
        """Writes the files of a mini-batch; their paths on this node."""
        paths = []
        for original, content in parcel.files:
            path = self._base / _INPUT / str(mini_batch) / original.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            paths.append(str(path))
        return paths

    def sweep(self, mini_batch: int) -> None:
        """Removes the files of a mini-batch."""
        shutil.rmtree(self._base / _INPUT / str(mini_batch), ignore_errors=True)

    def clear(self) -> tuple[bytes, str]:
        """Removes all; what workers wrote here, as a zip file, and what is to be said of files that are lost."""
        base = self._base
        written = [file for name in (_WORK, _OUTPUT, _LOGS) for file in _below(base / name, name)]
        lost = ""
        try:
            _size_of(written, PARCEL_LIMIT, "what a worker wrote", "")
        except InputError:
            lost = f"{len(written)} file(s) that a worker wrote on its node have more than {PARCEL_LIMIT:,} bytes, and "
            lost += "are lost: write to storage that all nodes see"
            written = []
        data = _zip(written) if written else b""
        shutil.rmtree(base, ignore_errors=True)
        return data, lost


def copy_back(data: bytes, plan: WorkerPlan) -> list[str]:
    """Puts what `NodeWorkspace.clear` packed to where a worker of this machine would have written it.

    The paths of files that were there with another content, and are replaced: on storage that all nodes share the one
    who writes last wins as well.
    """
    replaced = []
    with tempfile.TemporaryDirectory(prefix="parallelrun-") as name:
        unpack_into(Path(name), data)
        for folder, home in ((_WORK, plan.folder), (_OUTPUT, plan.output_dir), (_LOGS, plan.logs)):
            if home is None:
                continue
            for path, relative in _below(Path(name, folder), "."):
                target = home / relative
                if target.is_file() and not filecmp.cmp(path, target, shallow=False):
                    replaced.append(str(target))
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
    return replaced


def unpack_into(folder: Path, data: bytes) -> None:
    """Extracts a zip file of this module, with what may be executed."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        for member in file.infolist():
            path = file.extract(member, folder)
            mode = stat.S_IMODE(member.external_attr >> 16)
            if mode & 0o100:
                os.chmod(path, mode)


def _below(folder: Path, name: str) -> Iterator[tuple[Path, str]]:
    """Each file, and its name in the zip file. Links are followed, also those to folders, but not in circles."""
    if folder.is_file():
        yield folder, name
        return
    seen = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        folders[:] = [] if real in seen else [each for each in folders if each not in NOT_SENT]
        if real in seen:
            continue
        seen.add(real)
        relative = Path(root).relative_to(folder).as_posix()
        for each in files:
            yield Path(root, each), f"{name}/{relative}/{each}" if relative != "." else f"{name}/{each}"


def _size_of(files: Iterable[tuple[Path, str]], room: int, subject: str, advice: str) -> int:
    total = 0
    for path, _ in files:
        try:
            total += path.stat().st_size
        except OSError:
            continue
        if total > room:
            raise InputError(
                f"{subject} has more than {room:,} bytes: code and models are sent to nodes of the cluster that do not "
                f"see them, {BUNDLE_LIMIT:,} bytes at most. {advice[:1].upper()}{advice[1:]}."
            )
    return total


def _zip(files: Iterable[tuple[Path, str]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1, strict_timestamps=False) as file:
        for path, name in files:
            # Sockets, and links to nowhere, are no files.
            if path.is_file():
                file.write(path, name)
    return buffer.getvalue()
