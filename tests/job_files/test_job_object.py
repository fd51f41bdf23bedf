"""Objects of azure-ai-ml, as classes with the same names; tests/azure has the same with the package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from pytest_parallelrun import JobSettings, ParallelJob
from pytest_parallelrun.emulator.errors import ParallelRunError
from pytest_parallelrun.job_files.job_object import read_object, step_of
from pytest_parallelrun.job_files.script import NO_CODE

COMPONENT = {
    "name": "rate",
    "type": "parallel",
    "inputs": {"files": {"type": "uri_folder"}, "cut_off": {"type": "number", "default": "0.5"}},
    "input_data": "${{inputs.files}}",
    "mini_batch_size": "3",
    "mini_batch_error_threshold": 4,
    "task": {
        "type": "run_function",
        "code": "azureml:src",
        "entry_script": "score.py",
        "program_arguments": "--cut-off ${{inputs.cut_off}}",
        "environment": "azureml:scoring:1",
    },
}
NODE = {**COMPONENT, "component": COMPONENT, "inputs": {"files": {"type": "uri_folder", "path": "azureml:data"}}}
DEPLOYMENT = {
    "name": "rate",
    "type": "model",
    "endpoint_name": "reviews",
    "model": {"path": "model"},
    "environment": "azureml:scoring:1",
    "compute": "azureml:cpu",
    "code_configuration": {"code": "src", "scoring_script": "score.py"},
    "environment_variables": {},
    "error_threshold": 9,
    "settings": {"mini_batch_size": 4, "error_threshold": 5},
}


def client_object(kind: str, content: Mapping[str, Any], base: Path, name: str | None = "rate") -> object:
    """What looks like an object of azure-ai-ml, and writes this content."""

    def dump(self: object, stream: Any) -> None:
        yaml.safe_dump(content, stream)

    module = "azure.ai.ml.entities._anywhere"
    return type(kind, (), {"__module__": module, "dump": dump, "name": name, "base_path": str(base)})()


def node(base: Path, **changes: object) -> object:
    return client_object("Parallel", {key: value for key, value in NODE.items() if key != "name"} | changes, base)


def test_a_node_has_the_values_of_its_component_below_its_own(corpus: Path) -> None:
    job = ParallelJob.from_job(node(corpus, mini_batch_error_threshold=0, error_threshold=7))
    assert (job.settings.mini_batch_size, job.settings.error_threshold) == (3, 7)
    assert job.settings.mini_batch_error_threshold == 0
    assert (job.input, job.arguments.argv) == (str(corpus / "data"), ("--cut-off", "0.5"))


def test_a_relative_path_starts_at_the_folder_of_the_object(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    step = step_of(client_object("ParallelComponent", COMPONENT, Path("corpus")))
    assert step.entry.code_root == corpus / "src"
    assert step.location.origin == "ParallelComponent 'rate'"


def test_a_size_of_zero_is_none(corpus: Path) -> None:
    component = client_object("ParallelComponent", {**COMPONENT, "mini_batch_size": "0"}, corpus)
    assert "mini_batch_size" not in ParallelJob.from_job(component, "data").settings.explicit


def test_a_deployment_is_sent_with_its_settings_and_has_its_model(corpus: Path) -> None:
    job = ParallelJob.from_job(client_object("ModelBatchDeployment", DEPLOYMENT, corpus), "data")
    assert (job.settings.profile, job.settings.error_threshold) == ("batch", 5)
    assert job.models == {"model": corpus / "model"}


def test_a_pipeline_gives_its_values_and_a_node_alone_asks_for_them(corpus: Path) -> None:
    step = {key: value for key, value in NODE.items() if key != "name"} | {"mini_batch_size": "${{parent.inputs.size}}"}
    pipeline = {"type": "pipeline", "inputs": {"size": "2"}, "jobs": {"rate": step}}
    assert ParallelJob.from_job(client_object("PipelineJob", pipeline, corpus)).settings.mini_batch_size == 2
    alone = node(corpus, mini_batch_size="${{parent.inputs.size}}")
    with pytest.raises(ParallelRunError, match=r"Parallel 'rate': mini_batch_size is .*\nIn a call, pass them as"):
        ParallelJob.from_job(alone)
    assert ParallelJob.from_job(alone, mini_batch_size=5).settings.mini_batch_size == 5
    two = client_object("PipelineJob", {**pipeline, "jobs": {"a": step, "b": step}}, corpus, name=None)
    assert len(read_object(two, NO_CODE).steps) == 2
    with pytest.raises(ParallelRunError, match=r"job=<PipelineJob>: has 2 parallel steps \('a', 'b'\)"):
        ParallelJob.from_job(two)


def test_a_call_overrides_the_job(corpus: Path) -> None:
    one = next(path for path in (corpus / "data").iterdir())
    job = ParallelJob.from_job(node(corpus), one, JobSettings(mini_batch_size=8), "--cut-off 1", error_threshold=2)
    assert (job.settings.mini_batch_size, job.settings.error_threshold) == (8, 2)
    assert (job.input, job.arguments.argv) == (one, ("--cut-off", "1"))
    named = ParallelJob.from_job(node(corpus), {"files": "src", "cut_off": 0.25})
    assert (named.input, named.arguments.argv) == (str(corpus / "src"), ("--cut-off", "0.25"))
    table = pd.DataFrame({"a": [1]})
    remote = node(corpus, inputs={"files": {"type": "mltable", "path": "azureml:flowers:1"}})
    assert ParallelJob.from_job(remote, table).input is table
    assert ParallelJob.from_job(remote, ["data", "src"]).input == ["data", "src"]
    assert ParallelJob.from_job(node(corpus), code=corpus / "src/inner/..").entry is not None


def test_a_job_file_is_a_job_too(corpus: Path) -> None:
    assert ParallelJob.from_job("pipeline_inline.yml").settings.mini_batch_size == 2
    assert ParallelJob.from_job(corpus / "function_node.py", "data").settings.instance_count == 2


WRONG: tuple[tuple[Callable[[Path], object], type[Exception], str], ...] = (
    (lambda base: 3, TypeError, r"job=<int>: give an object of azure-ai-ml \(.*\) or the path of a job file\."),
    (lambda base: WRONG.count, TypeError, r"job=<builtin_function_or_method>: give .* job file\.$"),
    (node, TypeError, r"job=<function>: .* A function with @pipeline must be called first\."),
    (lambda base: client_object("Command", {}, base), TypeError, r"job=Command 'rate': give"),
    (lambda base: type("Parallel", (), {"name": "x"})(), TypeError, r"job=<Parallel>: give"),
    (
        lambda base: client_object("Parallel", {"a": object}, base),
        ParallelRunError,
        "azure-ai-ml cannot write it as YAML",
    ),
    (lambda base: base, ParallelRunError, r"is a folder; give a file\."),
    (lambda base: "nope.yml", ParallelRunError, r"job='nope\.yml': does not exist\."),
    (
        lambda base: node(base, component="azureml:rate:1", task=None, input_data=None),
        ParallelRunError,
        r"job=Parallel 'rate': has no parallel step\. step 'rate' .* is registered with the service",
    ),
    (lambda base: node(base, error_threshold=-7), ParallelRunError, "^Parallel 'rate': error_threshold=-7: must be"),
    (
        lambda base: node(base, inputs={"files": {"path": "azureml:reviews:1"}}),
        ParallelRunError,
        r"^Parallel 'rate': the input 'files' is azureml:reviews:1, which is not on this machine: pass a sample",
    ),
    (lambda base: node(base, input_data="${{inputs.cut_off}}"), ParallelRunError, "it must be data"),
)


@pytest.mark.parametrize(("make", "error", "message"), WRONG, ids=[message for _, _, message in WRONG])
def test_another_object_or_a_wrong_job_says_what_is_taken(
    make: Callable[[Path], object], error: type[Exception], message: str, corpus: Path
) -> None:
    with pytest.raises(error, match=message):
        ParallelJob.from_job(node if make is node else make(corpus))


def test_a_wrong_name_of_an_input(corpus: Path) -> None:
    with pytest.raises(ParallelRunError, match=r"input=\{'file': \.\.\.\}: the job has no such input\. Did you"):
        ParallelJob.from_job(node(corpus), {"file": "data"})
