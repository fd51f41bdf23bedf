from __future__ import annotations

import re

import pytest

import pytest_parallelrun.contract.losses
from tests.contract.conftest import Judge
from tests.contract.first_checks import by_the_first_checks

ALL_IN_ONE = ("--parallelrun-set=mini_batch_size=3", "--parallelrun-set=max_retries=0")
LOSSES = "no_silent_losses"
SLEEPS = "import time\ndef run(batch):\n    for path in batch:\n        time.sleep({})\n    return list(batch)\n"
WAITS = """
    import threading

    def run(mini_batch):
        for path in mini_batch:
            if path.endswith({!r}):
                threading.Event().wait({})
        return list(mini_batch)
"""


@pytest.fixture
def judge(judge: Judge) -> Judge:
    return by_the_first_checks(judge)


@pytest.mark.parametrize(
    ("seconds", "evidence", "fix", "repairs"),
    [
        (
            25,
            "It is slow and does not hang: 25 s per file make 75 s for 3 files, and 2 fit into 60 s.",
            r"\nfix: set mini_batch_size=1, or timeout=15\d\n",
            (["mini_batch_size=1"], ["timeout=150"]),
        ),
        (
            90,
            "It is slow and does not hang: item_1.txt alone takes 90 s.",
            r"\nfix: set mini_batch_size=1 and timeout=18\d, or make run\(\) quicker\n",
            (["mini_batch_size=1", "timeout=180"],),
        ),
    ],
    ids=["several items", "one item"],
)
def test_a_slow_script_is_told_from_one_that_hangs(
    judge: Judge, seconds: int, evidence: str, fix: str, repairs: tuple[list[str], ...]
) -> None:
    script = SLEEPS.format(seconds)
    message = judge(script, *ALL_IN_ONE).messages[LOSSES]
    assert evidence in message
    assert re.search(fix, message)
    for settings in repairs:
        assert judge(script, *ALL_IN_ONE, *(f"--parallelrun-set={one}" for one in settings)).failed == set()


def test_a_script_that_hangs_is_said_to_and_where(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytest_parallelrun.contract.losses, "PATIENCE", 1)
    message = judge(WAITS.format(".txt", ""), *ALL_IN_ONE, "--parallelrun-set=timeout=1").messages[LOSSES]
    assert re.search(
        r"item_1.txt alone does not end with more time either: run\(\) was .* waiting, not working", message
    )
    assert "fix: find the loop or the wait that does not end, at line 6 of score.py, in run()" in message
    assert "It is slow" not in message
    assert judge(WAITS.format(".txt", "0.01"), *ALL_IN_ONE, "--parallelrun-set=timeout=1").failed == set()


def test_the_one_item_that_hangs_is_named(judge: Judge) -> None:
    message = judge(WAITS.format("2.txt", ""), *ALL_IN_ONE, "--parallelrun-set=timeout=1").messages[LOSSES]
    assert "item_2.txt alone does not end within 1 s, and other items do." in message
    assert "fix: find the loop or the wait that does not end for item_2.txt, at line 6 of score.py, in run()" in message


def test_failures_that_differ_in_their_text_are_of_one_kind(judge: Judge) -> None:
    script = "def run(mini_batch):\n    raise ValueError(f'{object()} in {mini_batch[0]}')\n"
    message = judge(script).messages[LOSSES]
    assert message.startswith("run() raises for every mini-batch: ValueError: <object object at 0x")
    assert "otherwise" not in message


def test_failures_of_another_kind_are_named(judge: Judge) -> None:
    script = "def run(mini_batch):\n    {'item_1.txt': 0}[mini_batch[0][-10:]] or 1 / 0\n"
    message = judge(script).messages[LOSSES]
    assert "Mini-batch 1 fails otherwise: KeyError: 'item_2.txt'\n" in message
    assert "Mini-batch 2" not in message


def test_where_some_items_are_lost_the_script_is_corrected_first(judge: Judge) -> None:
    script = "def run(mini_batch):\n    return [1 / (int(path[-5]) - 2) for path in mini_batch]\n"
    message = judge(script).messages[LOSSES]
    # A comprehension has no frame of its own since Python 3.12.
    fix = r"fix: correct line 2 of score\.py(, in run\(\))?, or its input, or return an error row for an item"
    assert re.search(fix, message)
    repaired = script.replace("1 / (int(path[-5]) - 2)", "'ERROR' if path[-5] == '2' else 1 / (int(path[-5]) - 2)")
    assert judge(repaired).failed == set()
