"""The environment of a job, from a job file or its own file.

Sources: YAML reference of the environment; the guide to conda environments and MatchSpec of conda; SDK reference of
Environment and CondaDependencies (v1).
"""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from pytest_parallelrun.emulator.errors import InputError, not_there
from pytest_parallelrun.emulator.job_environment import JobEnvironment, ListedPackage
from pytest_parallelrun.job_files.inputs import local_path
from pytest_parallelrun.job_files.requirements import Listing as Packages
from pytest_parallelrun.job_files.tree import (
    Listing,
    Node,
    Opaque,
    Scalar,
    SourceLocation,
    Table,
    entry_text,
    kind_of,
    present,
    shown,
    text_of,
)
from pytest_parallelrun.job_files.yaml_reader import read_yaml

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
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "py-opencv": "opencv-python",
    "opencv": "opencv-python",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost",
    "py-xgboost-gpu": "xgboost",
    "tensorflow-base": "tensorflow",
    "tensorflow-gpu": "tensorflow",
    "tensorflow-mkl": "tensorflow",
    "matplotlib-base": "matplotlib",
    "numpy-base": "numpy",
    "pyarrow-core": "pyarrow",
    "pytables": "tables",
    "msgpack-python": "msgpack",
    "python-graphviz": "graphviz",
    "dask-core": "dask",
    "ray-core": "ray",
    "pyqt": "pyqt5",
}
# Packages of conda without Python modules. Those that start with "_" have none either.
CONDA_SYSTEM = {
    *("blas", "bzip2", "ca-certificates", "c-compiler", "cmake", "compilers", "cuda", "cuda-toolkit", "cudatoolkit"),
    *("cudnn", "cxx-compiler", "ffmpeg", "fftw", "gcc", "gdb", "git", "gxx", "icu", "intel-openmp", "jpeg", "make"),
    *("mkl", "nccl", "ncurses", "ninja", "nodejs", "nomkl", "openblas", "openjdk", "openmpi", "openssl", "poppler"),
    *(
        "pytorch-cuda",
        "pytorch-mutex",
        "python_abi",
        "r-base",
        "readline",
        "sqlite",
        "tesseract",
        "tk",
        "tzdata",
        "xz",
        "zlib",
    ),
    *("libblas", "libffi", "libgcc", "libgcc-ng", "libgomp", "liblapack", "libopenblas", "libpng", "libsndfile"),
    *("libstdcxx", "libstdcxx-ng", "libtiff"),
    *("gcc_linux-64", "gxx_linux-64", "ld_impl_linux-64", "ghostscript", "graphviz", "wget", "curl", "unzip", "zstd"),
}


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
    node = present(node)
    if node is None:
        return None
    origin = node.location.origin
    if isinstance(node, Opaque):
        return JobEnvironment(origin=origin, unknown=f"is `{node.text}`, whose value is not in the file")
    if isinstance(node, Table):
        return _of_table(node, origin)
    text = text_of(node)
    if text is None:
        problem = f"{node.location}: environment must be a name, a file or a mapping, and is {kind_of(node)}"
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
        node = present(table.entries.get(key))
        if isinstance(node, Table):
            return _of_conda(node, origin)
        if isinstance(node, Opaque):
            return JobEnvironment(origin=origin, unknown=f"has {key} `{node.text}`, whose value is not in the file")
        text = text_of(node)
        if node is not None and text is not None:
            return _of_path(text, node.location, origin, key)
        if node is not None:
            problem = f"{node.location}: {key} must be a file or a mapping, and is {kind_of(node)}"
            return JobEnvironment(origin=origin, problems=(problem,))
    if any(key in table.entries for key in ("build", "image", "docker")):
        kind = "is built by a Dockerfile" if "build" in table.entries else f"is the image {entry_text(table, 'image')}"
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
    conda, pip = (present(table.entries.get(name)) for name in ("conda_packages", "pip_packages"))
    if pip is None:
        pip = Listing(table.location, [Scalar(table.location, "azureml-defaults")])
    _read_conda_list(conda if conda is not None else Listing(table.location, []), packages)
    _read_pip(pip, packages)


def _read_conda(table: Table, packages: Packages) -> None:
    packages.conda = True
    dependencies = present(table.entries.get("dependencies"))
    if dependencies is None:
        packages.problems.add(table.location, "a conda file needs 'dependencies', a list of packages")
        return
    _read_conda_list(dependencies, packages)


def _read_conda_list(node: Node, packages: Packages) -> None:
    if not isinstance(node, Listing):
        _refuse_list(node, "'dependencies'", packages)
        return
    for item in node.items:
        text = text_of(item)
        if text is not None:
            _add_conda(text, item.location, packages)
        elif isinstance(item, Table) and item.entries.keys() == {"pip"}:
            pip = present(item.entries["pip"])
            if pip is not None:
                _read_pip(pip, packages)
        elif isinstance(item, Opaque):
            packages.unread.append(f"`{item.text}` ({item.location.origin})")
        else:
            packages.problems.add(item.location, f"a dependency must be a text or 'pip: [...]', and is {kind_of(item)}")


def _read_pip(node: Node, packages: Packages) -> None:
    # Conda adds it if there is such a list.
    packages.packages.append(ListedPackage(Requirement("pip"), node.location.origin))
    if not isinstance(node, Listing):
        _refuse_list(node, "'pip'", packages)
        return
    for item in node.items:
        text = text_of(item)
        if text is not None:
            packages.add(text, item.location)
        elif isinstance(item, Opaque):
            packages.unread.append(f"`{item.text}` ({item.location.origin})")
        else:
            packages.problems.add(item.location, f"a requirement must be a text, and is {kind_of(item)}")


def _refuse_list(node: Node, name: str, packages: Packages) -> None:
    if isinstance(node, Opaque):
        packages.unread.append(f"`{node.text}` ({node.location.origin})")
    else:
        packages.problems.add(node.location, f"{name} must be a list of packages, and is {kind_of(node)}")


def _add_conda(text: str, location: SourceLocation, packages: Packages) -> None:
    """One dependency of conda, such as "pandas>=1.5,<2" or "conda-forge::numpy=1.23.5=py310h53a5b5f_0"."""
    if "://" in text:
        packages.unread.append(f"{text} ({location.origin})")
        return
    match = _SPEC.fullmatch(text.strip())
    if match is None:
        packages.problems.add(location, f"{text!r} is no dependency that conda can read. Write NAME or NAME=1.2.3")
        return
    name = match["name"].lower()
    if name in CONDA_SYSTEM or name.startswith("_"):
        return
    version = match["version"] or ""
    attribute = _ATTRIBUTE.search(match["attributes"] or "")
    specifier = _specifier(attribute[1] if attribute else version.strip())
    try:
        requirement = Requirement(f"{CONDA_NAMES.get(name, name)}{specifier}")
    except InvalidRequirement:
        packages.problems.add(location, f"{text!r} is no dependency that conda can read. Write NAME or NAME=1.2.3")
        return
    listed = ListedPackage(requirement, location.origin)
    if name == "python":
        packages.python = listed
    else:
        packages.packages.append(listed)


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
