"""What all splitters share: names of items, mini-batches that are there already, and settings without an effect."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pandas as pd
import pytest

from pytest_parallelrun import JobSettings, ParallelJob
from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.model import (
    SETTINGS,
    USED,
    Form,
    ItemName,
    PartOfInput,
    PrebuiltInput,
    row_names,
    split_notes,
)

FRAME = pd.DataFrame({"a": [1, 2]})
V1 = JobSettings(profile="v1", mini_batch_size=2)


@pytest.mark.parametrize(
    ("file", "row", "text"),
    [("data.csv", 11, "row 11 of data.csv"), ("", 2, "row 2"), ("sub/a.txt", None, "sub/a.txt")],
)
def test_the_name_of_an_item_is_a_text_that_knows_its_parts(file: str, row: int | None, text: str) -> None:
    name = ItemName(file, row)
    assert (name, str(name), f"{name}") == (text,) * 3
    for same in (name, copy.deepcopy(name), pickle.loads(pickle.dumps(name))):
        assert (same, same.file, same.row) == (text, file, row)


def test_files_are_counted_before_and_rows_as_they_come() -> None:
    files = PrebuiltInput([["/d/a", "/d/b"], ["/d/c"]], kind="files")
    assert (files.total_mini_batches, files.total_items) == (2, 3)
    rows = PrebuiltInput([pd.DataFrame({"x": [1, 2]})], kind="tabular")
    assert (rows.total_mini_batches, rows.total_items) == (None, None)


def test_mini_batches_are_numbered_in_their_order_and_have_names() -> None:
    files = PrebuiltInput([["/d/a", "/d/b"], ["/d/c"]], kind="files")
    assert [(batch.id, batch.size, batch.first_item) for batch in files.mini_batches()] == [(0, 2, 0), (1, 1, 2)]
    assert [files.item_names(batch) for batch in files.mini_batches()] == [["a", "b"], ["c"]]
    frames = [pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": [3]})]
    rows = PrebuiltInput(frames, kind="tabular")
    assert [rows.item_names(batch) for batch in rows.mini_batches()] == [["row 1", "row 2"], ["row 3"]]


def test_each_delivery_is_a_copy() -> None:
    paths, frame = ["a"], pd.DataFrame({"x": [1]})
    for payload, kind in ((paths, "files"), (frame, "tabular")):
        handed = PrebuiltInput([payload], kind=kind)  # type: ignore[arg-type]
        (batch,) = handed.mini_batches()
        copy = handed.load(batch)
        assert copy is not payload
        if isinstance(copy, pd.DataFrame):
            copy.insert(0, "y", 1)
        else:
            cast("list[str]", copy).clear()
    assert paths == ["a"]
    assert list(frame.columns) == ["x"]


def test_it_is_an_input_of_a_job_whatever_the_settings_say_of_splitting() -> None:
    class Names:
        def run(self, paths: list[str]) -> list[str]:
            return paths

    handed = PrebuiltInput([["a", "b"], ["c"]], kind="files")
    assert open_input(handed, JobSettings()) is handed
    result = ParallelJob(Names(), handed, JobSettings(mini_batch_size=1)).run()
    assert [batch.size for batch in result.mini_batches] == [2, 1]
    assert result.rows == ["a", "b", "c"]
    assert handed.describe() == "2 given mini-batches"


def test_items_are_numbered_over_all_mini_batches_empty_ones_included() -> None:
    files = PrebuiltInput([["a", "b"], [], ["c"], ["d"]], kind="files")
    found = list(files.mini_batches())
    assert [(batch.id, batch.size, batch.first_item) for batch in found] == [(0, 2, 0), (1, 0, 2), (2, 1, 2), (3, 1, 3)]
    assert [files.load(batch) for batch in found] == [["a", "b"], [], ["c"], ["d"]]


def test_files_that_were_handed_over_as_a_tuple_are_delivered_as_a_list() -> None:
    files = PrebuiltInput([("/d/a", "/d/b")], kind="files")
    (batch,) = files.mini_batches()
    assert files.load(batch) == ["/d/a", "/d/b"]
    assert files.item_names(batch) == ["a", "b"]


def test_the_kind_is_that_of_what_was_handed_over() -> None:
    assert (PrebuiltInput([], kind="files").kind, PrebuiltInput([], kind="tabular").kind) == ("files", "tabular")


def test_a_delivered_table_shares_no_memory_with_the_one_that_was_handed_over() -> None:
    # pandas copies on write, native code that writes into a column does not.
    frame = pd.DataFrame({"x": [1, 2]})
    rows = PrebuiltInput([frame], kind="tabular")
    (batch,) = rows.mini_batches()
    delivered = rows.load(batch)
    assert isinstance(delivered, pd.DataFrame)
    assert not np.shares_memory(delivered["x"].to_numpy(), frame["x"].to_numpy())


def test_lines_of_json_are_refused_of_a_dataframe_and_an_mltable(tmp_path: Path) -> None:
    (tmp_path / "MLTable").write_text("type: mltable\n", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"^input: mini_batch_rows=2 only applies to JSON lines, and this is a DataFrame"
    ):
        open_input(FRAME, JobSettings(mini_batch_rows=2))
    with pytest.raises(
        InputError, match=r"mini_batch_rows=2 only applies to JSON lines, and this is an MLTable: .*Pass"
    ):
        open_input(str(tmp_path), JobSettings(mini_batch_rows=2))


@pytest.mark.parametrize(
    ("form", "settings", "sentence"),
    [
        ("files", JobSettings(encoding="latin-1"), "encoding has no effect on files: run() gets paths, and reads the"),
        ("parquet", JobSettings(encoding="latin-1", delimiter=";"), "encoding and delimiter have no effect on Parquet"),
        ("mltable", JobSettings(delimiter=";"), "delimiter has no effect on an MLTable: the steps of an MLTable say"),
        ("mltable_row_groups", JobSettings(mini_batch_size="1KB"), "mini_batch_size has no effect on an MLTable of"),
        ("json_lines", JobSettings(mini_batch_rows=1, mini_batch_size=2), "mini_batch_size=2 has no effect: "),
    ],
)
def test_a_setting_without_effect_is_named(form: Form, settings: JobSettings, sentence: str) -> None:
    [found] = split_notes(form, settings)
    assert found.startswith(sentence)


@pytest.mark.parametrize(("profile", "needed"), [("v1", "a dataset"), ("v2", "an MLTable")])
def test_keys_of_a_table_that_the_service_would_not_partition_are_noted(profile: str, needed: str) -> None:
    settings = JobSettings(profile=cast("Literal['v1', 'v2']", profile), partition_keys=["Store"])
    for form, title in (("delimited", "CSV files"), ("parquet", "Parquet files")):
        [found] = split_notes(cast("Form", form), settings)
        assert found == (
            f"partition_keys: on the service the input must be {needed} that is partitioned by these keys; here "
            f"{title} will do"
        )
    assert list(split_notes("mltable", settings)) == []


@pytest.mark.parametrize("form", USED)
def test_what_was_not_set_is_not_named(form: Form) -> None:
    assert list(split_notes(form, JobSettings())) == []


def test_every_setting_has_an_effect_on_some_input() -> None:
    assert set().union(*(used.settings for used in USED.values())) == set(SETTINGS)


def test_the_result_of_a_job_names_it() -> None:
    result = ParallelJob(_Script(), FRAME, settings=JobSettings(delimiter=";", error_threshold=0)).run()
    assert "delimiter has no effect on a DataFrame: a DataFrame was read already" in result.notes


def test_several_inputs_use_what_one_of_them_uses(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.csv").write_text("a\n1\n", encoding="utf-8")
    given = [str(tmp_path / "a" / "*.csv")] * 2
    assert open_input(given, JobSettings(profile="v1")).form == "delimited"


class _Script:
    def run(self, mini_batch: pd.DataFrame) -> list[str]:
        return ["x"] * len(mini_batch)


def test_names_are_made_when_they_are_asked_for() -> None:
    names = row_names("t.csv", 10, 1_000_000_000)
    assert (len(names), names[0], names[-1].row) == (1_000_000_000, "row 11 of t.csv", 1_000_000_010)
    assert names[1:3] == ("row 12 of t.csv", "row 13 of t.csv")
    assert row_names("", 0, 2) == ["row 1", "row 2"]
    assert row_names("", 0, 2) != ["row 1"]
    assert repr(row_names("", 0, 1)) == "('row 1',)"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder, count in (("one", 3), ("two", 1)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            (tmp_path / folder / f"{number}.txt").touch()
            (tmp_path / folder / f"{number}.csv").write_text("x\n1\n2\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_folder_is_an_input_whose_remainder_is_a_mini_batch(data: Path) -> None:
    split = open_input(["one/*.txt", "two/*.txt"], V1)
    found = list(split.mini_batches())
    assert [(one.id, one.size, one.first_item) for one in found] == [(0, 2, 0), (1, 1, 2), (2, 1, 3)]
    assert split.load(found[2]) == [str(data / "two" / "0.txt")]
    assert list(split.item_names(found[1])) == ["2.txt"]
    assert (split.kind, split.total_mini_batches, split.total_items) == ("files", 3, 4)
    assert split.describe() == (
        "2 inputs: 3 files matching 'one/*.txt', 2 a mini-batch: 2 mini-batches; "
        "1 file matching 'two/*.txt', 2 a mini-batch: 1 mini-batch"
    )


def test_under_other_profiles_a_list_is_one_input(data: Path) -> None:
    for profile in ("v2", "batch"):
        split = open_input(["one/*.txt", "two/*.txt"], JobSettings(profile=profile, mini_batch_size=2))
        assert [one.size for one in split.mini_batches()] == [2, 2]


def test_files_that_stand_side_by_side_are_one_input_of_a_list_under_v1_too(data: Path) -> None:
    split = open_input(["one/0.txt", "two/0.txt", "one/1.txt"], V1)
    assert [one.size for one in split.mini_batches()] == [2, 1]
    mixed = open_input(["one/0.txt", "two/0.txt", "one/*.txt", "one/1.txt"], V1)
    assert [one.size for one in mixed.mini_batches()] == [2, 2, 1, 1]


def test_the_same_values_of_two_inputs_are_two_partitions(data: Path) -> None:
    split = open_input([".", "."], JobSettings(profile="v1", partition_keys=("folder",)))
    assert [dict(one.partition) for one in split.mini_batches()] == [{"folder": "one"}, {"folder": "two"}] * 2


def test_tables_of_several_inputs_are_not_counted_in_advance(data: Path) -> None:
    split = open_input(["one/*.csv", "two/*.csv"], JobSettings(profile="v1"))
    assert (split.kind, split.total_mini_batches, split.total_items) == ("tabular", None, None)
    assert [one.size for one in split.mini_batches()] == [2, 2, 2, 2]


def test_inputs_of_two_kinds_are_refused_with_both(data: Path) -> None:
    with pytest.raises(InputError, match=r"inputs of two kinds: .*'one/\*\.csv'.*; .*'two/\*\.txt'.* are files, or al"):
        open_input(["one/*.csv", "two/*.txt"], V1)


def test_a_part_of_an_input_is_an_input(data: Path) -> None:
    whole = open_input("one/*.txt", V1)
    part = PartOfInput(whole, list(whole.mini_batches())[1:])
    assert open_input(part, V1) is part
    (batch,) = part.mini_batches()
    assert (batch.id, batch.size, batch.first_item) == (0, 1, 0)
    assert part.load(batch) == [str(data / "one" / "2.txt")]
    assert part.item_names(batch) == ["2.txt"]
    assert (part.kind, part.form, part.total_mini_batches, part.total_items) == ("files", "files", 1, 1)
    assert part.describe().startswith("1 mini-batch of 3 files")
