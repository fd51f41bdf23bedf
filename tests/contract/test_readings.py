"""Where the two readings of the rules differ, an error of one that the other does not share is advice."""

from __future__ import annotations

import pytest

from tests.conftest import Write
from tests.contract.conftest import Judge
from tests.contract.first_checks import by_the_first_checks


@pytest.fixture
def judge(judge: Judge) -> Judge:
    return by_the_first_checks(judge)


@pytest.fixture(autouse=True)
def twelve_files(write: Write) -> None:
    for number in range(12):
        write(f"many/f{number:02}.txt", str(number))


NOTHING = "def run(mini_batch):\n    return []\n"
ALLOWED = ("--parallelrun-set=error_threshold=-1", "--parallelrun-set=mini_batch_error_threshold=5")
DISPUTED = {"returns_one_result_per_item", "job_completes"}


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--parallelrun-set=max_retries=0",),
        ("--parallelrun-set=max_retries=0", "--parallelrun-engine=process"),
        ("--parallelrun-set=file_grouping=directory",),
    ],
    ids=["with retries", "stopped at the sixth mini-batch", "in a worker process", "another rule set by hand"],
)
def test_a_job_that_completes_as_observed_gets_advice(judge: Judge, more: tuple[str, ...]) -> None:
    found = judge(NOTHING, *ALLOWED, *more, input="many")
    assert found.failed == set()
    assert found.with_outcome("advice") == DISPUTED
    message = found.messages["job_completes"]
    assert message.startswith("The job completes under one set of rules, and fails under the other.\n")
    assert "rules=documented: the job fails: 6 failed mini-batches > mini_batch_error_threshold 5. The guide" in message
    assert "rules=observed: the job completes with 12 failed items, which error_threshold=-1 allows. Offic" in message
    assert "--parallelrun-set=rules=observed, or rules=documented, which makes this an error." in message
    assert found.notes["no_silent_losses"] == [
        "under rules=observed 12 of 12 items failed, which error_threshold=-1, set on purpose, allows"
    ]


def test_a_table_of_short_mini_batches_gets_advice_too(judge: Judge, write: Write) -> None:
    write("t.csv", "x\n" + "1\n" * 12)
    sizes = ("--parallelrun-set=mini_batch_size=2", "--parallelrun-set=max_retries=0")
    found = judge(NOTHING, *ALLOWED, *sizes, input="t.csv")
    assert found.with_outcome("advice") == DISPUTED
    assert found.failed == set()


@pytest.mark.parametrize(
    "choice",
    ["--parallelrun-strict", "--parallelrun-set=rules=documented", "--parallelrun-set=short_return=mini_batch_failed"],
)
def test_strictness_or_a_choice_of_the_failing_reading_makes_it_an_error(judge: Judge, choice: str) -> None:
    assert judge(NOTHING, *ALLOWED, choice, input="many").failed == DISPUTED


def test_a_failing_reading_that_was_chosen_in_a_job_file_is_an_error(judge: Judge, write: Write) -> None:
    write("pytest.ini", "[pytest]\nparallelrun_set =\n    rules=documented\n")
    message = judge(NOTHING, *ALLOWED, input="many").messages["job_completes"]
    assert message.startswith("The job fails: 6 failed mini-batches")
    assert "(rules=documented was set; under rules=observed the job completes with 12 failed items" in message


def test_the_passing_reading_chosen_by_hand_passes(judge: Judge) -> None:
    found = judge(NOTHING, *ALLOWED, "--parallelrun-set=rules=observed", input="many")
    assert found.failed == set()
    assert found.outcomes["job_completes"] == "passed"


def test_what_fails_under_each_reading_fails(judge: Judge) -> None:
    # Documented: two failed mini-batches are more than one. Observed: nobody allowed the loss of items.
    script = "def run(mini_batch):\n    return [p for p in mini_batch if p.endswith('item_1.txt')]\n"
    found = judge(script, "--parallelrun-set=mini_batch_error_threshold=1")
    assert found.failed == DISPUTED
    assert (
        "the gate fails too: the job completes with 2 failed items, which no threshold allows"
        in (found.messages["job_completes"])
    )


@pytest.mark.parametrize(
    "more",
    [
        ("--parallelrun-set=output_action=append_row", *ALLOWED),
        ("--parallelrun-set=error_threshold=11", ALLOWED[1]),
    ],
    ids=["nothing to append", "too many items"],
)
def test_a_job_that_fails_under_each_for_its_own_reason_fails(judge: Judge, more: tuple[str, ...]) -> None:
    assert judge(NOTHING, *more, input="many").failed == DISPUTED


def test_items_that_only_one_reading_loses_without_a_word_are_advice(judge: Judge) -> None:
    found = judge(NOTHING, "--parallelrun-set=mini_batch_error_threshold=3")
    assert found.failed == set()
    assert found.with_outcome("advice") == {"returns_one_result_per_item", "no_silent_losses"}
    message = found.messages["no_silent_losses"]
    assert "rules=observed: the job completes with 3 failed items, which no threshold allows." in message
    assert "rules=documented: the job completes with 3 failed items, which mini_batch_error_threshold=3" in message


def test_a_failure_that_awaits_its_retry_is_advice(judge: Judge) -> None:
    script = (
        "tried = []\ndef run(mini_batch):\n    tried.append(1)\n    if len(tried) == 1: raise OSError\n"
        "    return list(mini_batch)\n"
    )
    threshold = "--parallelrun-set=mini_batch_error_threshold=0"
    found = judge(script, threshold)
    assert found.failed == set()
    assert found.with_outcome("advice") == {"job_completes"}
    assert "ParallelRunConfig counts a mini-batch that awaits its retry as failed" in found.messages["job_completes"]
    assert judge(script, threshold, "--parallelrun-set=rules=documented").with_outcome("advice") == set()
    assert judge(script, threshold, "--parallelrun-set=rules=observed").failed == {"job_completes"}


def test_how_a_lost_mini_batch_of_a_table_counts_may_decide(judge: Judge, write: Write) -> None:
    write("t.csv", "x\n" + "1\n" * 4 + "2\n" * 4)
    script = "def run(mini_batch):\n    if set(mini_batch.x) != {2}: raise OSError\n    return mini_batch\n"
    found = judge(script, "--parallelrun-set=mini_batch_size=6", "--parallelrun-set=error_threshold=2", input="t.csv")
    assert found.failed == set()
    assert found.with_outcome("advice") == {"job_completes"}
    assert "The runtime of 2020 counted a given-up mini-batch of a table as one" in found.messages["job_completes"]


def test_a_loss_that_a_retry_repaired_is_advice_where_the_other_reading_allows_it(judge: Judge) -> None:
    script = (
        "seen = set()\ndef run(mini_batch):\n    if mini_batch[0] in seen: return list(mini_batch)\n"
        "    seen.add(mini_batch[0])\n    return []\n"
    )
    found = judge(script, "--parallelrun-set=error_threshold=-1")
    assert found.failed == set()
    message = found.messages["returns_one_result_per_item"]
    assert "rules=documented: the job completes, though run() returned too little." in message


def test_what_the_attempts_do_not_tell_stays_an_error(judge: Judge) -> None:
    slow = "import time\ndef run(mini_batch):\n    time.sleep(70)\n    return list(mini_batch)\n"
    found = judge(slow, "--parallelrun-set=error_threshold=0")
    assert found.failed == {"job_completes"}
    assert (
        "(the verdict with rules=observed cannot be derived from these attempts:" in (found.messages["job_completes"])
    )


def test_a_silent_loss_under_both_readings_is_no_news(judge: Judge) -> None:
    found = judge("def run(mini_batch): raise OSError\n")
    assert found.failed == {"no_silent_losses"}
    assert "rules=" not in found.messages["no_silent_losses"].splitlines()[0]
