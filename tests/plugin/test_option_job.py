from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Run, Write
from tests.plugin.conftest import WHOLE
from tests.plugin.counts import NEED_INPUT, WITH_ENVIRONMENT, assert_gated

TASK = """
      type: run_function
      code: .
      entry_script: score.py
      environment: azureml:scoring:1
"""
PIPELINE = f"""
type: pipeline
inputs:
  items: {{type: uri_folder, path: ./data}}
jobs:
  rate:
    type: parallel
    inputs: {{items: "${{{{parent.inputs.items}}}}"}}
    input_data: ${{{{inputs.items}}}}
    mini_batch_size: "2"
    retry_settings: {{max_retries: 1, timeout: 9}}
    environment_variables: {{STAGE: test, API_KEY: hunter2}}
    task:{TASK}"""
REQUIREMENT = """
from azure.ai.ml import Input, Output
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.parallel import RunFunction, parallel_run_function

file_batch_inference = parallel_run_function(
    name="file_batch_score",
    inputs=dict(job_data_path=Input(type=AssetTypes.MLTABLE, description="The data to be split")),
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
        entry_script="file_batch_inference.py",
        program_arguments="--job_output_path ${{outputs.job_output_path}}",
        environment=make_environment(),
    ),
)
"""
WRITES_TO_ITS_OUTPUT = """
import argparse
import os
from pathlib import Path

def init():
    global folder
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--job_output_path")
    folder = parser.parse_known_args()[0].job_output_path

def run(mini_batch):
    names = [Path(path).name for path in mini_batch]
    for path, name in zip(mini_batch, names):
        Path(folder, name).write_bytes(Path(path).read_bytes())
    return names
"""


@pytest.fixture
def pipeline(project: Path, write: Write) -> Path:
    return write("pipeline.yml", PIPELINE)


def plan(run_pytest: Run, *arguments: str | Path) -> str:
    result = run_pytest("--parallelrun-plan", *arguments)
    assert result.ret == pytest.ExitCode.OK, result.stderr.str()
    return result.stdout.str()


def usage_error(result: pytest.RunResult) -> str:
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    return "\n".join(line for line in result.errlines if line.strip())


def test_the_example_of_the_requirement_is_gated_from_its_file_with_one_command(
    project: Path, run_pytest: Run, write: Write
) -> None:
    write("job.py", REQUIREMENT)
    write("src/file_batch_inference.py", WRITES_TO_ITS_OUTPUT)
    result = run_pytest(
        "src",
        "--parallelrun-job=job.py",
        "--parallelrun-input=job_data_path=data",
        "--parallelrun-output=kept",
        "--parallelrun-report=report.json",
    )
    assert_gated(result, WITH_ENVIRONMENT)
    [entry] = json.loads((project / "report.json").read_text(encoding="utf-8"))["entries"]
    assert (entry["entry"], entry["verdict"]) == ("src/file_batch_inference.py", "passed")
    assert (entry["job"]["total_mini_batches"], entry["job"]["total_items"]) == (3, 3)
    kept = project / "kept" / "job_output_path"
    assert sorted(file.name for file in kept.iterdir()) == ["item_1.txt", "item_2.txt", "item_3.txt"]


def test_input_settings_and_environment_come_from_the_file(pipeline: Path, run_pytest: Run, write: Write) -> None:
    write(
        "score.py",
        """
        import os

        def run(mini_batch):
            assert len(mini_batch) <= 2
            return [os.environ["STAGE"] for _ in mini_batch]
        """,
    )
    options = ("--parallelrun-output=kept", "--parallelrun-set=output_action=append_row")
    run_pytest("--parallelrun-job=pipeline.yml", *options, "-k", "job_completes").assert_outcomes(
        passed=1, deselected=WITH_ENVIRONMENT - 1
    )
    kept = pipeline.parent / "kept" / "parallel_run_step.txt"
    assert kept.read_text(encoding="utf-8") == "test\n" * 3


def test_the_plan_tells_the_line_of_every_value_and_the_document_of_every_default(
    pipeline: Path, run_pytest: Run
) -> None:
    lines = plan(run_pytest, "--parallelrun-job=pipeline.yml", "--parallelrun-set=max_retries=0", "-v").splitlines()
    expected = (
        "  job rate (pipeline.yml:6)",
        "  mini_batch_size = 2  (pipeline.yml:9)",
        "  max_retries = 0  (--parallelrun-set)",
        "  timeout = 9  (pipeline.yml:10)",
        "  environment_variables = STAGE=test, API_KEY=***  (pipeline.yml:11)",
        "  error_threshold = -1  (default of profile v2 (guide to parallel jobs in pipelines))",
        "  max_concurrency_per_instance = 1  (default of profile v2 (schema of the parallel job in the azure-ai-ml SDK"
        "; but guide to parallel jobs in pipelines and YAML reference of the parallel job: the cores of an instance, "
        "1 where it has GPUs))",
        "note: not emulated: environment (pipeline.yml:16)",
    )
    assert [line for line in expected if line not in lines] == []
    assert any(line.startswith("input: 3 files in ") and line.endswith("(pipeline.yml:3)") for line in lines)


@pytest.mark.parametrize(
    ("origin", "arguments", "ini", "value"),
    [
        ("--parallelrun-set", ("--parallelrun-set=timeout=1",), "parallelrun_set = timeout=2", 1),
        ("parallelrun_set in tox.ini", (), "parallelrun_set = timeout=2", 2),
        ("pipeline.yml:10", (), "", 9),
    ],
)
def test_options_go_over_the_ini_file_and_that_over_the_job_definition(
    pipeline: Path,
    pytester: pytest.Pytester,
    run_pytest: Run,
    origin: str,
    arguments: tuple[str, ...],
    ini: str,
    value: int,
) -> None:
    pytester.makefile(".ini", tox=f"[pytest]\n{ini}\n")
    text = plan(run_pytest, "--parallelrun-job=pipeline.yml", *arguments)
    assert f"  timeout = {value}  ({origin})\n" in text


def test_program_arguments_go_over_the_keys_of_the_file(project: Path, run_pytest: Run, write: Write) -> None:
    both = PIPELINE + "      program_arguments: --error_threshold 4\n    error_threshold: 9\n"
    write("pipeline.yml", both)
    assert "  error_threshold = 4  (program arguments)\n" in plan(run_pytest, "--parallelrun-job=pipeline.yml")


def test_program_arguments_of_an_option_take_the_place_of_those_in_the_file(
    project: Path, run_pytest: Run, write: Write
) -> None:
    write("pipeline.yml", PIPELINE + "      program_arguments: --from-file\n")
    text = plan(run_pytest, "--parallelrun-job=pipeline.yml", "--parallelrun-args=--mine")
    assert "  then yours: --mine\n" in text


def test_environment_variables_are_merged_one_by_one(pipeline: Path, run_pytest: Run) -> None:
    text = plan(run_pytest, "--parallelrun-job=pipeline.yml", "--parallelrun-env=STAGE=desk")
    assert "  environment_variables = STAGE=desk, API_KEY=***  (--parallelrun-env over pipeline.yml:11)\n" in text


def test_the_ini_twin_is_used(pipeline: Path, pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makeini("[pytest]\nparallelrun_job = pipeline.yml")
    assert "  job rate (pipeline.yml:6)\n" in plan(run_pytest)


def test_a_path_without_a_name_takes_the_place_of_the_files_input(
    pipeline: Path, run_pytest: Run, write: Write
) -> None:
    write("other/one.txt", "1")
    text = plan(run_pytest, "--parallelrun-job=pipeline.yml", "--parallelrun-input=other")
    assert "input: 1 files in" in text or "input: 1 file in" in text


SEVERAL = PIPELINE + PIPELINE.partition("jobs:\n")[2].replace("rate:", "sort:").replace("score.py", "sort.py")


@pytest.fixture
def several(project: Path, write: Write) -> Path:
    write("sort.py", "def run(mini_batch):\n    return sorted(mini_batch)\n")
    return write("pipeline.yml", SEVERAL)


def test_every_parallel_step_is_an_entry(several: Path, run_pytest: Run) -> None:
    result = run_pytest("--parallelrun-job=pipeline.yml", "--collect-only", "-q")
    result.assert_outcomes()
    assert sum("score.py::test_" in line for line in result.outlines) == WITH_ENVIRONMENT
    assert sum("sort.py::test_" in line for line in result.outlines) == WITH_ENVIRONMENT


def test_a_step_is_picked_by_its_name(several: Path, run_pytest: Run) -> None:
    text = plan(run_pytest, "--parallelrun-job=pipeline.yml::sort")
    assert text.count("entry ") == 1
    assert "sort.py" in text.splitlines()[0]


def test_steps_of_several_files_are_entries_each_once(several: Path, run_pytest: Run, write: Write) -> None:
    write("other.yml", PIPELINE.replace("rate:", "rank:"))
    text = plan(
        run_pytest,
        *(
            "--parallelrun-job=pipeline.yml::sort",
            "--parallelrun-job=other.yml",
            "--parallelrun-job=pipeline.yml::sort",
        ),
    )
    assert [line for line in text.splitlines() if line.startswith("  job ")] == [
        "  job sort (pipeline.yml:18)",
        "  job rank (other.yml:6)",
    ]


def test_a_finding_of_one_of_several_files_is_replayed_with_its_own(
    several: Path, run_pytest: Run, write: Write
) -> None:
    write("rank.py", "def run(mini_batch):\n    return mini_batch[1:]\n")
    write("other.yml", PIPELINE.replace("rate:", "rank:").replace("score.py", "rank.py"))
    result = run_pytest(
        *("--parallelrun-job=pipeline.yml", "--parallelrun-job=other.yml", "--parallelrun-entry=rank.py"),
        *("-k", "returns_one_result_per_item", "--parallelrun-save=saved"),
    )
    result.stdout.fnmatch_lines(["*pytest --parallelrun-entry=rank.py --parallelrun-job=other.yml::rank *"])
    assert "pipeline.yml" not in "".join(line for line in result.outlines if "--parallelrun-replay" in line)


def test_two_steps_that_no_id_tells_apart_are_a_usage_error(pipeline: Path, run_pytest: Run, write: Write) -> None:
    write("other.yml", PIPELINE)
    error = usage_error(run_pytest("--parallelrun-job=pipeline.yml", "--parallelrun-job=other.yml"))
    assert "pipeline.yml:6 and other.yml:6 both have a step 'rate' of score.py" in error


def test_a_step_is_picked_by_its_script(several: Path, run_pytest: Run) -> None:
    text = plan(run_pytest, "--parallelrun-job=pipeline.yml", "--parallelrun-entry=sort.py")
    assert text.count("  job ") == 1
    assert "  job sort (" in text


def test_two_steps_of_one_script_have_ids_of_their_own_that_can_be_run(
    project: Path, run_pytest: Run, write: Write
) -> None:
    write("pipeline.yml", SEVERAL.replace("sort.py", "score.py").replace('"2"', '"3"', 1))
    options = ("--parallelrun-job=pipeline.yml", "--parallelrun-report=report.json")
    result = run_pytest("score.py::sort::test_job_completes", "score.py::rate::test_job_completes", *options)
    result.assert_outcomes(passed=2)
    entries = json.loads((project / "report.json").read_text(encoding="utf-8"))["entries"]
    counts = {entry["entry"]: entry["job"]["total_mini_batches"] for entry in entries}
    assert counts == {"score.py::rate": 1, "score.py::sort": 2}


def test_a_finding_in_each_step_of_one_script_is_accepted_by_the_name_of_the_script(
    project: Path, pytester: pytest.Pytester, run_pytest: Run, write: Write
) -> None:
    write("score.py", "def run(mini_batch):\n    return mini_batch[1:]\n")
    write("pipeline.yml", SEVERAL.replace("sort.py", "score.py"))
    pytester.makeini("[pytest]\nparallelrun_accept =\n    returns_one_result_per_item score.py: on purpose\n")
    result = run_pytest("--parallelrun-job=pipeline.yml", "-k", "returns_one_result_per_item")
    result.assert_outcomes(passed=2, deselected=2 * (WITH_ENVIRONMENT - 1))


def test_without_a_local_input_the_checks_that_need_one_are_skipped_and_say_which_option_gives_it(
    project: Path, run_pytest: Run, write: Write
) -> None:
    write("pipeline.yml", PIPELINE.replace("./data", "azureml:items@latest"))
    result = run_pytest("--parallelrun-job=pipeline.yml", "-rs", *WHOLE)
    assert result.parseoutcomes()["skipped"] >= NEED_INPUT
    result.stdout.fnmatch_lines(
        [
            "*there is no sample input: the input 'items' (pipeline.yml:3) is azureml:items@latest, which is not on "
            "this machine; give a sample with --parallelrun-input=items=PATH*"
        ]
    )


def test_a_value_that_the_file_does_not_have_must_be_set(project: Path, run_pytest: Run, write: Write) -> None:
    text = PIPELINE.replace("inputs:\n", "inputs:\n  limit: {type: integer}\n", 1)
    write("pipeline.yml", text + "    error_threshold: ${{parent.inputs.limit}}\n")
    assert "give --parallelrun-set=error_threshold=VALUE" in usage_error(run_pytest("--parallelrun-job=pipeline.yml"))
    assert "  error_threshold = 3  (--parallelrun-set)\n" in plan(
        run_pytest, "--parallelrun-job=pipeline.yml", "--parallelrun-set=error_threshold=3"
    )


def test_a_variable_that_is_no_literal_is_given_by_an_option(project: Path, run_pytest: Run, write: Write) -> None:
    write(
        "job.py",
        """
        from azure.ai.ml import Input
        from azure.ai.ml.parallel import RunFunction, parallel_run_function

        rate = parallel_run_function(
            inputs=dict(items=Input(type="uri_folder", path="data")),
            input_data="${{inputs.items}}",
            environment_variables=dict(VAULT=os.getenv("VAULT"), STAGE="test"),
            task=RunFunction(code=".", entry_script="score.py", environment="azureml:e:1"),
        )
        rate.error_threshold = 3
        """,
    )
    error = usage_error(run_pytest("--parallelrun-job=job.py"))
    assert error.splitlines() == [
        "ERROR: job.py:7:38: environment_variables.VAULT is the expression `os.getenv('VAULT')`, whose value is not in "
        "the file: give --parallelrun-env=VAULT=VALUE"
    ]
    text = plan(run_pytest, "--parallelrun-job=job.py", "--parallelrun-env=VAULT=x")
    assert "  error_threshold = 3  (job.py:10)\n" in text
    assert "STAGE" in text


def test_notes_on_dropped_keys_and_all_nodes_are_in_plan_and_report(
    project: Path, run_pytest: Run, write: Write
) -> None:
    write("pipeline.yml", PIPELINE + "    output_data: x\n    resources: {instance_count: -1}\n")
    text = plan(run_pytest, "--parallelrun-job=pipeline.yml")
    assert "note: the key 'output_data' in the parallel step 'rate' (pipeline.yml:17) has no effect: the client" in text
    assert "note: instance_count: -1 (pipeline.yml:18) stands for all nodes" in text
    other = plan(run_pytest, "--parallelrun-job=pipeline.yml", "--parallelrun-set=instance_count=3")
    assert "stands for all nodes" not in other
    run_pytest("--parallelrun-job=pipeline.yml", "--parallelrun-report=report.json", "-k", "entry_imports")
    assert "the key 'output_data'" in (project / "report.json").read_text(encoding="utf-8")


def test_the_code_root_of_an_option_goes_over_that_of_the_file(project: Path, run_pytest: Run, write: Write) -> None:
    write("elsewhere/score.py", "def run(mini_batch):\n    return mini_batch\n")
    write("pipeline.yml", PIPELINE.replace("code: .", "code: git+https://example.org/scripts"))
    assert "give a copy with --parallelrun-code=DIR" in usage_error(run_pytest("--parallelrun-job=pipeline.yml"))
    text = plan(run_pytest, "--parallelrun-job=pipeline.yml", "--parallelrun-code=elsewhere")
    assert "elsewhere/score.py" in text.splitlines()[0]


def test_all_findings_are_one_usage_error_with_a_line_for_each(project: Path, run_pytest: Run, write: Write) -> None:
    write("pipeline.yml", PIPELINE.replace('"2"', "100 kb").replace("timeout: 9", "timeout: 0, tries: 1"))
    lines = usage_error(run_pytest("--parallelrun-job=pipeline.yml")).splitlines()
    assert [line.removeprefix("ERROR: ").split(": ")[0] for line in lines] == [
        "pipeline.yml:9:22",
        "pipeline.yml:10:47",
        "pipeline.yml:10:50",
    ]


def test_values_of_variables_are_never_shown_in_a_finding(project: Path, run_pytest: Run, write: Write) -> None:
    write("pipeline.yml", PIPELINE.replace("hunter2", "12345678"))
    assert "12345678" not in usage_error(run_pytest("--parallelrun-job=pipeline.yml"))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("pipelin.yml", "--parallelrun-job=pipelin.yml: does not exist. Did you mean 'pipeline.yml'?"),
        ("data", "--parallelrun-job=data: is a folder; give a file."),
        ("", "--parallelrun-job: the path is empty."),
        ("pipeline.yml::rat", "there is no such step. Did you mean 'rate'?"),
        ("pipeline.yml::", "there is no such step. Write FILE::STEP, or FILE alone for all of them."),
        (
            "data/item_1.txt",
            "data/item_1.txt:1:1: this is no job definition: it appears to be a text. --parallelrun-job",
        ),
    ],
)
def test_what_leads_nowhere_is_a_usage_error(pipeline: Path, run_pytest: Run, option: str, message: str) -> None:
    assert message in usage_error(run_pytest(f"--parallelrun-job={option}"))


def test_an_entry_that_is_no_step_of_the_file_is_a_usage_error(several: Path, run_pytest: Run, write: Write) -> None:
    write("third.py", "")
    message = usage_error(run_pytest("--parallelrun-job=pipeline.yml", "--parallelrun-entry=third.py"))
    assert (
        "--parallelrun-entry=third.py is no entry of --parallelrun-job=pipeline.yml, "
        "which has: 'rate' (score.py), 'sort' (sort.py)." in message
    )


def test_a_name_that_is_no_input_is_a_usage_error(pipeline: Path, run_pytest: Run) -> None:
    message = usage_error(run_pytest("--parallelrun-job=pipeline.yml", "--parallelrun-input=itms=data"))
    assert "the job definition has no input 'itms'. Did you mean 'items'?" in message


def test_a_deployment_without_a_script_says_so(project: Path, run_pytest: Run, write: Write) -> None:
    write("deployment.yml", "name: d\nendpoint_name: e\nmodel: azureml:m@latest\ncompute: azureml:c\n")
    assert "there is no script to gate" in usage_error(run_pytest("--parallelrun-job=deployment.yml"))


def test_a_local_model_of_a_deployment_is_there(project: Path, run_pytest: Run, write: Write) -> None:
    write("model/weights.txt", "7")
    write(
        "score.py",
        """
        import os
        from pathlib import Path

        def run(mini_batch):
            return [Path(os.environ["AZUREML_MODEL_DIR"], "model", "weights.txt").read_text() for _ in mini_batch]
        """,
    )
    write(
        "deployment.yml",
        """
        name: d
        endpoint_name: e
        model: {path: ./model}
        code_configuration: {code: ., scoring_script: score.py}
        environment: azureml:e:1
        """,
    )
    options = ("--parallelrun-job=deployment.yml", "--parallelrun-input=data", "--parallelrun-output=kept")
    run_pytest("score.py", *options, "-k", "job_completes").assert_outcomes(passed=1, deselected=WITH_ENVIRONMENT - 1)
    assert (project / "kept" / "predictions.csv").read_text(encoding="utf-8") == "7\n" * 3


def test_a_file_above_the_entry_is_found(pipeline: Path, run_pytest: Run) -> None:
    text = plan(run_pytest, "--parallelrun-entry=score.py")
    assert "  job rate (pipeline.yml:6)\n" in text
    assert "  mini_batch_size = 2  (pipeline.yml:9)\n" in text


def test_the_header_says_which_file_was_found(pipeline: Path, run_pytest: Run) -> None:
    result = run_pytest("--parallelrun-entry=score.py", "--collect-only")
    result.stdout.fnmatch_lines(["parallelrun: score.py (job: rate, pipeline.yml:6), input: *data"])


def test_several_files_of_one_entry_are_a_usage_error_with_the_options_to_choose_from(
    pipeline: Path, run_pytest: Run, write: Write
) -> None:
    write("other.yml", PIPELINE.replace("rate:", "nightly:"))
    message = usage_error(run_pytest("--parallelrun-entry=score.py"))
    assert "2 job definitions run score.py; say which one is meant:" in message
    assert "  --parallelrun-job=other.yml::nightly\n  --parallelrun-job=pipeline.yml::rate" in message


def test_a_found_file_that_is_wrong_is_a_usage_error(pipeline: Path, run_pytest: Run, write: Write) -> None:
    write("pipeline.yml", PIPELINE.replace("timeout: 9", "timeout: 0"))
    assert "pipeline.yml:10:47: timeout=0: must be" in usage_error(run_pytest("--parallelrun-entry=score.py"))


def test_broken_files_of_others_do_not_stop_a_gate(project: Path, gate: Run, write: Write) -> None:
    write("other.yml", "parallel: [\n")
    write("another.yml", "type: parallel\n")
    assert "  job " not in plan(gate)


def test_a_broken_file_that_names_the_script_is_told_beside_the_one_that_is_used(
    pipeline: Path, gate: Run, write: Write
) -> None:
    write("broken.yml", "type: parallel\ntask:\n  code: .\n\tentry_script: score.py\n")
    text = plan(gate)
    assert "  job rate (pipeline.yml:6)" in text
    assert "note: a job definition that names this script is broken, and not used: broken.yml:4:1: this is not" in text


def test_a_fixture_without_an_entry_of_its_own_runs_the_step(pipeline: Path, run_pytest: Run, write: Write) -> None:
    write(
        "test_mine.py",
        """
        def test_it(parallelrun):
            result = parallelrun()
            assert (result.total_mini_batches, result.total_items) == (2, 3)
            assert parallelrun(timeout=3).status == "Completed"
        """,
    )
    run_pytest("test_mine.py", "--parallelrun-job=pipeline.yml", "-k", "test_it").assert_outcomes(
        passed=1, deselected=WITH_ENVIRONMENT
    )


def test_a_finding_is_replayed_with_the_step_that_it_was_found_with(
    project: Path, pytester: pytest.Pytester, run_pytest: Run, write: Write
) -> None:
    write("score.py", "import sys\n\ndef run(mini_batch):\n    return [sys.argv[-1] for _ in mini_batch[1:]]\n")
    write("pipeline.yml", PIPELINE + "      program_arguments: --items ${{inputs.items}}\n")
    options = ("--parallelrun-job=pipeline.yml", "--parallelrun-input=items=data", "--parallelrun-save=cases")
    result = run_pytest(*options, "-k", "returns_one_result_per_item")
    result.assert_outcomes(failed=1, deselected=WITH_ENVIRONMENT - 1)
    [line] = [line for line in result.outlines if line.startswith("replay: pytest ")]
    assert "--parallelrun-job=pipeline.yml::rate" in line
    arguments = line.removeprefix("replay: pytest ").split()
    run_pytest(*arguments).assert_outcomes(failed=1)


def test_workers_of_xdist_gate_the_same_entries(several: Path, pytester: pytest.Pytester, in_two: Run) -> None:
    result = in_two("--parallelrun-job=pipeline.yml", "-k", "entry_imports or job_completes")
    result.assert_outcomes(passed=4)


def test_an_input_of_files_hands_the_path_of_a_table(project: Path, run_pytest: Run, write: Write) -> None:
    write("data/rows.csv", "a,b\n1,2\n")
    write("pipeline.yml", PIPELINE.replace(", path: ./data", ""))
    text = plan(run_pytest, "--parallelrun-job=pipeline.yml", "--parallelrun-input=data/rows.csv")
    assert "mini-batch 0: 1 item, rows.csv" in text
    assert "input_type = uri_folder  (pipeline.yml:3)" in text


def test_an_mltable_file_in_an_input_of_files_is_one_of_them(project: Path, run_pytest: Run, write: Write) -> None:
    write("data/MLTable", "type: mltable\npaths: [{file: ./rows.csv}]\ntransformations: [read_delimited]\n")
    write("pipeline.yml", PIPELINE)
    text = plan(run_pytest, "--parallelrun-job=pipeline.yml")
    assert "MLTable ... " in text
    assert (
        "note: the input 'items' is a uri_folder (pipeline.yml:3): run() gets paths of files, that of the MLT" in text
    )
    result = run_pytest("--parallelrun-job=pipeline.yml", "-k", "leaves_input_unchanged")
    result.assert_outcomes(passed=1, deselected=WITH_ENVIRONMENT - 1)


def test_an_input_that_is_a_file_is_a_usage_error_unless_its_lines_are_handed(
    project: Path, run_pytest: Run, write: Write
) -> None:
    write("rows.jsonl", '{"a": 1}\n')
    write("pipeline.yml", PIPELINE.replace("uri_folder, path: ./data", "uri_file, path: ./rows.jsonl"))
    error = usage_error(run_pytest("--parallelrun-job=pipeline.yml"))
    assert error.startswith("ERROR: pipeline.yml:3:17: the input 'items' is a uri_file, which the service does not")
    rows = "--amlbi_pf_enabled True --amlbi_pf_run_mode component --amlbi_file_format jsonl --amlbi_mini_batch_rows 2"
    assert "JSON lines in 1 file" in plan(run_pytest, "--parallelrun-job=pipeline.yml", f"--parallelrun-args={rows}")


UNREADABLE = """
from azure.ai.ml import Input
from azure.ai.ml.parallel import parallel_run_function

rate = parallel_run_function(
    name="rate", inputs=known, input_data=made("x"), error_threshold=args.limit, task=build_task(), **settings()
)
"""


@pytest.mark.usefixtures("project")
def test_what_cannot_be_read_of_a_job_is_supplied_by_the_options_that_messages_name(
    run_pytest: Run, write: Write
) -> None:
    write("job.py", UNREADABLE)
    job = "--parallelrun-job=job.py"
    assert "give it with --parallelrun-entry=PATH beside --parallelrun-job" in usage_error(run_pytest(job))
    entry = (job, "--parallelrun-entry=score.py")
    error = usage_error(run_pytest(*entry))
    assert "or give what it sets with --parallelrun-set=NAME=VALUE" in error
    assert "or give --parallelrun-set=error_threshold=VALUE" in error
    assert "or give a sample with --parallelrun-input=PATH" in error
    text = plan(run_pytest, *entry, "--parallelrun-set=error_threshold=2", "--parallelrun-input=data")
    assert "  error_threshold = 2  (--parallelrun-set)\n" in text
    assert "note: task is the expression `build_task()` (job.py:" in text
    assert "note: `**settings()` (job.py:" in text


@pytest.mark.usefixtures("pipeline")
def test_an_entry_that_is_the_script_of_no_step_is_none_of_a_job_that_can_be_read(
    run_pytest: Run, write: Write
) -> None:
    write("job.py", UNREADABLE)
    write("other.py", "def run(mini_batch):\n    return mini_batch\n")
    error = usage_error(run_pytest("--parallelrun-job=pipeline.yml", "--parallelrun-entry=other.py"))
    assert "other.py is no entry of --parallelrun-job=pipeline.yml" in error
    error = usage_error(run_pytest("--parallelrun-job=job.py", "--parallelrun-entry=missing.py"))
    assert "--parallelrun-entry=missing.py" in error


@pytest.mark.usefixtures("project")
def test_a_python_file_that_loads_nothing_that_is_here_is_told(run_pytest: Run, write: Write) -> None:
    write("job.py", "from azure.ai.ml import load_job\nload_job(path)\n")
    error = usage_error(run_pytest("--parallelrun-job=job.py"))
    assert "the file has no parallel job to gate. load_job() (job.py:2) is not read" in error
