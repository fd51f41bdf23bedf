"""A case: the mini-batches, settings and faults that show a finding, to be saved and run again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting import LoadError, open_input

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.rows.comparison import Key
    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.faults import Fault
    from pytest_parallelrun.emulator.splitting.model import InputKind, Partition, Payload

Expectation = Literal["results", "no_harm"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Mini-batches in the order in which one worker gets them. Files must be there until the test function ends.

    expects: "results": every attempt that no fault hits returns a result for each item. "no_harm": attempts may raise
    or return fewer, but not return a wrong type, hang or crash. expected_rows: what run() must return for the last
    mini-batch, None where only its outcome matters; ignoring: values in them that differ between any two runs.
    settings: those that the case needs beside the entry's own, such as the timeout of a hang. identities: index and
    first row of each mini-batch, as its context tells them, all different; without them they count from 0. partitions:
    what the context tells of each, with partition_keys.
    """

    kind: InputKind
    mini_batches: tuple[Payload, ...] = field(compare=False)
    settings: JobSettings = field(default_factory=JobSettings)
    faults: tuple[Fault, ...] = ()
    expects: Expectation = "results"
    expected_rows: tuple[object, ...] | None = None
    ignoring: frozenset[Key] = frozenset()
    identities: tuple[tuple[int, int], ...] = ()
    partitions: tuple[Partition, ...] = ()
    seed: int | None = None


def case_of(entry: EntryUnderTest, attempt: AttemptEnded) -> Case | None:
    """The case of an attempt at a mini-batch of the sample; None where that cannot be loaded."""
    splitter = open_input(entry.copy_sample().input, entry.settings)
    batch = attempt.mini_batch
    try:
        payload = splitter.load(batch)
    except LoadError:
        return None
    return Case(
        kind=splitter.kind,
        mini_batches=(payload,),
        identities=((batch.id, batch.first_item),),
        partitions=(batch.partition,),
    )
