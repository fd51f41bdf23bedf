from __future__ import annotations

import re

import hypothesis
import pytest

from tests.conftest import Write
from tests.contract.conftest import Judge, Judged
from tests.light import SOME

CHECK = "behaves_under_error_thresholds"
ONE = "one"
"""A profile in which next to nothing is drawn."""
hypothesis.settings.register_profile(ONE, max_examples=1, derandomize=True, database=None)


@pytest.fixture
def found(judge: Judge) -> Judge:
    """The check alone, with enough examples."""

    def found(script: str, *arguments: str, input: str | None = "data", name: str = "score.py") -> Judged:
        return judge(script, "-k", CHECK, f"--hypothesis-profile={SOME}", *arguments, input=input, name=name)

    return found


SOUND = {
    "raises for what it cannot read": "def run(mini_batch): return [open(p).read() for p in mini_batch]",
    "an error row for what it cannot read": (
        "def one(p):\n    try: return open(p).read()\n    except OSError as error: return f'{p}: {error}'\n"
        "def run(mini_batch): return [one(p) for p in mini_batch]"
    ),
    "leaves out what it cannot read": (
        "import os\ndef run(mini_batch): return [p for p in mini_batch if os.path.isfile(p)]"
    ),
    "more rows than files": "def run(mini_batch): return [p for p in mini_batch for _ in range(3)]",
    "a cache": "seen = {}\ndef run(mini_batch): return [seen.setdefault(p, len(p)) for p in mini_batch]",
    "a tuple": "def run(mini_batch): return tuple(mini_batch)",
}


@pytest.mark.parametrize("script", SOUND.values(), ids=SOUND)
def test_sound_scripts_pass(found: Judge, script: str) -> None:
    assert found(script).outcomes == {CHECK: "passed"}


@pytest.mark.parametrize("profile", ["batch", "v1"])
def test_a_sound_script_passes_in_the_other_profiles(found: Judge, profile: str) -> None:
    script = SOUND["leaves out what it cannot read"]
    assert found(script, f"--parallelrun-set=profile={profile}").outcomes == {CHECK: "passed"}


FLAWED = {
    "skips what it has seen": (
        "seen = set()\ndef run(mini_batch):\n    new = [p for p in mini_batch if p not in seen]\n"
        "    seen.update(mini_batch)\n    return new",
        "In a generated job, run() fails on a valid mini-batch",
    ),
    "nothing where a file cannot be read": (
        "def run(mini_batch):\n    try: return [open(p).read() for p in mini_batch]\n"
        "    except OSError as error: print(error)",
        "In a generated job, run() fails on a mini-batch with an item that cannot be read",
    ),
    "ends the process where a file cannot be read": (
        "import os\ndef run(mini_batch):\n    try: return [open(p).read() for p in mini_batch]\n"
        "    except OSError: os._exit(1)",
        "In a generated job, run() fails on a mini-batch with an item that cannot be read",
    ),
    "gives up for good after an error": (
        "bad = []\ndef run(mini_batch):\n    if bad: return []\n    try: return [open(p).read() for p in mini_batch]\n"
        "    except OSError: bad.append(1); raise",
        "In a generated job, run() fails on a valid mini-batch",
    ),
}


@pytest.mark.parametrize(("script", "what"), FLAWED.values(), ids=FLAWED)
def test_flaws_are_found_with_the_arithmetic(found: Judge, script: str, what: str) -> None:
    result = found(script)
    assert result.outcomes == {CHECK: "failed"}
    message = result.messages[CHECK]
    assert what in message
    assert " in, " in message
    assert " failed" in message


@pytest.mark.parametrize(("script", "what"), FLAWED.values(), ids=FLAWED)
def test_flaws_that_the_plainest_jobs_show_are_not_left_to_what_is_drawn(judge: Judge, script: str, what: str) -> None:
    result = judge(script, "-k", CHECK, f"--hypothesis-profile={ONE}")
    assert result.outcomes == {CHECK: "failed"}
    assert what in result.messages[CHECK]


def test_so_are_those_with_many_results_for_an_item(judge: Judge) -> None:
    script = (
        "seen = set()\ndef run(mini_batch):\n    new = [p for p in mini_batch if p not in seen]\n"
        "    seen.update(mini_batch)\n    return [f'{p}: {n}' for p in new for n in range(3)]"
    )
    assert judge(script, "-k", CHECK, f"--hypothesis-profile={ONE}").outcomes == {CHECK: "failed"}


@pytest.mark.parametrize("profile", ["v1", "batch"])
def test_and_with_thresholds_of_the_user_in_every_profile(judge: Judge, profile: str) -> None:
    script = FLAWED["skips what it has seen"][0]
    strict = ("--parallelrun-set=error_threshold=0", f"--parallelrun-set=profile={profile}")
    assert judge(script, "-k", CHECK, f"--hypothesis-profile={ONE}", *strict).outcomes == {CHECK: "failed"}


def test_so_are_those_of_tables_and_partitions(judge: Judge, write: Write) -> None:
    write("rows.csv", "key,id\n" + "".join(f"k{n % 3},{n}\n" for n in range(30)))
    one = ("-k", CHECK, f"--hypothesis-profile={ONE}")
    forgetful = "seen = set()\ndef run(t):\n    t = t[~t.id.isin(seen)]\n    seen.update(t.id)\n    return t"
    for size in ("mini_batch_size=20", "partition_keys=key"):
        judged = judge(forgetful, *one, f"--parallelrun-set={size}", input="rows.csv")
        assert judged.outcomes == {CHECK: "failed"}
        judged = judge("def run(t): return t", *one, f"--parallelrun-set={size}", input="rows.csv")
        assert judged.outcomes == {CHECK: "passed"}


def test_tables_are_run_too(found: Judge, write: Write) -> None:
    write("rows.csv", "id\n" + "".join(f"{n}\n" for n in range(30)))
    forgetful = "seen = set()\ndef run(t):\n    t = t[~t.id.isin(seen)]\n    seen.update(t.id)\n    return t"
    assert found(forgetful, "--parallelrun-set=mini_batch_size=20", input="rows.csv").outcomes == {CHECK: "failed"}
    assert found("def run(t): return t", input="rows.csv").outcomes == {CHECK: "passed"}


def test_one_init_call_serves_all_jobs(found: Judge) -> None:
    # One is that of the sample, and one runs all jobs.
    assert found("def run(mini_batch): return mini_batch").init_calls == 2


def test_a_budget_cuts_generation_and_says_so(found: Judge) -> None:
    slow = (
        "import time\ndef run(mini_batch):\n    end = time.process_time() + 0.02\n"
        "    while time.process_time() < end: pass\n    return mini_batch"
    )
    result = found(slow, "--parallelrun-budget=0.2")
    assert result.outcomes == {CHECK: "passed"}
    (note,) = result.notes[CHECK]
    assert re.fullmatch(r"--parallelrun-budget=0.2: generation was cut after \d+ mini-batches", note)
