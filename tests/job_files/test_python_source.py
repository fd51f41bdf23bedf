from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.job_files.job_file import read_job_file
from pytest_parallelrun.job_files.script import GivenCode
from tests.job_files.conftest import Problems, ReadStep, Write, all_problems, only_step
from tests.job_files.test_keys import COMPONENT
from tests.job_files.test_python_sdk import V1, call

PIPELINE = """@pipeline()
def nightly(files):
    node = made(files=files)
    node.{}
"""


@pytest.mark.parametrize(
    ("change", "setting", "value"),
    [
        ("mini_batch_error_threshold = 10", "mini_batch_error_threshold", 10),
        ("retry_settings.timeout = 600", "timeout", 600),
        ("retry_settings = RetrySettings(max_retries=1)", "max_retries", 1),
        ("resources.instance_count = 2", "instance_count", 2),
        ("resources = JobResourceConfiguration(instance_count=3)", "instance_count", 3),
        ("set_resources(instance_count=4)", "instance_count", 4),
        ("max_concurrency_per_instance: int = 5", "max_concurrency_per_instance", 5),
        ("logging_level = 'DEBUG'", "logging_level", "DEBUG"),
        ("environment_variables = {'A': 'b'}", "environment_variables", {"A": "b"}),
        ("environment_variables['A'] = 'b'", "environment_variables", {"A": "b"}),
        ("environment_variables.update(A='b')", "environment_variables", {"A": "b"}),
    ],
)
def test_a_setting_after_the_call_goes_over_the_call_with_its_line(
    step_of: ReadStep, change: str, setting: str, value: object
) -> None:
    head = call(error_threshold="3", retry_settings="dict(max_retries=7, timeout=70)", instance_count="9")
    step = step_of("job.py", head + PIPELINE.format(change))
    assert step.values[setting] == value
    assert step.values["error_threshold"] == 3
    assert step.origins[setting] == f"job.py:{head.count(chr(10)) + 4}"
    assert step.settings().error_threshold == 3


@pytest.mark.parametrize(
    "change",
    [
        "made.error_threshold = 4\n",
        "node = made(files=x)\nnode.error_threshold = 4\n",
        "node = made(files=x)\nother = node\nother.error_threshold = 4\n",
        "setattr(made, 'error_threshold', 4)\n",
        "node = 1\nnode = made(files=x)\nnode.error_threshold = 4\nnode = 2\n",
        "def tune(step):\n    step.error_threshold = 4\ntune(made)\n",
        "if __name__ == '__main__':\n    node = made(files=x)\n    node.error_threshold = 4\n",
        "LIMIT = 4\nmade.error_threshold = LIMIT\n",
        "made.error_threshold = 1\nmade.error_threshold = 4\n",
        "def build(files, limit=4):\n    node = made(files=files)\n    node.error_threshold = limit\n",
        "def build(data, limit=3):\n    node = made(files=data)\n    node.error_threshold = limit\nbuild(x, limit=4)\n",
    ],
)
def test_a_step_is_known_by_any_name_that_it_has(step_of: ReadStep, change: str) -> None:
    assert step_of("job.py", call() + change).values["error_threshold"] == 4


@pytest.mark.parametrize(
    "change",
    [
        "made.error_threshold = int(limit())",
        "made.error_threshold += 1",
        "if production:\n    made.error_threshold = 4",
        "for limit in limits:\n    made.error_threshold = 4",
    ],
)
def test_a_setting_after_the_call_that_is_no_literal_needs_an_option(step_of: ReadStep, change: str) -> None:
    step = step_of("job.py", f"{call()}{change}\n")
    assert str(step.unresolved["error_threshold"]).endswith("or give --parallelrun-set=error_threshold=VALUE")


def test_a_misspelt_setting_after_the_call_is_refused(problems: Problems) -> None:
    [problem] = problems("job.py", call() + "made.error_treshold = 4\n")
    assert "there is no key 'error_treshold' in parallel_run_function(). Did you mean 'error_threshold'?" in problem


def test_two_steps_of_one_call_with_settings_of_their_own_are_two_entries(write: Write, folder: Path) -> None:
    text = call() + (
        "@pipeline()\ndef all():\n    one = made(files=Input(path='data'))\n    one.error_threshold = 1\n"
        "    two = made(files=Input(path='data'))\n    two.error_threshold = 2\n"
    )
    job = read_job_file(write("job.py", text))
    assert not all_problems(job)
    steps = [reading.step for reading in job.steps if reading.step]
    assert [(step.name, step.values["error_threshold"]) for step in steps] == [("one", 1), ("two", 2)]
    assert len({step.location for step in steps}) == 2


def test_settings_of_a_config_of_v1_after_the_call(step_of: ReadStep) -> None:
    step = step_of("job.py", V1.replace("step = Para", "config.run_max_try = 5\nstep = Para"))
    assert step.settings().max_retries == 4


@pytest.mark.parametrize(
    "use",
    [
        "made(files=Input(type='uri_folder', path='./data'))",
        "made(Input(path='./data'))",
        "SAMPLE = Input(path='./data')\nmade(files=SAMPLE)",
        "FOLDER = './data'\n@pipeline()\ndef all():\n    sample = Input(path=FOLDER)\n    made(files=sample)",
        "@pipeline()\ndef all(data):\n    made(files=data)\njob = all(data=Input(path='./data'))",
        "@pipeline()\ndef all(data):\n    made(files=data)\njob = all(Input(path='./data'))",
        "def all(data):\n    node = made(files=data)\n    node.compute = 'x'\nSAMPLE = Input(path='data')\nall(SAMPLE)",
        "def outer(data):\n    def inner(x):\n        made(files=x)\n    inner(data)\nouter(Input(path='data'))",
        "node = made(files=other)\nnode.inputs.files = Input(path='./data')",
    ],
)
def test_the_input_of_the_call_of_a_step_is_the_sample(step_of: ReadStep, folder: Path, use: str) -> None:
    assert step_of("job.py", f"{call()}{use}\n").sample({}) == (str(folder / "data"),)


def test_an_input_that_the_service_has_needs_an_option(step_of: ReadStep) -> None:
    step = step_of("job.py", call() + "made(files=Input(path='azureml:letters@latest'))\n")
    assert "--parallelrun-input=files=PATH" in str(step.missing_sample({}))


@pytest.mark.parametrize(
    ("head", "expression"),
    [
        ("from pathlib import Path", "Path('src')"),
        ("from pathlib import Path", "Path(__file__).parent / 'src'"),
        ("from pathlib import Path", "Path(__file__).resolve().parents[0] / 'src'"),
        ("from pathlib import Path", "Path.cwd() / 'src'"),
        ("from pathlib import Path", "str(Path('.') / 'src')"),
        ("import pathlib", "pathlib.Path.cwd().joinpath('src')"),
        ("import os", "os.path.join('.', 'src')"),
        ("import os", "os.path.join(os.path.dirname(os.path.abspath(__file__)), 'src')"),
        ("import os", "os.path.join(os.getcwd(), 'src')"),
        ("from pathlib import Path\nROOT = Path(__file__).parent\nCODE = ROOT / 'src'", "CODE"),
        ("from pathlib import Path\nROOT = Path(__file__).parent", "f'{ROOT}/src'"),
    ],
)
def test_paths_that_are_put_together_start_at_the_folder_of_the_file(
    step_of: ReadStep, folder: Path, monkeypatch: pytest.MonkeyPatch, head: str, expression: str
) -> None:
    monkeypatch.chdir(folder.parent)
    step = step_of("job.py", call(head=head).replace("code='src'", f"code={expression}"))
    assert step.entry.path == folder / "src" / "score.py"


def test_a_variable_that_is_no_literal_is_given_by_an_option_of_its_name(step_of: ReadStep) -> None:
    step = step_of("job.py", call(environment_variables="{'VAULT': os.getenv('VAULT'), 'STAGE': 'test'}"))
    assert step.values["environment_variables"] == {"STAGE": "test"}
    text = str(step.unresolved["environment_variables.VAULT"])
    assert text.endswith(
        "environment_variables.VAULT is the expression `os.getenv('VAULT')`, whose value is not in the file: "
        "give --parallelrun-env=VAULT=VALUE"
    )


@pytest.mark.parametrize(
    ("changes", "settings"),
    [
        ({"retry_settings": "settings()"}, ["max_retries", "timeout"]),
        ({"resources": "settings()"}, ["instance_count"]),
        ({"partition_keys": "[KEY()]"}, ["partition_keys"]),
        ({"environment_variables": "settings()"}, ["environment_variables"]),
    ],
)
def test_a_mapping_or_list_that_is_no_literal_leaves_its_settings_to_options(
    step_of: ReadStep, changes: dict[str, str], settings: list[str]
) -> None:
    step = step_of("job.py", call(**changes))
    assert sorted(step.unresolved) == settings
    for setting in settings:
        option = "--parallelrun-env=NAME=" if setting.startswith("env") else f"--parallelrun-set={setting}="
        assert option in str(step.unresolved[setting])


@pytest.mark.parametrize(
    ("expression", "values", "unresolved"),
    [
        ("PipelineParameter(name='size', default_value=4)", 4, False),
        ("PipelineParameter('size', 4)", 4, False),
        ("PipelineParameter(name='size', default_value=ask())", None, True),
    ],
)
def test_the_default_of_a_parameter_of_a_pipeline_of_v1_is_its_value(
    step_of: ReadStep, expression: str, values: int | None, unresolved: bool
) -> None:
    step = step_of("job.py", V1.replace('mini_batch_size="5"', f"mini_batch_size={expression}"))
    assert step.values.get("mini_batch_size") == values
    assert ("mini_batch_size" in step.unresolved) == unresolved


def test_a_parameter_among_the_arguments_of_v1_has_its_default(step_of: ReadStep) -> None:
    step = step_of("job.py", V1.replace('"rater"', "PipelineParameter(name='model', default_value='m')"))
    assert step.program_arguments({}) == ("--model", "m", "--depth", "4")


DEPLOYMENT = """
from azure.ai.ml.entities import ModelBatchDeployment

deployment = ModelBatchDeployment(
    name="rate",
    endpoint_name=endpoint.name,
    model=Model(path="model"),
    environment=environment,
    compute="cpu",
    code_configuration=CodeConfiguration(code="src", scoring_script="score.py"),
    resources=ResourceConfiguration(instance_count=2),
    settings=ModelBatchDeploymentSettings(
        max_concurrency_per_instance=3,
        mini_batch_size=4,
        output_action=BatchDeploymentOutputAction.APPEND_ROW,
        output_file_name="rated.csv",
        retry_settings=BatchRetrySettings(max_retries=1, timeout=20),
        error_threshold=5,
        logging_level="info",
        environment_variables={"STAGE": "test"},
    ),
)
"""


def test_a_deployment_in_python_has_the_settings_of_its_call(step_of: ReadStep, folder: Path) -> None:
    (folder / "model").mkdir()
    step = step_of("deploy.py", DEPLOYMENT + "deployment.settings.mini_batch_size = 6\n")
    assert (step.name, step.profile, step.entry.label, step.model) == ("rate", "batch", "score.py", folder / "model")
    assert step.origins["mini_batch_size"] == "deploy.py:22"
    settings = step.settings()
    assert (settings.mini_batch_size, settings.max_retries, settings.timeout) == (6, 1, 20)
    assert (settings.instance_count, settings.max_concurrency_per_instance) == (2, 3)
    assert (settings.output_action, settings.append_row_file_name) == ("append_row", "rated.csv")
    assert (settings.error_threshold, dict(settings.environment_variables)) == (5, {"STAGE": "test"})


def test_a_deployment_in_python_may_have_its_settings_at_the_root(step_of: ReadStep) -> None:
    step = step_of(
        "deploy.py",
        """
        from azure.ai.ml.entities import BatchDeployment

        made = BatchDeployment(
            model=ml_client.models.get("rater"),
            code_path="./src",
            scoring_script="score.py",
            instance_count=2,
            mini_batch_size=10,
            output_action="summary_only",
            retry_settings=BatchRetrySettings(timeout=7),
        )
        """,
    )
    assert (step.name, step.model) == ("made", None)
    settings = step.settings()
    assert (settings.instance_count, settings.mini_batch_size, settings.timeout) == (2, 10, 7)
    assert settings.output_action == "summary_only"


def test_a_model_that_the_file_registers_is_a_local_one(step_of: ReadStep, folder: Path) -> None:
    (folder / "model").mkdir()
    model = 'ml_client.models.create_or_update(Model(name="m", path="model"))'
    assert step_of("deploy.py", DEPLOYMENT.replace('Model(path="model")', model)).model == folder / "model"


def test_settings_of_a_deployment_that_are_no_literal_are_left_to_options(step_of: ReadStep, folder: Path) -> None:
    (folder / "model").mkdir()
    head, _, _ = DEPLOYMENT.partition("ModelBatchDeploymentSettings(")
    step = step_of("deploy.py", head + "read_settings())\n")
    assert "--parallelrun-set=mini_batch_size=VALUE and " in str(step.unresolved["timeout"])


def test_a_component_that_a_python_file_loads_gets_the_settings_of_its_step(step_of: ReadStep, write: Write) -> None:
    write("parts/rate.yml", COMPONENT.replace("code: src", "code: ../src"))
    step = step_of(
        "job.py",
        """
        from azure.ai.ml import Input, load_component

        other = load_component(source="missing.yml")
        rate = load_component(source="parts/rate.yml")
        node = rate(files=Input(path="data"))
        node.mini_batch_error_threshold = 10
        """,
    )
    assert (step.name, step.entry.label) == ("rate", "score.py")
    assert step.origins["mini_batch_error_threshold"] == "job.py:6"
    assert step.sample({})


LOADED_PIPELINE = """
type: pipeline
jobs:
  score:
    type: parallel
    component: ./parts/rate.yml
    inputs: {files: {type: uri_folder, path: ./data}}
"""


@pytest.mark.parametrize(
    ("change", "setting", "value"),
    [
        ("job.experiment_name = 'x'", "mini_batch_size", "5"),
        ("job.settings.default_compute = 'x'", "mini_batch_size", "5"),
        ("job.jobs['score'].mini_batch_error_threshold = 8", "mini_batch_error_threshold", 8),
        ("job.jobs['score'].resources.instance_count = 2", "instance_count", 2),
    ],
)
def test_a_job_that_python_loads_is_gated_with_what_is_changed_in_it(
    step_of: ReadStep, write: Write, change: str, setting: str, value: object
) -> None:
    write("parts/rate.yml", COMPONENT.replace("code: src", "code: ../src") + 'mini_batch_size: "5"\n')
    write("pipeline.yml", LOADED_PIPELINE)
    step = step_of("submit.py", f"from azure.ai.ml import load_job\njob = load_job(source='pipeline.yml')\n{change}\n")
    assert (step.name, step.values[setting]) == ("score", value)


def test_the_path_of_an_input_may_be_changed_after_loading(step_of: ReadStep, write: Write, folder: Path) -> None:
    write("parts/rate.yml", COMPONENT.replace("code: src", "code: ../src"))
    write("pipeline.yml", LOADED_PIPELINE)
    (folder / "more").mkdir()
    head = "from azure.ai.ml import load_job\njob = load_job('pipeline.yml')\n"
    step = step_of("submit.py", f"{head}job.jobs['score'].inputs.files.path = 'more'\n")
    assert step.sample({}) == (str(folder / "more"),)


DEPLOYED = """
name: rate
type: model
code_configuration: {code: ../src, scoring_script: score.py}
settings: {mini_batch_size: 2}
"""


@pytest.mark.parametrize(
    ("load", "size", "origin"),
    [
        ("made = load_batch_deployment(source=ROOT / 'deploy' / 'rate.yml')", 2, "deploy/rate.yml:4"),
        ("made = load_batch_deployment('deploy/rate.yml')\nmade.settings.mini_batch_size = 3", 3, "deploy.py:5"),
        (
            "made = load_batch_deployment('deploy/rate.yml', params_override=[{'settings.mini_batch_size': 4}])",
            4,
            "deploy.py:4",
        ),
    ],
)
def test_a_deployment_that_python_loads_is_read(
    step_of: ReadStep, write: Write, load: str, size: int, origin: str
) -> None:
    write("deploy/rate.yml", DEPLOYED)
    head = "from pathlib import Path\nfrom azure.ai.ml import load_batch_deployment\nROOT = Path(__file__).parent\n"
    step = step_of("deploy.py", f"{head}{load}\nmade.name = 'other'\nmade.endpoint_name = 'night'\n")
    assert (step.profile, step.values["mini_batch_size"]) == ("batch", size)
    assert step.origins["mini_batch_size"] == origin


@pytest.mark.parametrize(
    ("load", "why"),
    [
        ("load_job(args.file)", "load_job() (job.py:2) is not read: its file is the expression `args.file`"),
        ("load_job('no.yml')", "there is no file 'no.yml'. If that is a parallel job, give its file with "),
        (
            "load_component(client=client, name='rate')",
            "load_component() (job.py:2) is not read: it is not given a file",
        ),
        ("load_component(**known)", "its arguments cannot be read"),
    ],
)
def test_a_file_that_python_loads_and_that_cannot_be_found_is_named(write: Write, load: str, why: str) -> None:
    job = read_job_file(write("job.py", f"from azure.ai.ml import *\nx = {load}\n"))
    [sentence] = job.skipped
    assert why in sentence
    assert not all_problems(job)


def test_a_file_that_python_loads_and_that_is_wrong_is_told(problems: Problems, write: Write) -> None:
    write("pipeline.yml", "jobs: [\n")
    head = "from azure.ai.ml import load_job\n"
    [problem] = problems("job.py", f"{head}load_job('pipeline.yml')\n")
    assert "pipeline.yml:2:1: this is not valid YAML" in problem
    write("pipeline.yml", LOADED_PIPELINE)
    found = problems("job.py", f"{head}load_job('pipeline.yml', params_override=overrides)\n")
    assert any("params_override cannot be read: it is the expression `overrides`" in one for one in found)


@pytest.mark.parametrize(
    ("changes", "setting", "message"),
    [
        (
            {"input_data": "'${{inputs.' + name() + '}}'"},
            "input_data",
            "or give a sample with --parallelrun-input=PATH",
        ),
        ({"error_threshold": "args.limit"}, "error_threshold", "or give --parallelrun-set=error_threshold=VALUE"),
    ],
)
def test_what_cannot_be_read_names_its_option(
    step_of: ReadStep, changes: dict[str, str], setting: str, message: str
) -> None:
    assert str(step_of("job.py", call(**changes)).unresolved[setting]).endswith(message)


def test_inputs_and_outputs_that_cannot_be_read_are_known_by_what_is_bound_to_them(step_of: ReadStep) -> None:
    task = ", program_arguments='--cut ${{inputs.cut}}', append_row_to='${{outputs.rated}}'"
    step = step_of("job.py", call(inputs="known.inputs", outputs="{name: Output() for name in names}", task=task))
    assert step.split == ("files",)
    assert {*step.known_inputs(), *step.outputs} == {"files", "cut", "rated"}
    assert step.program_arguments({"cut": "3"}) == ("--cut", "3")
    assert str(step.missing_sample({})).endswith("cannot be read; give a sample with --parallelrun-input=files=PATH")


def test_a_task_that_cannot_be_read_needs_its_script(write: Write, folder: Path) -> None:
    text = call().replace("task=RunFunction", "task=other").replace("(code='src'", "(code=1, c='src'")
    file = write("job.py", text)
    assert any(
        "the entry script cannot be read: give it with --parallelrun-entry=PATH" in one
        for one in all_problems(read_job_file(file))
    )
    step = only_step(read_job_file(file, GivenCode(script=folder / "src" / "score.py")))
    assert (step.entry.path, step.entry.code_root) == (folder / "src" / "score.py", folder / "src")
    assert "--parallelrun-args" in step.notes["task"]
