from __future__ import annotations

import pytest

from tests.contract.conftest import Judge
from tests.contract.first_checks import by_the_first_checks


@pytest.fixture
def judge(judge: Judge) -> Judge:
    return by_the_first_checks(judge)


FAILS_ON_2 = """
    def run(mini_batch):
        for path in mini_batch:
            if path.endswith("item_2.txt"):
                raise ValueError("cannot read " + path[-10:])
        return list(mini_batch)
"""
SLEEPS = "import time\ndef run(mini_batch):\n    time.sleep(90)\n    return list(mini_batch)\n"


@pytest.mark.parametrize("threshold", ["error_threshold", "mini_batch_error_threshold"])
def test_more_failures_than_a_threshold_allows_fail(judge: Judge, threshold: str) -> None:
    found = judge(FAILS_ON_2, f"--parallelrun-set={threshold}=0")
    assert found.failed == {"job_completes"}
    message = found.messages["job_completes"]
    assert message.startswith("The job fails: ")
    assert threshold in message.splitlines()[0]
    assert "ValueError: cannot read item_2.txt" in message
    assert "3 attempts, each: exception: ValueError: cannot read item_2.txt" in message
    assert found.outcomes["no_silent_losses"] == "skipped"


def test_a_timeout_that_a_threshold_does_not_allow_fails(judge: Judge) -> None:
    found = judge(SLEEPS, "--parallelrun-set=error_threshold=0")
    assert found.failed == {"job_completes"}
    assert "its limit of 60 s (timeout)" in found.messages["job_completes"]


def test_a_worker_that_does_not_come_up_fails_the_job(judge: Judge) -> None:
    found = judge("def init(): raise OSError('no disk')\ndef run(mini_batch): return list(mini_batch)\n")
    assert found.failed == {"init_runs_in_every_worker", "job_completes"}
    assert "no disk" in found.messages["job_completes"]


def test_nothing_to_append_fails_the_job(judge: Judge) -> None:
    found = judge("def run(mini_batch): raise ValueError\n", "--parallelrun-set=output_action=append_row")
    assert found.failed == {"job_completes"}
    assert "no item succeeded, so there is no row to append" in found.messages["job_completes"]


def test_where_nothing_succeeds_the_first_error_comes_first(judge: Judge) -> None:
    script = "def run(mini_batch): raise ValueError(mini_batch[0][-10:])\n"
    message = judge(script, "--parallelrun-set=error_threshold=0").messages["job_completes"]
    assert message.splitlines()[0] == "run() raises for every mini-batch: ValueError: item_1.txt"


def test_a_variable_that_is_not_set_is_told_with_what_sets_it(judge: Judge) -> None:
    script = "import os\ndef run(mini_batch): raise OSError(os.environ['AZUREML_BI_OUTPUT_PATH'])\n"
    found = judge(script, "--parallelrun-set=error_threshold=0")
    message = found.messages["job_completes"]
    assert "AZUREML_BI_OUTPUT_PATH is set in a batch deployment (--parallelrun-set=profile=batch), " in message
    assert "give the script a folder as a program argument, such as --out ${{outputs.NAME}}." in message


def test_a_deployment_that_writes_files_and_appends_nothing_completes(judge: Judge) -> None:
    script = (
        "import os\ndef run(mini_batch):\n    for path in mini_batch:\n"
        "        with open(os.path.join(os.environ['AZUREML_BI_OUTPUT_PATH'], os.path.basename(path)), 'w') as file:\n"
        "            file.write('x')\n    return mini_batch\n"
    )
    found = judge(script, "--parallelrun-set=profile=batch", "--parallelrun-set=output_action=summary_only")
    assert not found.failed
    assert not found.with_outcome("advice")


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        (FAILS_ON_2, ("--parallelrun-set=error_threshold=1",)),
        (SLEEPS, ("--parallelrun-set=error_threshold=0", "--parallelrun-set=timeout=100")),
        ("def run(mini_batch): return list(mini_batch)\n", ("--parallelrun-set=error_threshold=0",)),
        (
            "calls = []\ndef run(mini_batch):\n    calls.append(1)\n    if len(calls) == 1: raise OSError\n"
            "    return list(mini_batch)\n",
            ("--parallelrun-set=error_threshold=0",),
        ),
    ],
    ids=["within the threshold", "within the timeout", "sound", "after a retry"],
)
def test_a_job_that_keeps_its_limits_passes(judge: Judge, script: str, arguments: tuple[str, ...]) -> None:
    assert judge(script, *arguments).failed == set()
