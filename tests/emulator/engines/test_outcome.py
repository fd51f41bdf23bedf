from __future__ import annotations

import pytest

from pytest_parallelrun.emulator.engines.outcome import AttemptLimits, DispatchedTask, judge_raised
from pytest_parallelrun.emulator.engines.protocol import Task
from pytest_parallelrun.emulator.events import Failure, Outcome, Phase
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import MiniBatch
from pytest_parallelrun.emulator.worker.messages import Raised

TASK = DispatchedTask(Task(MiniBatch(id=0, size=1, first_item=0, position=None), 1), None, loading=0.0)


@pytest.mark.parametrize(
    ("phase", "running", "outcome"),
    [("run", 1.0, "exception"), ("load", 0.0, "load_error"), ("run", 60.0, "timeout")],
)
def test_what_was_raised_is_judged_by_its_phase_and_by_when_it_came(
    phase: Phase, running: float, outcome: Outcome
) -> None:
    failure = Failure(phase=phase, error="ValueError: no")
    message = Raised(running=running, failure=failure.to_plain(), touched=None)
    judged = judge_raised(message, TASK, AttemptLimits(JobSettings(timeout=60)))
    assert judged.outcome == outcome
    assert (judged.failure == failure) is (outcome != "timeout")
