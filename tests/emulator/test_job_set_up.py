from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from pytest_parallelrun.emulator.errors import FaultError, InputError, SettingsError
from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.job import ParallelJob
from pytest_parallelrun.emulator.settings import JobSettings
from tests.emulator.jobs import Names, make_files, run_job, table

if TYPE_CHECKING:
    import pandas as pd

    from pytest_parallelrun.emulator.setting_table import Profile
    from pytest_parallelrun.emulator.splitting.model import InputKind


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return make_files(tmp_path, 3)


def test_program_arguments_change_settings_and_settings_win() -> None:
    arguments = "--error_threshold 3 --mine 1"
    assert ParallelJob(Names(), ".", program_arguments=arguments).settings.error_threshold == 3
    settings = JobSettings(error_threshold=0)
    assert ParallelJob(Names(), ".", settings, program_arguments=arguments).settings.error_threshold == 0


def test_arguments_and_settings_that_are_not_emulated_are_named(files: list[str]) -> None:
    settings = JobSettings(progress_update_timeout=100)
    result = ParallelJob(Names(), files, settings, "--resource_monitor_interval 5").run()
    assert "not emulated, only passed to the script: --resource_monitor_interval" in result.notes
    [note] = [note for note in result.notes if "progress_update_timeout" in note]
    assert note.startswith("not emulated in-process: progress_update_timeout")
    two = ParallelJob(Names(), files, program_arguments="--nice 5 --run_id mine").run()
    assert two.notes == ("not emulated, only passed to the script: --nice, --run_id",)


def test_the_runtimes_own_arguments_come_first_and_can_be_left_out(tmp_path: Path) -> None:
    job = ParallelJob(Names(), ".", program_arguments="--mine 1")
    out = tmp_path / "out"
    arguments = job.worker_plan("files", tmp_path, out).arguments
    assert arguments[-2:] == job.worker_plan("files", tmp_path, out, runtime=False).arguments == ("--mine", "1")
    assert "--mini_batch_size" in arguments[:-2]


def test_workers_start_from_what_the_job_was_given(tmp_path: Path) -> None:
    model = tmp_path / "model.txt"
    model.touch()
    settings = JobSettings(
        environment_variables={"MINE": "1"}, output_action="append_row", logging_level="DEBUG", azureml="installed"
    )
    job = ParallelJob(Names(), ".", settings, "--mine 1", models=[f"best={model}"])
    plan = job.worker_plan("files", tmp_path / "work", tmp_path / "out")
    assert (plan.entry, plan.folder, plan.output_dir) == (job.entry, tmp_path / "work", tmp_path / "out")
    assert plan.environment == {
        "MINE": "1",
        "AZUREML_MODEL_DIR": str(tmp_path / "work" / "AZUREML_MODEL_DIR"),
        "AZUREML_BI_OUTPUT_PATH": str(tmp_path / "out"),
    }
    assert dict(plan.models) == {"best": model}
    assert (plan.logging_level, plan.azureml) == ("DEBUG", "installed")
    arguments = dict(zip(plan.arguments[::2], plan.arguments[1::2], strict=True))
    assert arguments["--scoring_module_name"] == job.entry.label
    assert (arguments["--output"], arguments["--logging_level"]) == (str(tmp_path / "out"), "DEBUG")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"profile": "batch"}, True),
        ({"profile": "batch", "output_action": "summary_only"}, True),
        ({"profile": "v1"}, True),
        ({"profile": "v1", "output_action": "summary_only"}, True),
        ({"profile": "v1", "output_action": "summary_only", "output_folder": False}, False),
        ({"output_action": "append_row"}, True),
        ({}, False),
        ({"output_folder": True}, True),
    ],
)
def test_the_script_is_told_of_an_output_folder(fields: dict[str, object], told: bool, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    plan = ParallelJob(Names(), ".", JobSettings.from_mapping(fields)).worker_plan("files", tmp_path, folder)
    assert (plan.environment.get("AZUREML_BI_OUTPUT_PATH") == str(folder)) is told
    assert (plan.output_dir == folder) is folder.is_dir() is told


def test_the_size_of_a_mini_batch_is_told_in_files_or_in_bytes(tmp_path: Path) -> None:
    def size_passed(kind: InputKind, settings: JobSettings) -> str:
        arguments = ParallelJob(Names(), ".", settings).worker_plan(kind, tmp_path, tmp_path / "out").arguments
        return arguments[arguments.index("--mini_batch_size") + 1]

    assert size_passed("files", JobSettings(mini_batch_size=7)) == "7"
    assert size_passed("tabular", JobSettings(mini_batch_size="7KB")) == str(7 * 1024)


def test_a_job_tells_its_workers_the_size_by_what_its_input_is(tmp_path: Path) -> None:
    class Told:
        def run(self, mini_batch: list[str] | pd.DataFrame) -> list[str]:
            return [sys.argv[sys.argv.index("--mini_batch_size") + 1]]

    assert run_job(Told(), make_files(tmp_path, 1)).rows == ["1"]
    assert run_job(Told(), table(1)).rows == [str(1 << 20)]


def test_the_code_root_decides_how_the_script_is_named(tmp_path: Path) -> None:
    script = tmp_path / "src" / "score.py"
    script.parent.mkdir()
    script.write_text("def run(paths):\n    return paths\n", encoding="utf-8")
    data = make_files(tmp_path, 1)
    assert ParallelJob(script, data).run().entry == "score.py"
    assert ParallelJob(script, data, code=tmp_path).run().entry == "src/score.py"


def test_a_reserved_argument_is_refused_by_the_profile_of_the_settings() -> None:
    ParallelJob(Names(), ".", program_arguments="mine")
    with pytest.raises(SettingsError, match="must start with '-' under profile v1"):
        ParallelJob(Names(), ".", JobSettings(profile="v1"), program_arguments="mine")


def test_an_output_folder_is_meant_relative_to_where_the_job_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = ParallelJob(Names(), ".", output="out")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert job.output == tmp_path / "out"
    assert ParallelJob(Names(), ".").output is None


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: ParallelJob(Names(), ".", engine="inproces"), "engine='inproces' is not an engine. Did you mean"),
        (lambda: ParallelJob(Names(), ".", cast("JobSettings", {"timeout": 1})), "give a JobSettings object"),
        (lambda: ParallelJob(Names(), ".", faults=[cast("Fault", 1)]), "give Fault objects"),
    ],
)
def test_a_wrong_set_up_raises_at_once(make: Callable[[], ParallelJob], part: str) -> None:
    with pytest.raises((SettingsError, FaultError)) as caught:
        make()
    assert part in str(caught.value)


def test_a_missing_input_raises(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        run_job(Names(), tmp_path / "nowhere")


READS_MODEL = "import os\nMODEL = os.environ['AZUREML_MODEL_DIR']\ndef run(batch): return batch"


@pytest.mark.parametrize("profile", ["v2", "v1", "batch"])
def test_a_job_that_reads_the_model_folder_is_told_that_deployments_alone_have_it(
    tmp_path: Path, files: list[str], profile: Profile
) -> None:
    (tmp_path / "score.py").write_text(READS_MODEL, encoding="utf-8")
    (tmp_path / "model").mkdir()
    settings = JobSettings(profile=profile)
    result = ParallelJob(tmp_path / "score.py", files, settings, models=[tmp_path / "model"]).run()
    assert result.status == "Completed"
    told = [note for note in result.notes if "which the service sets in batch deployments only" in note]
    assert len(told) == (profile != "batch")
    given = JobSettings(profile=profile, environment_variables={"AZUREML_MODEL_DIR": "mine"})
    assert ParallelJob(tmp_path / "score.py", files, given, models=[tmp_path / "model"]).run().notes == ()


def test_a_model_that_is_not_below_the_model_folder_is_named(tmp_path: Path, files: list[str]) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder / "model").mkdir(parents=True)
    models = {"one": tmp_path / "a" / "model", "two": tmp_path / "b" / "model"}
    [note] = ParallelJob(Names(), files, models=models).run().notes
    assert note.startswith("the model 'two' is not below AZUREML_MODEL_DIR")
    assert "Model.get_model_path('two') finds it" in note


def test_relative_folders_of_pythonpath_start_here_or_at_the_code_root(
    tmp_path: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, code = tmp_path / "here", tmp_path / "code"
    for folder in (here / "stubs", code / "lib"):
        folder.mkdir(parents=True)
    (code / "score.py").write_text("def run(batch): return batch", encoding="utf-8")
    monkeypatch.chdir(here)
    path = os.pathsep.join(["stubs", "", "lib", "none"])
    settings = JobSettings(environment_variables={"PYTHONPATH": path})
    job = ParallelJob(code / "score.py", files, settings)
    plan = job.worker_plan("files", tmp_path / "work", tmp_path / "output")
    assert plan.python_path == [str(here / "stubs"), str(code / "lib"), str(here / "none")]
    assert job.run().notes == (f"PYTHONPATH: '{here / 'none'}' does not exist",)
    plan = ParallelJob(Names(), files, settings).worker_plan("files", tmp_path, tmp_path / "output")
    assert plan.python_path[1] == str(here / "lib")
