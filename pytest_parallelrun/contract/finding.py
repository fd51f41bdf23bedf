"""A finding as fields. Its text is created once, for display."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, cast

from pytest_parallelrun.contract.phrases import indented, sentences
from pytest_parallelrun.emulator.events import Frame

if TYPE_CHECKING:
    from pytest_parallelrun.contract.cases.case import Case
    from pytest_parallelrun.emulator.events import AttemptEnded, Failure
    from pytest_parallelrun.emulator.service.missing_api import StandInGap

MAX_GAPS = 3
"""Items that a finding names."""


@dataclass(frozen=True, kw_only=True)
class Location:
    """Where something was found.

    phase: of the worker or the attempt, see emulator.events.Phase. mini_batch: its id. items: their names, as text.
    attempt, attempts: the number of the attempt, and the maximum. detail: further information, such as the mini-batch
    of a value.
    """

    phase: str
    mini_batch: int | None = None
    items: str = ""
    attempt: int = 1
    attempts: int = 1
    detail: str = ""

    def __str__(self) -> str:
        """Such as "run(), mini-batch 3 (a.csv, b.csv), attempt 1 of 3"."""
        parts = [f"{self.phase}()" if self.phase in ("init", "run", "shutdown") else self.phase]
        if self.mini_batch is not None:
            parts.append(f"mini-batch {self.mini_batch}" + (f" ({self.items})" if self.items else ""))
            parts.append(f"attempt {self.attempt} of {self.attempts}")
        elif self.items:
            parts.append(self.items)
        return ", ".join(parts) + self.detail


@dataclass(frozen=True, kw_only=True)
class Cause:
    """The common cause of findings of several checks; equal causes are reported once.

    kind: the outcome of an attempt, the failed phase, or the kind of bug. exception: class of the exception. frame: the
    line of the script that raised it. returned_type: the invalid type that run() returned.
    """

    kind: str
    exception: str = ""
    frame: Frame | None = None
    returned_type: str = ""

    @classmethod
    def of_failure(cls, failure: Failure) -> Cause:
        """Equal for failures of the same kind from the same line of the script."""
        return cls(kind=failure.phase, exception=failure.exception, frame=failure.frame)

    @classmethod
    def of_attempt(cls, attempt: AttemptEnded) -> Cause:
        """The same for an attempt."""
        failure, outcome = attempt.failure, attempt.outcome
        if failure is None or outcome == "short":
            return cls(kind=outcome)
        if outcome == "timeout":
            # Where run() was interrupted depends on the machine.
            return cls(kind=outcome if failure.phase == "run" else f"timeout ({failure.phase})")
        if outcome == "wrong_type":
            return cls(kind=outcome, returned_type=failure.returned_type)
        return cls.of_failure(failure) if failure.exception else cls(kind=outcome, frame=failure.frame)


@dataclass(frozen=True, kw_only=True)
class Replay:
    """How to replay it: a command, and the lines of a test. unavailable: why there are none.

    copy: the command that copies the case to where the test loads it, "" where it lies there.
    remarks: what is to be known of what was saved.
    """

    command: str = ""
    copy: str = ""
    test: tuple[str, ...] = ()
    unavailable: str = ""
    remarks: tuple[str, ...] = ()

    def text(self) -> str:
        """All parts, each with its lines."""
        if self.unavailable:
            return f"replay: not available, because the mini-batches could not be saved: {self.unavailable}"
        lines = [f"replay: {self.command}"]
        if self.test:
            lines += (
                [f"or copy the case: {self.copy}", "and paste a test:"] if self.copy else ["or as a regression test:"]
            )
            lines += [f"    {line}" for line in self.test]
        return "\n".join([*lines, *(f"({remark})" for remark in self.remarks)])


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is wrong, with everything that helps; empty fields are not shown.

    what: one sentence. traceback: the user's own frames. counts: the numbers. service: what the service would show, and
    in which log (see phrases). fix: what to do. explained: the command that prints the page of the check. remark: a
    sentence at the end. cause: None if unknown.
    case: what to run to see it again. example: the Hypothesis example. replay: how to run it, once it is saved.
    """

    what: str
    location: Location | None = None
    traceback: str = ""
    counts: str = ""
    service: str = ""
    fix: str = ""
    explained: str = ""
    remark: str = ""
    cause: Cause | None = None
    case: Case | None = None
    example: str = ""
    replay: Replay | None = None

    def saying(self, remark: str) -> Finding:
        """The same with a remark at the end."""
        return replace(self, remark=remark)

    def after_gaps(self, gaps: Iterable[StandInGap]) -> Finding:
        """The same, with calls that the stand-ins do not cover first: the script may work on the service."""
        gaps = list(gaps)
        if not gaps:
            return self
        things = ", ".join(gap.thing for gap in gaps[:MAX_GAPS])
        if len(gaps) > MAX_GAPS:
            things += f" and {len(gaps) - MAX_GAPS} more"
        what = (
            f"The azureml stand-ins lack {things}, which the script uses. That may be the cause of what follows, and "
            "not the script:"
        )
        advice = dict.fromkeys(gap.advice for gap in gaps[:MAX_GAPS])
        return replace(self, what=sentences(what, self.what), fix=sentences(*advice, self.fix))

    def to_json(self) -> dict[str, object]:
        """All of it except the case, as JSON types."""
        values = asdict(replace(self, case=None))
        del values["case"]
        if self.cause is not None and self.cause.frame is not None:
            values["cause"]["frame"] = self.cause.frame._asdict()
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Finding:
        """The finding that `to_json` wrote."""
        fields = dict(values)
        location, cause, replay = (
            cast("Mapping[str, object] | None", fields.pop(name)) for name in ("location", "cause", "replay")
        )
        if cause is not None and cause["frame"] is not None:
            cause = {**cause, "frame": Frame(**cast("dict[str, object]", cause["frame"]))}  # type: ignore[arg-type]
        if replay is not None:
            lists = {name: tuple(cast("list[str]", replay[name])) for name in ("test", "remarks")}
            replay = {**replay, **lists}
        return cls(
            **fields,  # type: ignore[arg-type]
            location=None if location is None else Location(**location),  # type: ignore[arg-type]
            cause=None if cause is None else Cause(**cause),  # type: ignore[arg-type]
            replay=None if replay is None else Replay(**replay),  # type: ignore[arg-type]
        )

    def labelled(self, *fields: str) -> Iterator[tuple[str, str]]:
        """Label and text of each part that is shown on its own, in reading order.

        fields: only these.
        """
        parts = {
            "location": ("where", "" if self.location is None else str(self.location)),
            "counts": ("counts", self.counts),
            "service": ("on Azure ML", self.service),
            "fix": ("fix", self.fix),
            "explained": ("details", self.explained),
        }
        return ((label, text) for name, (label, text) in parts.items() if text and name in (fields or parts))

    def labelled_lines(self, *fields: str) -> Iterator[str]:
        """The same as "label: text"."""
        return (f"{label}: {text}" for label, text in self.labelled(*fields))

    def text(self) -> str:
        """All parts, each with its lines."""
        parts = [
            self.what,
            *self.labelled_lines("location"),
            indented(self.traceback),
            *self.labelled_lines("counts", "service", "fix", "explained"),
            self.remark and f"({self.remark})",
            self.example,
            "" if self.replay is None else self.replay.text(),
        ]
        return "\n".join(part.rstrip() for part in parts if part)
