from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from pytest_parallelrun.emulator.errors import FaultError, InputError, SettingsError
from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.job import ParallelJob
from pytest_parallelrun.emulator.settings import JobSettings
from tests.emulator.jobs import Names, make_files, run_job


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
    assert "not emulated, only handed to the script: --resource_monitor_interval" in result.notes
    assert "not emulated in-process: progress_update_timeout" in result.notes


def test_the_runtimes_own_arguments_come_first_and_can_be_left_out(tmp_path: Path) -> None:
    job = ParallelJob(Names(), ".", program_arguments="--mine 1")
    own = job.worker_plan("files", tmp_path, None).arguments
    assert own[-2:] == job.worker_plan("files", tmp_path, None, runtime=False).arguments == ("--mine", "1")
    assert "--mini_batch_size" in own[:-2]


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
