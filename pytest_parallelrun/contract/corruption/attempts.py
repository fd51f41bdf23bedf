"""Results of run() for mini-batches with one unreadable item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_parallelrun.contract.cases.case import Case
from pytest_parallelrun.contract.entry.mini_batches import rows_of
from pytest_parallelrun.contract.finding import Location
from pytest_parallelrun.contract.rows.errors import ValidRows
from pytest_parallelrun.emulator.output import as_rows

if TYPE_CHECKING:
    from pytest_parallelrun.contract.cases.case import Expectation
    from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.probe import ProbeResult
    from pytest_parallelrun.emulator.splitting.model import Payload
    from pytest_parallelrun.emulator.worker.file_watch import FilesTouched


AN_ERROR_ROW = (
    "catch the exception of one item alone and return a row that names the item and its error, such as "
    '{"file": name, "error": str(error)}'
)

Need = Literal["needed", "not needed", "size", "unknown"]
"""Whether the result of an item depends on the corrupted part; "size": on the size of a file, not on its content."""


class CorruptedAttempt(NamedTuple):
    """An attempt at a mini-batch with one bad item. description: what is wrong with it. item: its name.

    payload: the mini-batch to be saved, with the bad item. echo: a text from the bad item.
    """

    description: str
    item: str
    payload: Payload
    result: ProbeResult
    need: Need = "unknown"
    echo: str = ""

    @property
    def ended(self) -> AttemptEnded:
        return self.result.ended

    @property
    def error(self) -> str:
        """Its error in one line, or ""."""
        return "" if self.ended.failure is None else self.ended.failure.error

    @property
    def lost(self) -> int:
        """Items without a result; all of them if the attempt failed."""
        size = self.ended.mini_batch.size
        if self.ended.outcome == "short":
            return size - (self.ended.returned or 0)
        return 0 if self.ended.outcome == "succeeded" else size


@dataclass(frozen=True, kw_only=True)
class CorruptionTrial:
    """The attempts at one mini-batch. valid: without a bad item. setting_up: what init() opened.

    empty: with an empty file, if it raises or returns fewer and no unreadable item costs others.
    """

    observations: Observations
    mini_batch: SampleMiniBatch
    valid: ProbeResult
    setting_up: FilesTouched
    attempts: list[CorruptedAttempt]
    empty: CorruptedAttempt | None = None

    @property
    def valid_rows(self) -> list[object]:
        """Results while all items were valid."""
        return as_rows(self.valid.ended.value)

    @property
    def item_texts(self) -> list[str]:
        """Names of the items, and what the cells of rows hold: of these a row repeats what it likes."""
        if self.observations.kind == "files":
            return list(self.mini_batch.names)
        return [str(cell) for cell in rows_of(self.mini_batch.payload).to_numpy().ravel().tolist()]

    def names_error(self, attempt: CorruptedAttempt) -> bool:
        """Whether a row names the bad item, as no row does while all are valid."""
        valid = ValidRows(self.valid_rows, self.mini_batch.names)
        rows = as_rows(attempt.ended.value)
        if attempt.echo and len(rows) == len(self.valid_rows):
            # Rows of a table in order: the others now have strings instead of numbers, which is not their error.
            rows = rows[:1]
        return any(valid.names_error(row, echo=attempt.echo) for row in rows)

    def why_undecided(self) -> str:
        """Why nothing can be said about the items; "" otherwise."""
        if self.observations.kind != "files":
            if any(attempt.need == "needed" for attempt in self.attempts):
                return ""
            return "no number in the sample is seen to change a result, so one that cannot be parsed would not matter"
        for attempt in self.attempts:
            hidden = attempt.need in ("size", "unknown") and attempt.ended.outcome == "succeeded"
            if hidden and not self.names_error(attempt):
                return (
                    f"run() returned all results although {attempt.item} cannot be read ({attempt.description}). "
                    + (
                        "Its result depends on the size of the file, not on its content"
                        if attempt.need == "size"
                        else "Nothing is seen of how the file is read, as in native code or in another process"
                    )
                    + ", so a swallowed error can be neither confirmed nor excluded"
                )
        return ""

    def location(self) -> Location:
        return Location(
            phase="run",
            mini_batch=self.mini_batch.id,
            items=self.mini_batch.items(),
            attempts=self.observations.entry.settings.max_retries + 1,
        )

    def case_of(self, attempt: CorruptedAttempt, expects: Expectation = "no_harm") -> Case:
        return Case(
            kind=self.observations.kind,
            mini_batches=(attempt.payload,),
            expects=expects,
            partitions=(self.mini_batch.partition,),
        )
