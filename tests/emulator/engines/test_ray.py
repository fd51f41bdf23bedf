"""What of the Ray engine must hold where Ray is not installed; tests/ray has the rest."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_parallelrun import JobSettings, ParallelJob
from pytest_parallelrun.emulator.clock import real_sleep
from pytest_parallelrun.emulator.engines import engine_maker
from pytest_parallelrun.emulator.engines.ray import carrier, cluster
from pytest_parallelrun.emulator.engines.ray.carrier import Carrier, Errand, Missed, Report, Terms
from pytest_parallelrun.emulator.entry import EntryFile
from pytest_parallelrun.emulator.errors import EntryScriptError, SettingsError
from pytest_parallelrun.emulator.worker.stage import WorkerPlan
from tests.emulator.jobs import Names, make_files


def test_without_ray_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    script = tmp_path / "score.py"
    script.write_text("def run(paths):\n    return paths\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"^engine='ray' needs Ray, .*pip install 'pytest-parallelrun\[ray\]'$"):
        ParallelJob(script, make_files(tmp_path, 1), engine="ray")


def test_an_object_is_refused_as_its_nodes_cannot_get_it(tmp_path: Path) -> None:
    with pytest.raises(EntryScriptError, match=r"^engine='ray' takes the path of a script"):
        ParallelJob(Names(), make_files(tmp_path, 1), engine="ray")


def test_an_address_of_the_ray_client_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: "found")
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(SettingsError, match=r"RAY_ADDRESS=ray://head:10001: .* Run pytest on a node of the cluster"):
        cluster.check_possible()


def test_ray_is_not_imported_before_there_is_a_job_for_it() -> None:
    assert engine_maker("ray").__name__ == "StandingActors"
    ask = "import sys; from pytest_parallelrun.emulator.engines import engine_maker; engine_maker('ray')"
    done = subprocess.run([sys.executable, "-c", f"{ask}; sys.exit('ray' in sys.modules)"], check=False)
    assert done.returncode == 0


@pytest.fixture
def actor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Carrier]:
    """What an actor does, in this process, with a worker that is up. It looks for answers when several are there."""
    wait = carrier._Carried._wait

    def wait_for_several(self: carrier._Carried, until: float | None) -> None:
        real_sleep(0.05)
        wait(self, until)

    script = tmp_path / "score.py"
    script.write_text("def run(paths):\n    return paths\n", encoding="utf-8")
    plan = WorkerPlan(entry=EntryFile(script, tmp_path), folder=tmp_path / "work")
    actor = Carrier()
    actor.begin(plan, Terms(JobSettings(), "files", None), 0, None, None, False)
    actor.bring_up(0, True, None, False, None)
    monkeypatch.setattr(carrier._Carried, "_wait", wait_for_several)
    yield actor
    actor.end()


def errands(*numbers: int) -> list[Errand]:
    return [Errand(number, 1, number, 1, (), [f"item {number}"], 0, 0.0) for number in numbers]


def returned(report: Report) -> list[object]:
    return [attempt.value for attempt in report.attempts]


def test_what_ends_when_the_time_of_a_group_is_up_is_reported_with_it(
    actor: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert returned(actor.work(errands(0), False)) == [["item 0"]]
    monkeypatch.setattr(carrier, "GROUP_SECONDS", 0.0)
    # As many as wait in the pipe of a worker that is quick have ended together.
    assert returned(actor.work(errands(1, 2, 3, 4, 5), False)) == [["item 1"], ["item 2"], ["item 3"]]
    assert returned(actor.work(errands(4, 5), False)) == [["item 4"], ["item 5"]]


class Recording(Carrier):
    """Tells what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def tell(self, what: str) -> int:
        self.asked.append(what)
        return len(self.asked)


def test_a_call_that_comes_twice_is_answered_twice_and_executed_once() -> None:
    actor = Recording()
    answers = [actor.do(7, number, 0, "tell", f"call {number}") for number in (0, 0, 1, 0)]
    assert answers == [1, 1, 2, 1]
    assert actor.asked == ["call 0", "call 1"]


def test_a_call_before_which_another_one_is_missing_is_not_executed() -> None:
    actor = Carrier()
    assert actor.do(7, 1, 0, "sees", []) == Missed()
    assert actor.do(7, 0, 0, "sees", []) == []
    assert actor.do(7, 2, 1, "sees", []) == Missed()
    assert actor.do(7, 1, 1, "sees", []) == []
    # Another seat counts from the beginning.
    assert actor.do(8, 1, 0, "sees", []) == Missed()
    assert actor.do(8, 0, 0, "sees", []) == []
