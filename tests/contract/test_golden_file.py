"""The file of the golden output: what is written, that it is read back, and what is said about a malformed one."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_parallelrun.contract.golden_file import (
    MAX_BYTES,
    GoldenFileError,
    GoldenOutput,
    golden_output,
    read_golden_file,
    write_golden_file,
)
from pytest_parallelrun.contract.rows.comparison import Tolerance, changed_rows, scales_of
from pytest_parallelrun.emulator.output import as_rows

HEAD = '# title\n# version: 1\n# rows: "JSON"\n# columns: {"score": "number"}\n'


def output(*rows: object, clean: str = "/tmp/copy/") -> GoldenOutput:
    return golden_output({"a.txt": rows}, {}, lambda text: text.replace(clean, ""))


def lines(*rows: object) -> Sequence[str]:
    return output(*rows).lines["a.txt"]


def read(file: Path, text: str) -> GoldenOutput:
    file.write_text(text, encoding="utf-8")
    return read_golden_file(file)


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ("a.txt: 0.50", "a.txt: 0.50"),
        ("a.txt\t0.50", "a.txt\t0.50"),
        ('{"score": 1}', '{"score": 1}'),
        ("Zürich", "Zürich"),
        ('"quoted"', r'"\"quoted\""'),
        ("two\nlines", r'"two\nlines"'),
        (" padded", '" padded"'),
        ("", '""'),
        ("\u202e\ud800", r'"\u202e\ud800"'),
        ("/tmp/copy/sub/a.txt: 1", "sub/a.txt: 1"),
    ],
)
def test_a_text_stays_as_it_is_unless_an_editor_would_change_it(row: str, line: str) -> None:
    assert lines(row) == [line]
    golden = output(row)
    assert golden.of_texts


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.1 + 0.2, "0.3"),
        (np.float32(0.3), "0.3"),
        (float(np.float32(1 / 3)), "0.33333334"),
        (1 / 3, "0.333333333333333"),
        (1e300, "1e+300"),
        (12345678901234567890.0, "1.2345678901234567e+19"),
        (np.int64(3), "3"),
        (True, "true"),
        (math.nan, "null"),
        (pd.NA, "null"),
        (pd.NaT, "null"),
        (math.inf, '{"float": "inf"}'),
        ("/tmp/copy/a.txt", '"a.txt"'),
        (PurePosixPath("/tmp/copy/a.txt"), '"a.txt"'),
        (np.array([1.0, 2.0]), "[1.0, 2.0]"),
        ({"b", "a"}, '["a", "b"]'),
        (("a", 1), '["a", 1]'),
        ({"x": {"y": 1}}, '{"x": {"y": 1}}'),
        ({"text": 1}, '{"dict": [["text", 1]]}'),
        (pd.Timestamp("2026-01-02"), '{"Timestamp": "2026-01-02T00:00:00"}'),
        (datetime.date(2026, 1, 2), '{"date": "2026-01-02"}'),
        (Decimal("1.50"), '{"text": "Decimal(\'1.50\')"}'),
        (b"\x00", '{"bytes": "AA=="}'),
    ],
)
def test_a_value_of_a_column_keeps_its_type(value: object, written: str) -> None:
    assert lines({"column": value}) == [f'{{"column": {written}}}']


def test_a_frame_has_one_object_per_row_in_the_order_of_its_columns_and_their_types() -> None:
    frame = pd.DataFrame({"name": ["a", "b"], "score": np.array([0.1, np.nan], dtype="float32"), "ok": [True, None]})
    golden = output(*as_rows(frame))
    assert golden.lines["a.txt"] == [
        '{"name": "a", "score": 0.1, "ok": true}',
        '{"name": "b", "score": null, "ok": null}',
    ]
    assert golden.columns == {"name": "text", "score": "number", "ok": "bool"}


def test_the_text_of_a_file_is_written_with_single_newlines_and_read_back(tmp_path: Path) -> None:
    golden = GoldenOutput(
        settings={"mini_batch_size": "2"},
        of_texts=False,
        columns={"score": "number", "id": "text"},
        lines={"a\tb.txt": ['{"score": 1}'], "ü.txt": ['{"score": 2}', '{"score": 3}']},
        tolerance={"score": Tolerance(abs=0.5)},
        not_compared=("id",),
    )
    file = tmp_path / "new folder" / "score.py.golden"
    write_golden_file(file, golden.text())
    assert file.read_bytes().decode().splitlines() == [
        "# Accepted output, one line for each row, written by pytest --parallelrun-update-golden",
        "# version: 1",
        '# settings: {"mini_batch_size": "2"}',
        '# rows: "JSON"',
        '# columns: {"score": "number", "id": "text"}',
        '# tolerance: {"score": {"abs": 0.5}}',
        '# not compared: ["id"]',
        "",
        '"a\\tb.txt"\t{"score": 1}',
        'ü.txt\t{"score": 2}',
        'ü.txt\t{"score": 3}',
    ]
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert read_golden_file(file) == golden


@pytest.mark.parametrize("change", [lambda text: text.replace("\n", "\r\n"), lambda text: "\ufeff" + text, str.rstrip])
def test_line_ends_a_byte_order_mark_and_a_missing_last_newline_do_not_matter(tmp_path: Path, change: object) -> None:
    golden = output("a: 1", "b: 2")
    (tmp_path / "file").write_bytes(change(golden.text()).encode())  # type: ignore[operator]
    assert read_golden_file(tmp_path / "file").rows == golden.rows


def test_the_names_of_items_count_for_the_maximum_size() -> None:
    with pytest.raises(GoldenFileError, match="more than 1 MB"):
        golden_output({"a" * MAX_BYTES: ["x"]}, {}, str)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.datetimes() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(VALUES, min_size=1, max_size=4), st.text(min_size=1))
def test_what_is_written_is_read_back_as_equal(rows: list[object], item: str) -> None:
    golden = golden_output({item: rows}, {}, str)
    text = golden.text()
    assert "\r" not in text
    content = text.partition("\n\n")[2].split("\n")[:-1]
    assert len(content) == len(rows)
    again = golden_output({item: golden.rows[item]}, {}, str)
    assert changed_rows(golden.rows[item], again.rows[item], (), scales_of(golden.all_rows)) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "its head is missing"),
        ("a.txt\t1\n", "its head is missing"),
        (HEAD.replace("version: 1", "version: 2"), "'version' cannot be 2. Allowed: 1; another version of"),
        (HEAD + "# tolerence: {}\n\n", "line 5 has an unknown name 'tolerence'. Did you mean 'tolerance'?"),
        (HEAD + "# tolerance: {\n\n", "line 5: the value of 'tolerance' is not JSON: {"),
        (HEAD + '# tolerance: {"score": 0.1}\n\n', "'tolerance' cannot be {\"score\": 0.1}. Allowed: such as"),
        (HEAD + '# tolerance: {"score": {"abs": -1}}\n\n', "'tolerance' cannot be"),
        (HEAD + '# tolerance: {"score": {"abs": NaN}}\n\n', "'tolerance' cannot be"),
        (
            HEAD + '# tolerance: {"scor": {"abs": 1}}\n\n',
            "'tolerance' names 'scor', which no row has as a decimal number. Did you mean",
        ),
        (
            HEAD.replace("JSON", "text").replace('"score": "number"', "")
            + '# tolerance: {"word 2": {"abs": 1}}\n\na\tb 7\n',
            "'tolerance' names 'word 2', which no row has as a decimal number. Allowed: {}.",
        ),
        (HEAD + '# not compared: ["sorce"]\n\n', "'not compared' names 'sorce', which no row has."),
        (HEAD + "# not compared: 1\n\n", "'not compared' cannot be 1. Allowed: a list of names"),
        (HEAD + "score\n\n", "line 5 is not '# NAME: VALUE': 'score'"),
        (HEAD + "\n<<<<<<< HEAD\n", "line 6 is not an item, a tab and a row: '<<<<<<< HEAD'"),
        (HEAD + "\na.txt  {}\n", "line 6 is not an item, a tab and a row"),
        (HEAD + "\na.txt\t{\n", "line 6 is not an item"),
        (HEAD + '\na.txt\t{"a": {"date": "x"}}\n', "line 6 is not an item"),
        (HEAD + '\na.txt\t{"a": {"Timestamp": "x"}}\n', "line 6 is not an item"),
        (HEAD + "\na.txt\t" + "[" * 100_000 + "\n", "line 6 is not an item"),
        (HEAD + '\n"a.txt\t1\n', "line 6 is not an item"),
        (HEAD.replace("JSON", "XML") + "\n", "'rows' cannot be \"XML\""),
        ("x" * (2 * MAX_BYTES + 1), "it is larger than any that is written"),
    ],
)
def test_a_malformed_file_is_refused_with_the_line(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(GoldenFileError) as error:
        read(tmp_path / "file", text)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


@given(st.binary() | st.text().map(str.encode) | st.text().map(lambda text: (HEAD + text).encode()))
def test_no_content_raises_anything_else(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzzed.golden"
    file.write_bytes(content)
    with suppress(GoldenFileError):
        read_golden_file(file)


def test_what_is_no_file_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GoldenFileError, match="directory"):
        read_golden_file(tmp_path)
    (tmp_path / "file").write_bytes(b"\xff\xfe")
    with pytest.raises(GoldenFileError, match="it is not UTF-8 text"):
        read_golden_file(tmp_path / "file")


def test_a_file_that_nobody_would_review_is_not_made() -> None:
    with pytest.raises(GoldenFileError, match="more than 1 MB"):
        output(*["x" * 1000] * 1001)
    assert json.loads(lines({"a": [0.5] * 1000})[0])["a"] == [0.5] * 1000
