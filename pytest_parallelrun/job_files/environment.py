"""The environment of a job, from a job file, a conda file, or a requirements file of pip.

Sources: YAML reference of the environment; the guide to conda environments and MatchSpec of conda; "Requirements File
Format" of pip's documentation; SDK reference of Environment and CondaDependencies (v1).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from pytest_parallelrun.emulator.errors import InputError, not_there
from pytest_parallelrun.emulator.job_environment import JobEnvironment, ListedPackage
from pytest_parallelrun.job_files.inputs import local_path
from pytest_parallelrun.job_files.tree import (
    Listing,
    Node,
    Opaque,
    Problems,
    Scalar,
    SourceLocation,
    Table,
    shown,
    text_of,
)
from pytest_parallelrun.job_files.yaml_reader import read_text, read_yaml

YAML = (".yml", ".yaml")
PIP = (".txt", ".in", ".pip")
TAKES = "a conda file or the YAML file of an environment (.yml, .yaml), or a requirements file of pip (.txt)"
FILE_KEYS = ("conda_file", "conda_dependencies_file", "condaDependenciesFile", "file_path")
MAPPING_KEYS = ("conda_dependencies", "condaDependencies")
ADDED = "added"
"""Key of a mapping to which a Python file adds packages one by one."""
_SPEC = re.compile(
    r"(?:[\w./:-]+::)?(?P<name>[A-Za-z0-9_.-]+)\s*"
    r"(?P<version>[=<>!~*\d ][^[]*[\w*][^[]*|\d|\*)?(?:\[(?P<attributes>.*)\])?",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"version\s*=\s*['\"]?([^'\"\]]+)")
_AFTER_SIGN = re.compile(r"(?<=[<>=!~,])\s+")

# Names of conda-forge and of the default channels -> names on PyPI, for packages whose names differ.
CONDA_NAMES = {
    **dict.fromkeys(("pytorch", "pytorch-cpu", "pytorch-gpu"), "torch"),
    **dict.fromkeys(("opencv", "py-opencv"), "opencv-python"),
    **dict.fromkeys(("py-xgboost", "py-xgboost-cpu", "py-xgboost-gpu"), "xgboost"),
    **dict.fromkeys(("tensorflow-base", "tensorflow-gpu", "tensorflow-mkl"), "tensorflow"),
    "dask-core": "dask",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "numpy-base": "numpy",
    "pyarrow-core": "pyarrow",
    "pyqt": "pyqt5",
    "pytables": "tables",
    "python-graphviz": "graphviz",
    "ray-core": "ray",
}
# Packages of conda without Python modules. Those that start with "_" have none either.
CONDA_SYSTEM = {
    *("blas", "bzip2", "c-compiler", "ca-certificates", "cmake", "compilers", "cuda", "cuda-toolkit", "cudatoolkit"),
    *("cudnn", "curl", "cxx-compiler", "ffmpeg", "fftw", "gcc", "gcc_linux-64", "gdb", "ghostscript", "git"),
    *("graphviz", "gxx", "gxx_linux-64", "icu", "intel-openmp", "jpeg", "ld_impl_linux-64", "libblas", "libffi"),
    *("libgcc", "libgcc-ng", "libgomp", "liblapack", "libopenblas", "libpng", "libsndfile", "libstdcxx"),
    *("libstdcxx-ng", "libtiff", "make", "mkl", "nccl", "ncurses", "ninja", "nodejs", "nomkl", "openblas", "openjdk"),
    *("openmpi", "openssl", "poppler", "python_abi", "pytorch-cuda", "pytorch-mutex", "r-base", "readline", "sqlite"),
    *("tesseract", "tk", "tzdata", "unzip", "wget", "xz", "zlib", "zstd"),
}
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


def read_environment_file(path: Path, named: str) -> JobEnvironment:
    """The environment of an option. InputError, starting with `named`, for an invalid file."""
    if path.is_dir():
        raise InputError(f"{named}: is a folder; give {TAKES}.")
    if not path.is_file():
        beside = sorted(file.name for file in path.parent.glob("*") if file.suffix.lower() in (*YAML, *PIP))
        there = f" There is: {', '.join(beside)}." if beside else ""
        raise InputError(f"{named}: {not_there(path)}; give {TAKES}.{there}")
    if path.suffix.lower() not in (*YAML, *PIP):
        raise InputError(f"{named}: unknown type of file; give {TAKES}.")
    environment = _of_file(path, named)
    if environment.problems:
        raise InputError(f"{named}: " + "\n".join(environment.problems))
    return environment


def read_environment(node: Node | None) -> JobEnvironment | None:
    """The environment of a job file; None if it has none. Errors are in `problems`."""
    if node is None:
        return None
    origin = node.location.origin
    if isinstance(node, Opaque):
        return JobEnvironment(origin=origin, unknown=f"is `{node.text}`, whose value is not in the file")
    if isinstance(node, Table):
        return _of_table(node, origin)
    text = text_of(node)
    if text is None:
        problem = f"{node.location}: environment must be a name, a file or a mapping, and is {node.kind}"
        return JobEnvironment(origin=origin, problems=(problem,))
    if text.startswith("file:") or Path(text).suffix.lower() in YAML:
        return _of_path(text, node.location, origin, "environment")
    return JobEnvironment(origin=origin, unknown=f"is {text}, which is registered with the service")


def _of_path(text: str, location: SourceLocation, origin: str, key: str) -> JobEnvironment:
    path = Path(local_path(text, location))
    if path.is_file():
        return _of_file(path, origin, lists=key != "environment")
    if location.file.suffix.lower() not in YAML:
        # A notebook often writes it in an earlier cell.
        return JobEnvironment(origin=origin, unknown=f"is made of '{shown(path)}', which is not there")
    return JobEnvironment(origin=origin, problems=(f"{location}: {key}={text!r}: there is no file '{shown(path)}'",))


def _of_file(path: Path, origin: str, *, lists: bool = False) -> JobEnvironment:
    """lists: whether it must list packages itself, and not be the file of an environment."""
    packages = Packages()
    if path.suffix.lower() not in YAML:
        packages.add_file(path)
        return _made(packages, origin)
    table = read_yaml(path, packages.problems, noun="an environment")
    if table is None:
        return _made(packages, origin)
    if "dependencies" in table.entries:
        _read_conda(table, packages)
        return _made(packages, origin)
    if not lists and any(key in table.entries for key in ("image", "build", *FILE_KEYS, "python")):
        return _of_table(table, origin)
    packages.problems.add(table.location, "a conda file needs 'dependencies', a list of packages")
    return _made(packages, origin)


def _of_table(table: Table, origin: str) -> JobEnvironment:
    """An environment of the SDK or its YAML, also of v1."""
    inner = table.entries.get("python")
    if isinstance(inner, Table):
        return _of_table(inner, origin)
    for key in (*FILE_KEYS, *MAPPING_KEYS):
        node = table.get(key)
        if isinstance(node, Table):
            return _of_conda(node, origin)
        if isinstance(node, Opaque):
            return JobEnvironment(origin=origin, unknown=f"has {key} `{node.text}`, whose value is not in the file")
        text = text_of(node)
        if node is not None and text is not None:
            return _of_path(text, node.location, origin, key)
        if node is not None:
            problem = f"{node.location}: {key} must be a file or a mapping, and is {node.kind}"
            return JobEnvironment(origin=origin, problems=(problem,))
    if any(key in table.entries for key in ("build", "image", "docker")):
        kind = "is built by a Dockerfile" if "build" in table.entries else f"is the image {table.text('image')}"
        return JobEnvironment(origin=origin, unknown=f"{kind}, whose packages no file here lists")
    return JobEnvironment(origin=origin, unknown="names no file of packages")


def _of_conda(table: Table, origin: str) -> JobEnvironment:
    packages = Packages()
    file = text_of(table.entries.get("conda_dependencies_file_path"))
    if ADDED in table.entries:
        return JobEnvironment(origin=origin, unknown="gets its packages one by one, in a Python file")
    if file is not None:
        return _of_path(file, table.location, origin, "conda_dependencies_file_path")
    if table.entries.keys() & {"pip_packages", "conda_packages", "python_version"}:
        _read_created(table, packages)
    else:
        _read_conda(table, packages)
    return _made(packages, origin)


def _made(packages: Packages, origin: str) -> JobEnvironment:
    return JobEnvironment(
        origin=origin,
        problems=tuple(str(problem) for problem in packages.problems),
        packages=packages.finished(),
        unread=tuple(packages.unread),
        python=packages.python,
        conda=packages.conda,
    )


def _read_created(table: Table, packages: Packages) -> None:
    """`CondaDependencies.create()` of v1, which adds azureml-defaults if no pip packages are given."""
    conda, pip = (table.get(name) for name in ("conda_packages", "pip_packages"))
    packages.add_list(conda or Listing(table.location, []), conda=True)
    packages.add_list(pip or Listing(table.location, [Scalar(table.location, "azureml-defaults")]), conda=False)


def _read_conda(table: Table, packages: Packages) -> None:
    packages.conda = True
    dependencies = table.get("dependencies")
    if dependencies is None:
        packages.problems.add(table.location, "a conda file needs 'dependencies', a list of packages")
    else:
        packages.add_list(dependencies, conda=True)


def _specifier(version: str) -> str:
    """A conda version as a pip version: "=1.2" is any 1.2, a build does not count."""
    parts = [] if "|" in version else [_one_version(part) for part in _AFTER_SIGN.sub("", version).split(",")]
    specifier = ",".join(part for part in parts if part)
    try:
        SpecifierSet(specifier)
    except InvalidSpecifier:
        # A version that PyPI does not have, such as 1.1.1w.
        return ""
    return specifier


def _one_version(text: str) -> str:
    text = text.strip().partition(" ")[0]
    if text.startswith(("<", ">", "!", "~")):
        return text if text.startswith("!") else text.removesuffix("*").removesuffix(".")
    exact = not text.startswith("=") or text.startswith("==")
    number = text.lstrip("=").partition("=")[0]
    if number in ("", "*"):
        return ""
    return f"=={number}" if exact or number.endswith("*") else f"=={number}.*"


@dataclass
class Packages:
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

    def add_list(self, node: Node, *, conda: bool) -> None:
        """Reads the dependencies of a conda file, or the list of pip among them."""
        name, wanted, add = "dependencies", "a dependency must be a text or 'pip: [...]'", self._add_conda
        if not conda:
            name, wanted, add = "pip", "a requirement must be a text", self.add
            # Conda adds it if there is such a list.
            self.packages.append(ListedPackage(Requirement("pip"), node.location.origin))
        if not isinstance(node, (Listing, Opaque)):
            self.problems.add(node.location, f"'{name}' must be a list of packages, and is {node.kind}")
            return
        for item in node.items if isinstance(node, Listing) else [node]:
            text = text_of(item)
            if text is not None:
                add(text, item.location)
            elif isinstance(item, Opaque):
                self.unread.append(f"`{item.text}` ({item.location.origin})")
            elif conda and isinstance(item, Table) and item.entries.keys() == {"pip"}:
                if pip := item.get("pip"):
                    self.add_list(pip, conda=False)
            else:
                self.problems.add(item.location, f"{wanted}, and is {item.kind}")

    def finished(self) -> tuple[ListedPackage, ...]:
        """The packages, with the constraints on their versions."""
        for constraint in self.constraints:
            for listed in self.packages:
                if canonicalize_name(listed.requirement.name) == canonicalize_name(constraint.name):
                    listed.requirement.specifier &= constraint.specifier
        return tuple(self.packages)

    def _add_conda(self, text: str, location: SourceLocation) -> None:
        """One dependency of conda, such as "pandas>=1.5,<2" or "conda-forge::numpy=1.23.5=py310h53a5b5f_0"."""
        if "://" in text:
            self.unread.append(f"{text} ({location.origin})")
            return
        match = _SPEC.fullmatch(text.strip())
        name = match["name"].lower() if match else ""
        if name in CONDA_SYSTEM or name.startswith("_"):
            return
        try:
            if match is None:
                raise InvalidRequirement
            attribute = _ATTRIBUTE.search(match["attributes"] or "")
            specifier = _specifier(attribute[1] if attribute else (match["version"] or "").strip())
            listed = ListedPackage(Requirement(f"{CONDA_NAMES.get(name, name)}{specifier}"), location.origin)
        except InvalidRequirement:
            self.problems.add(location, f"{text!r} is no dependency that conda can read. Write NAME or NAME=1.2.3")
            return
        if name == "python":
            self.python = listed
        else:
            self.packages.append(listed)

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
