from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pytest_parallelrun.contract.checks import output_round_trips
from tests.contract.conftest import Judge

NAME = "output_round_trips"
APPEND = "--parallelrun-set=output_action=append_row"
HEAD = "import datetime, decimal, json, pathlib\nimport numpy as np\nimport pandas as pd\ndef run(mini_batch):\n"


def judged(judge: Judge, script: str, *arguments: str) -> tuple[str, str]:
    found = judge(script, *arguments, "-k", NAME)
    return found.outcomes[NAME], found.messages[NAME]


LOST = {
    "newline": ("['first\\nsecond']", "1 result make 2 lines, since one holds a newline: 'first\\nsecond'"),
    "carriage return": ("['first\\r\\nsecond']", "holds a newline"),
    "dict": ("[{'a': np.int8(1)}]", "a dict is written as its repr, which only Python reads: "),
    "array": ("[np.array([1, 2])]", "a ndarray is written as its repr"),
    "surrogate": ("['\\udc80']", "so that nothing is appended"),
    "newline in a cell": ("pd.DataFrame({'t': ['a\\nb']})", "column 't' holds a newline"),
    "objects in cells": ("pd.DataFrame({'t': [{1, 2}]})", "column 't' holds objects (set), written as their repr"),
    "index": ("pd.DataFrame({'t': [1]}, index=['item'])", "the index of 'item' and others is not written"),
    "named index": (
        "pd.DataFrame({'t': [1]}, index=pd.Index([7], name='id'))",
        "the index 'id' is not written",
    ),
}


@pytest.mark.parametrize(("value", "message"), LOST.values(), ids=LOST)
def test_what_the_file_cannot_carry_is_advice(judge: Judge, value: str, message: str) -> None:
    outcome, text = judged(judge, HEAD + f"    return {value}\n", APPEND)
    assert outcome == "advice"
    assert "In the appended output values are lost: " in text
    assert message in text
    assert "of run(), mini-batch 0 (item_1.txt)" in text


def test_it_is_said_where_nobody_set_whether_rows_are_appended(judge: Judge) -> None:
    script = HEAD + "    return ['\\udc80']\n"
    outcome, text = judged(judge, script)
    assert outcome == "advice"
    assert "With output_action=append_row, which is not set here, values are lost: " in text
    assert judged(judge, script, "--parallelrun-set=output_action=summary_only")[0] == "passed"


KEPT: dict[str, object] = {
    "short floats": pd.DataFrame({"t": np.array([0.62151879], "float32"), "u": np.array([0.1], "float16")}),
    "short floats of pandas": pd.DataFrame({"t": pd.array([0.62151879], dtype="Float32")}),
    "texts": ['a, b; "c" d'],
    "numbers": [1, 2.5, float("nan"), True, None],
    "json": [json.dumps({"a": "first\nsecond"})],
    "own str": [Path("a"), Decimal("1.5"), date(2020, 1, 1)],
    "scalars": [np.float32(0.1), np.int64(3)],
    "frame": pd.DataFrame({"n": [1, 2], "f": [0.1, 1e-300], "t": ["a b", 'say "x"'], "o": [None, ""]}),
    "nulls": pd.DataFrame({"f": [float("nan")], "i": pd.array([None], dtype="Int64")}),
    "times": pd.DataFrame({"d": pd.to_datetime(["2020-01-01"]), "b": [True]}),
    "filtered rows": pd.DataFrame({"t": [1, 2]})[lambda frame: frame.t > 1],
    "infinite": pd.DataFrame({"f": [float("inf")]}),
    "newline at the end": ["a line\n"],
    "literals": [{"file": "a", "scores": [0.5, None], "at": (1, True)}, ["a", 1], (0.1, "b\nc")],
    "literals in cells": pd.DataFrame({"t": [[1, 2]], "d": [{"a": 0.5}]}),
    "index that is a column": pd.DataFrame({"t": ["a", "b"]}, index=["a", "b"]),
    "index that counts": pd.DataFrame({"t": [1, 2]}).rename_axis("row"),
}


@pytest.mark.parametrize("value", KEPT.values(), ids=KEPT)
def test_what_comes_back_is_no_loss(value: object, tmp_path: Path) -> None:
    assert list(output_round_trips._losses_of({0: value}, tmp_path)) == []


def test_a_script_whose_rows_come_back_passes(judge: Judge) -> None:
    assert (
        judged(judge, HEAD + "    return [{'file': path, 'score': 0.1} for path in mini_batch]\n", APPEND)[0]
        == "passed"
    )


def test_a_script_that_writes_its_own_files_is_not_asked(judge: Judge) -> None:
    script = (
        "import os\ndef run(mini_batch):\n    open(os.path.basename(mini_batch[0]), 'w').write('x')\n"
        "    return [{'done': {path}} for path in mini_batch]\n"
    )
    assert judged(judge, script)[0] == "passed"
    assert judged(judge, script, APPEND)[0] == "advice"


@pytest.mark.parametrize("body", ["return []", "raise ValueError"])
def test_without_results_it_cannot_be_decided(judge: Judge, body: str) -> None:
    assert judged(judge, HEAD + f"    {body}\n", "--parallelrun-set=error_threshold=-1")[0] == "skipped"


MASKS = """
    from pathlib import Path

    import numpy as np

    def run(mini_batch):
        return [RESULT for path in mini_batch]
"""


@pytest.mark.parametrize(
    ("result", "names"),
    [
        ("(Path(path).name, np.full((64, 64), len(path) > 3))", "an array is abbreviated in each of 3 rows"),
        ("{'file': Path(path).name, 'mask': np.zeros(4000)}", "AZUREML_BI_OUTPUT_PATH"),
        ("f'{Path(path).name} {np.zeros((64, 64))}'", "an array is abbreviated"),
        ("(Path(path).name, object())", "an object is written as its address"),
        ("f'{Path(path).name} {object()}'", "an object is written as its address"),
    ],
)
def test_rows_that_have_all_lost_their_data_fail_where_they_are_appended(judge: Judge, result: str, names: str) -> None:
    script = MASKS.replace("RESULT", result)
    appended = judge(script, "-k", NAME, APPEND)
    assert appended.outcomes == {NAME: "failed"}
    assert names in appended.messages[NAME]
    counted = judge(script, "-k", NAME, "--parallelrun-set=output_action=summary_only")
    assert counted.outcomes[NAME] != "failed"


@pytest.mark.parametrize(
    ("lost", "how"),
    [
        ("np.zeros(4000)", "an array is abbreviated in 1 of 3 rows, as in"),
        ("f'{Path(path).name} {np.zeros(4000)}'", "an array is abbreviated in 1 of 3 rows, as in"),
        ("f'{(x for x in path)}'", "an object is written as its address in 1 of 3 rows, as in '<generator object"),
    ],
)
def test_some_rows_that_lost_their_data_are_advice(judge: Judge, lost: str, how: str) -> None:
    result = f"{lost} if path.endswith('1.txt') else Path(path).name"
    judged = judge(MASKS.replace("RESULT", result), "-k", NAME, APPEND)
    assert judged.outcomes == {NAME: "advice"}
    assert how in judged.messages[NAME]


@pytest.mark.parametrize("result", ["f'{Path(path).name}: wait ... 5'", "(Path(path).name, np.zeros(3))"])
def test_dots_of_a_text_and_whole_arrays_have_lost_nothing(judge: Judge, result: str) -> None:
    judged = judge(MASKS.replace("RESULT", result), "-k", NAME, APPEND)
    assert judged.outcomes[NAME] != "failed"
