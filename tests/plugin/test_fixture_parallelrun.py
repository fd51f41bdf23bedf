from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, Write
from tests.plugin.counts import TOTAL


def test_it_runs_a_job_of_a_call(project: Path, run_pytest: Run, write: Write) -> None:
    write(
        "test_mine.py",
        """
        def test_it(parallelrun):
            result = parallelrun("score.py", "data", mini_batch_size=2)
            assert result.status == "Completed"
            assert result.total_mini_batches == 2
            assert result.rows == ["item_1.txt: 1", "item_2.txt: 2", "item_3.txt: 3"]
        """,
    )
    run_pytest().assert_outcomes(passed=1)


def test_it_takes_the_job_of_a_file_or_object_below_the_options(project: Path, run_pytest: Run, write: Write) -> None:
    write(
        "job.yml",
        """
        name: rate
        type: parallel
        inputs: {files: {type: uri_folder, path: ./data}}
        input_data: ${{inputs.files}}
        mini_batch_size: "2"
        error_threshold: 5
        task: {type: run_function, code: ., entry_script: score.py, environment: azureml:scoring:1}
        """,
    )
    write(
        "test_mine.py",
        """
        import pytest

        def test_it(parallelrun, parallelrun_factory):
            result = parallelrun(job="job.yml", error_threshold=1)
            assert (result.total_mini_batches, result.total_items) == (2, 3)
            assert (result.settings.error_threshold, result.settings.max_retries) == (1, 7)
            assert parallelrun_factory(input=["data/item_1.txt"], job="job.yml").run().total_items == 1

        @pytest.mark.parallelrun(input="data/item_2.txt", mini_batch_size=1)
        def test_marker(parallelrun):
            result = parallelrun(job="job.yml")
            assert (result.total_items, result.settings.mini_batch_size) == (1, 1)

        def test_wrong(parallelrun):
            with pytest.raises(TypeError, match="job=<int>: give an object of azure-ai-ml"):
                parallelrun(job=3)
            with pytest.raises(pytest.fail.Exception, match="entry and job exclude each other"):
                parallelrun("score.py", job="job.yml")
            with pytest.raises(pytest.fail.Exception, match="it needs job="):
                parallelrun("score.py", {"files": "data"})
        """,
    )
    run_pytest("--parallelrun-set=max_retries=7").assert_outcomes(passed=3)


def test_it_takes_objects_and_data_frames(project: Path, run_pytest: Run, write: Write) -> None:
    write(
        "test_mine.py",
        """
        import pandas as pd

        class Doubler:
            def run(self, mini_batch):
                return (mini_batch["x"] * 2).tolist()

        def test_it(parallelrun):
            assert parallelrun(Doubler(), pd.DataFrame({"x": [1, 2]})).rows == [2, 4]
        """,
    )
    run_pytest().assert_outcomes(passed=1)


def test_what_the_call_leaves_out_comes_from_the_options(project: Path, gate: Run, write: Write) -> None:
    write(
        "test_mine.py",
        """
        def test_it(parallelrun):
            result = parallelrun()
            assert result.total_mini_batches == 2
            assert result.settings.max_retries == 7
        """,
    )
    arguments = ("--parallelrun-set=mini_batch_size=2", "--parallelrun-set=max_retries=7", "-k", "test_it")
    gate(*arguments).assert_outcomes(passed=1, deselected=TOTAL)


def test_the_call_goes_over_the_options(project: Path, gate: Run, write: Write) -> None:
    write(
        "test_mine.py",
        """
        from pytest_parallelrun import JobSettings

        def test_it(parallelrun):
            assert parallelrun(max_retries=1).settings.max_retries == 1
            settings = parallelrun(settings=JobSettings(error_threshold=3)).settings
            assert (settings.error_threshold, settings.max_retries) == (3, 7)
            assert parallelrun(input=["data/item_1.txt"]).total_items == 1
        """,
    )
    gate("--parallelrun-set=max_retries=7", "-k", "test_it").assert_outcomes(passed=1, deselected=TOTAL)


def test_faults_can_be_injected(project: Path, gate: Run, write: Write) -> None:
    write(
        "test_mine.py",
        """
        from pytest_parallelrun import Fault

        def test_it(parallelrun):
            result = parallelrun(faults=[Fault.raises(OSError, mini_batch=1, attempt=1)])
            assert [a.outcome for a in result.mini_batches[1].attempts] == ["exception", "succeeded"]
        """,
    )
    gate("-k", "test_it").assert_outcomes(passed=1, deselected=TOTAL)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("parallelrun(input='data')", "*which entry script? *--parallelrun-entry=PATH (given 0 times)."),
        ("parallelrun('score.py')", "*which input? *--parallelrun-input=PATH."),
        ("parallelrun('score.py', 'data', max_retires=1)", "*max_retires*Did you mean 'max_retries'?*"),
        ("parallelrun('scor.py', 'data')", "*entry script 'scor.py' does not exist. Did you mean 'score.py'?*"),
    ],
)
def test_a_call_that_cannot_be_fails_the_test_with_a_message(
    project: Path, run_pytest: Run, write: Write, call: str, message: str
) -> None:
    write("test_mine.py", f"def test_it(parallelrun):\n    {call}\n")
    result = run_pytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([message])
