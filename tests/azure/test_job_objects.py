"""Jobs that are built with azure-ai-ml in Python, without a file.

Needs the extra `azure`; run by .ci/run in an environment of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, Output, command, dsl, load_component
from azure.ai.ml.constants import BatchDeploymentOutputAction
from azure.ai.ml.entities import (
    BatchDeployment,
    BatchRetrySettings,
    CodeConfiguration,
    Environment,
    Model,
    ModelBatchDeployment,
    ModelBatchDeploymentSettings,
    Parallel,
)
from azure.ai.ml.parallel import RunFunction, parallel_run_function

from pytest_parallelrun import JobSettings, ParallelJob
from pytest_parallelrun.emulator.errors import ParallelRunError
from tests.job_files.refusals import CORPUS
from tests.pages import DOCS, ROOT, blocks, file_name

DATA = "${{inputs.files}}"


@pytest.fixture(autouse=True)
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a corpus"
    shutil.copytree(CORPUS, folder)
    monkeypatch.chdir(folder)
    return folder


def rate(path: str | None = "data", **changes: Any) -> Any:
    """A node, as the SDK builds it."""
    task = RunFunction(
        code="src", entry_script="score.py", append_row_to="${{outputs.rows}}", environment="azureml:scoring:1"
    )
    keywords: dict[str, Any] = {
        "name": "rate",
        "inputs": {"files": Input(type="uri_folder", path=path)},
        "outputs": {"rows": Output(type="uri_file", path="azureml://datastores/results/paths/rows.csv")},
        "input_data": DATA,
        "mini_batch_size": "5",
        "mini_batch_error_threshold": 3,
        "task": task,
    }
    return parallel_run_function(**{**keywords, **changes})


def test_a_node_runs_with_the_settings_that_it_is_sent_with(corpus: Path) -> None:
    node = rate()
    # Below the value of its component, and 0: both are sent.
    node.mini_batch_error_threshold = 0
    node.retry_settings = {"max_retries": 7}
    job = ParallelJob.from_job(node)
    assert node._to_rest_object()["mini_batch_error_threshold"] == 0
    assert job.settings == JobSettings(
        profile="v2",
        mini_batch_size=5,
        mini_batch_error_threshold=0,
        max_retries=7,
        output_action="append_row",
        append_row_file_name="rows.csv",
        input_type="uri_folder",
    )
    assert job.input == str(corpus / "data")
    assert job.run().total_items == len(list((corpus / "data").iterdir()))


def test_a_node_of_a_pipeline(corpus: Path) -> None:
    # The client reads annotations, and knows none for data.
    @dsl.pipeline
    def nightly(reviews, size="4", limit=2):  # type: ignore[no-untyped-def]
        node = rate(None)(files=reviews)
        node.mini_batch_size = size
        node.mini_batch_error_threshold = limit

    pipeline = nightly(reviews=Input(type="uri_folder", path="data"))
    whole = ParallelJob.from_job(pipeline)
    assert (whole.settings.mini_batch_size, whole.settings.mini_batch_error_threshold) == (4, 2)
    assert whole.input == str(corpus / "data")
    node = pipeline.jobs["rate"]
    with pytest.raises(ParallelRunError, match=r"mini_batch_size is \$\{\{parent\.inputs\.size\}\}"):
        ParallelJob.from_job(node, "data")
    job = ParallelJob.from_job(node, "data", mini_batch_size=1, mini_batch_error_threshold=1)
    assert job.settings.mini_batch_size == 1


def test_a_node_of_a_component_in_a_file() -> None:
    node = load_component("component_full.yml")(invoices=Input(type="uri_folder", path="data"), cut_off=0.25)
    node.error_threshold = 6
    job = ParallelJob.from_job(node)
    assert (job.settings.error_threshold, job.settings.max_retries) == (6, 5)
    assert job.arguments.argv[:2] == ("--cut-off", "0.25")


def test_deployments(corpus: Path) -> None:
    common: dict[str, Any] = {
        "name": "rate",
        "endpoint_name": "reviews",
        "code_configuration": CodeConfiguration(code="src", scoring_script="score.py"),
        "compute": "cpu",
    }
    old = BatchDeployment(
        **common,
        model=Model(path="model"),
        environment=Environment(image="scoring"),
        mini_batch_size=5,
        output_action=BatchDeploymentOutputAction.APPEND_ROW,
        output_file_name="rated.csv",
        retry_settings=BatchRetrySettings(max_retries=1, timeout=9),
        error_threshold=3,
        instance_count=2,
    )
    expected = JobSettings(
        profile="batch",
        mini_batch_size=5,
        output_action="append_row",
        append_row_file_name="rated.csv",
        max_retries=1,
        timeout=9,
        error_threshold=3,
        instance_count=2,
    )
    job = ParallelJob.from_job(old, "data")
    assert (job.settings.replace(logging_level=None), job.models) == (expected, {"model": corpus / "model"})
    settings = ModelBatchDeploymentSettings(mini_batch_size=5, environment_variables={"STAGE": "test"})
    new = ModelBatchDeployment(**common, model="azureml:rater:1", environment="azureml:scoring:1", settings=settings)
    assert ParallelJob.from_job(new, "data").settings.environment_variables == {"STAGE": "test"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: command(code=".", command="ls", environment="azureml:scoring:1"), "job=<Command>: give an object"),
        (lambda: RunFunction(code="src", entry_script="score.py"), "job=<RunFunction>: give an object"),
        (lambda: dsl.pipeline(lambda: None), "must be called first"),
        (lambda: Parallel(component="azureml:rate:1", inputs={}), "azureml:rate:1 is registered with the service"),
        (lambda: rate("azureml:reviews:1"), "the input 'files' is azureml:reviews:1, which is not on this machine"),
        (lambda: rate(task=RunFunction(code="scr", entry_script="score.py", environment="e:1")), "'scr' is no folder"),
    ],
)
def test_what_is_no_job_or_not_here(make: Callable[[], object], message: str) -> None:
    with pytest.raises((TypeError, ParallelRunError), match=message):
        ParallelJob.from_job(make())


def test_the_example_of_the_documentation(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    [example] = (block for block in blocks(DOCS / "how-to" / "own-tests.md") if file_name(block) == "test_job.py")
    (pytester.path / "test_job.py").write_text(example.text, encoding="utf-8")
    shutil.copytree(ROOT / "example_scripts", pytester.path / "example_scripts")
    monkeypatch.chdir(pytester.path)
    pytester.runpytest_inprocess("test_job.py", "-p", "no:cacheprovider").assert_outcomes(passed=1)
