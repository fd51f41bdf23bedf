"""Packages of a requirements file of pip, and of the pip section of a conda file.

Source: "Requirements File Format" of pip's documentation.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from pytest_parallelrun.emulator.job_environment import ListedPackage
from pytest_parallelrun.job_files.inputs import local_path
from pytest_parallelrun.job_files.tree import Problems, SourceLocation
from pytest_parallelrun.job_files.yaml_reader import read_text

FILE_OPTIONS = {"-r": "-r", "--requirement": "-r", "-c": "-c", "--constraint": "-c", "-e": "-e", "--editable": "-e"}
OTHER_OPTIONS = (
    *("-i", "-f", "--index-url", "--pypi-url", "--extra-index-url", "--no-index", "--find-links", "--no-binary"),
    *("--only-binary", "--prefer-binary", "--require-hashes", "--pre", "--trusted-host", "--use-feature"),
    *("--config-settings", "--global-option", "--hash", "--no-deps", "--all-releases", "--only-final"),
)
"""Options that say nothing about packages, only about their source."""
_OPTION = re.compile(r"(--[a-z-]+|-[a-z])\s*=?\s*(.*)", re.DOTALL)
_COMMENT = re.compile(r"(^|\s)#.*$")
_OF_REQUIREMENT = re.compile(r"\s--[a-z].*$", re.DOTALL)
_URL = re.compile(r"[a-z+]+://|git@|file:", re.IGNORECASE)
_CREDENTIALS = re.compile(r"//[^/@]+@")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9][\w.-]*)")
_SINGLE_EQUALS = re.compile(r"[\w.\]-]\s*=\s*\d")


@dataclass
class Listing:
    """What was read so far: the fields of a JobEnvironment. constraints: versions of listed packages."""

    problems: Problems = field(default_factory=Problems)
    packages: list[ListedPackage] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    constraints: list[Requirement] = field(default_factory=list)
    python: ListedPackage | None = None
    conda: bool = False
    _files: set[Path] = field(default_factory=set)

    def add(self, text: str, location: SourceLocation) -> None:
        """Reads one line of a requirements file."""
        line = _COMMENT.sub("", text).strip()
        option = _OPTION.fullmatch(line)
        if option is not None:
            self._add_option(option[1], option[2].strip().strip("\"'"), location)
        elif line:
            self._add_requirement(_OF_REQUIREMENT.sub("", line), location)

    def add_file(self, path: Path) -> None:
        """Reads a requirements file. A file that is named again, even by itself, is read once."""
        if path in self._files:
            return
        self._files.add(path)
        for line, location in self._lines(path):
            self.add(line, location)

    def finished(self) -> tuple[ListedPackage, ...]:
        """The packages, with the constraints on their versions."""
        for constraint in self.constraints:
            for listed in self.packages:
                if canonicalize_name(listed.requirement.name) == canonicalize_name(constraint.name):
                    listed.requirement.specifier &= constraint.specifier
        return tuple(self.packages)

    def _lines(self, path: Path) -> Iterator[tuple[str, SourceLocation]]:
        yield from _joined((read_text(path, self.problems) or "").splitlines(), path)

    def _add_option(self, name: str, value: str, location: SourceLocation) -> None:
        meaning = FILE_OPTIONS.get(name)
        if meaning is None:
            if name not in OTHER_OPTIONS:
                self.problems.add(location, f"{name} is no option of a requirements file")
            return
        if not value:
            self.problems.add(location, f"{name} needs a path")
        elif meaning == "-e" or _URL.match(value):
            self._add_direct(value, location)
        else:
            path = Path(local_path(value, location))
            if not path.is_file():
                self.problems.add(location, f"{name} {value}: there is no file '{path}'")
            elif meaning == "-r":
                self.add_file(path)
            else:
                lines = (_COMMENT.sub("", line).strip() for line, _ in self._lines(path))
                self.constraints += [Requirement(line) for line in lines if _is_requirement(line)]

    def _add_requirement(self, text: str, location: SourceLocation) -> None:
        if _is_requirement(text):
            self.packages.append(ListedPackage(Requirement(text), location.origin))
        elif _URL.match(text) or text.startswith((".", "/", "~")) or text.endswith((".whl", ".gz", ".zip")):
            self._add_direct(text, location)
        else:
            hint = ": pip wants two signs, ==" if _SINGLE_EQUALS.search(text) else ""
            self.problems.add(
                location, f"{text!r} is no requirement that pip can read{hint}. Write NAME or NAME==1.2.3"
            )

    def _add_direct(self, text: str, location: SourceLocation) -> None:
        """A project or file by its path or URL: a package if that contains a name."""
        egg = _EGG.search(text)
        name = egg[1] if egg else _wheel_name(text)
        if name is None:
            self.unread.append(f"{_CREDENTIALS.sub('//', text)} ({location.origin})")
        else:
            self.packages.append(ListedPackage(Requirement(name), location.origin))


def _joined(lines: Iterable[str], path: Path) -> Iterator[tuple[str, SourceLocation]]:
    """The lines of a file; one that ends in a backslash is joined with the next one."""
    start, text = 0, ""
    for number, line in enumerate(lines, 1):
        start = start or number
        if line.endswith("\\"):
            text += line[:-1]
            continue
        yield text + line, SourceLocation(path, start)
        start, text = 0, ""
    if text:
        yield text, SourceLocation(path, start)


def _is_requirement(text: str) -> bool:
    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return True


def _wheel_name(text: str) -> str | None:
    try:
        return str(parse_wheel_filename(os.path.basename(text.partition("#")[0]))[0])
    except InvalidWheelFilename:
        return None
