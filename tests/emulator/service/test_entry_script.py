from __future__ import annotations

import importlib
import logging
import os
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from pytest_parallelrun.emulator.service.missing_api import NotCoveredAttributeError
from tests.emulator.service.conftest import Activate


def entry_script() -> Any:
    from azureml_user.parallel_run import EntryScript

    return EntryScript()


def test_there_is_one_object_per_worker(activate: Activate) -> None:
    activate()
    first = entry_script()
    assert entry_script() is first
    activate()
    assert entry_script() is not first


def test_the_older_home_gives_the_same_object(activate: Activate) -> None:
    activate()
    assert importlib.import_module("entry_script").EntryScript() is entry_script()


def test_it_knows_the_folders_and_the_name_of_its_worker(activate: Activate, code_root: Path, log_dir: Path) -> None:
    activate(agent_name="process003")
    script = entry_script()
    assert script.agent_name == "process003"
    assert script.working_dir == str(code_root)
    assert script.dir == str(code_root / "src")
    assert script.log_dir == str(log_dir)


def test_the_output_folder_is_made_with_its_parents(activate: Activate, tmp_path: Path) -> None:
    output_dir = tmp_path / "Ausgabe für alle" / "prédictions"
    activate(output_dir=output_dir)
    assert entry_script().output_dir == str(output_dir)
    assert output_dir.is_dir()


def test_the_output_folder_may_be_there_already(activate: Activate, tmp_path: Path) -> None:
    activate(output_dir=tmp_path)
    assert entry_script().output_dir == str(tmp_path)


def test_without_append_row_the_output_folder_is_the_current_one(activate: Activate) -> None:
    activate(output_dir=None)
    assert entry_script().output_dir == "."


def test_nothing_is_made_until_something_is_logged(activate: Activate, log_dir: Path) -> None:
    activate()
    assert entry_script().logger.isEnabledFor(logging.INFO)
    assert entry_script().log_dir
    assert not log_dir.exists()


def test_a_record_is_one_line_in_the_file_of_the_worker(activate: Activate, log_dir: Path) -> None:
    activate(agent_name="process002")
    before = datetime.now(timezone.utc).replace(microsecond=0, tzinfo=None)
    entry_script().logger.info("scored %s", "größe.csv")
    text = (log_dir / "process002.txt").read_text(encoding="utf-8")
    line = re.fullmatch(
        r"(?P<time>[\d-]+ [\d:]+),\d+\|EntryScript\|INFO\|(?P<process>\d+)\|\d+\|"
        r"test_a_record_is_one_line_in_the_file_of_the_worker\(\)\|scored größe\.csv\n",
        text,
    )
    assert line is not None
    assert int(line["process"]) == os.getpid()
    assert 0 <= (datetime.fromisoformat(line["time"]) - before).total_seconds() < 60


def test_text_that_utf_8_cannot_carry_is_logged_escaped(activate: Activate, log_dir: Path) -> None:
    activate()
    logger = entry_script().logger
    # pytest-xdist cannot send a captured log with such text to its controller.
    logger.propagate = False
    logger.info("file \udcff.csv")
    assert "file \\udcff.csv" in (log_dir / "process000.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("level", ["WARNING", "warning"])
def test_records_below_the_logging_level_are_dropped(activate: Activate, log_dir: Path, level: str) -> None:
    activate(logging_level=level)
    logger = entry_script().logger
    logger.info("quiet")
    logger.warning("loud")
    text = (log_dir / "process000.txt").read_text(encoding="utf-8")
    assert "loud" in text
    assert "quiet" not in text


def test_records_reach_the_handlers_of_the_host(activate: Activate, caplog: pytest.LogCaptureFixture) -> None:
    activate()
    entry_script().logger.info("seen by pytest")
    assert "seen by pytest" in caplog.messages


def test_the_loggers_of_two_workers_do_not_mix(activate: Activate, log_dir: Path) -> None:
    activate(agent_name="process000")
    first = entry_script().logger
    activate(agent_name="process001")
    entry_script().logger.info("from the second")
    first.info("from the first")
    assert "from the second" not in (log_dir / "process000.txt").read_text(encoding="utf-8")
    assert "from the first" not in (log_dir / "process001.txt").read_text(encoding="utf-8")


def test_the_registry_of_the_host_gets_no_logger(activate: Activate) -> None:
    activate()
    entry_script().logger.info("hello")
    assert "EntryScript" not in logging.root.manager.loggerDict


def test_closing_closes_the_handlers_of_the_stand_in_and_those_of_the_script(
    activate: Activate, log_dir: Path, tmp_path: Path
) -> None:
    stand_ins = activate()
    logger = entry_script().logger
    logger.addHandler(logging.FileHandler(tmp_path / "own.txt", encoding="utf-8"))
    logger.info("before")
    handlers = list(logger.handlers)
    stand_ins.close()
    logger.info("after")
    assert [handler.stream for handler in handlers] == [None, None]
    assert "after" not in (log_dir / "process000.txt").read_text(encoding="utf-8")


def test_what_the_service_does_not_offer_is_refused(activate: Activate) -> None:
    activate()
    with pytest.raises(NotCoveredAttributeError, match=r"azureml_user\.parallel_run\.EntryScript\.config"):
        entry_script().config  # noqa: B018
