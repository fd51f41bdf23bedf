from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, Write
from tests.plugin.counts import TOTAL, assert_gated

ASKS_FOR_FRAME = """
    def run(mini_batch):
        return mini_batch["value"].tolist()
"""


def test_a_folder_is_the_sample(project: Path, gate: Run) -> None:
    gate().stdout.fnmatch_lines(["*, 3 of 3 mini-batches and 3 of 3 items succeeded*"])


def test_a_glob_is_the_sample(project: Path, run_pytest: Run) -> None:
    result = run_pytest("--parallelrun-entry=score.py", "--parallelrun-input=data/item_[12].txt")
    result.stdout.fnmatch_lines(["*2 of 2 items succeeded*"])


def test_a_csv_is_a_table_of_rows(project: Path, run_pytest: Run, write: Write) -> None:
    write("score.py", ASKS_FOR_FRAME)
    write("table.csv", "value\n1\n2\n3\n4\n")
    result = run_pytest("--parallelrun-entry=score.py", "--parallelrun-input=table.csv")
    assert_gated(result, TOTAL)
    result.stdout.fnmatch_lines(["*4 of 4 items succeeded*"])


def test_it_may_be_given_several_times(project: Path, gate: Run, write: Write) -> None:
    write("more/item_4.txt", "xxxx")
    gate("--parallelrun-input=more").stdout.fnmatch_lines(["*4 of 4 items succeeded*"])


def test_two_inputs_may_hold_files_of_the_same_name(project: Path, gate: Run, write: Write) -> None:
    write("more/data/item_1.txt", "other")
    result = gate("--parallelrun-input=more/data", "--parallelrun-set", "output_action=append_row")
    assert_gated(result, TOTAL)
    result.stdout.fnmatch_lines(["*4 of 4 items succeeded*"])


def test_the_item_without_a_result_is_found_in_several_inputs(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    return [p for p in mini_batch if 'item_2' not in p]\n")
    write("more/item_4.txt", "xxxx")
    result = gate("--parallelrun-input=more", "--parallelrun-set=mini_batch_size=4", "-k", "one_result_per_item")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*4 - 3 = 1 missing. No result for: *item_2.txt."])


def test_the_ini_twin_has_one_path_a_line(project: Path, pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makeini("[pytest]\nparallelrun_input =\n    data/item_1.txt\n    data/item_3.txt")
    run_pytest("--parallelrun-entry=score.py").stdout.fnmatch_lines(["*2 of 2 items succeeded*"])


def test_the_users_files_are_left_alone_by_a_script_that_removes_them(project: Path, gate: Run, write: Write) -> None:
    write(
        "score.py",
        "import os\ndef run(mini_batch):\n    for p in mini_batch: os.remove(p)\n    return list(mini_batch)\n",
    )
    gate()
    assert len(list((project / "data").iterdir())) == 3


def test_a_link_in_a_folder_counts_as_the_file_behind_it(project: Path, gate: Run) -> None:
    try:
        (project / "data" / "link.txt").symlink_to(project / "data" / "item_1.txt")
    except OSError:
        pytest.skip("no links here")
    result = gate()
    assert_gated(result, TOTAL)
    result.stdout.fnmatch_lines(["*4 of 4 items succeeded*"])


def test_a_folder_named_like_a_pattern_is_taken_as_it_is(project: Path, run_pytest: Run) -> None:
    (project / "data").rename(project / "data [1]")
    result = run_pytest("--parallelrun-entry=score.py", "--parallelrun-input=data [1]")
    assert_gated(result, TOTAL)


def test_files_in_a_folder_named_like_a_pattern_can_be_given_by_name(project: Path, run_pytest: Run) -> None:
    (project / "data").rename(project / "data [1]")
    result = run_pytest(
        "--parallelrun-entry=score.py", "--parallelrun-input=data [1]/item_2.txt", "--parallelrun-set=profile=v1"
    )
    assert_gated(result, TOTAL)


def test_inputs_of_v1_are_split_one_by_one(project: Path, run_pytest: Run, write: Write) -> None:
    write("more/item_9.txt", "nine")
    result = run_pytest(
        "--parallelrun-entry=score.py",
        "--parallelrun-input=data",
        "--parallelrun-input=more",
        "--parallelrun-set=profile=v1",
        "--parallelrun-set=mini_batch_size=2",
        "--parallelrun-plan",
    )
    result.stdout.fnmatch_lines(["input: 2 inputs: *; 1 file in '*more', 2 a mini-batch: 1 mini-batch*"])


def test_what_partition_keys_override_is_said_in_the_plan(project: Path, run_pytest: Run, write: Write) -> None:
    write("stores/Store=1/a.txt", "")
    result = run_pytest(
        "--parallelrun-entry=score.py",
        "--parallelrun-input=stores",
        "--parallelrun-set=partition_keys=Store",
        "--parallelrun-set=mini_batch_size=2",
        "--parallelrun-plan",
    )
    result.stdout.fnmatch_lines(
        [
            "input: 1 file in '*stores', one mini-batch for each Store: 1 mini-batch*",
            "  note: mini_batch_size=2 has no effect: partition_keys determines the mini-batches",
        ]
    )
