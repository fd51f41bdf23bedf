"""A case: the mini-batches, settings and faults that show a finding, to be saved and run again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pytest_parallelrun.emulator.settings import JobSettings

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.faults import Fault
    from pytest_parallelrun.emulator.splitting.base import InputKind
    from pytest_parallelrun.emulator.splitting.handed import Payload

Expectation = Literal["results", "no_harm"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Mini-batches in the order in which one worker gets them.

    expects: "results": every attempt that no fault hits returns a result for each item. "no_harm": attempts may raise
    or return fewer, but not return a wrong type, hang or crash. expected_rows: what run() must return for the last
    mini-batch, None where only its outcome matters. settings: those that the case needs beside the entry's own.
    """

    kind: InputKind
    mini_batches: tuple[Payload, ...] = field(compare=False)
    settings: JobSettings = field(default_factory=JobSettings)
    faults: tuple[Fault, ...] = ()
    expects: Expectation = "results"
    expected_rows: tuple[object, ...] | None = None
    seed: int | None = None
