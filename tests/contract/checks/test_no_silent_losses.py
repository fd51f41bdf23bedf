from __future__ import annotations

import pytest

from tests.contract.conftest import Judge
from tests.contract.first_checks import by_the_first_checks


@pytest.fixture
def judge(judge: Judge) -> Judge:
    return by_the_first_checks(judge)


FAILS_ON_2 = """
    def run(mini_batch):
        if any(path.endswith("item_2.txt") for path in mini_batch):
            raise ValueError("cannot read it")
        return list(mini_batch)
"""
FAILS_ALWAYS = "def run(mini_batch):\n    raise KeyError('model')\n"


def test_an_item_that_failed_while_the_defaults_allow_all_fails(judge: Judge) -> None:
    found = judge(FAILS_ON_2)
    assert found.failed == {"no_silent_losses"}
    message = found.messages["no_silent_losses"]
    assert message.startswith(
        "The job would be reported as Completed although 1 of 3 items failed: no threshold is set"
    )
    # Exceeded means greater than: one failure is caught by 0, one of three mini-batches by less than a third.
    assert "error_threshold=0" in message
    assert "mini_batch_error_threshold=0" in message
    assert "allowed_failed_percent below 33.33" in message
    assert "ValueError: cannot read it" in message


def test_a_job_of_which_everything_failed_and_that_is_completed_fails(judge: Judge) -> None:
    found = judge(FAILS_ALWAYS)
    assert found.failed == {"no_silent_losses"}
    message = found.messages["no_silent_losses"]
    assert "3 of 3 mini-batches and 3 of 3 items failed, in 9 attempts; the job would still be Completed" in message
    # The cure is in the script, whatever the thresholds.
    assert "fix: correct line " in message


def test_no_threshold_allows_a_script_that_never_works(judge: Judge) -> None:
    found = judge(FAILS_ALWAYS, "--parallelrun-set=error_threshold=-1")
    assert found.failed == {"no_silent_losses"}
    assert "because error_threshold=-1 allows it" in found.messages["no_silent_losses"]


@pytest.mark.parametrize("catching", ["error_threshold=0", "mini_batch_error_threshold=0", "allowed_failed_percent=33"])
def test_the_thresholds_that_it_names_would_have_caught_the_loss(judge: Judge, catching: str) -> None:
    found = judge(FAILS_ON_2, f"--parallelrun-set={catching}")
    assert found.failed == {"job_completes"}


@pytest.mark.parametrize(
    "consent", ["error_threshold=1", "error_threshold=-1", "mini_batch_error_threshold=1", "allowed_failed_percent=100"]
)
def test_a_threshold_that_was_set_on_purpose_is_consent(judge: Judge, consent: str) -> None:
    assert judge(FAILS_ON_2, f"--parallelrun-set={consent}").failed == set()


def test_a_threshold_among_the_program_arguments_is_consent(judge: Judge) -> None:
    assert judge(FAILS_ON_2, "--parallelrun-args=--error_threshold 1").failed == set()


@pytest.mark.parametrize(
    "script",
    [
        "def run(mini_batch): return list(mini_batch)\n",
        "tried = set()\ndef run(mini_batch):\n    if mini_batch[0] not in tried:\n        tried.add(mini_batch[0])\n"
        "        raise OSError\n    return list(mini_batch)\n",
    ],
    ids=["sound", "sound at the second attempt"],
)
def test_a_script_that_loses_nothing_passes(judge: Judge, script: str) -> None:
    assert set(judge(script).outcomes.values()) == {"passed"}


def test_it_cannot_be_decided_for_a_job_that_fails(judge: Judge) -> None:
    found = judge(FAILS_ON_2, "--parallelrun-set=error_threshold=0")
    assert found.outcomes["no_silent_losses"] == "skipped"
    assert "see test_job_completes" in found.messages["no_silent_losses"]


def test_items_lost_in_mini_batches_that_succeed_are_caught_by_one_threshold_alone(judge: Judge) -> None:
    # Under this reading a short return loses its missing items and not the mini-batch.
    script = "def run(mini_batch):\n    return [p for p in mini_batch if not p.endswith('item_2.txt')]\n"
    found = judge(script, "--parallelrun-set=rules=observed")
    message = found.messages["no_silent_losses"]
    assert "1 of 3 items failed" in message
    assert "One of these settings would have failed the job: error_threshold=0. Set" in message


FILTERS = "def run(mini_batch):\n    return [p for p in mini_batch if not p.endswith('item_2.txt')]\n"


@pytest.mark.parametrize("threshold", ["mini_batch_error_threshold=0", "mini_batch_error_threshold=-1"])
def test_a_threshold_of_mini_batches_is_no_consent_to_items_lost_in_others(judge: Judge, threshold: str) -> None:
    found = judge(FILTERS, "--parallelrun-set=rules=observed", f"--parallelrun-set={threshold}")
    assert found.failed == {"no_silent_losses", "returns_one_result_per_item"}
    assert f"{threshold} was set, but it counts failed mini-batches" in found.messages["no_silent_losses"]


def test_a_threshold_of_items_is_consent_to_those_lost_in_mini_batches_that_succeed(judge: Judge) -> None:
    found = judge(FILTERS, "--parallelrun-set=rules=observed", "--parallelrun-set=error_threshold=1")
    assert found.failed == set()


def test_where_nothing_succeeds_the_first_error_comes_before_the_list_of_mini_batches(judge: Judge) -> None:
    message = judge(FAILS_ALWAYS).messages["no_silent_losses"]
    assert message.splitlines()[0] == "run() raises for every mini-batch: KeyError: 'model'"


def test_where_something_succeeds_no_error_is_put_first(judge: Judge) -> None:
    assert "for every mini-batch" not in judge(FAILS_ON_2).messages["no_silent_losses"]


THREADS = """
    import os, queue, threading, time
    from concurrent.futures import ThreadPoolExecutor

    from azureml_user.parallel_run import EntryScript

    tasks = queue.Queue()


    def write(path):
        with open(os.path.join(EntryScript().output_dir, os.path.basename(path)), "w") as file:
            file.write("done")


    def work():
        while True:
            write(tasks.get())
            tasks.task_done()


    def beat(folder):
        # Ends with its job, so that it disturbs no later one.
        while os.path.isdir(folder):
            time.sleep(0.05)
            open(os.path.join(folder, "metrics.csv"), "w").close()


    def init():
        global pool
        pool = ThreadPoolExecutor(2)
        threading.Thread(target=work, daemon=True).start()


    def run(mini_batch):
        {}
        return [os.path.basename(path) for path in mini_batch]
"""
LATE = {
    "a thread for each item": "[threading.Thread(target=write, args=(path,)).start() for path in mini_batch]",
    "a pool whose futures nobody asks": "[pool.submit(write, path) for path in mini_batch]",
    "a queue": "[tasks.put(path) for path in mini_batch]",
}
IN_TIME = {
    "a pool whose futures are asked": "list(pool.map(write, mini_batch))",
    "a queue that is waited for": "[tasks.put(path) for path in mini_batch]; tasks.join()",
    "a monitor": "threading.Thread(target=beat, args=(EntryScript().output_dir,), daemon=True).start()",
}


def named(bodies: dict[str, str]) -> list[object]:
    """All but the first in CI only."""
    first, *others = bodies
    slow = pytest.mark.slow
    return [pytest.param(bodies[first], id=first), *(pytest.param(bodies[o], id=o, marks=slow) for o in others)]


@pytest.mark.parametrize("body", named(LATE))
def test_threads_that_write_after_run_has_returned_fail(judge: Judge, body: str) -> None:
    found = judge(THREADS.format(body), "--parallelrun-set=output_action=append_row")
    assert found.failed == {"no_silent_losses"}
    message = found.messages["no_silent_losses"]
    assert message.startswith("run() returned while its threads were still working: 'item_1.txt' in ")
    assert "fix: wait for the threads before run() returns" in message


def test_a_shutdown_may_wait_for_threads(judge: Judge) -> None:
    script = THREADS.format(LATE["a queue"]) + "\n\n    def shutdown():\n        tasks.join()\n"
    found = judge(script, "--parallelrun-set=output_action=append_row")
    assert not found.failed
    assert found.outcomes["no_silent_losses"] == "advice"


@pytest.mark.parametrize("body", named(IN_TIME))
def test_threads_that_run_waits_for_and_those_of_no_item_pass(judge: Judge, body: str) -> None:
    found = judge(THREADS.format(body), "--parallelrun-set=output_action=append_row")
    assert found.outcomes["no_silent_losses"] == "passed"
    assert not found.failed
