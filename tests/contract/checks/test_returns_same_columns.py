from __future__ import annotations

import pytest

from tests.conftest import Write
from tests.contract.conftest import Judge

NAME = "returns_same_columns"
HEAD = "import json\nimport pandas as pd\ndef run(mini_batch):\n    size = len(open(mini_batch[0]).read())\n"


def judged(judge: Judge, script: str, *arguments: str, input: str = "data") -> tuple[str, str]:
    found = judge(script, *arguments, "-k", NAME, input=input)
    return found.outcomes[NAME], found.messages[NAME]


DIFFERING = {
    "dummies": ("pd.get_dummies(pd.DataFrame({'kind': ['ab'[size % 2]]}))", "the first alone has 'kind_b'"),
    "order": (
        "pd.DataFrame({'a': [1], 'b': [2]})[['a', 'b'][:: 1 if size < 3 else -1]]",
        "another order of columns: 'a', 'b' and 'b', 'a'",
    ),
    "types of a column": (
        "pd.DataFrame({'a': [size if size < 3 else 'many']})",
        "other types in column 'a': number and text",
    ),
    "keys": ("[{'size': 1} if size < 3 else {'size': 1, 'more': 2}]", "other columns: the second alone has 'more'"),
    "lengths": ("[(1, 2) if size < 3 else (1, 2, 3)]", "a tuple of 2 and a tuple of 3"),
    "elements": ("['a'] if size < 3 else [{'a': 1}]", "a text and a dict"),
    "container": ("['a'] if size < 3 else pd.DataFrame({'a': [1]})", "a text and a DataFrame"),
    "json": ("[json.dumps({'a': 1} if size < 3 else {'b': 1})]", "the first alone has 'a', the second alone has 'b'"),
}


@pytest.mark.parametrize(("value", "message"), DIFFERING.values(), ids=DIFFERING)
def test_results_that_are_made_otherwise_are_advice(judge: Judge, value: str, message: str) -> None:
    outcome, text = judged(judge, HEAD + f"    return {value}\n")
    assert outcome == "advice"
    assert message in text
    assert "The first is of mini-batch 0 (item_1.txt)" in text


def test_of_another_order_the_appended_rows_are_shown(judge: Judge) -> None:
    appended = "--parallelrun-set=output_action=append_row"
    script = HEAD + f"    return {DIFFERING['order'][0]}\n"
    outcome, text = judged(judge, script, appended)
    assert outcome == "advice"
    assert "Values are appended under the wrong column" in text
    assert "'a', 'b'; of mini-batch 2 (item_3.txt): 'b', 'a'. In the appended file" in text
    assert "their first rows are '1 2' and '2 1', one below the other" in text
    assert "fix: return the columns in one order, such as with frame[['a', 'b']]" in text
    assert judged(judge, script.rstrip() + "[['a', 'b']]\n", appended)[0] == "passed"


ALIKE = {
    "frame": "pd.DataFrame({'file': mini_batch, 'size': size})",
    "empty frame": "pd.DataFrame({'file': mini_batch}) if size < 3 else pd.DataFrame()",
    "null in a column": "pd.DataFrame({'size': [size if size < 3 else None]})",
    "whole numbers": "pd.DataFrame({'size': [size if size < 3 else 2.5]})",
    "texts": "[f'{size}, {size}' if size < 3 else 'many']",
    "order in JSON": "[json.dumps({'a': 1, 'b': 2} if size < 3 else {'b': 1, 'a': 2})]",
    "error row": "[{'file': 'a', 'size': 1} if size < 3 else {'file': 'a', 'error': 'too long'}]",
    "error text": "[{'file': 'a', 'size': 1}] if size < 3 else ['ERROR: too long']",
    "null row": "[size if size < 3 else None]",
    "numbers": "[size if size < 3 else 0.5]",
}


@pytest.mark.parametrize("value", ALIKE.values(), ids=ALIKE)
def test_results_that_are_made_alike_pass(judge: Judge, value: str) -> None:
    assert judged(judge, HEAD + f"    return {value}\n", "--parallelrun-set=error_threshold=-1")[0] == "passed"


def test_of_a_single_mini_batch_parts_are_compared(judge: Judge, write: Write) -> None:
    write("table.csv", "kind\na\nb\nb\n")
    outcome, text = judged(
        judge, "import pandas as pd\ndef run(mini_batch):\n    return pd.get_dummies(mini_batch)\n", input="table.csv"
    )
    assert outcome == "advice"
    assert "the first alone has 'kind_b'" in text
    assert "the second of a mini-batch of row 1 of table.csv alone" in text


def test_a_single_result_cannot_be_compared(judge: Judge, write: Write) -> None:
    write("single/item.txt", "x")
    outcome, text = judged(judge, HEAD + "    return ['a']\n", input="single")
    assert outcome == "skipped"
    assert "give a sample with more items" in text


def test_without_any_result_it_cannot_be_decided(judge: Judge) -> None:
    outcome, text = judged(judge, "def run(mini_batch):\n    raise ValueError('no luck')\n")
    assert outcome == "skipped"
    assert "no luck" in text


def test_columns_with_nulls_of_pandas_own_types_pass(judge: Judge) -> None:
    frame = "pd.DataFrame({'flag': pd.array([True, None], dtype='boolean'), 'n': pd.array([None, 2], dtype='Int64')})"
    value = f"pd.concat([{frame}.assign(file=path) for path in mini_batch], ignore_index=True)"
    assert judged(judge, f"import pandas as pd\ndef run(mini_batch):\n    return {value}\n")[0] == "passed"
