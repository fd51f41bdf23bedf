"""Mini-batches in which one item cannot be read, while the others are sound, and what run() made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_parallelrun.contract.entry.observations import SampleMiniBatch
from pytest_parallelrun.emulator.output import as_rows

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.probe import ProbeResult
    from pytest_parallelrun.emulator.splitting.model import Payload
    from pytest_parallelrun.emulator.worker.file_watch import FilesTouched


Need = Literal["needed", "not needed", "unknown"]
"""Whether the result of an item depends on what was spoiled."""


class CorruptedAttempt(NamedTuple):
    """An attempt at a mini-batch with one bad item. how: what is bad about it. item: its name.

    payload: the mini-batch, to be saved; the bad item stays bad in it. echo: a text that the bad item brought in.
    """

    how: str
    item: str
    payload: Payload
    tried: ProbeResult
    need: Need
    echo: str = ""

    @property
    def lost(self) -> int:
        """Items without a result; all of them where the attempt failed."""
        ended = self.tried.ended
        if ended.outcome == "short":
            return ended.mini_batch.size - (ended.returned or 0)
        return 0 if ended.outcome == "succeeded" else ended.mini_batch.size


@dataclass
class CorruptionTrial:
    """What was tried with one mini-batch. sound: the attempt with no item bad. reason: why nothing was tried, or "".

    empty: the attempt with an empty file, if it raises or returns fewer and none that cannot be read costs other items.
    """

    group: SampleMiniBatch | None = None
    sound: ProbeResult | None = None
    setting_up: FilesTouched | None = None
    tries: list[CorruptedAttempt] = field(default_factory=list)
    empty: CorruptedAttempt | None = None
    reason: str = ""

    @property
    def sound_rows(self) -> list[object]:
        """What run() returned while all items were sound."""
        return [] if self.sound is None else as_rows(self.sound.ended.value)
