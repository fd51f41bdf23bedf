from __future__ import annotations

import pytest

from tests.conftest import Write
from tests.contract.conftest import Judge
from tests.contract.first_checks import by_the_first_checks


@pytest.fixture
def judge(judge: Judge) -> Judge:
    return by_the_first_checks(judge)


COMPANIONS = {"no_silent_losses"}
ALL_IN_ONE = "--parallelrun-set=mini_batch_size=3"

SKIPS = """
    def run(mini_batch):
        results = []
        for path in mini_batch:
            try:
                if path.endswith("item_2.txt"):
                    raise ValueError
                results.append(path)
            except ValueError:
                continue
        return results
"""
FILTERS = "def run(mini_batch):\n    return [p for p in mini_batch if not p.endswith('item_2.txt')]\n"
SUMMARISES = "def run(mini_batch):\n    return [f'{len(mini_batch)} done']\n"


@pytest.mark.parametrize("script", [SKIPS, FILTERS])
def test_a_script_that_drops_an_item_fails_and_the_item_is_named(judge: Judge, script: str) -> None:
    found = judge(script, ALL_IN_ONE)
    assert found.failed == {"returns_one_result_per_item"} | COMPANIONS
    message = found.messages["returns_one_result_per_item"]
    assert "1 missing, in 1 of 1 mini-batches" in message
    assert "3 items in, 2 results out, 3 - 2 = 1 missing. No result for: item_2.txt." in message


def test_a_script_that_sums_a_mini_batch_up_fails(judge: Judge) -> None:
    found = judge(SUMMARISES, ALL_IN_ONE)
    assert found.failed == {"returns_one_result_per_item"} | COMPANIONS
    message = found.messages["returns_one_result_per_item"]
    assert "3 - 1 = 2 missing" in message
    assert "It returns 1, 1, 1 results for 1, 2, 3 items, whichever they are." in message
    assert "fix: There is one result for the whole mini-batch: look for a `return` inside the loop" in message


def test_an_item_in_a_folder_is_named_with_it(judge: Judge, write: Write) -> None:
    write("data/deep/item_2.txt", "")
    found = judge(FILTERS, "--parallelrun-set=mini_batch_size=4")
    assert "No result for: deep/item_2.txt, item_2.txt." in found.messages["returns_one_result_per_item"].replace(
        "\\", "/"
    )


def test_a_mini_batch_of_one_item_needs_no_search(judge: Judge) -> None:
    message = judge(FILTERS).messages["returns_one_result_per_item"]
    assert "1 item in, 0 results out, 1 - 0 = 1 missing. Items: item_2.txt." in message


def test_rows_of_a_table_that_are_dropped_are_told(judge: Judge, write: Write) -> None:
    write("table.csv", "x\n1\n\n2\n3\n".replace("\n\n", "\n"))
    found = judge("def run(mini_batch):\n    return mini_batch[mini_batch.x > 1]\n", input="table.csv")
    assert found.failed == {"returns_one_result_per_item"} | COMPANIONS
    message = found.messages["returns_one_result_per_item"]
    assert "3 items in, 2 results out, 3 - 2 = 1 missing. No result for: row 1 of table.csv." in message


@pytest.mark.parametrize(
    "kept",
    ["mini_batch[mini_batch.x > 1].reset_index(drop=True)", "mini_batch[mini_batch.x > 1].x.tolist()"],
    ids=["new index", "list"],
)
def test_rows_that_the_index_does_not_tell_are_found_alone(judge: Judge, write: Write, kept: str) -> None:
    write("table.csv", "x\n1\n2\n3\n")
    message = judge(f"def run(mini_batch):\n    return {kept}\n", input="table.csv").messages[
        "returns_one_result_per_item"
    ]
    assert "3 - 2 = 1 missing. No result for: row 1 of table.csv." in message


def test_a_loss_that_a_retry_repaired_is_told_as_such(judge: Judge) -> None:
    script = (
        "seen = set()\ndef run(mini_batch):\n    if mini_batch[0] in seen: return list(mini_batch)\n"
        "    seen.add(mini_batch[0])\n    return []\n"
    )
    found = judge(script, ALL_IN_ONE)
    assert found.failed == {"returns_one_result_per_item"}
    assert "A retry repaired it: " in found.messages["returns_one_result_per_item"]


def test_a_loss_that_no_retry_repaired_is_not_said_to_be_repaired(judge: Judge) -> None:
    assert "repaired" not in judge(FILTERS).messages["returns_one_result_per_item"]


def test_a_loss_that_a_threshold_allows_is_advice(judge: Judge) -> None:
    found = judge(FILTERS, "--parallelrun-set=error_threshold=1")
    assert found.failed == set()
    assert found.outcomes["returns_one_result_per_item"] == "advice"
    message = found.messages["returns_one_result_per_item"]
    assert "The job may lose them: error_threshold=1 was set on purpose." in message
    skips = judge(SKIPS, "--parallelrun-set=error_threshold=1").messages["returns_one_result_per_item"]
    assert "fix: none is needed if these items may be left out, as error_threshold=1 allows." in skips


def test_a_loss_that_a_threshold_forbids_fails(judge: Judge) -> None:
    found = judge(FILTERS, "--parallelrun-set=error_threshold=0")
    assert found.failed == {"returns_one_result_per_item", "job_completes"}


def test_the_other_reading_is_told_where_it_would_complete(judge: Judge) -> None:
    # A short return fails its mini-batch by the documents alone; as observed it is lost without a word.
    found = judge(FILTERS, "--parallelrun-set=mini_batch_error_threshold=0")
    assert (
        "(under rules=observed the gate fails too: the job completes with 1 failed item, which no threshold allows)"
        in found.messages["returns_one_result_per_item"]
    )


def test_more_results_than_rows_of_a_table_are_advice(judge: Judge, write: Write) -> None:
    write("table.csv", "x\n1\n2\n")
    found = judge("def run(mini_batch):\n    return mini_batch.x.tolist() * 2\n", input="table.csv")
    assert found.failed == set()
    assert found.outcomes["returns_one_result_per_item"] == "advice"
    assert "mini-batch 0 has 2 rows and 4 results" in found.messages["returns_one_result_per_item"]


@pytest.mark.parametrize(
    "body",
    [
        "return list(mini_batch)",
        "return [row for p in mini_batch for row in open(p).read() or ['empty']]",
        "import pandas as pd; return pd.DataFrame({'path': mini_batch})",
        "return ['failed' if p.endswith('item_2.txt') else p for p in mini_batch]",
    ],
    ids=["one each", "many rows of a file", "frame", "a row for an error"],
)
def test_as_many_results_as_items_or_more_pass(judge: Judge, body: str) -> None:
    assert set(judge(f"def run(mini_batch):\n    {body}\n", ALL_IN_ONE).outcomes.values()) == {"passed"}


def test_of_a_large_mini_batch_the_rows_that_its_index_lacks_are_told(judge: Judge, write: Write) -> None:
    write("table.csv", "x\n" + "".join(f"{number}\n" for number in range(60)))
    message = judge("def run(mini_batch):\n    return mini_batch[mini_batch.x > 0]\n", input="table.csv").messages[
        "returns_one_result_per_item"
    ]
    assert "60 - 59 = 1 missing. By the index of what it returned: row 1 of table.csv." in message


def test_it_works_under_a_profile_with_a_single_threshold(judge: Judge) -> None:
    found = judge(FILTERS, "--parallelrun-set=profile=batch")
    assert "No result for: item_2.txt." in found.messages["returns_one_result_per_item"]
