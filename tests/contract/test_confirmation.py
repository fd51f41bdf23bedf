"""A script is not blamed for what its workers share in one process only, and a flaw is still found."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from pytest_parallelrun.contract.confirmation import Confirmation
from pytest_parallelrun.contract.entry import init_calls
from pytest_parallelrun.contract.entry.observations import Observations
from pytest_parallelrun.contract.generation.runner import ExampleRunner
from tests.conftest import Run, Write
from tests.contract.conftest import Judge, Judged
from tests.report.schema import read_valid

POSSIBLE = vars(Confirmation)["_possible"]
"""As it is: other tests do without it."""

REGISTRY = """
    NAMES = set()
    CALLS = []

    def register(name):
        if name in NAMES:
            raise ValueError(f"{name} is registered twice")
        NAMES.add(name)
"""

AT_IMPORT = """
    from pathlib import Path

    import registry

    registry.register("scored")

    def run(mini_batch):
        return [f"{Path(path).name}: {len(Path(path).read_bytes())}" for path in mini_batch]
"""

IN_INIT = AT_IMPORT.replace('registry.register("scored")', 'def init():\n        registry.register("scored")')

COUNTS_IN_A_PACKAGE = """
    from pathlib import Path

    import registry

    def init():
        global number
        registry.CALLS.append("init")
        number = len(registry.CALLS)

    def run(mini_batch):
        return [f"{Path(path).name}: worker {number}" for path in mini_batch]
"""

OWNED = """
    import os
    from pathlib import Path

    import registry

    def FIRST():
        if not registry.CALLS:
            registry.CALLS.append(os.getcwd())

    def run(mini_batch):
        FIRST()
        assert registry.CALLS == [os.getcwd()]
        return [f"{Path(path).name}: {len(Path(path).read_bytes())}" for path in mini_batch]
"""
"""A package that belongs to the first worker which asks for it."""

NAMES_FILES_BY_PROCESS = """
    import os
    from pathlib import Path

    def init():
        folder = Path(os.environ["RESULTS"])
        folder.mkdir(exist_ok=True)
        global name
        name = folder / f"part-{os.getpid()}.csv"

    def run(mini_batch):
        with open(name, "a") as file:
            for path in mini_batch:
                file.write(Path(path).name + "\\n")
        return [Path(path).name for path in mini_batch]
"""

COUNTS_CALLS = """
    from pathlib import Path

    calls = 0

    def run(mini_batch):
        global calls
        calls += 1
        return [f"{Path(path).name}: call {calls}" for path in mini_batch]
"""


IN_ONE_PROCESS = 9
"""Calls of init() that are allowed to find the flaw below, but not to confirm it."""


@pytest.fixture(autouse=True)
def _confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Confirmation, "_possible", POSSIBLE)


@pytest.fixture
def registry(write: Write, monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
    """An installed package that keeps what was registered, as clients of metrics and parsers of flags do."""
    write("site-packages/registry/__init__.py", REGISTRY)
    monkeypatch.syspath_prepend(project / "site-packages")
    monkeypatch.setenv("PYTHONPATH", str(project / "site-packages"))
    monkeypatch.delitem(sys.modules, "registry", raising=False)


def checks(*names: str) -> tuple[str, str]:
    return "-k", " or ".join(names)


def noted(judged: Judged) -> list[str]:
    """The checks that say why the engine changed."""
    return [name for name, notes in judged.notes.items() if any("not a flaw in the script" in note for note in notes)]


@pytest.mark.usefixtures("registry")
def test_a_package_that_refuses_a_second_import_of_the_script(judge: Judge) -> None:
    judged = judge(AT_IMPORT, *checks("entry", "accepts", "init_runs", "valid_type", "history"))
    assert set(judged.outcomes.values()) == {"passed"}
    assert noted(judged) == ["entry_defines_run"]


@pytest.mark.usefixtures("registry")
def test_a_package_that_refuses_a_second_init(judge: Judge) -> None:
    judged = judge(IN_INIT, *checks("init_runs", "valid_type", "job_completes"))
    assert set(judged.outcomes.values()) == {"passed"}
    assert noted(judged) == ["init_runs_in_every_worker"]


def test_a_port_that_two_processes_contend_for_is_a_flaw(judge: Judge) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = f"""
        import socket

        def init():
            global server
            server = socket.create_server(("127.0.0.1", {port}), reuse_port=False)

        def run(mini_batch):
            return mini_batch
    """
    judged = judge(script, *checks("same_in_worker", "init_runs"))
    assert judged.failed == {"init_runs_in_every_worker"}
    assert noted(judged) == []


@pytest.mark.usefixtures("registry")
def test_under_strict_too(judge: Judge) -> None:
    judged = judge(AT_IMPORT, "--parallelrun-strict", *checks("entry_defines_run", "accepts"))
    assert set(judged.outcomes.values()) == {"passed"}


@pytest.mark.usefixtures("registry")
def test_what_a_package_keeps_between_workers(judge: Judge) -> None:
    judged = judge(COUNTS_IN_A_PACKAGE, *checks("mini_batch_size", "order", "history"))
    assert set(judged.outcomes.values()) == {"passed"}
    assert noted(judged) == ["independent_of_history"]


@pytest.mark.usefixtures("registry")
def test_a_sample_that_fails_only_after_other_workers(project: Path, write: Write, run_pytest: Run) -> None:
    for name in ("first", "second"):
        write(f"{name}.py", OWNED.replace("FIRST", "init"))
    entries = ("--parallelrun-entry=first.py", "--parallelrun-entry=second.py", "--parallelrun-input=data")
    run_pytest(*entries, "--parallelrun-report=gate.json", *checks("valid_type", "no_silent", "job_completes"))
    first, second = read_valid(project / "gate.json")["entries"]
    assert (first["verdict"], second["verdict"]) == ("passed", "passed")
    noted = {
        check["name"]: notes
        for entry in (first, second)
        for check in entry["checks"]
        if (notes := [note for note in check["notes"] if "not a flaw in the script" in note])
    }
    assert list(noted) == ["returns_valid_type"]


@pytest.mark.usefixtures("registry")
def test_fresh_workers_that_fail_only_beside_others(judge: Judge) -> None:
    judged = judge(OWNED.replace("FIRST", "first"), *checks("valid_type", "reports_failures", "history", "generated"))
    assert set(judged.outcomes.values()) == {"passed"}
    assert noted(judged) == ["reports_failures"]


def test_a_sample_that_fails_anywhere_is_a_finding(judge: Judge) -> None:
    judged = judge("def run(mini_batch):\n    raise ValueError('always')\n", *checks("valid_type", "no_silent"))
    assert judged.failed == {"no_silent_losses"}
    assert noted(judged) == []


def test_files_named_by_the_number_of_the_process(judge: Judge, tmp_path: Path) -> None:
    folder = f"--parallelrun-env=RESULTS={tmp_path / 'results'}"
    judged = judge(NAMES_FILES_BY_PROCESS, folder, "--parallelrun-set=mini_batch_size=1", *checks("collide"))
    assert judged.outcomes == {"workers_do_not_collide": "passed"}


@pytest.mark.slow
def test_a_flaw_is_found_as_before(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    found = judge(COUNTS_CALLS, *checks("history", "order"))
    monkeypatch.setattr(Confirmation, "_possible", False)
    in_one_process = judge(COUNTS_CALLS, *checks("history", "order"))
    assert found.failed == {"independent_of_history", "independent_of_order"}
    assert found.messages == in_one_process.messages
    # They have one cause, which is confirmed once, with the baseline that is there.
    assert found.init_calls == 2 * in_one_process.init_calls - 1


def test_what_cannot_be_confirmed_is_reported_and_said_to_be(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(init_calls, "MAX_INIT_CALLS", IN_ONE_PROCESS + init_calls.RESERVED_INIT_CALLS)
    judged = judge(COUNTS_CALLS, *checks("history"))
    assert judged.failed == {"independent_of_history"}
    # The calls of worker processes count too.
    assert judged.init_calls <= init_calls.MAX_INIT_CALLS
    assert "(not confirmed in worker processes: init() budget used up: " in (judged.messages["independent_of_history"])


def test_worker_processes_do_not_sleep_for_long(judge: Judge) -> None:
    script = """
        import time

        started = time.time()

        def run(mini_batch):
            if time.time() - started > 55:
                return []
            time.sleep(30)
            return [path[-10:] for path in mini_batch]
    """
    judged = judge(script, *checks("history"))
    message = judged.messages["independent_of_history"]
    assert message.startswith("run() depends on earlier mini-batches: for mini-batch 0 a fresh worker returns 'item_1")
    # Nothing is said of globals: in a process, the attempt that would show them is ended for its sleep.
    assert "In a call" not in message
    assert "(not repeated in worker processes, which would sleep 60 s for the sample: " in message


def test_what_could_not_be_checked_needs_no_confirmation(judge: Judge, write: Write) -> None:
    write("sales.csv", "store,sold\na,1\na,2\nb,3\n")
    script = """
        def run(rows):
            return [f"{store} {sold}" for store, sold in zip(rows["store"], rows["sold"])]
    """
    keys = "--parallelrun-set=partition_keys=store"
    judged = judge(script, "--parallelrun-strict", keys, *checks("mini_batch_size"), input="sales.csv")
    assert "(a failure under --parallelrun-strict)" in judged.messages["independent_of_mini_batch_size"]


def test_a_script_that_comes_up_nowhere_is_tried_once_in_worker_processes(judge: Judge) -> None:
    script = """
        def init():
            raise OSError("no licence")

        def run(mini_batch):
            return mini_batch
    """
    judged = judge(script, *checks("init_runs", "valid_type", "history", "job_completes"))
    assert judged.outcomes["init_runs_in_every_worker"] == "failed"
    assert noted(judged) == []


@pytest.mark.usefixtures("registry")
def test_a_worker_for_generated_mini_batches_does_not_outlive_its_check(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ExampleRunner] = []

    make = ExampleRunner.__init__

    def recorded(runner: ExampleRunner, observations: Observations) -> None:
        make(runner, observations)
        made.append(runner)

    monkeypatch.setattr(ExampleRunner, "__init__", recorded)
    judged = judge(AT_IMPORT, *checks("handles_generated"))
    assert judged.outcomes == {"handles_generated_mini_batches": "passed"}
    assert len(made) > 1
    assert [runner._session for runner in made if runner._session is not None] == []
