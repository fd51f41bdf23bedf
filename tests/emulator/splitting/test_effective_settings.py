from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pytest_parallelrun import JobSettings, ParallelJob
from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.effective_settings import SETTINGS, USED, Form, without_effect
from tests.emulator.splitting._settings import Split

FRAME = pd.DataFrame({"a": [1, 2]})


def test_lines_of_json_are_refused_of_a_dataframe_and_an_mltable(tmp_path: Path) -> None:
    (tmp_path / "MLTable").write_text("type: mltable\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"^input: mini_batch_rows=2 hands lines of JSON, and this is a DataFrame"):
        open_input(FRAME, Split(mini_batch_rows=2))
    with pytest.raises(InputError, match=r"mini_batch_rows=2 hands lines of JSON, and this is an MLTable: .*Give the"):
        open_input(str(tmp_path), Split(mini_batch_rows=2))


@pytest.mark.parametrize(
    ("form", "settings", "sentence"),
    [
        ("files", JobSettings(encoding="latin-1"), "encoding has no effect on files: run() gets paths, and reads the"),
        ("parquet", JobSettings(encoding="latin-1", delimiter=";"), "encoding and delimiter have no effect on Parquet"),
        ("mltable", JobSettings(delimiter=";"), "delimiter has no effect on an MLTable: the steps of an MLTable say"),
        ("mltable_row_groups", JobSettings(mini_batch_size="1KB"), "mini_batch_size has no effect on an MLTable of"),
        ("json_lines", JobSettings(mini_batch_rows=1, mini_batch_size=2), "mini_batch_size=2 is not looked at: "),
    ],
)
def test_a_setting_without_effect_is_named(form: Form, settings: JobSettings, sentence: str) -> None:
    [found] = without_effect(form, settings)
    assert found.startswith(sentence)


@pytest.mark.parametrize("form", USED)
def test_what_was_not_set_is_not_named(form: Form) -> None:
    assert list(without_effect(form, JobSettings())) == []


def test_every_setting_has_an_effect_on_some_input() -> None:
    assert set().union(*(used.settings for used in USED.values())) == set(SETTINGS)


def test_the_result_of_a_job_names_it() -> None:
    result = ParallelJob(_Script(), FRAME, settings=JobSettings(delimiter=";", error_threshold=0)).run()
    assert "delimiter has no effect on a DataFrame: a DataFrame was read already" in result.notes


def test_several_inputs_use_what_one_of_them_uses(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.csv").write_text("a\n1\n", encoding="utf-8")
    given = [str(tmp_path / "a" / "*.csv")] * 2
    assert open_input(given, Split(profile="v1")).form == "delimited"


class _Script:
    def run(self, mini_batch: pd.DataFrame) -> list[str]:
        return ["x"] * len(mini_batch)
