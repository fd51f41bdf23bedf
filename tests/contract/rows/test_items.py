"""The item of a row: the file that it names, its position, or only its mini-batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pytest_parallelrun import JobSettings, ParallelJob
from pytest_parallelrun.contract.entry.baseline import Baseline
from pytest_parallelrun.contract.entry.sample_copy import SampleCopy
from pytest_parallelrun.contract.rows.items import rows_by_item

FILES = ("1.txt", "11.txt", "2.txt", "sub/1.txt")


class Script:
    def __init__(self, run: Callable[..., object]) -> None:
        self.run = run


def by_item(
    tmp_path: Path, run: Callable[..., object], size: int = 4, files: Sequence[str] = FILES
) -> dict[str, list[object]]:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x", encoding="utf-8")
    result = ParallelJob(Script(run), str(tmp_path), JobSettings(mini_batch_size=size)).run()
    return rows_by_item(Baseline(result, SampleCopy(str(tmp_path), f"{tmp_path}/", None)))


UNIT = "mini-batch of 1.txt, 11.txt, 2.txt, sub/1.txt"


@pytest.mark.parametrize(
    ("run", "items"),
    [
        (lambda paths: paths, FILES),
        (lambda paths: paths[::-1], FILES),
        (lambda paths: [{"file": path, "n": 1} for path in paths[::-1]], FILES),
        (lambda paths: [Path(path).name for path in paths[1:3]], FILES[1:3]),
        (lambda paths: paths + paths, FILES),
        (lambda paths: [0.5] * len(paths), FILES),
        (lambda paths: [0.5] * (len(paths) + 1), [UNIT]),
        (lambda paths: [f"{len(paths)} files"], [UNIT]),
        (lambda paths: [" and ".join(paths)], [UNIT]),
        (lambda paths: [], []),
    ],
    ids=["named", "other order", "dicts", "some", "two each", "positions", "more", "summary", "all", "none"],
)
def test_rows_of_files(tmp_path: Path, run: Callable[..., object], items: list[str]) -> None:
    assert list(by_item(tmp_path, run)) == sorted(items)


def test_a_number_is_no_name_of_a_file(tmp_path: Path) -> None:
    found = by_item(tmp_path, lambda paths: [2, 11, 2, 11])
    assert found == {"1.txt": [2], "11.txt": [11], "2.txt": [2], "sub/1.txt": [11]}


@pytest.mark.parametrize(
    ("rows", "by_position"),
    [
        (["dog", "cat"], True),
        (["dog", "dog"], True),
        (["dog 0.9", "dog 0.8"], True),
        ([{"label": "dog"}, {"label": "cat"}], True),
        ([{"label": "dog", "p": 0.5}, {"label": "dog", "p": 0.6}], True),
        (["dog 0.9", "cat 0.8"], False),
        (["dog.jpg", "cat.jpg"], False),
        (["dog.jpg 1", "dog.jpg 2"], False),
    ],
)
def test_a_label_is_no_name_of_a_file(tmp_path: Path, rows: list[Any], by_position: bool) -> None:
    found = by_item(tmp_path, lambda paths: rows, files=("cat.jpg", "dog.jpg"))
    assert (found == {"cat.jpg": rows[:1], "dog.jpg": rows[1:]}) == by_position


def test_all_rows_of_a_single_file_are_its_own(tmp_path: Path) -> None:
    assert by_item(tmp_path, lambda paths: ["a", "b"], size=1) == {name: ["a", "b"] for name in sorted(FILES)}


def test_rows_of_a_table_have_positions_and_are_sorted_by_number() -> None:
    frame = pd.DataFrame({"n": range(12)})
    result = ParallelJob(Script(lambda rows: rows), frame).run()
    found = rows_by_item(Baseline(result, SampleCopy("", "", None)))
    assert list(found) == [f"row {number}" for number in range(1, 13)]
    assert found["row 12"] == [{"n": 11}]
    result = ParallelJob(Script(lambda rows: [len(rows)]), frame).run()
    assert list(rows_by_item(Baseline(result, SampleCopy("", "", None)))) == ["mini-batch of rows 1-12"]
