from __future__ import annotations

import csv
import io
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_parallelrun.emulator.splitting import csv_file
from pytest_parallelrun.emulator.splitting.csv_file import CsvFile, RecordReader


def pieces(data: bytes, size: int, delimiter: bytes = b",", *, skip_bom: bool = True) -> list[bytes]:
    reader = RecordReader(io.BytesIO(data), delimiter, skip_bom=skip_bom)
    found = []
    while piece := reader.take(size):
        assert data[piece.offset : piece.offset + len(piece.data)] == piece.data
        found.append(piece.data)
    return found


@pytest.fixture(params=[1, 3, 1 << 20], ids=lambda size: f"block={size}", autouse=True)
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_file, "BLOCK", request.param)


@pytest.mark.parametrize(
    ("data", "records"),
    [
        (b"a\nb\n", [b"a\n", b"b\n"]),
        (b"a\r\nb\r\n", [b"a\r\n", b"b\r\n"]),
        (b"a\rb\r", [b"a\r", b"b\r"]),
        (b"a\nb", [b"a\n", b"b"]),
        (b'"a\nb"\nc\n', [b'"a\nb"\n', b"c\n"]),
        (b'"a""\nb"\nc\n', [b'"a""\nb"\n', b"c\n"]),
        (b'""\n"",""\n', [b'""\n', b'"",""\n']),
        (b'x,"a\r\nb",y\nc\n', [b'x,"a\r\nb",y\n', b"c\n"]),
        # A quote inside a field opens nothing, and neither does one after a closing quote.
        (b'a"b\nc"\n', [b'a"b\n', b'c"\n']),
        (b'"a"b"\n"c"\n', [b'"a"b"\n', b'"c"\n']),
        (b' "a\nb"\n', [b' "a\n', b'b"\n']),
        (b'"never closed\nb\n', [b'"never closed\nb\n']),
        # Blank lines are no records.
        (b"\n\r\na\n\n \t\nb\n  ", [b"a\n", b"b\n"]),
        (b"a\r \rb\r", [b"a\r", b"b\r"]),
        (b"", []),
        (b"\n\n", []),
        # Any other character makes a line a record.
        (b"X\n-\n\x00\n", [b"X\n", b"-\n", b"\x00\n"]),
    ],
)
def test_records_end_where_pandas_ends_them(data: bytes, records: list[bytes]) -> None:
    assert pieces(data, 1) == records


def test_a_record_belongs_to_the_multiple_of_the_size_that_it_begins_in() -> None:
    data = b"12345678\n" * 5
    # They begin at 0, 9, 18, 27 and 36; what begins just at the end of a multiple belongs to it.
    assert pieces(data, 17) == [b"12345678\n" * 2, b"12345678\n" * 2, b"12345678\n"]
    assert pieces(data, 18) == [b"12345678\n" * 3, b"12345678\n" * 2]


def test_a_record_larger_than_the_size_is_a_piece_of_its_own() -> None:
    assert pieces(b"1\n" + b"2" * 50 + b"\n3\n", 4) == [b"1\n" + b"2" * 50 + b"\n", b"3\n"]


def test_a_size_that_ends_between_cr_and_lf_takes_both() -> None:
    assert pieces(b"a\r\nb\r\n", 2) == [b"a\r\n", b"b\r\n"]


def test_blank_lines_among_the_records_of_a_piece_count_as_they_lie_there() -> None:
    assert pieces(b"a\n\n\nb\nc\n", 5) == [b"a\n\n\nb\n", b"c\n"]


def test_a_byte_order_mark_is_left_out_and_a_quote_after_it_opens_a_field() -> None:
    data = csv_file.UTF8_BOM + b'"a\nb"\nc\n'
    assert pieces(data, 1) == [b'"a\nb"\n', b"c\n"]
    assert pieces(data, 1, skip_bom=False) == [csv_file.UTF8_BOM + b'"a\n', b'b"\n', b"c\n"]


@pytest.mark.parametrize("delimiter", [b";", b"\t", b"|", b" ", b"^", b"]"])
def test_a_quote_opens_a_field_after_the_delimiter_that_is_set(delimiter: bytes) -> None:
    data = b"x" + delimiter + b'"a\nb"\nc\n'
    assert pieces(data, 1, delimiter) == [b"x" + delimiter + b'"a\nb"\n', b"c\n"]


def test_a_line_of_delimiters_is_a_record_even_where_the_delimiter_is_a_blank() -> None:
    assert pieces(b"\t\n \n\t\nX\n", 1, b"\t") == [b"\t\n", b"\t\n", b"X\n"]


def test_many_escaped_quotes_that_never_close_are_scanned_in_linear_time() -> None:
    data = b'"' + b'""' * 200_000 + b"\nx"
    assert pieces(data[:2000] if csv_file.BLOCK < 1000 else data, 1) != []


@settings(deadline=None)
@given(
    rows=st.lists(
        st.lists(st.text('a ",\n\r', max_size=6), min_size=2, max_size=2).filter(any), min_size=1, max_size=8
    ),
    terminator=st.sampled_from(["\n", "\r\n"]),
    size=st.integers(1, 40),
    block=st.integers(1, 9),
)
@example(rows=[['a"', "\r"], ["", "\n"]], terminator="\r\n", size=1, block=1)
def test_pieces_are_the_records_that_csv_wrote_cut_at_multiples_of_the_size(
    rows: list[list[str]], terminator: str, size: int, block: int
) -> None:
    records = []
    for row in rows:
        line = io.StringIO()
        csv.writer(line, lineterminator=terminator, quoting=csv.QUOTE_ALL).writerow(row)
        records.append(line.getvalue().encode())
    starts = [sum(map(len, records[:number])) for number in range(len(records))]
    cuts = [0, *range(size, starts[-1] + size, size)]
    # The beginning of the file belongs to the first.
    expected = [
        b"".join(
            record for record, start in zip(records, starts, strict=True) if low < start <= high or start == low == 0
        )
        for low, high in pairwise(cuts)
    ]
    expected = [piece for piece in expected if piece] or records
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_file, "BLOCK", block)
        assert pieces(b"".join(records), size) == expected


def test_long_pieces_with_quotes_end_where_short_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    if csv_file.BLOCK < 1000:
        return
    row = b'1,"a ""quoted""\nline",x\n'
    data = row * 1000
    assert pieces(data, 8192) == [row * 342, row * 341, row * 317]


def opened(path: Path, data: bytes) -> CsvFile:
    path.write_bytes(data)
    file = CsvFile.open(str(path), path.name, encoding="utf-8", delimiter=",")
    assert file is not None
    return file


@pytest.mark.parametrize(
    "message", ["malformed input file.", "Error tokenizing data. C error: malformed input file.\n"]
)
def test_an_error_of_pandas_becomes_one_sentence_with_what_to_set(tmp_path: Path, message: str) -> None:
    path = tmp_path / "data.csv"
    assert str(opened(path, b"x\n").parse_error(message)) == (
        f"input '{path}' cannot be parsed: malformed input file. It is read with delimiter=',' and "
        "encoding='utf-8'; set these if they are others."
    )
