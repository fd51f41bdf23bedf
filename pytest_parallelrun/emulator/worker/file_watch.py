"""Which files a script opens: reads show its dependencies, writes are what a retry repeats.

An audit hook sees every file opened through Python, but none that native code opens. It can never be removed from a
process, so there is only one, which does nothing while nobody watches.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC


class FilesTouched:
    """Absolute paths, in order of their first use.

    read: opened, or an attempt was made. written: opened for writing, created by a link or a move; of these, appended:
    opened to append, and made: created or emptied before anything else. removed: deleted or moved away. logged: the
    files of logging handlers and of MLflow runs, which are in no other list. scratch: made by `tempfile`, in no other
    list either.
    """

    def __init__(self, written: Iterable[str] = ()) -> None:
        self.read: dict[str, None] = {}
        self.written = dict.fromkeys(written)
        self.appended: dict[str, None] = {}
        self.made: dict[str, None] = {}
        self.removed: dict[str, None] = {}
        self.logged: dict[str, None] = {}
        self.scratch: dict[str, None] = {}

    def add(self, event: str, arguments: tuple[object, ...]) -> None:
        """Records an audit event of the interpreter (see "Audit events table" in the documentation of Python)."""
        if event == "open":
            self._opened(_path(arguments[0]), arguments[2])
        elif event in ("tempfile.mkstemp", "tempfile.mkdtemp"):
            self._note(self.scratch, _path(arguments[0]))
        elif any(isinstance(argument, int) and argument >= 0 for argument in arguments[1:]):
            # Relative to an open folder, as in shutil.rmtree(), which has its own event.
            return
        elif event == "os.rename":
            self._note(self.removed, _path(arguments[0]))
            self._wrote(_path(arguments[1]))
        elif event in ("os.link", "os.symlink"):
            self._wrote(_path(arguments[1]))
        elif event == "sqlite3.connect":
            self._wrote(_path(arguments[0]))
        else:
            # os.remove, os.rmdir, shutil.rmtree
            self._note(self.removed, _path(arguments[0]))

    def as_lists(self) -> list[list[str]]:
        """The paths of each kind, as sent by a worker process."""
        return [list(paths) for paths in self._kinds()]

    def add_lists(self, lists: list[list[str]]) -> None:
        for kind, paths in zip(self._kinds(), lists, strict=True):
            kind.update(dict.fromkeys(paths))

    def _kinds(self) -> tuple[dict[str, None], ...]:
        return self.read, self.written, self.appended, self.made, self.removed, self.logged, self.scratch

    def _opened(self, path: str | None, flags: object) -> None:
        if path is None or path == os.devnull:
            return
        mode = flags if isinstance(flags, int) else 0
        if not mode & _WRITING:
            self._note(self.read, path)
        elif self._wrote(path, made=bool(mode & os.O_TRUNC) or not os.path.lexists(path)) and mode & os.O_APPEND:
            self._note(self.appended, path)

    def _wrote(self, path: str | None, *, made: bool = False) -> bool:
        """Records a written file; returns whether it is the script's own."""
        by_logger = _by_logger()
        if made and not by_logger and path not in self.read and path not in self.written:
            self._note(self.made, path)
        self._note(self.logged if by_logger else self.written, path)
        return not by_logger

    def _note(self, kind: dict[str, None], path: str | None) -> None:
        if path is not None and not any(path == made or path.startswith(made + os.sep) for made in self.scratch):
            kind[path] = None


_WATCHERS: list[FilesTouched] = []
_EVENTS = frozenset(
    {
        "open",
        "os.link",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.symlink",
        "shutil.rmtree",
        "sqlite3.connect",
        "tempfile.mkdtemp",
        "tempfile.mkstemp",
    }
)
_LOGGERS = ("logging.", "mlflow.store.", "mlflow.tracking.")
_hooked = False


@contextmanager
def files_watched(touched: FilesTouched) -> Iterator[None]:
    """Adds to `touched` what is opened inside the context, by any thread of this process."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked = True
    _WATCHERS.append(touched)
    try:
        yield
    finally:
        _WATCHERS.remove(touched)


@contextmanager
def unwatched() -> Iterator[None]:
    """Files opened inside are the emulator's, not the script's."""
    watchers = list(_WATCHERS)
    _WATCHERS.clear()
    try:
        yield
    finally:
        _WATCHERS[:] = watchers


def is_watching() -> bool:
    """Whether anybody watches, and needs the files that worker processes open."""
    return bool(_WATCHERS)


def record_files_of_worker(lists: list[list[str]] | None) -> None:
    """Passes the files opened in a worker process (see `as_lists`), if it was watched, to all who watch."""
    if lists is not None:
        for touched in _WATCHERS:
            touched.add_lists(lists)


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if not _WATCHERS or event not in _EVENTS:
        return
    watchers = list(_WATCHERS)
    # An exception here would appear in the open() of the script.
    with suppress(Exception):
        for touched in watchers:
            touched.add(event, arguments)


def _path(path: object) -> str | None:
    """The absolute path; None for a file descriptor, and for anything without a path."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        return None
    text = os.fsdecode(path)
    return None if text in ("", ":memory:") else os.path.abspath(text)


def _by_logger() -> bool:
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if f"{frame.f_globals.get('__name__', '')}.".startswith(_LOGGERS):
            return True
        frame = frame.f_back
    return False
