from __future__ import annotations

import pytest

from tests.conftest import Write
from tests.contract.conftest import Judge, Judged

ALL_IN_ONE = ("--parallelrun-set=mini_batch_size=3", "--parallelrun-set=error_threshold=2")


def judged(judge: Judge, script: str, *arguments: str, input: str = "data") -> tuple[str, str]:
    found: Judged = judge(script, *arguments, "-k", "one_bad_item", input=input)
    return found.outcomes["one_bad_item_costs_one_item"], found.messages["one_bad_item_costs_one_item"]


RAISES = "def run(mini_batch):\n    return [open(path).read() for path in mini_batch]\n"
STOPS = """
    def run(mini_batch):
        results = []
        try:
            for path in mini_batch:
                results.append(open(path).read())
        except OSError:
            pass
        return results
"""
NONE = """
    def run(mini_batch):
        try:
            return [open(path).read() for path in mini_batch]
        except OSError:
            return None
"""


@pytest.mark.parametrize(
    ("script", "error"),
    [(RAISES, "FileNotFoundError"), (STOPS, "0 results for 3 items"), (NONE, "run() returned None")],
    ids=["raises", "stops", "None"],
)
def test_a_bad_item_that_costs_its_whole_mini_batch_is_advice(judge: Judge, script: str, error: str) -> None:
    outcome, message = judged(judge, script, *ALL_IN_ONE)
    assert outcome == "advice"
    assert message.startswith("One bad item fails the job: item_1.txt (the file is missing). run() ends with ")
    assert error in message
    assert "error_threshold=2, which allows 2 failed items, is exceeded.\n" in message
    assert "1 bad item fails 3 items of its mini-batch, and 3 > 2" in message


ONE_BY_ONE = """
    def run(mini_batch):
        results = []
        for path in mini_batch:
            try:
                text = open(path).read()
            except OSError as error:
                results.append(f"{path}: {error}")
            else:
                results.append(f"{path}: {HANDLED}")
        return results
"""


def test_an_empty_file_that_costs_its_whole_mini_batch_is_advice(judge: Judge) -> None:
    outcome, message = judged(judge, ONE_BY_ONE.replace("HANDLED", "text[0]"), *ALL_IN_ONE)
    assert outcome == "advice"
    assert message.startswith("One bad item fails the job: item_1.txt (the file is empty). run() ends with ")
    assert "IndexError" in message


def test_an_empty_file_may_have_a_result_like_any_other(judge: Judge) -> None:
    found = judge(ONE_BY_ONE.replace("HANDLED", "len(text)"), *ALL_IN_ONE, "-k", "one_bad_item or reports_failures")
    assert set(found.outcomes.values()) == {"passed"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "passed"),
        ({"mini_batch_size": 3, "error_threshold": 0}, "passed"),
        ({"mini_batch_size": 3, "error_threshold": 3}, "passed"),
        ({"mini_batch_size": 3, "mini_batch_error_threshold": 0}, "passed"),
        ({"mini_batch_size": 1, "error_threshold": 1}, "passed"),
        # More than the sample has.
        ({"mini_batch_size": 20, "error_threshold": 10}, "advice"),
    ],
    ids=str,
)
def test_failing_fast_is_advice_where_single_failures_are_allowed_and_a_mini_batch_is_not(
    judge: Judge, settings: dict[str, int], expected: str
) -> None:
    options = [f"--parallelrun-set={name}={value}" for name, value in settings.items()]
    assert judged(judge, RAISES, *options)[0] == expected


KEEPING = {
    "leaves out": "try: results.append(open(path).read())\n        except OSError: continue",
    "error row": "try: results.append(path + open(path).read())\n"
    "        except OSError as error: results.append(f'{path}: {error}')",
    "zero": "try: results.append(len(open(path).read()))\n        except OSError: results.append(0)",
}


@pytest.mark.parametrize("body", KEEPING.values(), ids=KEEPING)
@pytest.mark.parametrize("options", [[], ALL_IN_ONE])
def test_a_bad_item_that_costs_itself_alone_passes(judge: Judge, body: str, options: list[str]) -> None:
    script = (
        f"def run(mini_batch):\n    results = []\n    for path in mini_batch:\n        {body}\n    return results\n"
    )
    assert judged(judge, script, *options)[0] == "passed"


def test_a_script_that_does_not_read_its_items_cannot_be_judged(judge: Judge) -> None:
    outcome, message = judged(judge, "def run(mini_batch):\n    return list(mini_batch)\n", *ALL_IN_ONE)
    assert outcome == "skipped"
    assert "run() succeeds with a bad item because it does not read its items" in message


def test_a_single_item_is_not_enough(judge: Judge, write: Write) -> None:
    write("single/item.txt", "x")
    outcome, message = judged(judge, RAISES, input="single")
    assert outcome == "skipped"
    assert "give a sample with more items" in message


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("[float(x) * 2 for x in mini_batch['x']]", "advice"),
        ("(mini_batch.x * 2.5).tolist()", "advice"),
        ("(pd.to_numeric(mini_batch.x, errors='coerce') * 2.5).tolist()", "passed"),
        ("mini_batch[pd.to_numeric(mini_batch.x, errors='coerce') > 0]", "passed"),
    ],
)
def test_a_bad_cell_of_a_table(judge: Judge, write: Write, value: str, expected: str) -> None:
    write("table.csv", "x,y\n1.5,a\n2.5,b\n3.5,c\n")
    script = f"import pandas as pd\ndef run(mini_batch):\n    return {value}\n"
    outcome, message = judged(judge, script, "--parallelrun-set=error_threshold=1", input="table.csv")
    assert outcome == expected
    if expected == "advice":
        assert "row 1 of table.csv (its column 'x' holds the text '?'" in message
        assert "3 > 1" in message
