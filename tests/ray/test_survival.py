"""A node is lost in the middle of a job. The last file of the folder: the cluster has one node less from then on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pytest_parallelrun import JobResult, JobSettings, ParallelJob
from pytest_parallelrun.emulator.events import Progress
from tests.emulator.engines.process.scripts import none_left, write_script
from tests.ray.conftest import Nodes
from tests.ray.test_nodes import write_numbered

ITEMS = 60
SLOW = """
import os, time
def run(paths):
    time.sleep(0.15)
    return [os.path.basename(path) for path in paths]
"""


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
    return job.run(), folder


def test_workers_are_spread_over_the_nodes(survivor: tuple[JobResult, Path]) -> None:
    result, _ = survivor
    assert any(note.startswith("workers ran on 3 nodes of a Ray cluster") for note in result.notes)
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
