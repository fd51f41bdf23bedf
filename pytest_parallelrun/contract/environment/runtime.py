"""What an environment needs beside the imports of the script: for the runtime, and for packages that it has.

Sources: SDK reference of ParallelRunConfig (packages for tables); logs of public runs (`python -m pip` at the start);
release notes of setuptools 82 (pkg_resources was removed); configuration of conda (`add_pip_as_python_dependency`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from pytest_parallelrun.contract.environment.imports import Import, statements
from pytest_parallelrun.contract.environment.packages import Answer, Packages, files_of
from pytest_parallelrun.emulator.setting_table import Profile

PKG_RESOURCES = "pkg_resources"
WITHOUT_PKG_RESOURCES = Version("82.0.0")
"""The first version of setuptools without pkg_resources."""
FIRST_PYTHON_OF_82 = (3, 9)
MAX_MODULES = 1500
"""Maximum size of a package that is searched for pkg_resources: large ones are well maintained, and take seconds."""


@dataclass(frozen=True)
class Need:
    """A required package. why: a sentence. listed_as: how to list it."""

    answer: Answer
    why: str
    listed_as: str


def needs_of(packages: Packages, imports: Iterable[Import], profile: Profile, *, reads_tables: bool) -> Iterator[Need]:
    """Required packages that may be missing."""
    if packages.environment.conda and packages.has("pip", only_from="azure") == "missing":
        why = "pip is not listed: the runtime calls python -m pip when it starts, and conda may install none unasked."
        yield Need("missing", why, "pip")
    if reads_tables:
        name, wanted = ("azureml-dataset-runtime", "v1") if profile == "v1" else ("mltable", "v2")
        answer = packages.has(name, only_from="azure")
        if answer != "provided":
            yield Need(answer, f"{name} is not listed: the runtime reads tables with it ({wanted}).", name)
    importing = _importing_pkg_resources(packages, imports)
    if importing and not _has_pkg_resources(packages):
        listed = packages.listed.get("setuptools")
        state = "setuptools is not listed" if listed is None else f"'{listed.requirement}' may install a later one"
        why = f"{importing} imports pkg_resources, which setuptools has up to version 81, and {state}."
        yield Need("missing", why, f"setuptools<{WITHOUT_PKG_RESOURCES.major}")


def _has_pkg_resources(packages: Packages) -> bool:
    python = packages.environment.python
    if python is not None and not _allows(python.requirement.specifier, "3.9", "3.12", "3.13", "3.14"):
        # For older Pythons the last setuptools contains it.
        return True
    listed = packages.listed.get("setuptools")
    return listed is not None and not _allows(listed.requirement.specifier, "82.0.0", "82.0.1", "9999")


def _allows(specifier: SpecifierSet, *versions: str) -> bool:
    """Whether one of these versions, or a later one that the specifier names, is allowed."""
    named = [one.version.removesuffix(".*") for one in specifier if one.operator in ("==", "===", "~=", ">=", ">")]
    candidates = [Version(text) for text in (*versions, *named) if _is_version(text)]
    return any(candidate in specifier for candidate in candidates if candidate >= Version(versions[0]))


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _importing_pkg_resources(packages: Packages, imports: Iterable[Import]) -> str:
    """What imports pkg_resources: the script, or an installed package that it imports; "" if nothing does."""
    own = next((one for one in imports if one.top == PKG_RESOURCES), None)
    if own is not None:
        return own.origin
    installed = packages.installed
    direct = {name for one in imports for name in installed.with_module(one) if name in packages.names}
    for name in sorted(packages.needed_by(direct)):
        if name not in ("setuptools", "pip", "wheel") and _imports_pkg_resources(installed.by_name[name]):
            return f"{name} {installed.version(name) or ''}".strip()
    return ""


def _imports_pkg_resources(distribution: Distribution) -> bool:
    files = [file for file in files_of(distribution) if file.endswith(".py") and "/tests/" not in file]
    if len(files) > MAX_MODULES:
        return False
    return any(_file_imports_it(Path(str(distribution.locate_file(file)))) for file in files)


def _file_imports_it(path: Path) -> bool:
    """Whether the module imports it at import time; a function may never be called."""
    try:
        source = path.read_bytes()
        if PKG_RESOURCES.encode() not in source:
            return False
        body = [node for node in ast.parse(source).body if not isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    except (OSError, SyntaxError, ValueError, RecursionError):
        return False
    return any(one.need == "required" and one.name.partition(".")[0] == PKG_RESOURCES for one in statements(body))
