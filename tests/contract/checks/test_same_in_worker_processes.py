from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pytest_parallelrun.contract.entry.observations import Observations
from pytest_parallelrun.emulator.engines.process import pool
from tests.contract.conftest import Judge, Judged

CHECK = "same_in_worker_processes"
IN_PROCESSES = Observations.comparing_processes
"""As it is: other tests do without worker processes."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no worker processes there")


@pytest.fixture(autouse=True)
def _in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Observations, "comparing_processes", IN_PROCESSES)


def judged(judge: Judge, script: str, *arguments: str) -> Judged:
    return judge("import sys\n" + script, "-k", CHECK, *arguments)


TAGS = "TAGS = {'red', 'green', 'blue', 'black', 'white', 'grey', 'pink', 'cyan'}\n"
SEEDED = {
    "a set": TAGS + "def run(b): return [f'{p}: {list(TAGS)}' for p in b]\n",
    "hash()": "def run(b): return [f'{p}: {hash(p[-10:]) % 999983}' for p in b]\n",
    "a set of init()": TAGS + "def init():\n    global tags\n    tags = ' '.join(TAGS)\n"
    "def run(b): return [p + tags for p in b]\n",
}
STEADY = {
    "a sorted set": TAGS + "def run(b): return [f'{p}: {sorted(TAGS)}' for p in b]\n",
    "a digest": "import hashlib\ndef run(b): return [p + hashlib.md5(p[-10:].encode()).hexdigest() for p in b]\n",
    "process ids and times": "import os, time\ndef run(b): return [f'{p} {time.time()}' for p in b]\n",
    "rows in another order": "def run(b): return list(set(b))\n",
}


@pytest.mark.parametrize("script", SEEDED.values(), ids=SEEDED)
def test_rows_that_depend_on_the_hash_seed_fail(judge: Judge, script: str) -> None:
    found = judged(judge, script)
    assert found.failed == {CHECK}
    assert "in a process with another hash seed it returns" in found.messages[CHECK]
    assert "sort a set" in found.messages[CHECK]


@pytest.mark.parametrize("script", STEADY.values(), ids=STEADY)
def test_rows_that_do_not_depend_on_it_pass(judge: Judge, script: str) -> None:
    assert judged(judge, script).outcomes[CHECK] == "passed"


def test_random_rows_are_no_finding(judge: Judge) -> None:
    found = judged(judge, "import random\ndef run(b): return [f'{p} {random.random()}' for p in b]\n")
    assert found.outcomes[CHECK] == "skipped"
    assert "results are not reproducible" in found.messages[CHECK]


ONLY_IN_PYTEST = {
    "run": (
        "def run(b):\n    sys.modules['_pytest']\n    return list(b)\n",
        "run() works in the process of pytest only",
    ),
    "import": ("sys.modules['_pytest']\ndef run(b): return list(b)\n", "can be imported in the process of pytest only"),
}


@pytest.mark.parametrize(("script", "message"), ONLY_IN_PYTEST.values(), ids=ONLY_IN_PYTEST)
def test_what_only_the_process_of_pytest_provides_fails(judge: Judge, script: str, message: str) -> None:
    found = judged(judge, script)
    assert found.failed == {CHECK}
    assert message in found.messages[CHECK]
    assert "KeyError: '_pytest'" in found.messages[CHECK]


def test_rows_that_are_the_same_in_all_processes_do_not_fail(judge: Judge) -> None:
    found = judged(judge, "def run(b): return [f'{p} {\"_pytest\" in sys.modules}' for p in b]\n")
    assert found.outcomes[CHECK] == "skipped"
    assert "an emulated worker returns" in found.messages[CHECK]


def test_the_seed_of_the_job_is_kept(judge: Judge) -> None:
    found = judged(judge, SEEDED["hash()"], "--parallelrun-env=PYTHONHASHSEED=0")
    assert found.failed == set()


def test_it_is_skipped_where_there_are_no_worker_processes(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "ON_POSIX", False)
    found = judged(judge, SEEDED["hash()"])
    assert found.outcomes[CHECK] == "skipped"
    assert "needs Linux or macOS" in found.messages[CHECK]


def test_a_long_sample_is_not_repeated(judge: Judge) -> None:
    found = judged(judge, "import time\ndef run(b):\n    time.sleep(20)\n    return list(b)\n")
    assert found.outcomes[CHECK] == "skipped"
    assert "s for the sample" in found.messages[CHECK]


def test_without_it_no_process_starts(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Observations, "comparing_processes", None)
    assert judge(SEEDED["hash()"], "-k", "independent_of_order").failed == set()


def test_the_processes_serve_the_other_checks(judge: Judge) -> None:
    found = judge("def run(b): return [p[-10:] for p in b if open(p).read() or True]\n")
    assert found.outcomes[CHECK] == "passed"
    assert found.failed == set()
    assert found.init_calls <= 8


def test_workers_of_the_process_engine_are_used(judge: Judge) -> None:
    assert judged(judge, SEEDED["hash()"], "--parallelrun-engine=process").failed == {CHECK}


MEETING = """
import os, time
from time import monotonic
PLACE = {place!r}
def init():
    if os.environ.get('PYTHONHASHSEED') in ('1', '2'):
        os.makedirs(os.path.join(PLACE, os.environ['PYTHONHASHSEED']), exist_ok=True)
        end = monotonic() + 3
        while monotonic() < end:
            if sorted(os.listdir(PLACE))[:2] == ['1', '2']:
                os.makedirs(os.path.join(PLACE, 'met-' + os.environ['PYTHONHASHSEED']))
                break
            time.sleep(0.01)
"""
"""In init() each of the two processes waits for the other one."""


def test_two_processes_of_a_script_that_writes_nothing_start_at_once(judge: Judge, tmp_path: Path) -> None:
    place = tmp_path / "place"
    found = judged(judge, MEETING.format(place=str(place)) + "def run(b): return list(b)\n")
    assert found.outcomes[CHECK] == "passed"
    assert sorted(os.listdir(place)) == ["1", "2", "met-1", "met-2"]


def test_two_processes_of_a_script_that_writes_start_in_turn(judge: Judge, tmp_path: Path) -> None:
    place = tmp_path / "place"
    writes = f"def run(b):\n    open({str(tmp_path / 'log')!r}, 'w').close()\n    return list(b)\n"
    judged(judge, MEETING.format(place=str(place)) + writes)
    assert sorted(os.listdir(place)) == ["1", "2", "met-2"]


def test_what_both_processes_write_into_the_output_of_the_job_is_still_compared(judge: Judge, tmp_path: Path) -> None:
    script = (
        "import os\ndef init():\n    with open(os.path.join(os.environ['OUT'], 'model.txt'), 'w') as file:\n"
        "        file.write(os.environ.get('PYTHONHASHSEED', ''))\ndef run(b): return list(b)\n"
    )
    (tmp_path / "out").mkdir()
    where = "--parallelrun-env=OUT=" + str(tmp_path / "out")
    found = judge(script, "-k", f"{CHECK} or workers_do_not_collide", where)
    assert found.failed == {"workers_do_not_collide"}
    in_job = script.replace("'OUT'", "'AZUREML_BI_OUTPUT_PATH'")
    found = judge(in_job, "-k", f"{CHECK} or workers_do_not_collide", "--parallelrun-set=output_action=append_row")
    assert found.failed == {"workers_do_not_collide"}
