"""Files that a script wrote, as a user sees them: names and contents, in the same words for every run.

Files that say nothing about results are ignored: those of logging and `tempfile`, and bytecode.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.contract.bounds import MAX_WRITTEN_BYTES
from pytest_parallelrun.contract.rows.comparison import difference, nondeterministic_values
from pytest_parallelrun.emulator.splitting.model import count_text
from pytest_parallelrun.emulator.worker.file_watch import FilesTouched
from pytest_parallelrun.emulator.worker.process_resources import flush_files, is_device

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.probe import ProbeSession


_OUTPUT = "the output folder"
_TEMPORARY = "the temporary folder of the machine"
WORKING_FOLDER = "the working folder"

_SQLITE = b"SQLite format 3\0"
_BESIDE_A_DATABASE = ("-journal", "-wal", "-shm")
_LOG = re.compile(r"(^|[^a-z])logs?([^a-z]|$)", re.IGNORECASE)
_RANDOM = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32}|\d{32,39}|(?=\D*\d)(?=[^a-z]*[a-z])"
    r"[0-9a-f]{8,}|\d{8})(?![0-9A-Za-z])",
    re.IGNORECASE,
)
OF_NO_VALUE = re.compile(
    r"\..*|.*cache.*|.*\.(pyc|tmp|temp|lock|pid|part)|te?mp|tmp\w{8}.*"
    r"|mlruns|mlartifacts|mlflow\.db.*|wandb|catboost_info|lightning_logs",
    re.IGNORECASE,
)
"""Files and folders that nobody needs after the job: caches, scratch files, leftovers of packages."""
_REPORT_OF_FAILURE = re.compile(r"error|exception|fail|traceback|reject|quarantine|dead.?letter", re.IGNORECASE)


class WrittenFile(NamedTuple):
    """Where a file is: `folder` as text, or "" for an absolute path in `name`."""

    folder: str
    name: str

    def __str__(self) -> str:
        return f"'{self.name}' in {self.folder}" if self.folder else f"'{self.name}'"

    @property
    def is_log(self) -> bool:
        """Whether its name says that it is a log, in which a retry may appear."""
        return any(_LOG.search(part) for part in Path(self.name).parts[-2:])

    @property
    def is_needed(self) -> bool:
        """Whether its name says neither that it is a log, nor that nobody needs it after the job."""
        return not (self.is_log or any(OF_NO_VALUE.fullmatch(part) for part in Path(self.name).parts))

    @property
    def reports_failures(self) -> bool:
        """Whether its name says that it reports failures."""
        return bool(_REPORT_OF_FAILURE.search(os.path.basename(self.name)))

    @property
    def without_random_parts(self) -> WrittenFile | None:
        """The same with a * for each id that was made at random; None where there is none."""
        name = _RANDOM.sub("*", self.name)
        return None if name == self.name else WrittenFile(self.folder, name)

    @property
    def names_its_process(self) -> bool:
        """Whether its name contains the process id; emulated workers share one, those of the service do not."""
        return re.search(rf"(?<!\d){os.getpid()}(?!\d)", self.name) is not None


class Content(NamedTuple):
    """The content of a file: its lines if it is text, and always something that identifies the content."""

    digest: str
    lines: tuple[str, ...] | None


Snapshot = dict[WrittenFile, Content]


class WrittenFiles:
    """Looks at files that the workers of a session have written.

    folders: those that replace the user's own, by fresh path (see Redirected). input: the folder of the sample.
    """

    def __init__(self, session: ProbeSession, folders: Mapping[str, str], input: str) -> None:
        self._session = session
        self._root = str(session.output.parent)
        temporary = os.path.join(self._root, "tmp0")
        self._shared = (os.path.join(session.output, ""), os.path.join(temporary, ""))
        self._labels = {
            str(session.output): _OUTPUT,
            temporary: _TEMPORARY,
            os.path.normpath(input): "the folder of the input",
        }
        for path, label in folders.items():
            # It may be a single file.
            self._labels[path] = f"the folder of {label}"
        self._walked = [str(session.output), *folders]
        self._elsewhere: dict[str, None] = {}
        self._skipped: set[str] = set()

    def saw(self, touched: FilesTouched, worker: int = 0) -> None:
        """Records what was opened, in an attempt or by init(), after flushing buffers."""
        self._skipped.update(touched.logged, touched.scratch)
        self._elsewhere.update(touched.written)
        if self._elsewhere and self._session.is_up(worker):
            self._session.call_in_worker(flush_files, list(self._elsewhere), worker=worker)

    def snapshot(self, worker: int | None = 0) -> Snapshot:
        """All current files; of the folders of workers only that of `worker`, None for none."""
        working = [] if worker is None else [os.path.join(self._root, f"process{worker:03d}")]
        snapshot: Snapshot = {}
        for path in (*_walk([*self._walked, *working]), *self._elsewhere):
            if self._counts(path, worker):
                content = content_of(path)
                if content is not None:
                    snapshot[self._file_at(path)] = content
        return snapshot

    def listed(self) -> dict[str, tuple[int, int]]:
        """Paths below the folders that workers share, with size and time."""
        states = {}
        for path in _walk(self._walked):
            with suppress(OSError):
                stat = os.stat(path)
                states[path] = stat.st_size, stat.st_mtime_ns
        return states

    def shared(self, paths: Iterable[str], worker: int | None = None) -> dict[WrittenFile, str]:
        """Paths that are not in a worker's own folder, or in that of `worker`."""
        return {self._file_at(path): path for path in paths if self._counts(path, worker)}

    def _file_at(self, path: str) -> WrittenFile:
        """The location, in words that are the same for every session."""
        relative = self._session.folder_of(path)
        if relative is not None:
            return WrittenFile(WORKING_FOLDER, relative)
        for folder, label in self._labels.items():
            if path == folder:
                return WrittenFile(label, os.path.basename(path))
            if path.startswith(os.path.join(folder, "")):
                return WrittenFile(label, os.path.relpath(path, folder))
        return WrittenFile("", path)

    def _counts(self, path: str, worker: int | None) -> bool:
        if path.endswith((".pyc", *_BESIDE_A_DATABASE)) or "__pycache__" in path:
            return False
        if any(path == skipped or path.startswith(os.path.join(skipped, "")) for skipped in self._skipped):
            return False
        if path.startswith(os.path.join(self._root, "")) and not path.startswith(self._shared):
            number = os.path.relpath(path, self._root).partition(os.sep)[0]
            return worker is not None and number == f"process{worker:03d}"
        return not (is_device(path) or path.startswith(os.path.expanduser(os.path.join("~", "."))))


def _walk(folders: Iterable[str]) -> Iterator[str]:
    for folder in folders:
        if os.path.isfile(folder):
            yield folder
        for parent, _, names in os.walk(folder):
            yield from (os.path.join(parent, name) for name in names)


def content_of(path: str) -> Content | None:
    """The current content of a file; None if it is unreadable."""
    try:
        if not os.path.isfile(path):
            return None
        if os.path.getsize(path) > MAX_WRITTEN_BYTES:
            with open(path, "rb") as stream:
                return Content(_digest_of(stream), None)
        data = Path(path).read_bytes()
    except OSError:
        return None
    lines = _rows_of_database(path) if data.startswith(_SQLITE) else _lines(data)
    # A database counts its changes, so its bytes may differ where its rows do not.
    counted = "\n".join(lines).encode("utf-8", "surrogatepass") if data.startswith(_SQLITE) and lines else data
    return Content(hashlib.sha256(counted).hexdigest(), lines)


def _digest_of(stream: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for block in stream:
        digest.update(block)
    return digest.hexdigest()


def _lines(data: bytes) -> tuple[str, ...] | None:
    if b"\0" in data:
        return None
    try:
        return tuple(data.decode("utf-8-sig").splitlines())
    except UnicodeDecodeError:
        return None


def _rows_of_database(path: str) -> tuple[str, ...] | None:
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{Path(path).as_uri()}?mode=ro", uri=True)) as connection:
        return tuple(connection.iterdump())
    return None


def is_database(content: Content) -> bool:
    """Whether it was read as the statements that create a database."""
    return content.lines is not None and content.lines[:1] == ("BEGIN TRANSACTION;",)


def changed(before: Content, after: Content, alike: tuple[Content, Content] | None) -> str | None:
    """How a file changed, as text; None if it did not, as far as is known.

    alike: the file after two runs that should be the same. Differences between those do not count.
    """
    if before.digest == after.digest:
        return None
    if before.lines is None or after.lines is None:
        # Archives and pictures may contain their creation time.
        return None if alike is not None and alike[0].digest != alike[1].digest else "its content is another one"
    ignoring = None
    if alike is not None and alike[0].lines is not None and alike[1].lines is not None:
        ignoring = nondeterministic_values(alike[0].lines, alike[1].lines)
        if ignoring is not None and ignoring.all_rows:
            return None
    lines = difference(before.lines, after.lines, ignoring=() if ignoring is None else ignoring.keys)
    if lines is None:
        return None
    if is_database(before) and is_database(after):
        counts = [sum(line.startswith("INSERT INTO") for line in content.lines or ()) for content in (before, after)]
        if counts[0] != counts[1]:
            return f"it has {count_text(counts[1], 'row')} instead of {counts[0]}"
        return f"its statement {lines[1]} was {lines[0]}"
    if len(after.lines) != len(before.lines):
        return f"it has {len(after.lines)} lines instead of {len(before.lines)}"
    return f"it has {lines[1]} where it had {lines[0]}"


class FileDifference(NamedTuple):
    """The files of `delivery` that differ from those of one delivery."""

    delivery: str
    file: WrittenFile
    description: str


def file_differences(delivery: str, before: Snapshot, after: Snapshot) -> Iterator[FileDifference]:
    for file in sorted(after.keys() - before.keys()):
        yield FileDifference(delivery, file, "is a file that one delivery does not leave")
    for file in sorted(before.keys() - after.keys()):
        yield FileDifference(delivery, file, "is gone, which one delivery leaves")
    for file in sorted(before.keys() & after.keys()):
        change = changed(before[file], after[file], None)
        if change is not None:
            yield FileDifference(delivery, file, f"is not what it is after one delivery: {change}")
