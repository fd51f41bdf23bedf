"""Files for nodes that do not see those of this machine, and back: code root, models and inputs."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pytest_parallelrun.emulator.entry import EntryFile
from pytest_parallelrun.emulator.errors import EntryScriptError, InputError
from pytest_parallelrun.emulator.folders import new_job_folder, remove_job_folder
from pytest_parallelrun.emulator.models import MODEL_DIR, below_model_dir, model_dir_of, stage_models
from pytest_parallelrun.emulator.service.mlflow_tracking import STORES
from pytest_parallelrun.emulator.splitting.model import count_text
from pytest_parallelrun.emulator.worker_plan import PYTHON_PATH, WorkerPlan

BUNDLE_LIMIT = 250_000_000
"""Maximum bytes of code root and models that are sent to a node."""
PARCEL_LIMIT = 100_000_000
"""Maximum bytes of the files of a mini-batch that are sent to a node, and of a worker's files on the way back."""
NOT_SENT = frozenset({"__pycache__", ".git", ".hg", ".svn", ".venv", ".tox", ".mypy_cache", ".pytest_cache"})
"""Folders below a code root that no script needs."""


class FileCopy(NamedTuple):
    """The content of a file, or a folder. path: absolute, on the machine that runs the job."""

    path: str
    mode: int
    content: bytes


class FilePayload(NamedTuple):
    """The content of the files of a mini-batch, and its absolute paths, including unreadable ones."""

    paths: list[str]
    copies: list[FileCopy]


def signature(path: str | Path) -> tuple[int, ...] | None:
    """A value that shows whether another machine sees the same file: size and modification time. None if it is missing.

    For a folder, in which files may be written meanwhile, its inode.
    """
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_ino,) if stat.S_ISDIR(status.st_mode) else (status.st_size, status.st_mtime_ns)


def pack(paths: Iterable[str], limit: int, base: str = "") -> list[FileCopy] | None:
    """Copies of readable files, named without the base; None if they exceed the limit."""
    copies = []
    for path in paths:
        try:
            status = os.stat(path)
            content = b""
            if stat.S_ISREG(status.st_mode):
                limit -= status.st_size
                if limit < 0:
                    return None
                content = Path(path).read_bytes()
            elif not stat.S_ISDIR(status.st_mode):
                continue
        except OSError:
            continue
        copies.append(FileCopy(path.removeprefix(base), status.st_mode, content))
    return copies


def unpack(copies: Iterable[FileCopy], base: str = "") -> list[str]:
    """Writes files and folders below the base; returns the existing files that were replaced by another content."""
    replaced = []
    for copy in copies:
        path = Path(base + copy.path)
        if stat.S_ISDIR(copy.mode):
            path.mkdir(parents=True, exist_ok=True)
            continue
        if path.is_file() and path.read_bytes() != copy.content:
            replaced.append(str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(copy.content)
        if copy.mode & stat.S_IXUSR:
            path.chmod(stat.S_IMODE(copy.mode))
    return replaced


def bundle_of(plan: WorkerPlan) -> list[FileCopy]:
    """Code root and models, and the folders of outputs. EntryScriptError, InputError: they are too large."""
    outputs = [value for text in plan.arguments if os.path.isdir(value := _value_of(text)) and _is_moved(value, plan)]
    bundle = [FileCopy(path, stat.S_IFDIR, b"") for path in (*map(str, written_to(plan)), *outputs)]
    room = BUNDLE_LIMIT
    code = f"code root '{plan.code_root}'", "Give a smaller one with --parallelrun-code"
    subjects = {plan.code_root: code}
    for folder in map(Path, plan.python_path):
        subjects.setdefault(folder, (f"'{folder}' of {PYTHON_PATH}", "Give a smaller folder"))
    for model in plan.models.values():
        subjects.setdefault(model, (f"model '{model}'", "Put it where all nodes see it, at the same path"))
    for root, (subject, advice) in subjects.items():
        copies = pack(_below(root), room)
        if copies is None:
            message = (
                f"{subject} has more than {room:,} bytes: code and models are sent to nodes of the cluster that do not "
                f"see them, {BUNDLE_LIMIT:,} bytes at most. {advice}."
            )
            raise EntryScriptError(message) if root == plan.code_root else InputError(message)
        bundle += copies
        room -= sum(len(copy.content) for copy in copies)
    return bundle


def side_inputs(plan: WorkerPlan) -> list[str]:
    """Local paths in arguments and environment that are not sent to a node."""
    values = dict.fromkeys(map(_value_of, [*plan.arguments, *plan.environment.values()]))
    return [path for path in values if os.path.isabs(path) and os.path.exists(path) and not _is_moved(path, plan)]


def _value_of(argument: str) -> str:
    """A path may follow an option: `--x=PATH`."""
    return argument.partition("=")[2] if argument.startswith("-") else argument


def written_to(plan: WorkerPlan) -> list[Path]:
    return [path for path in (plan.folder, plan.output_dir, plan.logs) if path is not None]


def _is_moved(path: str, plan: WorkerPlan) -> bool:
    """Whether it is below a folder that a node gets."""
    folders = [*written_to(plan), plan.code_root, *plan.models.values(), *plan.python_path]
    return any(path == str(folder) or path.startswith(f"{folder}{os.sep}") for folder in folders)


def _below(root: str | Path) -> Iterator[str]:
    """The folder and everything in it, or the file. Links are followed, also to folders, but not in circles."""
    yield str(root)
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if name not in NOT_SENT]
        yield from (os.path.join(folder, name) for name in (*folders, *files))


class NodeWorkspace:
    """What a node that does not see the files of a job gets: each below the root, at its original path."""

    def __init__(self, plan: WorkerPlan, bundle: list[FileCopy]) -> None:
        self._plan = plan
        self._base = str(new_job_folder("node-"))
        self._root = f"{self._base}/files"
        unpack(bundle, self._root)
        self._sent = {path: signature(path) for copy in bundle if (path := self._root + copy.path)}

    def on_this_node(self) -> WorkerPlan:
        """The plan with folders of this node, also in the environment and arguments."""
        plan = self._plan
        assert isinstance(plan.entry, EntryFile)
        models = {name: self._path(path) for name, path in plan.models.items()}
        if plan.environment.get(MODEL_DIR) == str(model_dir_of(plan.folder)):
            stage_models(models, self._path(plan.folder))
        return replace(
            plan,
            entry=EntryFile(self._path(plan.entry.path), self._path(plan.code_root)),
            arguments=tuple(map(self._text, plan.arguments)),
            environment={
                name: self._path_list(value) if name == PYTHON_PATH else self._text(value)
                for name, value in plan.environment.items()
            },
            folder=self._path(plan.folder),
            output_dir=None if plan.output_dir is None else self._path(plan.output_dir),
            models=models,
            logs=None if plan.logs is None else self._path(plan.logs),
            started_in=self._path(plan.folder),
        )

    def _path(self, path: Path) -> Path:
        return Path(f"{self._root}{path}")

    def _path_list(self, value: str) -> str:
        return os.pathsep.join(map(self._text, value.split(os.pathsep)))

    def _text(self, text: str) -> str:
        value = _value_of(text)
        return f"{text.removesuffix(value)}{self._root}{value}" if _is_moved(value, self._plan) else text

    def unpack(self, mini_batch: int, payload: FilePayload) -> list[str]:
        """Writes the files of a mini-batch; their paths on this node."""
        base = f"{self._base}/inputs/{mini_batch}"
        unpack(payload.copies, base)
        return [base + path for path in payload.paths]

    def sweep(self, mini_batch: int) -> None:
        shutil.rmtree(f"{self._base}/inputs/{mini_batch}", ignore_errors=True)

    def clear(self) -> tuple[list[FileCopy], str]:
        """Removes everything; returns the files that workers wrote here, and notes on lost files."""
        paths = dict.fromkeys(path for root in written_to(self._plan) for path in _below(self._path(root)))
        stores = f"{self._path(self._plan.folder)}/{STORES}"
        written = [
            path
            for path in paths
            if below_model_dir(path) is None
            and not path.startswith(stores)
            and (path not in self._sent or self._sent[path] != signature(path))
        ]
        lost = ""
        copies = pack(written, PARCEL_LIMIT, self._root)
        if copies is None:
            count = sum(map(os.path.isfile, written))
            lost = f"more than {PARCEL_LIMIT:,} bytes in {count_text(count, 'file')} that a worker wrote on its node "
            lost += "are lost: write to storage that all nodes see"
        remove_job_folder(self._base)
        return copies or [], lost
