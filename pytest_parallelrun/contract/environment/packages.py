"""Which packages an environment has, and whether a module is in one of them.

The dependencies of a listed package are known if it is installed here; otherwise `names` knows some.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Literal

from packaging.markers import Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pytest_parallelrun.contract.environment.imports import Import
from pytest_parallelrun.contract.environment.names import BRINGS, EXTRAS, PROVIDERS
from pytest_parallelrun.emulator.job_environment import JobEnvironment, ListedPackage

Answer = Literal["provided", "missing", "unknown"]

SERVICE_PLATFORM = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
SUFFIXES = (".py", ".so", ".pyd")
NAMESPACES = ("azure", "azureml", "google")
"""Modules shared by many packages."""


class InstalledPackages:
    """The distributions of this Python, by name and by module."""

    @cached_property
    def by_name(self) -> dict[str, Distribution]:
        found: dict[str, Distribution] = {}
        for distribution in distributions():
            name = distribution.metadata["Name"]
            if name:
                # The first one on sys.path wins.
                found.setdefault(canonicalize_name(name), distribution)
        return found

    @cached_property
    def by_module(self) -> dict[str, list[str]]:
        """Name of a top-level module -> names of the distributions that have files in it."""
        found: dict[str, list[str]] = {}
        for name, distribution in self.by_name.items():
            for module in _top_levels(distribution):
                found.setdefault(module, []).append(name)
        return found

    def with_module(self, imported: Import) -> list[str]:
        """Names of the distributions with the module; for a namespace, those with this part of it."""
        parts = imported.name.split(".")
        names = self.by_module.get(parts[0], [])
        if parts[0] not in NAMESPACES:
            return names
        for depth in range(len(parts), imported.module.count("."), -1):
            path = "/".join(parts[:depth])
            inside = [name for name in names if any(_lies_at(file, path) for file in files_of(self.by_name[name]))]
            if inside:
                return inside
        return []

    def version(self, name: str) -> Version | None:
        """The version of an installed distribution."""
        try:
            return Version(self.by_name[canonicalize_name(name)].version)
        except (KeyError, InvalidVersion, TypeError):
            return None


class Packages:
    """The packages of an environment: `names` of all, `absent`: those that are not installed here.

    open_sources: listed packages that may provide the module, in the order found.
    """

    def __init__(self, environment: JobEnvironment, installed: InstalledPackages) -> None:
        self.environment = environment
        self.installed = installed
        self.listed: dict[str, ListedPackage] = {}
        self.names: set[str] = set()
        self.absent: set[str] = set()
        self.open_sources: dict[str, None] = {}
        self._may_bring: dict[str, set[str]] = {}
        self._seen: set[tuple[str, str]] = set()
        for listed in environment.packages:
            if self._holds(listed.requirement.marker, ""):
                self.listed.setdefault(canonicalize_name(listed.requirement.name), listed)
                self._add(listed.requirement)

    def has(self, *names: str, only_from: str = "") -> Answer:
        """Whether one of these packages is included. only_from: such packages come with those whose name has this
        prefix.
        """
        if not self.names.isdisjoint(names):
            return "provided"
        mapped = [source for source, brought in self._may_bring.items() if not brought.isdisjoint(names)]
        unmapped = [name for name in self.absent if name not in BRINGS and name.startswith(only_from)]
        sources = [*self.environment.unread, *mapped, *unmapped]
        self.open_sources.update(dict.fromkeys(sources))
        return "unknown" if sources else "missing"

    def provides(self, imported: Import) -> Answer:
        """Whether one of the packages provides this module."""
        return self.has(*self.candidates(imported), only_from="azure" if imported.top == "azureml" else "")

    def candidates(self, imported: Import) -> list[str]:
        """The packages that provide this module, as far as is known."""
        parts = imported.name.split(".")
        dotted = [".".join(parts[:depth]) for depth in range(len(parts), 0, -1)]
        known = [name for part in dotted for name in PROVIDERS.get(part, ())]
        # azure.storage.blob is in azure-storage-blob, but numpy.random is not in "numpy-random".
        by_name = [canonicalize_name(part.replace(".", "-")) for part in dotted]
        return list(dict.fromkeys([*self.installed.with_module(imported), *known, *by_name]))

    def needed_by(self, names: Iterable[str]) -> set[str]:
        """These packages and their dependencies, as far as they are installed here."""
        waiting, found = list(names), set[str]()
        while waiting:
            name = waiting.pop()
            if name not in found and name in self.installed.by_name:
                found.add(name)
                waiting += [
                    canonicalize_name(needed.name)
                    for needed in _requires(self.installed.by_name[name])
                    if self._holds(needed.marker, "")
                ]
        return found

    def _add(self, requirement: Requirement) -> None:
        name = canonicalize_name(requirement.name)
        self.names.add(name)
        distribution = self.installed.by_name.get(name)
        if distribution is None:
            self.absent.add(name)
            brought = self._may_bring.setdefault(name, set(BRINGS.get(name, ())))
            brought.update(package for extra in requirement.extras for package in EXTRAS.get(extra, ()))
            return
        for extra in ("", *requirement.extras):
            if (name, extra) in self._seen:
                continue
            self._seen.add((name, extra))
            for needed in _requires(distribution):
                if self._holds(needed.marker, extra):
                    self._add(needed)

    def _holds(self, marker: Marker | None, extra: str) -> bool:
        if marker is None:
            return not extra
        try:
            return marker.evaluate({**SERVICE_PLATFORM, **self._python, "extra": extra})
        except (UndefinedComparison, UndefinedEnvironmentName):
            return True

    @cached_property
    def _python(self) -> dict[str, str]:
        """The version of Python for markers, if the environment names one."""
        python = self.environment.python
        versions = (
            [] if python is None else [one.version for one in python.requirement.specifier if "=" in one.operator]
        )
        if not versions:
            return {}
        numbers = versions[0].removesuffix(".*").split(".")
        return {"python_version": ".".join(numbers[:2])} if len(numbers) > 1 else {}


def listed_elsewhere(module: str, environment: JobEnvironment | None) -> str:
    """Advice if a module is not installed here but the environment lists a package that provides it; otherwise ""."""
    if environment is None:
        return ""
    packages = Packages(environment, InstalledPackages())
    names = packages.candidates(Import(module, module, Path(), 0))
    listed = next(
        (packages.listed[name] for name in names if name in packages.listed and name in packages.absent), None
    )
    if listed is None:
        return ""
    requirement = str(listed.requirement).partition(";")[0].strip()
    return (
        f"The environment of the job lists '{requirement}' ({listed.origin}), which is not installed here: "
        f'pip install "{requirement}", or run the gate inside that environment.'
    )


def gate_python() -> Version:
    """The version of the Python that the gate runs with."""
    return Version(".".join(map(str, sys.version_info[:3])))


def _requires(distribution: Distribution) -> Iterator[Requirement]:
    for text in distribution.requires or ():
        try:
            yield Requirement(text)
        except InvalidRequirement:
            continue


def files_of(distribution: Distribution) -> Iterable[str]:
    """The files of a distribution, as paths below its folder."""
    # `files` checks that each exists, which costs a second for a hundred distributions.
    record = distribution.read_text("RECORD")
    if record is not None:
        return (line.rpartition(",")[0].rpartition(",")[0].strip('"') for line in record.splitlines())
    return (file.as_posix() for file in distribution.files or ())


def _lies_at(file: str, path: str) -> bool:
    """Whether a file is the module at this path, or inside the package there."""
    return file.startswith((f"{path}/", f"{path}.")) and file.endswith(SUFFIXES)


def _top_levels(distribution: Distribution) -> set[str]:
    declared = (distribution.read_text("top_level.txt") or "").split()
    if declared:
        return {name.partition("/")[0] for name in declared}
    found = set()
    for file in files_of(distribution):
        first, _, rest = file.partition("/")
        if (rest or first).endswith(SUFFIXES) and ".dist-info" not in first and first != "..":
            found.add(first if rest else first.partition(".")[0])
    return found
