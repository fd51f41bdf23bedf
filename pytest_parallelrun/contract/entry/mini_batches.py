"""A mini-batch of the sample, and the answer of run()."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.contract.phrases import items_text, rows_text
from pytest_parallelrun.contract.rows.comparison import NO_SUCH_ROW, difference, row_text
from pytest_parallelrun.contract.rows.values import Key
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    import pandas as pd

    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.probe import ProbeResult, ProbeSession
    from pytest_parallelrun.emulator.splitting.model import ItemName, Partition, Payload


class SampleMiniBatch(NamedTuple):
    """A mini-batch of the sample; `id`, `first_item` and `partition` are those of its context."""

    id: int
    first_item: int
    payload: Payload
    names: Sequence[ItemName]
    partition: Partition = ()

    def items(self) -> str:
        """Its items, as text for messages."""
        return items_text(self.names) if is_files(self.payload) else rows_text(self.names)

    def part(self, *positions: int) -> SampleMiniBatch:
        """A mini-batch of some of its items, with the same identity."""
        names = tuple(self.names[position] for position in positions)
        if isinstance(self.payload, (list, tuple)):
            chosen: Payload = [self.payload[position] for position in positions]
        else:
            chosen = self.payload.iloc[list(positions)].reset_index(drop=True)  # type: ignore[union-attr]
        return self._replace(first_item=self.first_item + positions[0], payload=chosen, names=names)

    def numbered(self, id: int, first_item: int | None = None) -> SampleMiniBatch:
        """The same items as another mini-batch."""
        return self._replace(id=id, first_item=self.first_item if first_item is None else first_item)

    @property
    def size(self) -> int:
        """Its number of items."""
        return len(self.payload)


def merged(mini_batches: Sequence[SampleMiniBatch]) -> SampleMiniBatch:
    """One mini-batch with the items of all, and the identity of the first."""
    names = tuple(name for mini_batch in mini_batches for name in mini_batch.names)
    return mini_batches[0]._replace(payload=joined([mini_batch.payload for mini_batch in mini_batches]), names=names)


def singles_of(mini_batch: SampleMiniBatch) -> tuple[SampleMiniBatch, ...]:
    """Each item as a mini-batch."""
    return tuple(mini_batch.part(position) for position in range(mini_batch.size))


def called_as(whole: SampleMiniBatch, parts: Sequence[SampleMiniBatch]) -> list[SampleMiniBatch]:
    """The parts with the id of the whole, and the first rows that they have in it."""
    first_item, renamed = whole.first_item, []
    for part in parts:
        renamed.append(part.numbered(whole.id, first_item))
        first_item += part.size
    return renamed


class RunOutcome(NamedTuple):
    """The result of run() for a mini-batch: rows, or None if it returned no valid type."""

    rows: Sequence[object] | None
    ended: AttemptEnded

    def told(self, most: int = 3) -> str:
        """The first rows, or the error, as text."""
        if self.rows is None:
            failure = self.ended.failure
            return f"fails: {failure.error if failure else self.ended.outcome}"
        if not self.rows:
            return "returns no rows"
        shown = "; ".join(row_text(row, 120) for row in self.rows[:most])
        more = f" and {len(self.rows) - most} more" if len(self.rows) > most else ""
        return f"returns {shown}{more}"


def answer_of(ended: AttemptEnded) -> RunOutcome:
    """The answer in an attempt."""
    return RunOutcome(None if ended.returned is None else as_rows(ended.value), ended)


def joined_answers(answers: Sequence[RunOutcome]) -> RunOutcome:
    """All rows, or the first failure."""
    rows: list[object] = []
    for answer in answers:
        if answer.rows is None:
            return answer
        rows.extend(answer.rows)
    return RunOutcome(rows, answers[-1].ended)


def first_difference(
    expected: RunOutcome, actual: RunOutcome, ignoring: Collection[Key] = ()
) -> tuple[str, str] | None:
    """How two answers differ, as a text for each side; None if they are equal. Two failures are."""
    if expected.rows is None and actual.rows is None:
        return None
    if expected.rows is None or actual.rows is None:
        return expected.told(), actual.told()
    rows = difference(expected.rows, actual.rows, ignoring=ignoring)
    if rows is None:
        return None
    return (
        _returns(expected.rows, rows[0], than=len(actual.rows)),
        _returns(actual.rows, rows[1], than=len(expected.rows)),
    )


def _returns(rows: Sequence[object], differing: str, *, than: int) -> str:
    """An answer, shown by a row that the other answer, of `than` rows, does not have."""
    if not rows:
        return "returns no rows"
    if differing == NO_SUCH_ROW:
        return f"returns {count_text(len(rows), 'row')}"
    if len(rows) > than > 0:
        return f"returns {count_text(len(rows), 'row')}, also {differing}"
    return f"returns {differing}" if len(rows) == 1 else f"returns {len(rows):,} rows, among them {differing}"


@dataclass
class Observation:
    """Answers of fresh workers to mini-batches that they got one after the other."""

    attempts: list[tuple[SampleMiniBatch, ProbeResult]] = field(default_factory=list)

    def ended(self, mini_batch: SampleMiniBatch) -> AttemptEnded | None:
        """The last attempt at a mini-batch."""
        return next((result.ended for other, result in reversed(self.attempts) if other.id == mini_batch.id), None)

    def answer(self, mini_batch: SampleMiniBatch) -> RunOutcome | None:
        """The last answer to a mini-batch; None if there was none."""
        ended = self.ended(mini_batch)
        return None if ended is None else answer_of(ended)

    def rows(self, mini_batch: SampleMiniBatch) -> list[object] | None:
        """The rows of the last attempt at a mini-batch; None if it returned no valid type, or was not made."""
        ended = self.ended(mini_batch)
        return None if ended is None or ended.returned is None else as_rows(ended.value)


def attempt(session: ProbeSession, mini_batch: SampleMiniBatch, *, worker: int = 0, number: int = 1) -> ProbeResult:
    """One attempt at a mini-batch under its own id."""
    return session.attempt(
        mini_batch.payload,
        id=mini_batch.id,
        first_item=mini_batch.first_item,
        partition=mini_batch.partition,
        worker=worker,
        number=number,
    )


def is_files(payload: Payload) -> bool:
    """Whether it is a list of paths, not rows of a table or JSON lines."""
    return isinstance(payload, (list, tuple)) and not any(isinstance(item, dict) for item in payload[:1])


def paths_of(payload: Payload) -> list[str]:
    """The paths of a mini-batch of files; none of rows."""
    return [str(path) for path in payload] if is_files(payload) else []


def rows_of(payload: Payload) -> pd.DataFrame:
    """The rows of a mini-batch as a DataFrame; JSON lines with nested values as strings."""
    import pandas as pd

    if not isinstance(payload, (list, tuple)):
        return cast("pd.DataFrame", payload)
    flat = [
        {name: str(value) if isinstance(value, (dict, list)) else value for name, value in row.items()}
        for row in cast("Sequence[dict[str, object]]", payload)
    ]
    made: pd.DataFrame = pd.DataFrame(flat)
    return made


def joined(payloads: Sequence[Payload]) -> Payload:
    """One mini-batch with the items of several of the same kind."""
    if isinstance(payloads[0], (list, tuple)):
        return cast("Payload", [item for payload in payloads for item in cast("Sequence[object]", payload)])
    import pandas as pd

    return pd.concat([cast("pd.DataFrame", payload) for payload in payloads], ignore_index=True)


def some_of(payload: Payload, first: int, count: int) -> Payload:
    """A number of items of a mini-batch from a position on, or as many as there are."""
    if isinstance(payload, (list, tuple)):
        return list(payload[first : first + count])
    frame = cast("pd.DataFrame", payload)
    return cast("pd.DataFrame", frame.iloc[first : first + count].reset_index(drop=True))
