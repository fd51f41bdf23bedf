from __future__ import annotations

import pytest

from tests.job_files.conftest import Problems, ReadStep
from tests.job_files.test_python_sdk import V1, call

HEAD = "from azure.ai.ml.entities import ModelBatchDeployment, ModelBatchDeploymentSettings\n"
CLASS = """
class Deployer:
    def __init__(self, size{constructor}):
        self.size = size
    def deploy(self, retries=5):
        self.made = ModelBatchDeployment(
            name="rate", code_path="src", scoring_script="score.py",
            settings=ModelBatchDeploymentSettings(mini_batch_size=self.size, retry_settings=dict(max_retries=retries)),
        )
        self.made.settings.error_threshold = 4
"""


def deployer(calls: str, constructor: str = "") -> str:
    return HEAD + CLASS.format(constructor=constructor) + calls


@pytest.mark.parametrize(
    ("calls", "size", "retries"),
    [
        ("Deployer(3).deploy()\n", 3, 5),
        ("made = Deployer(size=3)\nmade.deploy(7)\n", 3, 7),
        ("Deployer(3).deploy(retries=7)\njson.deploy(9)\nimport json\n", 3, 7),
    ],
)
def test_a_job_may_be_an_attribute_of_an_object(step_of: ReadStep, calls: str, size: int, retries: int) -> None:
    step = step_of("deploy.py", deployer(calls))
    assert (step.values["mini_batch_size"], step.values["max_retries"]) == (size, retries)
    assert (step.values["error_threshold"], step.origins["error_threshold"]) == (4, "deploy.py:11")


@pytest.mark.parametrize(
    ("calls", "constructor", "setting"),
    [
        ("Deployer(3).deploy(7)\nDeployer(3).deploy(8)\n", "", "max_retries"),
        ("Deployer(3).deploy(*more)\n", "", "max_retries"),
        ("Deployer(3)\nDeployer(4)\n", "", "mini_batch_size"),
        ("Deployer(**more)\n", "", "mini_batch_size"),
        ("", "", "mini_batch_size"),
        ("class Other:\n    def __init__(self):\n        self.size = 9\nDeployer(3)\n", "", "mini_batch_size"),
    ],
)
def test_an_attribute_or_argument_that_is_not_one_thing_needs_an_option(
    step_of: ReadStep, calls: str, constructor: str, setting: str
) -> None:
    step = step_of("deploy.py", deployer(calls, constructor))
    assert str(step.unresolved[setting]).endswith(f"or give --parallelrun-set={setting}=VALUE")


BUILD = V1.replace("config = ParallelRunConfig(", "def build(nodes):\n  made = ParallelRunConfig(").replace(
    ")\nstep =", "  )\n  return made\nconfig = build(2)\nconfig.error_threshold = 8\nstep ="
)


def test_a_config_may_come_from_a_function(step_of: ReadStep) -> None:
    step = step_of("job.py", BUILD.replace("node_count=NODES", "node_count=nodes"))
    assert (step.values["node_count"], step.values["error_threshold"]) == (2, 8)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return made", "if x:\n    return made\n  return None"),
        ("config = build(2)", "config = build(2)\nother = build(3)"),
        ("def build", "@cache\ndef build"),
    ],
)
def test_a_function_that_may_return_this_or_that_is_told(problems: Problems, old: str, new: str) -> None:
    assert old in BUILD
    found = problems("job.py", BUILD.replace(old, new))
    assert any("parallel_run_config must be ParallelRunConfig(...), and is the expression" in one for one in found)


def test_a_step_may_come_from_a_function(step_of: ReadStep) -> None:
    text = call().replace("made = parallel_run_function(", "def build():\n  return parallel_run_function(")
    step = step_of("job.py", f"{text}made = build()\nnode = made(files='data')\nnode.error_threshold = 4\n")
    assert step.values["error_threshold"] == 4
