from __future__ import annotations

import pytest

from pytest_parallelrun.contract.finding import Finding, cause_of, cause_of_attempt, place
from pytest_parallelrun.emulator.events import AttemptEnded, Failure, Outcome
from pytest_parallelrun.emulator.splitting.model import MiniBatch

TRACEBACK = """Traceback (most recent call last):
  File "/user/score.py", line 4, in run
    return [parse(path) for path in mini_batch]
  File "/user/helpers.py", line 9, in parse
    return json.loads(text)
  (then 3 frames in json, the last: raw_decode)
json.decoder.JSONDecodeError: Expecting value"""


def ended(outcome: Outcome, failure: Failure | None) -> AttemptEnded:
    return AttemptEnded(MiniBatch(0, 1, 0, None), 1, 0, outcome, None, None, 0, 0, 0, failure, None)


def test_all_parts_are_shown_in_the_order_in_which_they_are_read() -> None:
    finding = Finding(
        what="run() fails",
        where="run()",
        traceback="Traceback\n  line",
        counts="1 of 3",
        service="exit code 42",
        fix="mend it",
        remark="maybe",
        example="Draw 1: 3",
        replay="replay: pytest",
    )
    assert finding.text().splitlines() == [
        "run() fails",
        "where: run()",
        "    Traceback",
        "      line",
        "counts: 1 of 3",
        "on the service: exit code 42",
        "to do: mend it",
        "(maybe)",
        "Draw 1: 3",
        "replay: pytest",
    ]


def test_parts_that_are_empty_are_not_shown() -> None:
    assert Finding(what="run() fails").text() == "run() fails"


def test_a_remark_takes_the_place_of_an_earlier_one() -> None:
    assert Finding(what="x", remark="old").saying("new").text() == "x\n(new)"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (place("init"), "init()"),
        (place("import"), "import"),
        (place("run", 3, "a.csv, b.csv", 1, 3), "run(), mini-batch 3 (a.csv, b.csv), attempt 1 of 3"),
        (place("run", 0), "run(), mini-batch 0, attempt 1 of 1"),
        (place("shutdown", items="a.csv"), "shutdown(), a.csv"),
    ],
)
def test_a_place_names_what_is_known(found: str, expected: str) -> None:
    assert found == expected


def test_the_same_error_at_the_same_line_of_the_user_is_one_cause_whatever_its_text() -> None:
    failures = [Failure("run", f"json.JSONDecodeError: char {number}", TRACEBACK) for number in (1, 2)]
    assert len({cause_of(failure) for failure in failures}) == 1
    assert "/user/helpers.py:9" in cause_of(failures[0])


@pytest.mark.parametrize(
    "other",
    [
        Failure("run", "ValueError: char 1", TRACEBACK),
        Failure("init", "json.JSONDecodeError: char 1", TRACEBACK),
        Failure("run", "json.JSONDecodeError: char 1", TRACEBACK.replace("line 9", "line 7")),
        Failure("run", "json.JSONDecodeError: char 1"),
    ],
    ids=["error", "phase", "line", "no line"],
)
def test_another_error_phase_or_line_is_another_cause(other: Failure) -> None:
    assert cause_of(other) != cause_of(Failure("run", "json.JSONDecodeError: char 1", TRACEBACK))


def test_the_cause_of_an_attempt_is_that_of_its_failure_or_its_outcome() -> None:
    failure = Failure("run", "ValueError: no", TRACEBACK)
    assert cause_of_attempt(ended("exception", failure)) == cause_of(failure)
    assert cause_of_attempt(ended("timeout", Failure("run", "run() was interrupted at 60 s"))) == "timeout"
    assert cause_of_attempt(ended("short", Failure("return", "1 missing"))) == "short"
    assert cause_of_attempt(ended("succeeded", None)) == "succeeded"


def test_wrong_types_of_two_kinds_are_two_causes() -> None:
    nothing = ended("wrong_type", Failure("return", "run() returned None. It must return a list: look"))
    number = ended("wrong_type", Failure("return", "run() returned int. It must return a list: look"))
    assert cause_of_attempt(nothing) == "wrong_type run() returned None"
    assert cause_of_attempt(nothing) != cause_of_attempt(number)
