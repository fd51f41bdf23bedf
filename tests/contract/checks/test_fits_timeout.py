from __future__ import annotations

import re

import pytest

from pytest_parallelrun.contract.dependence.run_time import RunTimeModel, Times, _model, line
from tests.conftest import Write
from tests.contract.conftest import Judge, Judged

NAME = "fits_timeout"
SLEEPS = """
    import time
    def run(mini_batch):
        time.sleep({each} * len(mini_batch) + {once})
        return [1] * len(mini_batch)
"""


def judged(judge: Judge, script: str, *arguments: str, input: str = "data") -> Judged:
    return judge(script, *arguments, "-k", NAME, input=input)


# Slept seconds are skipped and count all the same, so that these figures hold on every machine.
def test_a_mini_batch_that_needs_more_than_half_its_timeout_is_advice(judge: Judge) -> None:
    found = judged(judge, SLEEPS.format(each=13, once=2.2), "--parallelrun-set=mini_batch_size=3")
    assert found.outcomes[NAME] == "advice"
    message = found.messages[NAME]
    assert "A mini-batch takes about 41.2 s, and timeout is 60 s: 1.5 times the time needed" in message
    # What a busy machine adds goes to both numbers.
    figures = r"1[234](\.\d)? s per file and [0-4](\.\d+)? s per mini-batch, measured with 1, 2, 3 files on this mach"
    assert re.search(figures, message)
    assert "largest mini_batch_size with a margin of 2: 2 files" in message
    assert "set mini_batch_size=2, or timeout=83" in message


def test_a_sample_that_is_smaller_than_the_mini_batch_size_tells_of_it(judge: Judge) -> None:
    found = judged(judge, SLEEPS.format(each=1, once=0), "--parallelrun-set=mini_batch_size=100")
    assert found.outcomes[NAME] == "advice"
    needed = r"A mini-batch takes about (99\.\d|100) s, and timeout is 60 s: 0\.6 times the time needed"
    assert re.search(needed, found.messages[NAME])
    # Two digits, and what the machine adds to the seconds that are slept.
    assert re.search(r"set mini_batch_size=(2[89]|30), or timeout=2[01]\d", found.messages[NAME])


def test_a_timeout_in_the_sample_is_advice(judge: Judge) -> None:
    found = judged(judge, SLEEPS.format(each=70, once=0))
    assert found.outcomes[NAME] == "advice"
    assert "takes longer than timeout = 60 s for mini-batch 0 of the sample, of 1 item." in found.messages[NAME]


def test_where_every_mini_batch_takes_too_long_their_items_are_measured(judge: Judge) -> None:
    found = judged(
        judge, SLEEPS.format(each=6.2, once=0), "--parallelrun-set=mini_batch_size=3", "--parallelrun-set=timeout=15"
    )
    assert found.outcomes[NAME] == "advice"
    message = found.messages[NAME]
    assert "takes longer than timeout = 15 s for mini-batch 0 of the sample, of 3 items." in message
    assert "measured with 1, 2 files on this machine; a mini-batch of 3 takes 18.6 s of timeout 15 s" in message
    assert "largest mini_batch_size with a margin of 2: 1 file; smallest timeout: 38 s" in message
    assert "set mini_batch_size=1, or timeout=38" in message


def test_an_item_that_never_ends_is_waited_for_no_longer_than_a_probe(judge: Judge) -> None:
    settings = ("--parallelrun-set=timeout=1", "--parallelrun-set=max_retries=0")
    found = judged(judge, "def run(mini_batch):\n    while True: pass\n", *settings)
    assert found.outcomes[NAME] == "advice"
    assert "at least 1 s per file, as a mini-batch of 1 file ran into its limit of 1 s;" in found.messages[NAME]
    assert "largest mini_batch_size with a margin of 2: none, one file takes too long" in found.messages[NAME]
    assert "fix: set timeout=2 or more, or make run() quicker" in found.messages[NAME]


def test_an_attempt_that_timed_out_counts_as_at_least_its_timeout(judge: Judge, write: Write) -> None:
    for number in range(8):
        write(f"many/{number}.txt", "")
    script = """
        import time
        def run(mini_batch):
            if any(path.endswith("7.txt") for path in mini_batch):
                time.sleep(70)
            return list(mini_batch)
    """
    found = judged(judge, script, "--parallelrun-set=mini_batch_size=4", input="many")
    message = found.messages[NAME]
    assert "at least 15 s per file, as a mini-batch of 4 files ran into its limit of 60 s;" in message
    assert "a mini-batch of 4 takes at least 60 s of timeout 60 s (at most 1 times the time needed);" in message
    assert "largest mini_batch_size with a margin of 2: at most 2 files; smallest timeout: above 120 s" in message
    assert "fix: set mini_batch_size=2 or less, or timeout=120 or more" in message


LOADS = """
    import time
    from pathlib import Path

    def load():
        time.sleep({load})
        return Path(__file__).with_name("factors.json").read_text()
    {before}
    def run(mini_batch):
        {inside}
        time.sleep(1)
        return [f"{{Path(path).name}} {{factors}}" for path in mini_batch]
"""
IN_RUN = {"before": "", "inside": "factors = load()"}
IN_INIT = {"before": "def init():\n        global factors\n        factors = load()", "inside": "pass"}


@pytest.mark.parametrize(
    ("seconds", "fix"),
    [
        (35, "fix: load 'factors.json' once, in init(), since each call of run() opens it; or set timeout=7"),
        (62, "fix: call load() (line 9) once, in init(), since it takes nothing from an item; or set"),
    ],
    ids=["slow", "over"],
)
def test_what_each_call_loads_belongs_into_init(judge: Judge, write: Write, seconds: int, fix: str) -> None:
    write("factors.json", "{}")
    setting = "--parallelrun-set=mini_batch_size=3"
    found = judge(LOADS.format(load=seconds, **IN_RUN), setting, "-k", "fits_timeout or no_silent", input="data")
    assert fix in "".join(found.messages.values())
    assert judged(judge, LOADS.format(load=seconds, **IN_INIT), setting).outcomes[NAME] == "passed"


def test_one_item_that_takes_too_long_is_said_to(judge: Judge) -> None:
    found = judged(judge, SLEEPS.format(each=40.2, once=0))
    assert found.outcomes[NAME] == "advice"
    assert "largest mini_batch_size with a margin of 2: none, one file takes too long" in found.messages[NAME]
    assert "set timeout=81, or make run() quicker" in found.messages[NAME]


def test_a_quick_script_passes_and_its_figures_are_noted(judge: Judge) -> None:
    found = judged(judge, "def run(mini_batch):\n    return list(mini_batch)\n", "--parallelrun-set=mini_batch_size=3")
    assert found.outcomes[NAME] == "passed"
    (note,) = found.notes[NAME]
    assert re.match(
        r"(at most [\d.]+|less than 0\.1) ms per file, measured with 1, 2, 3 files on this machine; a mini-batch", note
    )
    assert "smallest timeout: 1 s" in note


def test_rows_of_a_table_are_told_in_bytes_too(judge: Judge, write: Write) -> None:
    # 10 rows of 100 bytes, header aside: a mini-batch of 1000 bytes has about 10.
    write("table.csv", "text\n" + f"{'x' * 99}\n" * 10)
    found = judged(judge, SLEEPS.format(each=4, once=0), "--parallelrun-set=mini_batch_size=1000", input="table.csv")
    assert found.outcomes[NAME] == "advice"
    assert "4 s per row" in found.messages[NAME]
    assert "largest mini_batch_size with a margin of 2: 7 rows (about 1 KB)" in found.messages[NAME]


def test_a_script_that_returns_nothing_on_purpose_is_measured(judge: Judge) -> None:
    script = "import time\ndef run(mini_batch):\n    time.sleep(40.2)\n    return []\n"
    assert judged(judge, script, "--parallelrun-set=error_threshold=-1").outcomes[NAME] == "advice"


def test_without_a_result_there_is_nothing_to_measure(judge: Judge) -> None:
    found = judged(judge, "def run(mini_batch):\n    raise ValueError\n")
    assert found.outcomes[NAME] == "skipped"


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({1: [3.0], 2: [5.0], 3: [7.0]}, (1.0, 2.0, True)),
        ({1: [2.0], 3: [6.0]}, (0.0, 2.0, True)),
        ({1: [0.5], 3: [6.0]}, (0.0, 2.0, True)),
        ({1: [0.001], 4: [0.004]}, (0.0, 0.001, False)),
        ({5: [10.0]}, (0.0, 2.0, False)),
        ({1: [1.0, 1.9, 1.9], 2: [1.5, 1.5, 1.5]}, (0.0, 0.75, False)),
        ({1: [36.0], 3: [36.002]}, (36.0, 0.001, True)),
        ({1: [36.0], 3: [35.999]}, (36.0, 0.0, True)),
    ],
    ids=["line", "through zero", "below zero", "too quick", "one size", "noise", "once", "once, with noise"],
)
def test_a_straight_line_is_laid_through_the_shortest_times(
    times: dict[int, list[float]], expected: tuple[float, float, bool]
) -> None:
    at_once, per_item, is_solid = line(times)
    assert (at_once, per_item) == pytest.approx(expected[:2])
    assert is_solid == expected[2]


def test_what_was_cut_raises_a_line_that_lies_below_it() -> None:
    facts = {"full_size": 8, "noun": "row"}
    quick = {1: [0.1], 4: [0.4]}
    within = _model(Times(quick, {2: 0.1}, []), **facts)
    above = _model(Times(quick, {4: 12.0, 2: 1.0}, []), **facts)
    alone = _model(Times({}, {2: 6.0}, []), **facts)
    assert within is not None
    assert above is not None
    assert alone is not None
    assert (within.cut, within.qualifier) == (None, "")
    assert (above.cut, above.qualifier, above.seconds(8)) == ((4, 12.0), "at least ", 24.0)
    assert alone.items_within(7.0) == 2
    assert _model(Times({}, {}, []), **facts) is None


def test_items_within_a_time_are_those_that_the_line_allows() -> None:
    model = RunTimeModel(sizes=(1, 3), at_once=1.0, per_item=2.0, full_size=3, is_solid=True, noun="file")
    assert model.seconds(3) == 7.0
    assert model.items_within(7.5) == 3
    assert model.items_within(0.5) == 0
