from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_parallelrun import JobSettings
from pytest_parallelrun.emulator.errors import EmptyInputError, InputError
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.json_lines import JsonLinesSplitter
from pytest_parallelrun.emulator.splitting.model import LoadError


def opened(folder: Path, rows: int, **contents: bytes) -> JsonLinesSplitter:
    paths = []
    for name, data in contents.items():
        path = folder / f"{name}.jsonl"
        path.write_bytes(data)
        paths.append((str(path), path.name))
    return JsonLinesSplitter(paths, rows, label="of a test")


def test_a_mini_batch_is_a_list_of_dicts_with_the_index_of_its_first_row(tmp_path: Path) -> None:
    split = opened(tmp_path, 2, a=b'{"x": 1}\n{"x": [2, {"y": "\xc3\xa9"}]}\n{"x": null}')
    found = list(split.mini_batches())
    assert [(one.id, one.size, one.first_item) for one in found] == [(0, 2, 0), (1, 1, 2)]
    assert [split.load(one) for one in found] == [[{"x": 1}, {"x": [2, {"y": "é"}]}], [{"x": None}]]
    assert split.item_names(found[1]) == ["row 3 of a.jsonl"]
    assert split.kind == "records"
    assert (split.total_mini_batches, split.total_items) == (None, None)


def test_a_mini_batch_never_crosses_files(tmp_path: Path) -> None:
    split = opened(tmp_path, 10, a=b'{"x": 1}\n', b=b'{"x": 2}\n')
    found = list(split.mini_batches())
    assert [(one.size, one.first_item) for one in found] == [(1, 0), (1, 1)]
    assert split.item_names(found[1]) == ["row 1 of b.jsonl"]


def test_blank_lines_and_a_byte_order_mark_are_no_rows(tmp_path: Path) -> None:
    split = opened(tmp_path, 1, a=b'\xef\xbb\xbf\n{"x": 1}\r\n\r\n  \n{"x": 2}\n\n')
    assert [split.load(one) for one in split.mini_batches()] == [[{"x": 1}], [{"x": 2}]]


def test_every_load_is_a_fresh_list(tmp_path: Path) -> None:
    split = opened(tmp_path, 1, a=b'{"x": 1}\n')
    (one,) = split.mini_batches()
    split.load(one)[0]["x"] = 7
    assert split.load(one) == [{"x": 1}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{x: 1}", r"row 2 of a\.jsonl is no JSON: "),
        (b"[1]", r"row 2 of a\.jsonl is no JSON object but of type list"),
        (b'{"x": "\xff"}', r"row 2 of a\.jsonl is no JSON: "),
        (b'{"x": ' + b"[" * 100_000 + b"}", r"row 2 of a\.jsonl is no JSON: "),
    ],
)
def test_a_line_that_is_no_object_fails_its_mini_batch_alone(tmp_path: Path, line: bytes, message: str) -> None:
    split = opened(tmp_path, 1, a=b'{"x": 1}\n' + line + b'\n{"x": 3}\n')
    first, second, third = split.mini_batches()
    assert split.load(first) == [{"x": 1}]
    with pytest.raises(LoadError, match=message):
        split.load(second)
    assert split.load(third) == [{"x": 3}]


def test_a_file_that_changed_or_went_away_fails_its_mini_batch(tmp_path: Path) -> None:
    split = opened(tmp_path, 2, a=b'{"x": 1}\n{"x": 2}\n')
    (one,) = split.mini_batches()
    (tmp_path / "a.jsonl").write_bytes(b'{"x":         1}  \n')
    with pytest.raises(LoadError, match="changed since it was split: 1 rows where there were 2"):
        split.load(one)
    (tmp_path / "a.jsonl").unlink()
    with pytest.raises(LoadError, match="cannot be read: No such file"):
        split.load(one)


def test_a_file_that_cannot_be_read_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.jsonl' cannot be read: No such file"):
        JsonLinesSplitter([(str(tmp_path / "gone.jsonl"), "gone.jsonl")], 1, label="of a test")


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_input_without_a_line_is_empty(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(EmptyInputError, match="input of a test: there is not a single line"):
        opened(tmp_path, 1, a=data)


def test_with_rows_of_a_mini_batch_all_given_files_are_json_lines(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(b'{"x": 2}\n')
    (tmp_path / "a.jsonl").write_bytes(b'{"x": 0}\n{"x": 1}\n')
    for source in (tmp_path, str(tmp_path / "*"), [tmp_path / "a.jsonl", tmp_path / "b.json"]):
        split = open_input(source, JobSettings(mini_batch_rows=2))
        assert [split.load(one) for one in split.mini_batches()] == [[{"x": 0}, {"x": 1}], [{"x": 2}]]
    single = open_input(tmp_path / "b.json", JobSettings(mini_batch_rows=5))
    assert single.describe() == f"JSON lines in 1 file '{tmp_path / 'b.json'}', 5 rows a mini-batch"


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.json.BZ2", "a.zip"])
def test_a_compressed_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError) as caught:
        open_input(tmp_path, JobSettings(mini_batch_rows=1))
    assert str(caught.value) == (
        f"input '{tmp_path / name}': nothing says that Azure ML reads compressed JSON lines. Decompress it."
    )


rows = st.lists(
    st.dictionaries(
        st.text(max_size=3), st.none() | st.integers() | st.text(max_size=5) | st.lists(st.booleans(), max_size=2)
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None)
@given(rows=rows, size=st.integers(1, 14), end=st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_all_mini_batches_together_are_the_file(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]], size: int, end: str
) -> None:
    folder = tmp_path_factory.mktemp("lines")
    split = opened(folder, size, a=end.join(json.dumps(row, ensure_ascii=False) for row in rows).encode())
    found = list(split.mini_batches())
    assert [row for one in found for row in split.load(one)] == rows
    assert [one.size for one in found[:-1]] == [size] * (len(found) - 1)
