"""The environment of a job: the packages that its conda or requirements file lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement


@dataclass(frozen=True)
class ListedPackage:
    """A package by its name on PyPI. origin: the file and line that list it."""

    requirement: Requirement
    origin: str


@dataclass(frozen=True, kw_only=True)
class JobEnvironment:
    """An environment, as far as it can be read on this machine.

    origin: where it is named. unknown: why its packages are not known, after "the environment"; "" where they are.
    problems: why it cannot be built, each with file and line. unread: what it lists besides, which may bring any
    package. python: what it says of the version of Python. conda: whether conda makes it, which may install no pip.
    """

    origin: str
    unknown: str = ""
    problems: tuple[str, ...] = ()
    packages: tuple[ListedPackage, ...] = ()
    unread: tuple[str, ...] = ()
    python: ListedPackage | None = None
    conda: bool = False
