from __future__ import annotations

import time
from pathlib import Path

import pytest

from pytest_parallelrun.emulator.guarded_yaml import MAX_FILE_BYTES
from pytest_parallelrun.job_files.tree import Listing, Problems, Scalar, Table
from pytest_parallelrun.job_files.yaml_reader import read_yaml


def read(path: Path, text: str | bytes) -> tuple[Table | None, list[str]]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    problems = Problems()
    return read_yaml(path, problems), [str(problem) for problem in problems]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "job.yml"


def test_values_have_the_types_of_yaml_and_their_places(file: Path) -> None:
    table, problems = read(file, "a: 1\nb:\n  - x\n  - null\nc: {d: yes, e: '2', f: 1.5}\n")
    assert not problems
    assert table is not None
    assert str(table.keys["b"]) == "job.yml:2:1"
    listing, inner = table.entries["b"], table.entries["c"]
    assert isinstance(listing, Listing)
    assert isinstance(inner, Table)
    values = [*listing.items, *inner.entries.values()]
    assert [value.value for value in values if isinstance(value, Scalar)] == ["x", None, True, "2", 1.5]
    assert str(inner.entries["f"].location) == "job.yml:5:24"


def test_an_alias_is_the_very_node_of_its_anchor(file: Path) -> None:
    table, _ = read(file, "a: &x {n: 1}\nb: *x\n")
    assert table is not None
    assert table.entries["a"] is table.entries["b"]


def test_merged_keys_give_way_to_a_mappings_own_wherever_they_stand(file: Path) -> None:
    table, _ = read(file, "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {x: 3, <<: [*a, *b]}\n")
    assert table is not None
    merged = table.entries["c"]
    assert isinstance(merged, Table)
    values = {name: node.value for name, node in merged.entries.items() if isinstance(node, Scalar)}
    assert values == {"x": 3, "y": 1, "z": 2}


def test_a_byte_order_mark_is_no_part_of_the_first_key(file: Path) -> None:
    table, problems = read(file, b"\xef\xbb\xbftype: parallel\n")
    assert not problems
    assert table is not None
    assert list(table.entries) == ["type"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "job.yml:1:1: the file is empty; a job definition is a mapping of keys"),
        ("# only a comment\n", "job.yml:1:1: the file is empty"),
        ("---\n", "job.yml:2:1: the file holds a single value"),
        ("- a\n- b\n", "job.yml:1:1: the file holds a list; a job definition is a mapping of keys"),
        ("text", "job.yml:1:1: the file holds a single value"),
        ("a: 1\n---\nb: 1\n", "job.yml:3:1: the file has 2 documents, separated by '---'"),
        ("a: 1\na: 2\n", "job.yml:2:1: the key 'a' is there already, in line 1: remove one"),
        ("1: a\n", "job.yml:1:1: a key must be a text: put it in quotes"),
        ("? [a]\n: b\n", "job.yml:1:3: a key must be a text"),
        ("a: &a\n  b: *a\n", "job.yml:1:4: this value contains itself"),
        ("a: &a [*a]\n", "job.yml:1:4: this value contains itself"),
        ("a: *b\n", "job.yml:1:4: this is not valid YAML: found undefined alias 'b'"),
        ("a: 1\n\tb: 2\n", "job.yml:2:1: this is not valid YAML:"),
        ("a:\n\t- b\n", "job.yml:2:1: this is not valid YAML:"),
        ("a: [1\nb: 2\n", "job.yml:2:2: this is not valid YAML:"),
        ("a: !include x.yml\n", "job.yml:1:4: the tag !include is not allowed"),
        ("a: !!python/object/apply:os.system [ls]\n", "job.yml:1:4: the tag"),
        ("a: 2026-13-45\n", "job.yml:1:4: this is not valid YAML: month must be in 1..12"),
        ("a: {<<: 1}\n", "job.yml:1:9: '<<' takes a mapping, or a list of them"),
        ("a: \x07\n", "job.yml:1:1: this is not valid YAML: "),
        (b"a: 1\nname: Gr\xfcn\n", "job.yml:2:9: byte 0xfc is not UTF-8: save the file in that encoding"),
        ("a: " + "[" * 200 + "]" * 200, "job.yml:1:63: this is not valid YAML: it is nested more than 60 levels deep"),
        ("a: " + "{b: " * 5000, "job.yml:1:237: this is not valid YAML: it is nested more than 60 levels deep"),
        ("- a\n" * 30_000, "job.yml:20000:3: this is not valid YAML: there are more than 20000 values"),
        (
            "#" * (MAX_FILE_BYTES + 1),
            f"job.yml:1:1: the file has {MAX_FILE_BYTES + 1:,} bytes, a job definition at most",
        ),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_what_cannot_be_read_is_one_finding(file: Path, text: str | bytes, problem: str) -> None:
    table, problems = read(file, text)
    assert table is None
    assert [found.startswith(problem) for found in problems] == [True], problems


def test_a_bomb_of_aliases_is_read_without_expanding_it(file: Path) -> None:
    lines = ["a0: &a0 {x: y}"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 40)]
    began = time.process_time()
    table, problems = read(file, "\n".join(lines))
    assert table is not None
    assert not problems
    assert time.process_time() - began < 10


def test_a_bomb_of_merged_mappings_ends(file: Path) -> None:
    keys = ", ".join(f"k{n}: 1" for n in range(500))
    lines = [f"a: &a {{{keys}}}", *(f"b{n}: {{<<: *a}}" for n in range(400))]
    table, problems = read(file, "\n".join(lines))
    assert table is None
    assert any("merged mappings (<<) have more than 20000 values" in problem for problem in problems)


def test_a_file_that_is_not_there_is_a_finding(file: Path) -> None:
    problems = Problems()
    assert read_yaml(file, problems) is None
    assert str(problems[0]) == "job.yml:1:1: the file cannot be read: No such file or directory"
