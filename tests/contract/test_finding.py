from __future__ import annotations

import json

import pytest

from pytest_parallelrun.contract.finding import Cause, Finding, Location, Replay
from pytest_parallelrun.emulator.events import AttemptEnded, ErrorInfo, Failure, Frame, Outcome
from pytest_parallelrun.emulator.splitting.model import MiniBatch

FRAMES = (Frame("/user/score.py", 4, "run"), Frame("/user/helpers.py", 9, "parse"))


def failure(
    message: str = "char 1", *, phase: str = "run", kind: str = "json.JSONDecodeError", line: int = 9
) -> Failure:
    return Failure(
        phase,  # type: ignore[arg-type]
        f"{kind}: {message}",
        chain=(ErrorInfo(kind, message),),
        frames=(FRAMES[0], FRAMES[1]._replace(line=line)),
    )


def ended(outcome: Outcome, failure: Failure | None) -> AttemptEnded:
    return AttemptEnded(
        mini_batch=MiniBatch(0, 1, 0, None),
        number=1,
        worker=0,
        outcome=outcome,
        returned=None,
        value=None,
        started=0,
        loading=0,
        running=0,
        failure=failure,
        fault=None,
    )


FULL = Finding(
    what="run() fails",
    location=Location(phase="run"),
    traceback="Traceback\n  line",
    counts="1 of 3",
    service="exit code 42",
    fix="mend it",
    remark="maybe",
    cause=Cause.of_failure(failure()),
    example="Draw 1: 3",
    replay=Replay(command="pytest", test=("def test(): ...",), remarks=("a model is not saved",)),
)


def test_all_parts_are_shown_in_the_order_in_which_they_are_read() -> None:
    assert FULL.text().splitlines() == [
        "run() fails",
        "where: run()",
        "    Traceback",
        "      line",
        "counts: 1 of 3",
        "on Azure ML: exit code 42",
        "fix: mend it",
        "(maybe)",
        "Draw 1: 3",
        "replay: pytest",
        "or as a regression test:",
        "    def test(): ...",
        "(a model is not saved)",
    ]


def test_a_case_that_must_be_copied_first_has_the_command() -> None:
    replay = Replay(command="pytest", copy="cp -r a b", test=("def test(): ...",))
    lines = ["replay: pytest", "or copy the case: cp -r a b", "and paste a test:", "    def test(): ..."]
    assert replay.text().splitlines() == lines


def test_parts_that_are_empty_are_not_shown() -> None:
    assert Finding(what="run() fails").text() == "run() fails"


def test_a_remark_takes_the_place_of_an_earlier_one() -> None:
    assert Finding(what="x", remark="old").saying("new").text() == "x\n(new)"


def test_a_case_that_was_not_saved_says_why() -> None:
    finding = Finding(what="x", replay=Replay(unavailable="no room"))
    assert finding.text() == "x\nreplay: not available, because the mini-batches could not be saved: no room"


@pytest.mark.parametrize("finding", [FULL, Finding(what="x"), Finding(what="x", cause=Cause(kind="short"))])
def test_a_finding_comes_back_from_json_as_it_was(finding: Finding) -> None:
    assert Finding.from_json(json.loads(json.dumps(finding.to_json()))) == finding


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (Location(phase="init"), "init()"),
        (Location(phase="import"), "import"),
        (
            Location(phase="run", mini_batch=3, items="a.csv, b.csv", attempts=3),
            "run(), mini-batch 3 (a.csv, b.csv), attempt 1 of 3",
        ),
        (Location(phase="run", mini_batch=0), "run(), mini-batch 0, attempt 1 of 1"),
        (Location(phase="shutdown", items="a.csv"), "shutdown(), a.csv"),
        (Location(phase="return", detail=" of run(), mini-batch 2"), "return of run(), mini-batch 2"),
    ],
)
def test_a_location_names_what_is_known(location: Location, expected: str) -> None:
    assert str(location) == expected


def test_the_same_error_at_the_same_line_of_the_user_is_one_cause_whatever_its_text() -> None:
    assert Cause.of_failure(failure("char 1")) == Cause.of_failure(failure("char 2"))
    assert Cause.of_failure(failure()).frame == FRAMES[1]


@pytest.mark.parametrize(
    "other",
    [failure(kind="ValueError"), failure(phase="init"), failure(line=7), failure()._replace(frames=())],
    ids=["error", "phase", "line", "no line"],
)
def test_another_error_phase_or_line_is_another_cause(other: Failure) -> None:
    assert Cause.of_failure(other) != Cause.of_failure(failure())


def test_the_cause_of_an_attempt_is_that_of_its_failure_or_its_outcome() -> None:
    assert Cause.of_attempt(ended("exception", failure())) == Cause.of_failure(failure())
    assert Cause.of_attempt(ended("timeout", Failure("run", "run() was interrupted at 60 s"))) == Cause(kind="timeout")
    loading = ended("timeout", Failure("load", "loading took longer"))
    assert Cause.of_attempt(loading) == Cause(kind="timeout (load)")
    assert Cause.of_attempt(ended("short", Failure("return", "1 missing"))) == Cause(kind="short")
    assert Cause.of_attempt(ended("succeeded", None)) == Cause(kind="succeeded")


def test_wrong_types_of_two_kinds_are_two_causes() -> None:
    nothing, number = (
        ended("wrong_type", Failure("return", "run() returned the wrong type", returned_type=name))
        for name in ("None", "int")
    )
    assert Cause.of_attempt(nothing) == Cause(kind="wrong_type", returned_type="None")
    assert Cause.of_attempt(nothing) != Cause.of_attempt(number)
