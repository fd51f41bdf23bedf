from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.job_files.job_file import read_job_file
from tests.job_files.conftest import Problems, ReadStep, Write, all_problems

REQUIREMENT = """
from azure.ai.ml import Input, Output
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import Environment
from azure.ai.ml.parallel import RunFunction, parallel_run_function

raise SystemExit("this file must not be run")

file_batch_inference = parallel_run_function(
    name="file_batch_score",
    inputs=dict(job_data_path=Input(type=AssetTypes.MLTABLE, description="The data to be split and scored")),
    outputs=dict(job_output_path=Output(type=AssetTypes.MLTABLE)),
    input_data="${{inputs.job_data_path}}",
    instance_count=2,
    max_concurrency_per_instance=1,
    mini_batch_size="1",
    mini_batch_error_threshold=1,
    retry_settings=dict(max_retries=2, timeout=60),
    logging_level="DEBUG",
    task=RunFunction(
        code="./src",
        entry_script="score.py",
        program_arguments="--job_output_path ${{outputs.job_output_path}}",
        environment=Environment(image="mcr.microsoft.com/azureml/openmpi", conda_file="./src/env.yml"),
    ),
)
"""


def call(*, head: str = "", task: str = "", **changes: str) -> str:
    """A file with one call of parallel_run_function(); `changes` are expressions, "" takes a keyword away."""
    keywords = {
        "name": "'score'",
        "inputs": "dict(files=Input(type='uri_folder'))",
        "input_data": "'${{inputs.files}}'",
        "task": f"RunFunction(code='src', entry_script='score.py', environment='azureml:e:1'{task})",
        **changes,
    }
    lines = "".join(f"    {name}={value},\n" for name, value in keywords.items() if value)
    imports = (
        "from azure.ai.ml import Input, Output\nfrom azure.ai.ml.parallel import RunFunction, parallel_run_function\n"
    )
    return f"{imports}{head}\nmade = parallel_run_function(\n{lines})\n"


def test_the_call_of_the_guide_is_read_without_running_its_file(step_of: ReadStep) -> None:
    step = step_of("job.py", REQUIREMENT)
    assert (step.name, step.entry.module_name, step.split) == ("file_batch_score", "score", ("job_data_path",))
    assert step.values == {
        "profile": "v2",
        "instance_count": 2,
        "max_concurrency_per_instance": 1,
        "mini_batch_size": "1",
        "mini_batch_error_threshold": 1,
        "max_retries": 2,
        "timeout": 60,
        "logging_level": "DEBUG",
    }
    assert step.origins["timeout"] == "job.py:17"
    assert step.program_arguments({}) == ("--job_output_path", "${{outputs.job_output_path}}")
    assert step.settings().timeout == 60


@pytest.mark.parametrize(
    ("imports", "function"),
    [
        ("from azure.ai.ml.parallel import parallel_run_function as prf", "prf"),
        ("import azure.ai.ml.parallel as jobs", "jobs.parallel_run_function"),
        ("import azure.ai.ml.parallel", "azure.ai.ml.parallel.parallel_run_function"),
        ("from azure.ai.ml import parallel", "parallel.parallel_run_function"),
        ("from azure.ai.ml.parallel import parallel_run_function\nmake = parallel_run_function", "make"),
        ("from azure.ai.ml.parallel import *", "parallel_run_function"),
    ],
)
def test_the_function_is_known_by_whatever_name_it_was_imported(step_of: ReadStep, imports: str, function: str) -> None:
    text = call().replace("from azure.ai.ml.parallel import RunFunction, parallel_run_function", imports)
    step = step_of("job.py", text.replace("made = parallel_run_function", f"made = {function}"))
    assert step.name == "score"


def test_a_function_of_the_users_own_with_that_name_is_none(problems: Problems) -> None:
    text = "from mine import parallel_run_function\nparallel_run_function(task=1)\n"
    assert "this file calls neither parallel_run_function()" in problems("job.py", text)[0]


@pytest.mark.parametrize(
    ("head", "expression", "value"),
    [
        ("", "3", 3),
        ("", "-1", -1),
        ("N = 3", "N", 3),
        ("M = 3\nN = M", "N", 3),
        ("N: int = 3", "N", 3),
    ],
)
def test_constants_that_are_assigned_once_count_as_literals(
    step_of: ReadStep, head: str, expression: str, value: int
) -> None:
    assert step_of("job.py", call(head=head, error_threshold=expression)).values["error_threshold"] == value


@pytest.mark.parametrize(
    "task",
    [
        "code=ROOT, entry_script=NAME",
        "code=f'{ROOT}', entry_script=f'{STEM}.py'",
        "code='s' + 'rc', entry_script=STEM + '.py'",
        "**PATHS",
        "**{'code': ROOT, **REST}",
    ],
)
def test_texts_are_put_together_from_literals(step_of: ReadStep, task: str) -> None:
    head = (
        "ROOT = 'src'\nNAME = 'score.py'\nSTEM = 'score'\n"
        "REST = {'entry_script': NAME}\nPATHS = dict(code=ROOT, **REST)\n"
    )
    text = call(head=head).replace("code='src', entry_script='score.py'", task)
    assert step_of("job.py", text).entry.module_name == "score"


def test_a_constant_of_the_function_around_the_call_goes_over_that_of_the_module(step_of: ReadStep) -> None:
    text = call(error_threshold="N", head="N = 1")
    head, _, made = text.partition("made = ")
    body = ("N = 7\nmade = " + made).replace("\n", "\n    ")
    assert step_of("job.py", f"{head}def build():\n    {body}\n").values["error_threshold"] == 7


@pytest.mark.parametrize(
    ("head", "expression", "why"),
    [
        ("", "int(os.environ['N'])", "the expression `int(os.environ['N'])`: write a literal"),
        ("N = 1\nN = 2", "N", "the expression `N`: 'N' is not assigned exactly once"),
        ("N = 1\nN += 2", "N", "'N' is not assigned exactly once"),
        ("for N in range(3): pass", "N", "'N' is not assigned exactly once"),
        ("", "N", "'N' is not assigned in this file"),
        ("N = N", "N", "it is made of itself"),
    ],
)
def test_a_setting_that_is_no_literal_is_named_unless_an_option_gives_it(
    step_of: ReadStep, head: str, expression: str, why: str
) -> None:
    step = step_of("job.py", call(head=head, error_threshold=expression))
    text = str(step.unresolved["error_threshold"])
    assert why in text
    assert text.endswith("or give --parallelrun-set=error_threshold=VALUE")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            call(error_treshold="1"),
            "there is no key 'error_treshold' in parallel_run_function(). Did you mean 'error_threshold'",
        ),
        (
            call(node_count="1"),
            "there is no key 'node_count' in parallel_run_function(). Here it is resources.instance_count",
        ),
        (call(input_data=""), "parallel_run_function() needs the key 'input_data'"),
        (call(mini_batch_size="10"), "mini_batch_size must be a text, and is 10"),
        (call(retry_settings="dict(timeout=0)"), "timeout=0: must be a number of seconds above 0"),
        (call(retry_settings="5"), "'retry_settings' must be a mapping, and is 5"),
        (
            call().replace("entry_script='score.py'", "entry_script=name()"),
            "must be a path, and is the expression `name()`",
        ),
    ],
)
def test_what_is_wrong_is_found_at_its_line(problems: Problems, text: str, problem: str) -> None:
    found = [one for one in problems("job.py", text) if problem in one]
    assert len(found) == 1
    assert found[0].startswith("job.py:")


@pytest.mark.parametrize(
    "text",
    [
        call(input_data="").replace("\n)", "\n    **settings(),\n)"),
        call(retry_settings="RetrySettings(timeout=5, **settings())"),
        f"{call()}made.set_resources(**settings())\n",
    ],
)
def test_keywords_that_cannot_be_read_need_options_and_nothing_is_missed_for_them(step_of: ReadStep, text: str) -> None:
    step = step_of("job.py", text)
    assert str(step.unresolved["**"]).endswith("or give what it sets with --parallelrun-set=NAME=VALUE")
    assert "`**settings()` (job.py:" in step.notes["**"]


def test_what_has_no_effect_on_a_run_may_be_changed(step_of: ReadStep) -> None:
    step_of("job.py", f"{call()}made.compute = 'gpu'\nother.error_threshold = 3\n")


def test_a_step_that_the_pipeline_gives_a_path_has_it(step_of: ReadStep, folder: Path) -> None:
    text = call() + "@pipeline()\ndef all():\n    made(files=Input(type='uri_folder', path='./data'))\n"
    assert step_of("job.py", text).sample({}) == (str(folder / "data"),)


def test_a_step_that_the_pipeline_gives_a_parameter_has_no_path(step_of: ReadStep) -> None:
    text = call() + "@pipeline()\ndef all(data):\n    made(files=data)\n"
    assert step_of("job.py", text).sample({}) == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("def x(:\n", "job.py:1:7: this is not valid Python: "),
        ("x = '" + "\x00'", "job.py:1:1: this is not valid Python: "),
        ("x = " + "(" * 5000, "job.py:1:"),
        ("x = " + "-" * 100_000 + "1", "job.py:1:1: "),
        ("x = 1\n", "job.py:1:1: this file calls neither parallel_run_function() nor ParallelRunConfig()"),
    ],
    ids=["syntax", "null", "brackets", "deep", "none"],
)
def test_a_file_without_a_job_is_one_finding(problems: Problems, text: str, problem: str) -> None:
    [found] = problems("job.py", text)
    assert found.startswith(problem)


V1 = """
from azureml.pipeline.steps import ParallelRunConfig, ParallelRunStep

NODES = 3
config = ParallelRunConfig(
    source_directory="src",
    entry_script="score.py",
    mini_batch_size="5",
    error_threshold=10,
    allowed_failed_count=2,
    allowed_failed_percent=12.5,
    output_action="append_row",
    append_row_file_name="scored.txt",
    environment=batch_env,
    compute_target=target,
    node_count=NODES,
    process_count_per_node=2,
    run_invocation_timeout=600,
    run_max_try=2,
    logging_level="DEBUG",
    environment_variables={"STAGE": "test"},
)
step = ParallelRunStep(
    name="predict",
    parallel_run_config=config,
    inputs=[reviews.as_named_input("reviews"), more],
    side_inputs=[labels],
    output=out,
    arguments=["--model", "rater", "--depth", 4],
    allow_reuse=False,
)
"""


def test_a_step_of_v1_has_the_settings_of_its_config(step_of: ReadStep) -> None:
    step = step_of("job.py", V1)
    assert (step.name, step.profile, step.entry.label) == ("predict", "v1", "score.py")
    settings = step.settings()
    assert (settings.max_retries, settings.timeout, settings.instance_count) == (1, 600, 3)
    assert (settings.mini_batch_error_threshold, settings.allowed_failed_percent) == (2, 12.5)
    assert (settings.output_action, settings.append_row_file_name) == ("append_row", "scored.txt")
    assert dict(settings.environment_variables) == {"STAGE": "test"}
    assert step.origins["max_retries"] == "job.py:18"
    assert step.program_arguments({}) == ("--model", "rater", "--depth", "4")
    assert any(text.startswith("side_inputs") for text in step.not_emulated)


def test_a_step_of_v1_without_an_output_has_no_output_folder(step_of: ReadStep) -> None:
    assert step_of("job.py", V1).settings().output_folder
    step = step_of("job.py", V1.replace("    output=out,\n", "").replace('"append_row"', '"summary_only"'))
    assert not step.settings().output_folder
    assert step.origins["output_folder"] == "job.py:22"


def test_inputs_of_v1_are_all_split_and_have_the_names_that_the_file_gives_them(step_of: ReadStep) -> None:
    step = step_of("job.py", V1)
    assert step.split == ("reviews", "input_1")
    assert step.sample({"reviews": "/a"}) == ()
    assert step.sample({"reviews": "/a", "input_1": "/b"}) == ("/a", "/b")


def test_a_config_without_a_step_is_an_entry(step_of: ReadStep) -> None:
    assert step_of("job.py", V1.partition("step =")[0]).name == "config"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "node_count=NODES",
            "instance_count=3",
            "there is no key 'instance_count' in ParallelRunConfig(). Here it is node",
        ),
        ("    error_threshold=10,\n", "", "ParallelRunConfig() needs the key 'error_threshold'"),
        ("run_max_try=2", "run_max_try=0", "run_max_try=0: must be a whole number of 1 or more"),
        ('"scored.txt"', '"a:b.txt"', "append_row_file_name='a:b.txt' holds ':'; v1 refuses"),
        ('size="5",', 'size="5", partition_keys=["a"],', "mini_batch_size and partition_keys"),
        ('"--model", "rater"', '"--mini_batch_size", "4"', "--mini_batch_size is reserved under profile v1"),
        ('"--model", "rater"', '"rater"', "the first one, 'rater', must start with '-'"),
        ("    output=out,\n", "", "ParallelRunStep() needs the key 'output', since output_action is append_row"),
        ("inputs=[rev", "input=[rev", "there is no key 'input' in ParallelRunStep(). Did you mean 'inputs'?"),
        ('"predict"', '"Predict_all"', "name='Predict_all': a ParallelRunStep() is named by 3 to 32 small letters"),
        ('"predict"', '"ab"', "name='ab': a ParallelRunStep() is named by 3 to 32 small letters"),
        ('size="5",', 'size="100 kb", partition_keys=["a"],', "mini_batch_size and partition_keys"),
        ('size="5",', 'size="100 kb", partition_keys=["a"],', "mini_batch_size='100 kb': must be"),
        ("config=config", "config=make()", "parallel_run_config must be ParallelRunConfig(...), and is the expression"),
        ("config=config", "config=config, **more", "`**more` cannot be read"),
    ],
)
def test_mistakes_in_v1_are_found(problems: Problems, old: str, new: str, problem: str) -> None:
    assert old in V1
    found = [one for one in problems("job.py", V1.replace(old, new)) if problem in one]
    assert len(found) == 1


def test_an_argument_of_v1_that_is_no_literal_is_named_unless_an_option_gives_all(step_of: ReadStep) -> None:
    step = step_of("job.py", V1.replace('"rater"', "weights.as_mount()"))
    assert str(step.unresolved["program_arguments"]).endswith(
        "an argument is the expression `weights.as_mount()`: write a literal, or a constant that is assigned once in "
        "this file, or give all with --parallelrun-args=ARGUMENTS"
    )


def test_several_calls_are_several_entries(write: Write) -> None:
    text = call() + call().partition("\n\n")[2].replace("'score'", "'again'").replace("made =", "other =")
    job = read_job_file(write("job.py", text))
    assert not all_problems(job)
    assert [step.name for step in job.steps] == ["score", "again"]
