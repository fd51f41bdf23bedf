"""Where a script writes, and how checks keep its output out of the user's folders.

A run of the sample shows it: folders in the program arguments and environment variables are then replaced by fresh
ones, and files elsewhere outside the job are restored.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pytest_parallelrun.contract.bounds import MAX_OUTPUT_BYTES
from pytest_parallelrun.contract.entry.sample_copy import copy_file
from pytest_parallelrun.emulator.arguments import split_option
from pytest_parallelrun.emulator.folders import is_in_job_folder
from pytest_parallelrun.emulator.worker.file_watch import FilesTouched, files_watched


class Redirected(NamedTuple):
    """Program arguments and environment variables with fresh folders instead of those that the script writes to.

    folders: label, such as "--out", by fresh path.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    folders: Mapping[str, str]


@dataclass
class Outputs:
    """What jobs of an entry wrote outside their own folders.

    written, read: paths. temporary: those below a temporary folder, which is empty where the service starts a job.
    folders: those in arguments and variables that changed; True if they existed before. writes: whether the script
    wrote anything, also in the folders of the job.
    """

    written: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)
    temporary: set[str] = field(default_factory=set)
    folders: dict[str, bool] = field(default_factory=dict)
    writes: bool = False
    _noted: set[str] = field(default_factory=set)

    @contextmanager
    def watched(
        self, paths: Mapping[str, str], *, ignoring: tuple[Path | None, ...] = (), code: Path | None = None
    ) -> Iterator[None]:
        """Watches a job. paths: in its arguments and variables. ignoring: its own folders. code: its code root."""
        before = {path: _state(path) for path in paths.values()}
        touched = FilesTouched()
        with files_watched(touched):
            yield
        of_the_job = tuple(os.path.join(folder, "") for folder in ignoring if folder is not None)
        self.read.update(touched.read)
        self.writes = self.writes or bool(touched.written or touched.logged)
        outside = {
            path
            for path in (*touched.written, *touched.logged)
            if not path.startswith(of_the_job) and not is_in_job_folder(path)
        }
        self.written.update(outside)
        folders = tuple(os.path.join(folder, "") for folder in {tempfile.gettempdir(), "/tmp", "/var/tmp"})
        self.temporary.update(
            path
            for path in outside & touched.made.keys()
            if path.startswith(folders) and not (code and _is_at(path, str(code)))
        )
        for path, state in before.items():
            if _state(path) != state or any(_is_at(name, path) for name in outside):
                self.folders.setdefault(path, state is not None)

    def redirected(self, arguments: tuple[str, ...], environment: Mapping[str, str], folder: Path) -> Redirected:
        """The arguments and variables to run with. folder: an empty one, for the fresh ones."""
        fresh: dict[str, str] = {}
        labels: dict[str, str] = {}
        for label, path in paths_in(arguments, environment).items():
            if path in self.folders and path not in fresh:
                fresh[path] = str(folder / str(len(fresh)) / os.path.basename(path))
                labels[fresh[path]] = label
                self._prepare(path, fresh[path])
        return Redirected(
            tuple(_replaced(argument, fresh) for argument in arguments),
            {name: _replaced(value, fresh) for name, value in environment.items()},
            labels,
        )

    def _prepare(self, path: str, fresh: str) -> None:
        """Creates the folder if it existed before, with the files that the script only reads."""
        os.makedirs(os.path.dirname(fresh))
        if os.path.isdir(path) and self.folders[path]:
            os.mkdir(fresh)
        below = os.path.join(path, "")
        for name in self.read - self.written:
            if name.startswith(below) and os.path.isfile(name):
                target = os.path.join(fresh, name[len(below) :])
                copy_file(name, target)

    def note(self, touched: FilesTouched) -> None:
        """Records what was written inside `kept()`, so that new files next to the known ones are removed again."""
        self._noted.update(touched.written)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Restores files outside the job that the script is known to write; temporary ones are away meanwhile."""
        known = [path for path in self.written if not any(_is_at(path, folder) for folder in self.folders)]
        before = {path: _content(path) for path in known}
        listed = {folder: _names(folder) for folder in {os.path.dirname(path) for path in known}}
        for path, content in before.items():
            if path in self.temporary and isinstance(content, bytes):
                _put_back(path, None)
        try:
            yield
        finally:
            for path, content in before.items():
                _put_back(path, content)
            for path in self._noted - before.keys():
                folder, name = os.path.split(path)
                if name not in listed.get(folder, {name}):
                    with suppress(OSError):
                        os.remove(path)


def paths_in(arguments: tuple[str, ...], environment: Mapping[str, str]) -> dict[str, str]:
    """Absolute paths in program arguments and variables, by their label ("--out", "$OUT")."""
    paths = {}
    for before, argument in zip(("", *arguments), arguments, strict=False):
        option, value = split_option(argument)
        if os.path.isabs(value):
            label = option.rstrip("=") or (before if before.startswith("-") else argument)
            paths[label] = os.path.normpath(value)
    paths.update({f"${name}": os.path.normpath(value) for name, value in environment.items() if os.path.isabs(value)})
    return paths


def _replaced(text: str, fresh: Mapping[str, str]) -> str:
    option, value = split_option(text)
    return option + fresh.get(os.path.normpath(value), value) if os.path.isabs(value) else text


def _is_at(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))


def _state(path: str) -> tuple[int, int] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _names(folder: str) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def _content(path: str) -> bytes | Path | None:
    """The content; None if there is no file, the path itself if it is too large to keep."""
    try:
        if os.path.getsize(path) > MAX_OUTPUT_BYTES:
            return Path(path)
        return Path(path).read_bytes()
    except OSError:
        return None


def _put_back(path: str, content: bytes | Path | None) -> None:
    if isinstance(content, Path) or _content(path) == content:
        return
    with suppress(OSError):
        if content is None:
            os.remove(path)
        else:
            Path(path).write_bytes(content)
