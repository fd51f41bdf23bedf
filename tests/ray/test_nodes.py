"""Workers on several nodes, one of which is lost, or sees none of the files of this machine."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from pytest_parallelrun import JobResult, JobSettings, ParallelJob
from pytest_parallelrun.emulator.engines.ray import parcels
from pytest_parallelrun.emulator.engines.ray.cluster import Cluster
from pytest_parallelrun.emulator.engines.ray.seat import Seat
from pytest_parallelrun.emulator.errors import EntryScriptError, InputError
from pytest_parallelrun.emulator.progress import Progress
from tests.emulator.engines.process.scripts import none_left, write_script
from tests.ray.conftest import Nodes

ITEMS = 60
SLOW = """
import os, time
def run(paths):
    time.sleep(0.15)
    return [os.path.basename(path) for path in paths]
"""


def write_numbered(folder: Path, count: int) -> Path:
    """Files that hold their number; their folder."""
    data = folder / "data"
    data.mkdir()
    for number in range(count):
        (data / f"f{number:02d}").write_text(str(number), encoding="utf-8")
    return data


@pytest.fixture(scope="module")
def survivor(nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> tuple[JobResult, Path]:
    """The result of a job in the middle of which one of three nodes was killed."""
    folder = tmp_path_factory.mktemp("a lost node")
    killed: list[int] = []

    def kill_one(progress: Progress) -> None:
        if progress.processed >= ITEMS // 4 and not killed:
            killed.append(progress.processed)
            nodes.kill(nodes.others[-1])

    settings = JobSettings(
        mini_batch_size=1,
        instance_count=3,
        max_concurrency_per_instance=1,
        max_retries=2,
        error_threshold=0,
        output_action="append_row",
        environment_variables={"PARALLELRUN_TEST": str(folder)},
    )
    job = ParallelJob(
        write_script(folder, SLOW),
        write_numbered(folder, ITEMS),
        settings,
        engine="ray",
        on_progress=kill_one,
    )
    try:
        return job.run(), folder
    finally:
        nodes.others.append(nodes.add())


def test_workers_are_spread_over_the_nodes(survivor: tuple[JobResult, Path]) -> None:
    result, _ = survivor
    assert any(note.startswith("workers ran on 3 node(s) of a Ray cluster") for note in result.notes)
    assert {0, 1, 2} <= {attempt.worker for attempt in result.attempts}


def test_a_lost_node_costs_attempts_and_no_result(survivor: tuple[JobResult, Path]) -> None:
    result, _ = survivor
    assert (result.status, result.succeeded_items, result.failed_items) == ("Completed", ITEMS, 0)
    assert Counter(map(str, result.rows)) == Counter(f"f{number:02d}" for number in range(ITEMS))
    assert result.output_path is not None
    assert sorted(result.output_path.read_text("utf-8").split()) == sorted(map(str, result.rows))


def test_the_attempt_that_was_lost_says_with_which_node(survivor: tuple[JobResult, Path]) -> None:
    result, _ = survivor
    lost = [attempt for attempt in result.attempts if attempt.outcome == "crashed"]
    assert len(lost) == 1
    assert "the worker was lost with its actor on node" in str(lost[0].failure)


def test_a_lost_worker_has_a_successor_elsewhere(survivor: tuple[JobResult, Path]) -> None:
    result, _ = survivor
    assert result.init_calls == 4


def test_nothing_is_left_running_of_a_job_that_lost_a_node(survivor: tuple[JobResult, Path]) -> None:
    _, folder = survivor
    assert none_left(str(folder))


BLIND = """
import os, sys, time
from pathlib import Path
import sibling
def init():
    global model
    model = Path(os.environ["AZUREML_MODEL_DIR"], "weights.txt").read_text()
    print("came up in", os.getcwd())
def run(paths):
    time.sleep(0.1)
    Path("left.txt").write_text("left by a worker")
    Path(os.environ["AZUREML_BI_OUTPUT_PATH"], os.path.basename(paths[0])).write_text("kept")
    assert sys.argv[sys.argv.index("--output") + 1] == os.environ["AZUREML_BI_OUTPUT_PATH"]
    return [f"{sibling.NAME} {model} {Path(path).read_text()} {path}" for path in paths]
"""


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """No node sees a file of this machine, not even its own."""

    def sees(seat: Seat, signatures: list[object], *, limit: float) -> list[bool]:
        return [False] * len(signatures)

    monkeypatch.setattr(Seat, "sees", sees)
    monkeypatch.setattr(Cluster, "home", "none of them")


def blind_job(folder: Path, output: Path | None = None, logs: Path | None = None) -> ParallelJob:
    """A job with three instances, one on each node."""
    script = write_script(folder, BLIND)
    write_script(folder, "NAME = 'sibling'", "sibling.py")
    model = folder / "my model"
    model.mkdir()
    (model / "weights.txt").write_text("weights", encoding="utf-8")
    settings = JobSettings(
        mini_batch_size=1, instance_count=3, max_concurrency_per_instance=1, output_action="append_row"
    )
    return ParallelJob(
        script, write_numbered(folder, 12), settings, engine="ray", models=[model], output=output, logs=logs
    )


def test_a_node_that_sees_no_files_gets_code_models_and_inputs_by_value(
    blind: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = blind_job(tmp_path, tmp_path / "output", tmp_path / "logs").run()
    assert result.status == "Completed", [attempt.failure for attempt in result.attempts]
    assert result.worker_failures == ()
    rows = sorted(map(str, result.rows), key=lambda row: int(row.split()[2]))
    assert [row.split()[:3] for row in rows] == [["sibling", "weights", str(number)] for number in range(12)]
    assert not any(f" {tmp_path}/data" in row for row in rows)
    assert any("does not see the folders of this machine: code and models were sent to it" in n for n in result.notes)
    # What workers wrote there is where workers of this machine write.
    assert sorted(path.name for path in (tmp_path / "output").glob("f*")) == [f"f{number:02d}" for number in range(12)]
    busy = {attempt.worker for attempt in result.attempts}
    assert len(list((tmp_path / "output").glob("process*/left.txt"))) == len(busy)
    assert len(list((tmp_path / "logs" / "logs" / "user" / "stdout").glob("instance*/process*.stdout.txt"))) == 3
    assert capsys.readouterr().out.count("came up in") == 3


def test_code_that_is_too_large_to_be_sent_is_refused_with_what_to_do(
    blind: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parcels, "BUNDLE_LIMIT", 100)
    with pytest.raises(EntryScriptError, match=r"code root '.*' has more than 100 bytes.*--parallelrun-code"):
        blind_job(tmp_path).run()


def test_a_mini_batch_that_is_too_large_to_be_sent_is_refused_with_what_to_do(
    blind: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parcels, "PARCEL_LIMIT", 0)
    with pytest.raises(InputError, match=r"mini-batch \d+: its files have more than 0 bytes, and a node of the"):
        blind_job(tmp_path).run()
    assert none_left(str(tmp_path))


def test_nodes_that_see_the_same_files_get_paths(tmp_path: Path) -> None:
    script = write_script(tmp_path, "def run(paths):\n    return paths")
    data = write_numbered(tmp_path, 6)
    settings = JobSettings(mini_batch_size=1, instance_count=3, max_concurrency_per_instance=1)
    result = ParallelJob(script, data, settings, engine="ray").run()
    assert sorted(map(str, result.rows)) == sorted(str(path) for path in data.iterdir())
    assert not any("does not see" in note for note in result.notes)
    assert os.path.isdir(data)
