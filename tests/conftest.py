"""Fixtures of all tests. Those of the emulator's tests need none of them."""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import signal
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import _hypothesis_pytestplugin  # type: ignore[import-untyped]
import hypothesis
import pandas  # noqa: F401
import pytest

import pytest_parallelrun._check_hooks
import pytest_parallelrun._job_factory
import pytest_parallelrun._progress
import pytest_parallelrun._reporting
import pytest_parallelrun._show
import pytest_parallelrun.contract
import pytest_parallelrun.job_files
import pytest_parallelrun.plugin
import pytest_parallelrun.report
from pytest_parallelrun._golden import CI_VARIABLES
from tests.light import FEW, with_few_edge_cases, without_processes

# A pytest that runs inside this one forgets what it imported: what stays is what is imported here.
for _package in (pytest_parallelrun.contract, pytest_parallelrun.job_files, pytest_parallelrun.report):
    for _module in pkgutil.walk_packages(_package.__path__, f"{_package.__name__}."):
        importlib.import_module(_module.name)

pytest_plugins = ["pytester", "tests.optional_packages"]

# A command that a script starts in the background ignores it, and so would what the tests start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

Write = Callable[[str, str], Path]
Run = Callable[..., pytest.RunResult]

SOUND_SCRIPT = """
    from pathlib import Path

    def run(mini_batch):
        return [f"{Path(path).name}: {len(Path(path).read_bytes())}" for path in mini_batch]
"""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks as slow what starts pytest-xdist, and all cases but the first of a test that gates scripts."""
    seen: set[str] = set()
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        test, _, case = item.nodeid.partition("[")
        elsewhere = "in_two" in fixtures or "xdist" in case or "gate_in_one" in case
        if elsewhere or ("judge" in fixtures and test in seen):
            item.add_marker("slow")
        seen.add(test)


freeze_count = gc.get_freeze_count


def pytest_collection_finish() -> None:
    """Takes what was collected, a million objects, out of the searches for generators of scripts, a quarter of a gate.

    Then to count frozen objects takes long, and each attempt asks for it. An old Hypothesis looks for objects that know
    its generator, and would not find them among frozen ones.
    """
    if hasattr(hypothesis.core, "threadlocal"):
        gc.freeze()
        gc.get_freeze_count = lambda: 0


@pytest.fixture
def nothing_frozen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(gc, "get_freeze_count", freeze_count)
    gc.unfreeze()
    yield
    pytest_collection_finish()


@pytest.fixture(scope="session", autouse=True)
def _compiled_once(bytecode: Path) -> Iterator[None]:
    """Where no bytecode is to be written, each process that a test starts would compile everything anew."""
    with pytest.MonkeyPatch.context() as patch:
        if sys.dont_write_bytecode:
            patch.setattr(sys, "dont_write_bytecode", False)
            patch.setattr(sys, "pycache_prefix", str(bytecode))
        yield


@pytest.fixture(autouse=True)
def _not_on_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate tells the CI system that it is in: that of these tests is not to hear of those inside them."""
    for name in ("GITHUB_STEP_SUMMARY", "TF_BUILD", *CI_VARIABLES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _not_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    without_processes(monkeypatch)


@pytest.fixture(autouse=True)
def few_edge_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of tests that are about generated mini-batches have a fixture of this name that does nothing."""
    with_few_edge_cases(monkeypatch)


@pytest.fixture
def write(pytester: pytest.Pytester) -> Write:
    """Writes a file, such as "src/score.py", below the folder that the inner pytest runs in."""

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
def run_pytest(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> Run:
    """Runs pytest inside this process, without its cache, with the arguments given and few examples.

    Of other plugins it has that of Hypothesis alone. To look for all that are installed takes 0.1 seconds in each of a
    thousand runs; a test that needs them has the marker installed_plugins.
    """
    two = pytest_parallelrun.plugin, _hypothesis_pytestplugin
    plugins = () if request.node.get_closest_marker("installed_plugins") else two

    def run_pytest(*arguments: str | Path) -> pytest.RunResult:
        profile = hypothesis.settings._current_profile or "default"
        few = () if any("hypothesis" in str(argument) for argument in arguments) else (f"--hypothesis-profile={FEW}",)
        try:
            with pytest.MonkeyPatch.context() as patch:
                if plugins:
                    patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
                return pytester.runpytest_inprocess("-p", "no:cacheprovider", *few, *arguments, plugins=plugins)
        finally:
            # Profiles belong to the process, and the tests around this one have theirs.
            hypothesis.settings.load_profile(profile)

    return run_pytest


@pytest.fixture
def gate(run_pytest: Run) -> Run:
    """The same for the gate of score.py with the sample data/."""

    def gate(*arguments: str | Path) -> pytest.RunResult:
        return run_pytest("--parallelrun-entry=score.py", "--parallelrun-input=data", *arguments)

    return gate


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for compiled modules, one for all workers of pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "bytecode"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def in_two(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs pytest in two workers of pytest-xdist. It takes seconds: for what differs there."""
    pytest.importorskip("xdist")
    if sys.pycache_prefix is not None:
        # What the first of these processes compiles the others need not.
        monkeypatch.setenv("PYTHONPYCACHEPREFIX", sys.pycache_prefix)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=os.pathsep)
    light = ("-p", "tests.light", f"--hypothesis-profile={FEW}")

    def in_two(*arguments: str | Path) -> pytest.RunResult:
        return pytester.runpytest_subprocess("-n2", "-q", "--color=no", *light, *arguments)

    return in_two


@pytest.fixture
def gate_in_two(in_two: Run) -> Run:
    """The same for the gate of score.py with the sample data/."""

    def gate(*arguments: str | Path) -> pytest.RunResult:
        return in_two("--parallelrun-entry=score.py", "--parallelrun-input=data", *arguments)

    return gate


@pytest.fixture
def gate_in_one(gate_in_two: Run) -> Run:
    """The same in one worker, which is enough where it is about what a worker sends."""

    def gate(*arguments: str | Path) -> pytest.RunResult:
        return gate_in_two("-n1", *arguments)

    return gate


@pytest.fixture(params=["here", "xdist"])
def anywhere(request: pytest.FixtureRequest) -> Run:
    """The gate of score.py, inside this process and in a worker of pytest-xdist."""
    run: Run = request.getfixturevalue("gate" if request.param == "here" else "gate_in_one")
    return run
