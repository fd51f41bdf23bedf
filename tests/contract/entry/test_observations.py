"""Observations of a script that are shared by checks; the checks themselves are tested by what they find."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from pytest_parallelrun.contract.bounds import MAX_GROUPS
from pytest_parallelrun.contract.dependence.state import dependence
from pytest_parallelrun.contract.entry.baseline import Baseline
from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
from pytest_parallelrun.contract.entry.observations import Observations
from pytest_parallelrun.emulator.entry import EntryFile, find_entry
from pytest_parallelrun.emulator.settings import JobSettings

ECHO = "def run(mini_batch):\n    return [path[-5:] for path in mini_batch]\n"


class Sample:
    """Makes the trials of a script on numbered files, or on a table."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def trials(self, script: str, *, files: int = 3, table: str = "", **settings: object) -> Observations:
        entry_file = self.folder / "code" / "score.py"
        entry_file.parent.mkdir()
        entry_file.write_text(textwrap.dedent(script), encoding="utf-8")
        sample = self.folder / "sample"
        sample.mkdir()
        for number in range(files):
            (sample / f"{number:05}").write_text("x" * number, encoding="utf-8")
        if table:
            sample = self.folder / "table.csv"
            sample.write_text(table, encoding="utf-8")
        work = self.folder / "work"
        work.mkdir()
        found = find_entry(entry_file, None)
        assert isinstance(found, EntryFile)
        entry = EntryUnderTest(
            entry=found,
            settings=JobSettings(**settings),  # type: ignore[arg-type]
            arguments=(),
            models={},
            sample=str(sample),
            folder=work,
        )
        copy = entry.copy_sample()
        return Observations(entry, Baseline(entry.job(copy.input), copy))


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path)


def ids(groups: tuple[SampleMiniBatch, ...]) -> list[int]:
    return [group.id for group in groups]


def test_groups_are_the_mini_batches_that_succeeded(sample: Sample) -> None:
    script = "def run(b):\n    if b[0][-1] == '1': raise ValueError\n    return b\n"
    trials = sample.trials(script)
    assert ids(trials.groups) == [0, 2]
    assert trials.groups[1].names == ("00002",)


def test_of_many_mini_batches_an_even_choice_is_taken(sample: Sample) -> None:
    trials = sample.trials(ECHO, files=100)
    assert len(trials.groups) == MAX_GROUPS
    assert (trials.groups[0].id, trials.groups[-1].id) == (0, 99)


def test_where_none_succeeded_those_that_returned_too_little_are_asked(sample: Sample) -> None:
    trials = sample.trials("def run(b):\n    return []\n")
    assert trials.groups == ()
    assert ids(trials.answered) == [0, 1, 2]


def test_one_that_failed_is_asked_again(sample: Sample) -> None:
    script = "calls = []\ndef run(b):\n    calls.append(1)\n    if len(calls) > 1: raise ValueError\n    return b\n"
    trials = sample.trials(script)
    assert ids(trials.answered) == [0]
    assert ids(trials.asked) == [0, 1, 2]
    assert trials.backward.rows(trials.asked[2]) is not None


def test_a_single_mini_batch_is_halved_and_no_item_comes_twice(sample: Sample) -> None:
    trials = sample.trials(ECHO, files=3, mini_batch_size=3)
    assert [group.names for group in trials.asked] == [("00000",), ("00001", "00002")]
    assert [(group.id, group.first_item) for group in trials.asked] == [(1, 0), (2, 1)]


def test_a_single_mini_batch_is_observed_as_a_whole_too(sample: Sample) -> None:
    trials = sample.trials(ECHO, files=3, mini_batch_size=3)
    assert trials.forward.rows(trials.groups[0]) == ["00000", "00001", "00002"]


def test_halves_of_a_table_keep_their_first_row(sample: Sample) -> None:
    script = "def run(b, context):\n    return [context.global_row_index_lower_bound + i for i in range(len(b))]\n"
    trials = sample.trials(script, table="x\n" + "1\n" * 5)
    first, second = trials.asked
    assert (trials.forward.rows(first), trials.forward.rows(second)) == ([0, 1], [2, 3, 4])


def test_files_that_the_script_changed_moved_or_made_are_put_back(sample: Sample) -> None:
    script = """
        import os

        def run(mini_batch):
            for path in mini_batch:
                number = int(path[-1])
                open(path + ".new", "w").close()
                if number == 0:
                    open(path, "w").write("changed")
                elif number == 1:
                    os.remove(path)
            return mini_batch
    """
    trials = sample.trials(script)
    _ = trials.forward
    trials.restore()
    contents = {path.name: path.read_text() for path in Path(trials.root).iterdir()}
    assert contents == {"00000": "", "00001": "x", "00002": "xx"}


def test_the_probe_is_twenty_times_the_slowest_mini_batch_and_a_second_at_least(sample: Sample) -> None:
    assert sample.trials(ECHO).probe_limit == 1.0


def test_a_slow_mini_batch_makes_a_longer_probe(sample: Sample) -> None:
    trials = sample.trials("import time\ndef run(b):\n    time.sleep(0.5)\n    return b\n", files=1)
    assert trials.probe_limit == pytest.approx(10, rel=0.2)


@pytest.mark.parametrize(("files", "workers"), [(2, 3), (3, 3)])
def test_a_script_whose_answers_agree_needs_few_workers(sample: Sample, files: int, workers: int) -> None:
    trials = sample.trials(ECHO, files=files)
    before = trials.entry.init_calls.total
    assert trials.nondeterministic is None
    assert dependence(trials) is None
    assert trials.entry.init_calls.total - before == workers


def test_random_values_are_told_from_others(sample: Sample) -> None:
    trials = sample.trials("import random\ndef run(b):\n    return [{'p': p, 'r': random.random()} for p in b]\n")
    assert str(trials.nondeterministic) == "column 'r'"
    assert dependence(trials) is None


def test_a_number_of_rows_that_is_random_is_told(sample: Sample) -> None:
    trials = sample.trials("import random\ndef run(b):\n    return ['x'] * random.randint(1, 10**4)\n")
    assert trials.nondeterministic is not None
    assert trials.nondeterministic.all_rows


def test_failures_that_come_and_go_leave_nothing_to_compare(sample: Sample) -> None:
    script = "import random\ndef run(b):\n    if random.random() < 0.5: raise ValueError\n    return b\n"
    trials = sample.trials(script, files=12, max_retries=10)
    assert trials.nondeterministic is not None
    assert trials.nondeterministic.all_rows


@pytest.mark.parametrize(
    ("script", "origin", "before"),
    [
        ("n = 0\ndef run(b):\n    global n\n    n += 1\n    return [n]\n", "memory", [1]),
        ("n = 0\ndef run(b):\n    global n\n    n += 1\n    return [n > 2]\n", "memory", [2, 1]),
        ("import random\nrandom.seed(0)\ndef run(b):\n    return [random.random()]\n", "random numbers", [2, 1]),
        (
            "import os\ndef run(b):\n    f = os.environ['AZUREML_BI_OUTPUT_PATH']\n    n = len(os.listdir(f))\n"
            "    open(os.path.join(f, b[0][-1]), 'w').close()\n    return [n]\n",
            "files",
            [1],
        ),
    ],
    ids=["memory", "long memory", "seeded", "files"],
)
def test_the_origin_and_the_shortest_history_are_found(
    sample: Sample, script: str, origin: str, before: list[int]
) -> None:
    found = dependence(sample.trials(script, output_action="append_row"))
    assert found is not None
    assert (found.origin, found.mini_batch.id, ids(found.before)) == (origin, 0, before)


def test_one_item_of_the_history_is_found_to_be_enough(sample: Sample) -> None:
    script = "seen = []\ndef run(b):\n    seen.extend(b)\n    return [len(seen)] * len(b)\n"
    found = dependence(sample.trials(script, files=6, mini_batch_size=3))
    assert found is not None
    assert [group.names for group in found.before] == [("00003",)]


def test_it_is_asked_once(sample: Sample) -> None:
    trials = sample.trials("n = 0\ndef run(b):\n    global n\n    n += 1\n    return [n]\n")
    found = dependence(trials)
    before = trials.entry.init_calls.total
    assert dependence(trials) is found
    assert trials.entry.init_calls.total == before
