"""One session for each environment that the project promises: `nox` runs all, `nox -s wheel` one of them.

What stands after `--` goes to pytest: `nox -s tests-3.12 -- tests/emulator`. A Python that is missing fails.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nox

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
OLDEST, NEWEST = PYTHONS[0], PYTHONS[-1]
ROOT = Path(__file__).parent

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = True
# All but `ci`, which takes longest and has some of these in it, and those that need something that is not always there.
nox.options.sessions = ["style", "types", "docs", "tests", "lowest", "newest", "without_xdist", "wheel"]

ALL = ["-n", "auto", "-m", ""]
"""With the tests that are marked as slow."""

# Nothing from outside decides here.
FOREIGN = ("PYTHONPATH", "PYTHONHOME", "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD")


def find_pythons_of_pyenv() -> None:
    """The shims of pyenv are on PATH and refuse to run without PYENV_VERSION; the interpreters behind them do run."""
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    folders = [
        str(folder / "bin")
        for python in PYTHONS
        for folder in sorted(versions.glob(f"{python}.*"), key=lambda path: int(path.name.split(".")[-1]), reverse=True)
        if folder.name.rpartition(".")[2].isdigit()
    ]
    os.environ["PATH"] = os.pathsep.join([*folders, os.environ.get("PATH", "")])


find_pythons_of_pyenv()


def clean(session: nox.Session) -> None:
    for name in FOREIGN:
        session.env[name] = None
    session.env["FAIL_WITHOUT_PACKAGES"] = "1"


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests."""
    clean(session)
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", *(session.posargs or ALL))


@nox.session(python=OLDEST, venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """All tests with the lowest versions that pyproject.toml allows."""
    clean(session)
    session.install("--resolution", "lowest-direct", "-e", ".[test]")
    session.run("python", "-m", "pytest", *(session.posargs or ALL))


@nox.session(python=NEWEST)
def newest(session: nox.Session) -> None:
    """All tests with the newest versions that there are, those of dependencies of dependencies too."""
    clean(session)
    session.install("--upgrade", "--upgrade-strategy=eager", "-e", ".[test]")
    session.run("python", "-m", "pip", "list")
    session.run("python", "-m", "pytest", *(session.posargs or ALL))


@nox.session(python=OLDEST)
def without_xdist(session: nox.Session) -> None:
    """All tests where pytest-xdist is not installed."""
    clean(session)
    session.install("-e", ".[test]")
    session.run("python", "-m", "pip", "uninstall", "--yes", "pytest-xdist")
    session.env["FAIL_WITHOUT_PACKAGES"] = None
    session.run("python", "-m", "pytest", *(session.posargs or ["-m", ""]))


@nox.session(python=NEWEST)
def wheel(session: nox.Session) -> None:
    """All tests against the built wheel, in a copy of the checkout that lacks the package."""
    clean(session)
    folder = Path(session.create_tmp()).resolve()
    shutil.rmtree(folder / "dist", ignore_errors=True)
    session.run("python", "-m", "pip", "wheel", ".", "--no-deps", "--wheel-dir", str(folder / "dist"))
    (built,) = (folder / "dist").glob("*.whl")
    session.install(f"{built}[test]")
    copy = folder / "a copy"
    shutil.rmtree(copy, ignore_errors=True)
    left_out = shutil.ignore_patterns(".git", ".venv", ".nox", "pytest_parallelrun", "__pycache__", ".*_cache", "build")
    shutil.copytree(ROOT, copy, ignore=left_out)
    session.chdir(copy)
    where = "import pytest_parallelrun as package; assert 'site-packages' in package.__file__, package.__file__"
    session.run("python", "-c", where)
    session.run("python", "-m", "pytest", "--parallelrun-explain=job_completes", silent=True)
    session.run("python", "-m", "pytest", *(session.posargs or ALL))


@nox.session(python=OLDEST)
def style(session: nox.Session) -> None:
    clean(session)
    session.install("ruff>=0.14")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python=NEWEST)
def types(session: nox.Session) -> None:
    clean(session)
    session.install("-e", ".[test,benchmark]")
    session.run("mypy")


@nox.session(python=NEWEST)
def docs(session: nox.Session) -> None:
    """The pages as a site, in build/docs; a warning is an error."""
    clean(session)
    session.install("-e", ".[docs]")
    session.run("python", "-m", "sphinx", "-W", "--keep-going", "-b", "html", "docs", "build/docs", *session.posargs)


@nox.session(python=NEWEST)
def examples(session: nox.Session) -> None:
    """Every example script against its expected.json; after `--` parts of their names."""
    clean(session)
    session.install("-e", ".[test]")
    session.run("python", ".ci/gate_examples.py", *session.posargs)


@nox.session(python=NEWEST)
def hook(session: nox.Session) -> None:
    """The hook for pre-commit, from this checkout, in the environment that pre-commit makes for it."""
    clean(session)
    session.install("pre-commit>=4.0")
    folder = Path(session.create_tmp()).resolve() / "a repository"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "example_scripts" / "text_files", folder)
    (folder / "pytest.ini").write_text(
        "[pytest]\nparallelrun_entry = score.py\nparallelrun_input = data\nparallelrun_set = mini_batch_size=5\n"
    )
    session.chdir(folder)
    session.run("git", "init", "--quiet", external=True)
    session.run("git", "add", ".", external=True)
    session.run("pre-commit", "try-repo", str(ROOT), "parallelrun", "--all-files", "--verbose")


@nox.session(python=False)
def ci(session: nox.Session) -> None:
    """All of .ci/run, which makes its environments itself."""
    clean(session)
    session.run(".ci/run", external=True)
