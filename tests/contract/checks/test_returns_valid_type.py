from __future__ import annotations

import pytest

from tests.contract.conftest import Judge
from tests.contract.first_checks import by_the_first_checks


@pytest.fixture
def judge(judge: Judge) -> Judge:
    return by_the_first_checks(judge)


# No result means a failed job or a silent loss, and nothing to count.
COMPANIONS = {"no_silent_losses"}

FLAWED = {
    "None": ("return None", "fix: None comes from `return None` in line 2. Return the list of results there"),
    "a forgotten return": ("[len(p) for p in mini_batch]", "fix: None comes from the end of run() in line 2, where a"),
    "a sort": ("return mini_batch.sort()", "(sort() returns None: call it in a line of its own)"),
    "a text": ("return 'done'", "return a list of texts, [text] for a single one"),
    "a dict": ("return {p: 1 for p in mini_batch}", "return a list of dicts, one per item"),
    "a generator": ("return (p for p in mini_batch)", "return list(result)"),
    "a set": ("return set(mini_batch)", "a set drops equal results"),
    "a count": ("return len(mini_batch)", "return the list of results, not how many there are"),
    "a Series": ("import pandas as pd; return pd.Series(mini_batch)", "return result.tolist(), or result.to_frame()"),
    "an array": ("import numpy as np; return np.array(mini_batch)", "return result.tolist()"),
}


@pytest.mark.parametrize(("body", "message"), FLAWED.values(), ids=FLAWED)
def test_other_types_fail_with_a_message_for_each(judge: Judge, body: str, message: str) -> None:
    found = judge(f"def run(mini_batch):\n    {body}\n")
    assert found.failed == {"returns_valid_type"} | COMPANIONS
    text = found.messages["returns_valid_type"]
    assert message in text
    assert "where: run(), mini-batch 0 (item_1.txt), attempt 1 of 3\ncounts: in 3 of 3 mini-batches" in text
    assert found.outcomes["returns_one_result_per_item"] == "skipped"


def test_a_wrong_type_for_some_mini_batches_is_found(judge: Judge) -> None:
    found = judge("def run(mini_batch):\n    if '_2' not in mini_batch[0]: return list(mini_batch)\n")
    assert found.failed == {"returns_valid_type"} | COMPANIONS
    assert "mini-batch 1 (item_2.txt)" in found.messages["returns_valid_type"]
    assert "in 1 of 3 mini-batches" in found.messages["returns_valid_type"]


@pytest.mark.parametrize(
    "body",
    [
        "return list(mini_batch)",
        "return tuple(mini_batch)",
        "import pandas as pd; return pd.DataFrame({'path': mini_batch})",
        "return [{'path': p} for p in mini_batch]",
        "return [None for _ in mini_batch]",
        "return type('Results', (list,), {})(mini_batch)",
    ],
)
def test_lists_tuples_and_frames_pass(judge: Judge, body: str) -> None:
    assert judge(f"def run(mini_batch):\n    {body}\n").failed == set()


def test_it_cannot_be_decided_where_every_mini_batch_raises(judge: Judge) -> None:
    found = judge("def run(mini_batch):\n    raise ValueError('no luck')\n")
    assert found.failed == COMPANIONS
    assert found.outcomes["returns_valid_type"] == "skipped"
    assert found.messages["returns_valid_type"] == (
        "run() fails for every mini-batch; see test_no_silent_losses: ValueError: no luck"
    )


def test_it_cannot_be_decided_where_no_worker_came_up(judge: Judge) -> None:
    found = judge("def init(): raise OSError\ndef run(mini_batch): return list(mini_batch)\n")
    assert found.outcomes["returns_valid_type"] == "skipped"
    assert found.messages["returns_valid_type"].startswith(
        "no worker could start; see test_init_runs_in_every_worker: "
    )
