"""The environment of a job: the packages in its conda or requirements file."""

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

    origin: where it is named. unknown: why its packages are unknown, continuing "the environment"; otherwise "".
    problems: why it cannot be built, with file and line. unread: other entries, which may provide any package. python:
    the version of Python. conda: whether conda creates it, possibly without pip.
    """

    origin: str
    unknown: str = ""
    problems: tuple[str, ...] = ()
    packages: tuple[ListedPackage, ...] = ()
    unread: tuple[str, ...] = ()
    python: ListedPackage | None = None
    conda: bool = False
