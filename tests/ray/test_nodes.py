"""Workers on several nodes, which see none of the files of this machine, or all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_parallelrun import JobSettings, ParallelJob
from pytest_parallelrun.emulator.engines.ray import files
from pytest_parallelrun.emulator.engines.ray.cluster import ActorHandle
from pytest_parallelrun.emulator.errors import InputError
from tests.emulator.engines.process.scripts import none_left, write_script


def write_numbered(folder: Path, count: int) -> Path:
    """Files that hold their number; their folder."""
    data = folder / "data"
    data.mkdir()
    for number in range(count):
        (data / f"f{number:02d}").write_text(str(number), encoding="utf-8")
    return data


BLIND = """
import os, sys, time
from pathlib import Path
import sibling
def init():
    global model
    model = Path(os.environ["AZUREML_MODEL_DIR"], "my model", "weights.txt").read_text()
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
    monkeypatch.setattr(ActorHandle, "unseen", lambda handle, paths: set(paths))


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
    monkeypatch.setattr(files, "BUNDLE_LIMIT", 100)
    with pytest.raises(InputError, match=r"code root '.*' \(--parallelrun-code\), .* have more than 100 bytes"):
        blind_job(tmp_path).run()


def test_a_mini_batch_that_is_too_large_to_be_sent_is_refused_with_what_to_do(
    blind: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PARCEL_LIMIT", 0)
    with pytest.raises(InputError, match=r"mini-batch \d+: its files have more than 0 bytes, and not all nodes"):
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


@pytest.mark.parametrize("which", [1, 2], ids=["its folders", "an input"])
def test_a_node_that_does_not_say_what_it_sees_is_left_and_nothing_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    import ray

    asked = []

    def unseen(handle: ActorHandle, paths: list[str]) -> set[str]:
        asked.append(handle)
        if len(asked) == which:
            handle.lost = ray.exceptions.GetTimeoutError("no answer in time")
        return set() if handle.lost else set(paths)

    monkeypatch.setattr(ActorHandle, "unseen", unseen)
    script = write_script(tmp_path, "def run(paths):\n    return paths")
    settings = JobSettings(mini_batch_size=1, max_concurrency_per_instance=1)
    result = ParallelJob(script, write_numbered(tmp_path, 12), settings, engine="ray").run()
    assert len(asked) > which
    assert (result.status, result.succeeded_items, len(result.attempts)) == ("Completed", 12, 12)
    assert result.worker_failures == ()
    # The successor was asked too, and got copies.
    assert not any(str(row).startswith(str(tmp_path / "data")) for row in result.rows)


def test_an_actor_that_is_lost_takes_along_what_only_its_node_has(blind: None, tmp_path: Path) -> None:
    script = """
import os, signal, time
def run(paths):
    return paths
def shutdown():
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
"""
    job = ParallelJob(write_script(tmp_path, script), write_numbered(tmp_path, 1), JobSettings(), engine="ray")
    result = job.run()
    assert (result.status, result.succeeded_items) == ("Completed", 1)
    lost = [note for note in result.notes if note.startswith("what workers of an actor on node")]
    assert len(lost) == 1
    assert "wrote and printed is lost: The actor died" in lost[0]


def test_files_that_are_too_large_to_be_sent_back_are_lost_with_the_reason(
    blind: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"def run(paths):\n    open('large', 'wb').truncate({files.PARCEL_LIMIT + 1})\n    return paths"
    job = ParallelJob(write_script(tmp_path, script), write_numbered(tmp_path, 1), JobSettings(), engine="ray")
    result = job.run()
    assert (result.status, result.succeeded_items) == ("Completed", 1)
    assert any("is lost: " in note and "have more than 100,000,000 bytes" in note for note in result.notes)


SIDE = """
import sys
def run(paths):
    [inside] = [argument.partition("=")[2] for argument in sys.argv if argument.startswith("--inside=")]
    return [open(inside).read()]
"""


def test_side_inputs_come_with_the_code_root_and_are_named_elsewhere(blind: None, tmp_path: Path) -> None:
    script = write_script(tmp_path, SIDE)
    inside = write_script(tmp_path, "inside", "table.csv")
    outside = tmp_path / "elsewhere.csv"
    outside.touch()
    arguments = [f"--inside={inside}", f"--outside={outside}"]
    result = ParallelJob(script, write_numbered(tmp_path, 1), JobSettings(), arguments, engine="ray").run()
    assert result.rows == ["inside"]
    assert any(note.startswith(f"'{outside}', which arguments or the environment") for note in result.notes)
