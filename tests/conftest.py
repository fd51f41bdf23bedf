"""Fixtures of all tests. Those of the emulator's tests need none of them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import hypothesis  # noqa: F401 - see below
import pandas  # noqa: F401
import pytest

# A pytest that runs inside this one forgets what it imported: what stays is what is imported here.
import pytest_parallelrun._plan
import pytest_parallelrun._reporting
import pytest_parallelrun.contract.subject  # noqa: F401

pytest_plugins = ["pytester"]

Write = Callable[[str, str], Path]
Run = Callable[..., pytest.RunResult]

SOUND_SCRIPT = """
    from pathlib import Path

    def run(mini_batch):
        return [f"{Path(path).name}: {len(Path(path).read_bytes())}" for path in mini_batch]
"""


@pytest.fixture
def write(pytester: pytest.Pytester) -> Write:
    """Writes a file below the folder that the inner pytest runs in: write("src/score.py", text)."""

    def write(name: str, text: str) -> Path:
        path = pytester.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")
        return path

    return write


@pytest.fixture
def project(write: Write, pytester: pytest.Pytester) -> Path:
    """A folder with a sound script score.py and three files in data/; the inner pytest runs in it."""
    write("score.py", SOUND_SCRIPT)
    for number in (1, 2, 3):
        write(f"data/item_{number}.txt", "x" * number)
    return pytester.path


@pytest.fixture
def run_pytest(pytester: pytest.Pytester) -> Run:
    """Runs pytest inside this process, without its cache: run_pytest("--parallelrun-entry=score.py")."""

    def run_pytest(*arguments: str | Path) -> pytest.RunResult:
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)

    return run_pytest


@pytest.fixture
def gate(run_pytest: Run) -> Run:
    """The same for the gate of score.py with the sample data/: gate("--parallelrun-strict")."""

    def gate(*arguments: str | Path) -> pytest.RunResult:
        return run_pytest("--parallelrun-entry=score.py", "--parallelrun-input=data", *arguments)

    return gate


@pytest.fixture(params=[(), ("-n2",)], ids=["here", "xdist"])
def spread(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Arguments with which the inner pytest runs here, and in two workers of pytest-xdist."""
    if request.param:
        pytest.importorskip("xdist")
    arguments: tuple[str, ...] = request.param
    return arguments
