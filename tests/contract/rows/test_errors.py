from __future__ import annotations

import pytest

from pytest_parallelrun.contract.rows.errors import same_for_all

NAMES = ["a_1.json", "a_2.json"]
FILES = ['{"id": "P7", "age": 31, "land": "CH", "n": 0}', '{"id": "P8", "age": 45, "land": "CH", "n": 3}']
CELLS = [["C1", 7, 0.0], ["C2", 8, 2.5]]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"file": "a_1.json", "score": 0.0}, {"file": "a_2.json", "score": 0.0}),
        ({"id": "P7", "age": 31, "score": -1}, {"id": "P8", "age": 45, "score": -1}),
        ({"id": "P7", "score": None}, {"id": "P8", "score": None}),
        ("a_1.json,0.0", "a_2.json,0.0"),
        ("P7 CH unscored", "P8 CH unscored"),
        (["/data/a_1.json", ""], ["/data/a_2.json", ""]),
        ({"id": "P7", "n": 0, "score": 0}, {"id": "P8", "n": 3, "score": 0}),
        (
            {"id": "P7", "at": "2026-01-01T10:00:00", "y": "low"},
            {"id": "P8", "at": "2026-01-01T10:00:01", "y": "low"},
        ),
        (0.5, 0.5),
    ],
)
def test_one_result_for_all_items_is_found(first: object, second: object) -> None:
    found = same_for_all([first, second], NAMES, FILES)
    assert found is not None
    assert found.alone


def test_one_result_beside_others_is_told_apart() -> None:
    found = same_for_all([{"x": 1.5, "score": 0.0}, {"x": 2.25, "score": 0.0}], NAMES, FILES)
    assert found is not None
    assert not found.alone
    assert found.values == {("score",): 0.0}


def test_cells_of_a_table_are_repeated_as_numbers_too() -> None:
    found = same_for_all([{"id": "C1", "visits": 7, "y": 4}, {"id": "C2", "visits": "8", "y": 4}], [], CELLS)
    assert found is not None
    assert found.values == {("y",): 4}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"file": "a_1.json", "score": 0.5}, {"file": "a_2.json", "score": 0.75}),
        ({"file": "a_1.json", "status": "ok"}, {"file": "a_2.json", "status": "ok"}),
        ("a_1.json: processed", "a_2.json: processed"),
        ({"file": "a_1.json", "rows": 2}, {"file": "a_2.json", "rows": 2}),
        ({"id": "P7", "land": "CH"}, {"id": "P8", "land": "CH"}),
        ("length 12", "length 9"),
        ({"file": "a_1.json", "model_version": "3"}, {"file": "a_2.json", "model_version": "3"}),
    ],
)
def test_results_a_status_a_count_and_what_all_items_contain_are_not(first: object, second: object) -> None:
    assert same_for_all([first, second], NAMES, FILES) is None


def test_items_that_are_the_same_have_the_same_result() -> None:
    assert same_for_all([0.5, 0.5], NAMES, FILES[:1] * 2) is None
    assert same_for_all([0.5], NAMES[:1], FILES[:1]) is None
