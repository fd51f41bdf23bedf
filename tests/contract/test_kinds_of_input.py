"""All checks on partitions and on JSON lines: whole partitions alone, and lines as dicts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_parallelrun import load_case
from pytest_parallelrun.contract.generation import examples
from tests.conftest import Write
from tests.contract.conftest import Judge
from tests.light import all_edge_cases

SIZE_ALONE = {"independent_of_mini_batch_size"}

# It raises for a partition that is not whole, so that any check that took one apart would fail.
WHOLE_PARTITIONS_OF_ROWS = """
def run(rows, context):
    keys = context.partition_key_value
    assert list(keys) == ["Store", "Brand"], keys
    assert set(rows["Week"]) == {0, 1, 2, 3}, f"{keys} is not whole"
    means = {keys["Store"]: round(float(rows["Quantity"].mean()), 3)}
    return [f"{keys['Store']} {keys['Brand']} {week} {means[keys['Store']]}" for week in rows["Week"]]
"""
WHOLE_PARTITIONS_OF_FILES = """
import os

def run(paths, context):
    store = context.partition_key_value["Store"]
    stems = {os.path.basename(path).partition(".")[0].split()[0] for path in paths}
    assert len(stems) >= {"2": 2, "10": 3}[store], f"{store} is not whole: {paths}"
    sizes = [len(open(path, "rb").read()) for path in paths]
    return [f"{store} {os.path.basename(path)} {max(sizes)}" for path in paths]
"""
REMEMBERS = """
seen = []

def run(rows, context):
    seen.append(context.partition_key_value["Store"])
    return [f"{context.partition_key_value} {week} {len(set(seen))}" for week in rows["Week"]]
"""


def sales(write: Write) -> str:
    lines = [f"{week},{store},{brand},{week * 7 + store}" for week in range(4) for store in (2, 10) for brand in "ab"]
    write("sales.csv", "Week,Store,Brand,Quantity\n" + "\n".join(lines) + "\n")
    return "sales.csv"


def test_no_check_takes_a_partition_of_rows_apart(judge: Judge, write: Write) -> None:
    found = judge(
        WHOLE_PARTITIONS_OF_ROWS,
        "--parallelrun-set=partition_keys=Store,Brand",
        "--parallelrun-set=error_threshold=0",
        input=sales(write),
    )
    assert found.failed == set()
    assert found.skipped == SIZE_ALONE


def test_no_check_takes_a_partition_of_files_apart(judge: Judge, write: Write) -> None:
    for store, names in (("2", "ab"), ("10", "abc")):
        for name in names:
            write(f"stores/Store={store}/{name}.txt", name * 5)
    found = judge(WHOLE_PARTITIONS_OF_FILES, "--parallelrun-set=partition_keys=Store", input="stores")
    assert found.failed == set()
    assert found.skipped == SIZE_ALONE


@pytest.mark.slow
def test_a_case_of_partitions_is_run_again_with_what_their_context_told(
    judge: Judge, write: Write, project: Path
) -> None:
    found = judge(
        REMEMBERS,
        "--parallelrun-set=partition_keys=Store",
        "--parallelrun-save=saved",
        input=sales(write),
    )
    assert "independent_of_history" in found.failed
    case = load_case(project / "saved" / "score" / "independent_of_history")
    result = case.run(project / "score.py")
    assert case.problem(result)
    assert str(result.rows[0]).startswith("{'Store': '")
    content = json.loads((case.folder / "case.json").read_text(encoding="utf-8"))
    assert content["partitions"][0][0][0] == "Store"


ROW_MODE = (
    "--parallelrun-args=--amlbi_pf_enabled True --amlbi_pf_run_mode component --amlbi_file_format jsonl "
    "--amlbi_mini_batch_rows 2"
)
SOUND_LINES = """
def run(rows, context):
    return [f"{row.get('id')} {str(row.get('text')).upper()} {row.get('n')}" for row in rows]
"""


def lines(write: Write) -> str:
    rows = [{"id": f"r{n}", "text": f"text {n}", "n": n / 4, "more": {"tags": [n]}} for n in range(7)]
    write("lines.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    return "lines.jsonl"


def test_all_checks_are_made_of_json_lines(judge: Judge, write: Write) -> None:
    found = judge(SOUND_LINES, ROW_MODE, "--parallelrun-set=error_threshold=0", input=lines(write))
    assert found.failed == set()
    # No number of the sample changes a result in a way that is no copy.
    assert found.skipped <= {"reports_failures", "one_bad_item_costs_one_item"}


@pytest.mark.parametrize(
    ("script", "check"),
    [
        (
            'def run(rows):\n    return [row["id"] for row in rows] if all(r["text"] for r in rows) else None\n',
            "handles",
        ),
        (
            'def run(rows):\n    if None not in [row["n"] for row in rows]: return [row["id"] for row in rows]\n',
            "handles",
        ),
        ("kept = []\ndef run(rows):\n    kept.extend(rows)\n    return [len(kept) for row in rows]\n", "history"),
        ('def run(rows):\n    return [str(len(rows)) + row["id"] for row in rows]\n', "mini_batch_size"),
    ],
)
def test_flaws_with_json_lines_are_found_and_their_cases_run_again(
    judge: Judge, write: Write, project: Path, monkeypatch: pytest.MonkeyPatch, script: str, check: str
) -> None:
    monkeypatch.setattr(examples, "_edge_cases", all_edge_cases)
    found = judge(script, "-k", check, ROW_MODE, "--parallelrun-save=saved", input=lines(write))
    (name,) = found.failed
    case = load_case(project / "saved" / "score" / name)
    assert case.kind == "records"
    assert case.problem(case.run(project / "score.py"))
