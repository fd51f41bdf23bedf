"""The working folder of a job, and the folders for its output and logs that the user names."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.worker.file_watch import unwatched

_PREFIX = "parallelrun-"


def new_job_folder() -> Path:
    """An empty folder, which the caller removes."""
    # If watched, everything that a script writes in it would count as temporary.
    with unwatched():
        return Path(os.path.realpath(tempfile.mkdtemp(prefix=_PREFIX)))


def is_in_job_folder(path: str) -> bool:
    """Whether it is below the folder of a job."""
    return os.path.realpath(path).startswith(os.path.join(os.path.realpath(tempfile.gettempdir()), _PREFIX))


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


def is_device(path: str) -> bool:
    """Whether it is a device or a system file without content of its own."""
    # A normal folder in memory: TMPDIR may be there.
    return path.startswith(("/dev/", "/proc/", "/sys/")) and not path.startswith("/dev/shm/")
