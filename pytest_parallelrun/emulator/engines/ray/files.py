"""Files for nodes that do not see those of this machine, and back: code root, models and inputs."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pytest_parallelrun.emulator.arguments import split_option
from pytest_parallelrun.emulator.entry import EntryFile
from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.folders import new_job_folder, remove_job_folder
from pytest_parallelrun.emulator.models import MODEL_DIR, model_dir_of, stage_models
from pytest_parallelrun.emulator.service.mlflow_tracking import STORES
from pytest_parallelrun.emulator.worker_plan import PYTHON_PATH, WorkerPlan

BUNDLE_LIMIT = 250_000_000
"""Maximum bytes of code root and models that are sent to a node."""
PARCEL_LIMIT = 100_000_000
"""Maximum bytes of the files of a mini-batch that are sent to a node, and of a worker's files on the way back."""
NOT_SENT = frozenset({"__pycache__", ".git", ".hg", ".svn", ".venv", ".tox", ".mypy_cache", ".pytest_cache"})
"""Folders below a code root that no script needs."""


class FileCopy(NamedTuple):
    """The content of a file, or a folder. path: absolute, on the machine that runs the job. mode: 0 if unreadable."""

    path: str
    mode: int
    content: bytes


Copies = tuple[FileCopy, ...]


def signature(path: str) -> tuple[int, ...] | None:
    """A value that shows whether another machine sees the same file: size and modification time. None if it is missing.

    For a folder, in which files may be written meanwhile, its inode.
    """
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_ino,) if stat.S_ISDIR(status.st_mode) else (status.st_size, status.st_mtime_ns)


def pack(paths: Iterable[str], limit: int, what: str, base: str = "") -> Copies:
    """Copies of files and folders, named without the base. InputError if they exceed the limit; what: how it starts."""
    copies, room = [], limit
    for path in paths:
        mode, content = 0, b""
        with suppress(OSError):
            status = os.stat(path)
            if stat.S_ISREG(status.st_mode):
                room -= status.st_size
                if room < 0:
                    raise InputError(
                        f"{what} more than {limit:,} bytes, and not all nodes of the cluster see them. Make them fewer "
                        "or smaller, or put them on storage that all nodes see at the same path."
                    )
                content = Path(path).read_bytes()
            mode = status.st_mode
        copies.append(FileCopy(path.removeprefix(base), mode, content))
    return tuple(copies)


def unpack(copies: Copies, base: str = "") -> list[str]:
    """Writes files and folders below the base; returns the existing files that were replaced by another content."""
    replaced = []
    for copy in copies:
        path = Path(base + copy.path)
        if stat.S_ISDIR(copy.mode):
            path.mkdir(parents=True, exist_ok=True)
        elif stat.S_ISREG(copy.mode):
            if path.is_file() and path.read_bytes() != copy.content:
                replaced.append(str(path))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(copy.content)
            path.chmod(stat.S_IMODE(copy.mode) | stat.S_IWUSR)
    return replaced


def bundle_of(plan: WorkerPlan) -> Copies:
    """Code root and models, and the folders of outputs. InputError: they are too large."""
    named = (split_option(text)[1] for text in plan.arguments)
    folders = [path for path in named if os.path.isdir(path) and _is_moved(path, plan)]
    sent = (path for root in _sent(plan) for path in _below(root))
    what = f"the files of the code root '{plan.code_root}' (--parallelrun-code), PYTHONPATH and models have"
    return pack(dict.fromkeys([*written_to(plan), *folders, *sent]), BUNDLE_LIMIT, what)


def side_inputs(plan: WorkerPlan) -> list[str]:
    """Local paths in arguments and environment that are not sent to a node."""
    values = dict.fromkeys(split_option(text)[1] for text in [*plan.arguments, *plan.environment.values()])
    return [path for path in values if os.path.isabs(path) and os.path.exists(path) and not _is_moved(path, plan)]


def moved(plan: WorkerPlan) -> list[str]:
    """All that has another path on a node that does not see it here."""
    return [*written_to(plan), *_sent(plan)]


def written_to(plan: WorkerPlan) -> list[str]:
    return [str(path) for path in (plan.folder, plan.output_dir, plan.logs) if path is not None]


def _sent(plan: WorkerPlan) -> list[str]:
    return [str(plan.code_root), *plan.python_path, *map(str, plan.models.values())]


def _is_moved(path: str, plan: WorkerPlan) -> bool:
    return any(path == folder or path.startswith(folder + os.sep) for folder in moved(plan))


def _below(root: str) -> Iterator[str]:
    """The folder and everything in it, or the file. Links are followed, also to folders, but not in circles."""
    yield root
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
    """What a node that does not see the files of a job gets: each below the root, at its original path.

    plan: that of the job, with folders of this node, also in the environment and arguments.
    """

    def __init__(self, plan: WorkerPlan, bundle: Copies) -> None:
        self._base = str(new_job_folder("node-"))
        self._root = f"{self._base}/files"
        unpack(bundle, self._root)
        self.plan = self._moved(plan)
        if plan.environment.get(MODEL_DIR) == str(model_dir_of(plan.folder)):
            stage_models(self.plan.models, self.plan.folder)
        self._before = {path: signature(path) for path in self._written()}

    def _moved(self, plan: WorkerPlan) -> WorkerPlan:
        assert isinstance(plan.entry, EntryFile)

        def place(path: Path) -> Path:
            return Path(f"{self._root}{path}")

        def text(text: str) -> str:
            option, value = split_option(text)
            return f"{option}{self._root}{value}" if _is_moved(value, plan) else text

        environment = {name: text(value) for name, value in plan.environment.items()}
        if PYTHON_PATH in environment:
            environment[PYTHON_PATH] = os.pathsep.join(map(text, plan.python_path))
        return replace(
            plan,
            entry=EntryFile(place(plan.entry.path), place(plan.code_root)),
            arguments=tuple(map(text, plan.arguments)),
            environment=environment,
            folder=place(plan.folder),
            output_dir=plan.output_dir and place(plan.output_dir),
            models={name: place(model) for name, model in plan.models.items()},
            logs=plan.logs and place(plan.logs),
            started_in=place(plan.folder),
        )

    def unpack(self, mini_batch: int, copies: Copies) -> list[str]:
        """Writes the files of a mini-batch; their paths on this node."""
        base = f"{self._base}/inputs/{mini_batch}"
        unpack(copies, base)
        return [base + copy.path for copy in copies]

    def sweep(self, mini_batch: int) -> None:
        shutil.rmtree(f"{self._base}/inputs/{mini_batch}", ignore_errors=True)

    def _written(self) -> dict[str, None]:
        return dict.fromkeys(path for root in written_to(self.plan) for path in _below(root))

    def clear(self) -> Copies:
        """Removes everything; returns the files that workers wrote here. InputError: they are too large."""
        shutil.rmtree(self.plan.folder / STORES, ignore_errors=True)
        written = [path for path in self._written() if self._before.get(path) != signature(path)]
        try:
            return pack(written, PARCEL_LIMIT, "the files that workers wrote have", self._root)
        finally:
            remove_job_folder(self._base)
