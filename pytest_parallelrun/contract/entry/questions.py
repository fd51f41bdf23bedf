"""What checks ask a fresh worker, or the one that is asked everything first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.corruption.items import CORRUPTION, ask_corruption
from pytest_parallelrun.contract.corruption.misread_text import ENCODING, ask_encoding
from pytest_parallelrun.contract.dependence.run_time import TIMES, ask_times
from pytest_parallelrun.contract.entry.mini_batches import attempt

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Ask, Observations
    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.probe import ProbeSession

PARTS = "parts"


def ask_parts(observations: Observations, session: ProbeSession) -> list[tuple[SampleMiniBatch, AttemptEnded]]:
    """The attempts at single items and half of a mini-batch that is the only one of the sample."""
    if len(observations.groups) != 1:
        return []
    (mini_batch,) = observations.groups
    size = mini_batch.size
    if size < 2 or mini_batch.partition:
        return []
    parts = [mini_batch.part(0), mini_batch.part(size - 1), mini_batch.part(*range((size + 1) // 2))]
    return [(part, attempt(session, part).ended) for part in parts]


QUESTIONS: Mapping[str, Ask] = {CORRUPTION: ask_corruption, ENCODING: ask_encoding, PARTS: ask_parts, TIMES: ask_times}
