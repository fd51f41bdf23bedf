"""Reports made by hand and of small jobs, for the tests of every form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.finding import Cause, Finding, Location, Replay
from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.job import ParallelJob
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.report.records import CheckOutcome, CheckRecord, EntryReport, job_facts
from pytest_parallelrun.report.trace import Trace, trace_of

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.result import JobResult

CATALOGUE = {"first_check": "the first thing", "second_check": "the second", "third_check": "the third"}

COMMAND = "pytest --parallelrun-replay=x"
REPLAY = Replay(command=COMMAND)
WRONG_TYPE = Cause(kind="wrong_type", returned_type="None")

PARTS = ("what", "traceback", "counts", "service", "fix", "explained", "remark", "example")
FULL = Finding(
    **{name: f"{name} of it" for name in PARTS},  # type: ignore[arg-type]
    location=Location(phase="location of it"),
    replay=Replay(command="replay of it"),
)
"""Every part of it is a text "NAME of it"."""
FULL_TEXTS = [f"{name} of it" for name in (*PARTS, "location", "replay")]


Course = Mapping[str, Sequence[Exception | int]]
"""By name of the file, what its attempts do in turn: an exception is raised, a number is how many results come."""


class Scripted:
    """An entry that does with the mini-batch of each file what is said for it, at each attempt in turn."""

    def __init__(self, course: Course) -> None:
        self._course = {name: list(ends) for name, ends in course.items()}

    def run(self, mini_batch: list[str]) -> list[str]:
        ends = self._course.get(Path(mini_batch[0]).name, [])
        end = ends.pop(0) if ends else len(mini_batch)
        if isinstance(end, Exception):
            raise end
        return list(mini_batch)[:end]


def job(
    folder: Path, files: int, course: Course | None = None, *, faults: Sequence[Fault] = (), **settings: object
) -> JobResult:
    """A job over files 000.txt, 001.txt, ..."""
    data = folder / "data"
    data.mkdir()
    for number in range(files):
        (data / f"{number:03}.txt").touch()
    return ParallelJob(Scripted(course or {}), data, JobSettings(**settings), faults=faults).run()  # type: ignore[arg-type]


def traced(result: JobResult) -> Trace:
    return trace_of(result, lambda attempt: ", ".join(result.item_names(attempt.mini_batch.id)))


def record(name: str = "first_check", outcome: CheckOutcome = "passed", **values: object) -> CheckRecord:
    return CheckRecord(entry="score.py", name=name, outcome=outcome, **values)  # type: ignore[arg-type]


def found(name: str = "first_check", outcome: CheckOutcome = "failed", **fields: object) -> CheckRecord:
    """A check with a finding of these fields."""
    finding = Finding(**fields)  # type: ignore[arg-type]
    return record(name, outcome, finding=finding, message=finding.text())


def report(*records: CheckRecord, result: JobResult | None = None, path: str = "/work/score.py") -> EntryReport:
    made = EntryReport(entry="score.py", path=path, catalogue=CATALOGUE, judging=frozenset(CATALOGUE))
    for each in records:
        made.add(each)
    if result is not None:
        made.job, made.trace = job_facts(result), traced(result).as_json()
    return made
