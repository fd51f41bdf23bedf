"""Copies of the sample: no check may change the user's files, and a copy must be split like the original."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pytest_parallelrun.emulator.guarded_yaml import read_guarded
from pytest_parallelrun.emulator.splitting.input_paths import MLTABLE, InputLocation, is_mltable, locate
from pytest_parallelrun.emulator.splitting.mltable import files_of
from pytest_parallelrun.emulator.splitting.model import ItemName

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.settings import JobSettings


SMALL = 64 * 1024
"""Bytes of a file that is copied in one step."""
_BINARY = getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class SampleCopy:
    """A copy to run on: `input` has the form of the original, `root` ends with a separator.

    root: the common folder of the given paths, left out in names of items. original_root: the same of the original;
    None if it has none in common. A table is its own copy: run() gets rows, never a path to change.
    """

    input: str | list[str]
    root: str
    original_root: str | None

    @property
    def is_copy(self) -> bool:
        return self.root != self.original_root

    def item_name(self, name: ItemName) -> ItemName:
        """The name of an item by the user's file, not by its copy."""
        return ItemName(name.file.removeprefix(self.root), name.row)

    def without_root(self, text: str) -> str:
        """A text about items, with rows named by the user's file, not by its copy."""
        return text.replace(f" of {self.root}", " of ")

    def relative(self, text: str) -> str:
        """Any text, such as an error of the script, without the temporary folder of the copy."""
        return text.replace(self.root, "") if self.is_copy and len(self.root) > 1 else text

    def with_files(self, originals: Sequence[str]) -> list[str]:
        """The paths of some files of the sample in the copy; those that are not there are copied."""
        assert self.original_root is not None
        paths = [self.root + path.removeprefix(self.original_root) for path in originals]
        for original, path in zip(originals, paths, strict=True):
            copy_file(original, path)
        return paths


def table_itself(sample: str | tuple[str, ...]) -> SampleCopy:
    """A table in place of its copy."""
    paths = [sample] if isinstance(sample, str) else list(sample)
    root = _common([locate(path, os.getcwd(), must_exist=True).root for path in paths]) or ""
    return SampleCopy(sample if isinstance(sample, str) else paths, root, root)


def copy_of(
    sample: str | tuple[str, ...], folder: Path, settings: JobSettings, *, with_files: bool = True
) -> SampleCopy:
    """A copy of all files of the sample below `folder`, with the same relative paths.

    settings: those of the split. with_files off: the files are copied by and by, with the method of that name.
    The common part of the paths decides how files are grouped and named. InputError as from `locate()`.
    """
    paths = [sample] if isinstance(sample, str) else list(sample)
    locations = [locate(path, os.getcwd(), must_exist=True) for path in paths]
    tables = [location for location in locations if is_mltable(location, settings)]
    if tables:
        copied = [
            _copy_of_mltable(location, below) if location in tables else _plain_copy(location, below)
            for location, below in ((location, folder / str(number)) for number, location in enumerate(locations))
        ]
        root = os.path.join(copied[0] if len(copied) == 1 else os.fspath(folder), "")
        return SampleCopy(copied[0] if isinstance(sample, str) else copied, root, None)
    targets = [os.path.join(folder, relative, "") for relative in _relative_roots(locations)]
    original_root = _common([location.root for location in locations])
    for location, target in zip(locations, targets, strict=True):
        os.makedirs(target, exist_ok=True)
        for name in location.names if with_files or original_root is None else ():
            copy_file(location.root + name, target + name)
    copies = [_as_given(location, target) for location, target in zip(locations, targets, strict=True)]
    return SampleCopy(copies[0] if isinstance(sample, str) else copies, _common(targets) or "", original_root)


def _common(folders: Sequence[str]) -> str | None:
    """The folder that all have in common, with its closing separator."""
    try:
        return os.path.join(os.path.commonpath(folders), "")
    except ValueError:
        # Drives of Windows have nothing in common.
        return None


def _plain_copy(location: InputLocation, folder: Path) -> str:
    target = os.path.join(folder, "")
    for name in location.names:
        copy_file(location.root + name, target + name)
    return _as_given(location, target)


def copy_file(source: str, target: str) -> None:
    """Copies a file; what cannot be read, such as a dangling link, becomes what cannot be read either.

    Without permission that is a file of its own, of the same size and time, since a link would let a script change the
    permissions of the user's.
    """
    if os.path.lexists(target):
        return
    try:
        try:
            _copy(source, target)
        except FileNotFoundError:
            # Only then: for most of 100,000 files their folder exists.
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _copy(source, target)
    except OSError as error:
        # (What could be copied, but for its times and attributes, is a copy.)
        if isinstance(error, PermissionError) and not os.path.lexists(target):
            like = os.stat(source)
            with open(target, "xb") as stream:
                stream.truncate(like.st_size)
            os.utime(target, ns=(like.st_atime_ns, like.st_mtime_ns))
            os.chmod(target, 0)
        elif not os.path.lexists(target):
            os.symlink(source, target)


def _copy(source: str, target: str) -> None:
    """As shutil.copy2(), which takes five times as long for a small file; a sample may have 100,000."""
    file = os.open(source, os.O_RDONLY | _BINARY)
    try:
        status = os.fstat(file)
        content = os.read(file, SMALL)
    finally:
        os.close(file)
    if not stat.S_ISREG(status.st_mode) or status.st_size != len(content):
        shutil.copy2(source, target)
        return
    file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY)
    try:
        os.write(file, content)
    finally:
        os.close(file)
    os.chmod(target, stat.S_IMODE(status.st_mode))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _relative_roots(locations: list[InputLocation]) -> list[str]:
    """Each root below the folder that their parents have in common."""
    roots = [os.path.normpath(location.root) for location in locations]
    try:
        common = os.path.commonpath([os.path.dirname(root) for root in roots])
    except ValueError:
        # Drives of Windows have nothing in common.
        return [str(number) for number in range(len(roots))]
    return [os.path.relpath(root, common) for root in roots]


def _as_given(location: InputLocation, target: str) -> str:
    if location.form == "folder":
        return os.path.normpath(target)
    if location.form == "file":
        return target + location.names[0]
    # A glob stays a pattern, since a folder would be another kind of input.
    pattern = os.path.abspath(os.path.expanduser(location.input_path))
    return target + os.path.relpath(pattern, location.root)


def _copy_of_mltable(location: InputLocation, folder: Path) -> str:
    """The folder to use instead of the original: a copy, or itself if it makes a table.

    For a table run() gets rows, never a path to change.
    """
    files = files_of(os.path.normpath(location.root), location.input_path)
    if files is None:
        return os.path.normpath(location.root)
    import yaml

    root, names = files
    # With the last folder: its name may contain a partition key.
    target = os.path.join(folder, os.path.basename(os.path.dirname(root)), "")
    for name in names:
        copy_file(root + name, target + name)
    # Its reader has taken it, so it is a mapping.
    content = cast("dict[str, object]", read_guarded(Path(location.root, MLTABLE), f"'{location.root + MLTABLE}'"))
    content["paths"] = [{"file": "./" + Path(name).as_posix()} for name in names]
    with open(target + MLTABLE, "w", encoding="utf-8") as stream:
        yaml.safe_dump(content, stream, allow_unicode=True, sort_keys=False)
    return os.path.normpath(target)
