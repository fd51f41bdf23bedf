"""The working folder of a job, and the folders for its output and logs that the user names."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from atexit import register as call_at_exit
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pytest_parallelrun.emulator.entry import StrPath
from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.worker.file_watch import unwatched

_PREFIX = "parallelrun-"
_LOCK = "lock"


def new_job_folder(prefix: str = "job-") -> Path:
    """An empty folder, to be removed with `remove_job_folder`. All those of a process lie in one that is locked."""
    # Watched, all that a script writes in it would be taken for scratch.
    with unwatched():
        return Path(tempfile.mkdtemp(prefix=prefix, dir=_process_folder()))


def remove_job_folder(folder: StrPath) -> None:
    """Removes what `new_job_folder` made; with the last one goes what they lie in."""
    parent = Path(folder).parent
    if (os.getpid(), parent) in _locked:
        # (A forked child that ends has not made it.)
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            if os.listdir(parent) == [_LOCK]:
                _remove(parent)


_locked: dict[tuple[int, Path], int] = {}
"""The folders of this process, and the descriptor of the lock of each. A child that was forked has its own."""
_looked_for_abandoned: set[str] = set()


def _process_folder() -> Path:
    temporary = Path(os.path.realpath(tempfile.gettempdir()))
    for pid, folder in _locked:
        if pid == os.getpid() and folder.parent == temporary and folder.is_dir():
            return folder
    if str(temporary) not in _looked_for_abandoned:
        _looked_for_abandoned.add(str(temporary))
        remove_abandoned(temporary)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=temporary))
    _locked[os.getpid(), folder] = _lock(folder)
    return folder


@call_at_exit
def _remove_all() -> None:
    for pid, folder in list(_locked):
        if pid == os.getpid():
            _remove(folder)


def _remove(folder: Path) -> None:
    lock = _locked.pop((os.getpid(), folder), None)
    if lock is not None:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            os.close(lock)


def _lock(folder: Path) -> int:
    """Locks a new folder for as long as this process lives: a number would tell nothing to another container."""
    number = os.open(folder / "unlocked", os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    _try_lock(number)
    # Nobody sees it before it is locked.
    os.rename(folder / "unlocked", folder / _LOCK)
    return number


def _try_lock(number: int) -> bool:
    try:
        # Not there on Windows, where folders of killed processes stay.
        import fcntl

        # Not flock(), whose locks a forked child of a killed process would keep.
        fcntl.lockf(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def remove_abandoned(temporary: Path) -> None:
    """Removes what killed processes left among the temporary files: folders whose lock nobody holds."""
    own = {folder for _, folder in _locked}
    if not hasattr(os, "getuid"):
        # Windows, where nothing is locked either.
        return
    for folder in temporary.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if folder in own or folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            number = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if _try_lock(number):
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(number)


def is_in_job_folder(path: str) -> bool:
    """Whether it is below the folder of a job."""
    return os.path.realpath(path).startswith(os.path.join(os.path.realpath(tempfile.gettempdir()), _PREFIX))


def without_job_folder(text: str) -> str:
    """The text without what is different in the paths of another job."""
    return re.sub(rf"{re.escape(os.sep + _PREFIX)}\w+{re.escape(os.sep)}[a-z]+-\w+", f"{os.sep}{_PREFIX}job", text)


def sizes_of_files(folder: Path) -> dict[str, int]:
    """The content of each file below a folder, by relative path."""
    sizes = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            with suppress(OSError):
                sizes[os.path.relpath(path, folder)] = os.stat(path).st_size
    return sizes


def check_folder(folder: Path, named: str) -> None:
    """InputError if no file can be created in the folder, which need not exist and is not created.

    named: start of the message, such as "--parallelrun-logs=logs:".
    """
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        make_folder(folder, named)
    finally:
        for path in missing:
            with suppress(OSError):
                path.rmdir()


def make_folder(folder: Path, named: str) -> Path:
    """The folder, created if it does not exist. InputError if no file can be created in it."""
    existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not existing.is_dir():
        where = "is a file" if existing == folder else f"is below '{existing}', which is a file"
        raise InputError(f"{named} {where}: give a folder.")
    if not os.access(existing, os.W_OK | os.X_OK):
        where = "" if existing == folder else f" is below '{existing}', which"
        raise InputError(f"{named}{where} cannot be written to: give a folder that you may write to.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{named} cannot be made: {error.strerror}: give a folder that you may write to.") from error
    return folder


def usable_output(folder: Path) -> Path:
    """The folder for the output. InputError if it contains files of another job."""
    make_folder(folder, f"output '{folder}'")
    before = next(folder.glob("process[0-9]*"), None)
    if before is not None:
        raise InputError(f"output '{before}' exists already and is never overwritten: use an empty folder.")
    return folder


def keep_files(work: Path, output: Path) -> Iterator[str]:
    """Moves files from the workers' folders to the user's; yields what went wrong."""
    for folder in sorted(work.glob("process*")):
        try:
            if any(folder.iterdir()):
                # Moving between disks copies the file.
                with unwatched():
                    shutil.move(folder, output / folder.name)
        except OSError as error:
            yield f"what {folder.name} wrote into its own folder could not be kept in '{output}': {error}"
