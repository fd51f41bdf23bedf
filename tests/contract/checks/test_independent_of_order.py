from __future__ import annotations

import re
import shutil
import tempfile
import uuid
from pathlib import Path

import pytest

from tests.conftest import Write
from tests.contract.conftest import Judge, Judged

CHECK = "independent_of_order"
APPENDS = "--parallelrun-set=output_action=append_row"


@pytest.fixture
def judged(judge: Judge) -> Judge:
    def judged(script: str, *arguments: str, input: str | None = "data", name: str = "score.py") -> Judged:
        return judge(script, "-k", f"test_{CHECK}", *arguments, input=input, name=name)

    return judged


PREVIOUS = """
    previous = "nothing"

    def run(mini_batch):
        global previous
        rows = [f"{path[-10:]} after {previous}" for path in mini_batch]
        previous = mini_batch[-1][-10:]
        return rows
"""
NUMBERS_BY_FILES = """
    import os

    def run(mini_batch):
        folder = os.environ["AZUREML_BI_OUTPUT_PATH"]
        rows = []
        for path in mini_batch:
            rows.append(f"{path[-10:]} {len(os.listdir(folder))}")
            open(os.path.join(folder, os.path.basename(path)), "w").close()
        return rows
"""
FIXED = Path(tempfile.gettempdir(), f"parallelrun_test_{uuid.uuid4()}")
UNPACKS_INTO_ONE_FOLDER = """
    import glob, os, shutil, tempfile

    WORK = os.path.join(tempfile.gettempdir(), "unpacked")

    def init():
        os.makedirs(WORK, exist_ok=True)

    def run(mini_batch):
        rows = []
        for path in mini_batch:
            shutil.copy(path, WORK)
            rows.append(f"{os.path.basename(path)} {len(glob.glob(WORK + '/*.txt'))}")
        return rows
"""
# Of this process alone: tests in others would count in the same file.
COUNTER = Path(tempfile.gettempdir(), f"parallelrun_test_counter_{uuid.uuid4()}.txt")
COUNTS_IN_A_TEMPORARY_FILE = """
    import pathlib

    COUNTER = pathlib.Path("THE_FILE")

    def run(mini_batch):
        rows = []
        for path in mini_batch:
            number = int(COUNTER.read_text()) + 1 if COUNTER.exists() else 1
            COUNTER.write_text(str(number))
            rows.append(f"{path[-10:]} {number}")
        return rows
""".replace("THE_FILE", str(COUNTER))
BY_AGENT = """
    from azureml_user.parallel_run import EntryScript

    def run(mini_batch):
        factor = 1 if EntryScript().agent_name == "process000" else 2
        return [factor * len(path) for path in mini_batch]
"""
CLAIMS = """
    import os

    def init():
        global name
        folder = os.environ["AZUREML_BI_OUTPUT_PATH"]
        name = "b" if os.path.exists(os.path.join(folder, "claimed")) else "a"
        open(os.path.join(folder, "claimed"), "w").close()

    def run(mini_batch):
        return [f"{name} {path[-10:]}" for path in mini_batch]
"""


def test_a_result_that_depends_on_the_mini_batch_before_is_found(judged: Judge) -> None:
    message = judged(PREVIOUS).messages[CHECK]
    assert message.startswith("Results depend on the order of mini-batches: when mini-batch 0 comes first, run()")
    assert "returns 'item_1.txt after nothing'; after mini-batch 1 (item_2.txt) it returns" in message


@pytest.mark.parametrize(
    ("script", "file"),
    [
        (NUMBERS_BY_FILES, "'item_#.txt' in the output folder"),
        (UNPACKS_INTO_ONE_FOLDER, "'unpacked/item_#.txt' in the temporary folder of the machine"),
        (UNPACKS_INTO_ONE_FOLDER.replace("tempfile.gettempdir()", f"'{FIXED}'"), f"'{FIXED}/unpacked/item_#.txt'"),
        (COUNTS_IN_A_TEMPORARY_FILE, f"'{COUNTER}'"),
    ],
    ids=["output", "temporary", "fixed", "counter"],
)
def test_state_that_is_kept_in_files_is_found(judged: Judge, script: str, file: str) -> None:
    found = judged(script, APPENDS)
    shutil.rmtree(FIXED, ignore_errors=True)
    assert found.failed == {CHECK}
    assert "on a fresh worker too" in found.messages[CHECK]
    assert f"Later calls find what run() leaves: {file}." in re.sub(r"item_\d", "item_#", found.messages[CHECK])


def test_a_file_at_a_fixed_path_is_as_the_job_left_it(judged: Judge) -> None:
    COUNTER.unlink(missing_ok=True)
    try:
        judged(COUNTS_IN_A_TEMPORARY_FILE)
        assert COUNTER.read_text() == "3"
    finally:
        COUNTER.unlink(missing_ok=True)


@pytest.mark.parametrize("script", [BY_AGENT, CLAIMS], ids=["name", "first to claim"])
def test_a_result_that_depends_on_the_worker_is_found(judged: Judge, script: str, size: int) -> None:
    found = judged(script, APPENDS, f"--parallelrun-set=mini_batch_size={size}")
    assert found.failed == {CHECK}
    assert found.messages[CHECK].startswith("Results depend on the worker: for mini-batch")


def test_a_table_in_which_rows_depend_on_earlier_ones_is_found(judged: Judge, write: Write) -> None:
    write("table.csv", "x\n1\n2\n30\n")
    script = """
        total = 0

        def run(mini_batch):
            global total
            mini_batch["total"] = mini_batch.x.cumsum() + total
            total = mini_batch.total.iloc[-1]
            return mini_batch
    """
    assert judged(script, input="table.csv").failed == {CHECK}


@pytest.mark.parametrize(
    "script",
    [
        "def run(mini_batch): return [p[-10:] for p in mini_batch]\n",
        "from azureml_user.parallel_run import EntryScript\n"
        "def run(mini_batch): return [f'{EntryScript().agent_name} {p}' for p in mini_batch]\n",
        "import os\ndef run(mini_batch):\n    folder = os.environ['AZUREML_BI_OUTPUT_PATH']\n"
        "    for p in mini_batch: open(os.path.join(folder, os.path.basename(p)), 'w').close()\n"
        "    return [os.path.join(folder, os.path.basename(p)) for p in mini_batch]\n",
        "from concurrent.futures import ThreadPoolExecutor, as_completed\ndef run(mini_batch):\n"
        "    with ThreadPoolExecutor(3) as pool:\n"
        "        return [f.result() for f in as_completed([pool.submit(len, p) for p in mini_batch])]\n",
    ],
    ids=["plain", "agent name in rows", "files by item", "threads"],
)
def test_scripts_whose_results_depend_on_their_items_pass(judged: Judge, script: str, size: int) -> None:
    assert judged(script, APPENDS, f"--parallelrun-set=mini_batch_size={size}").outcomes[CHECK] == "passed"


def test_a_generator_that_was_seeded_once_is_not_blamed(judged: Judge) -> None:
    found = judged("import random\nrandom.seed(1)\ndef run(mini_batch): return [random.random() for _ in mini_batch]\n")
    assert found.outcomes[CHECK] == "skipped"
    assert "seeded once" in found.messages[CHECK]


def test_what_differs_once_and_never_again_is_not_blamed(judged: Judge, write: Write) -> None:
    # The third worker of the gate, which runs backward, answers differently.
    write("births.txt", "")
    script = """
        import pathlib

        def init():
            global odd
            births = pathlib.Path(__file__).with_name("births.txt")
            odd = len(births.read_text()) == 3
            births.open("a").write("x")

        def run(mini_batch):
            return [f"{odd} {path}" for path in mini_batch]
    """
    found = judged(script, "--parallelrun-set=max_concurrency_per_instance=1")
    assert found.failed == set()


SWAPS = """
    import time

    def run(mini_batch):
        # As threads that are taken in the order in which they end.
        ended = sorted(mini_batch, key=lambda path: hash((path, time.perf_counter_ns())))
        return [f"{path[-10:]} {end[-8:]}" for path, end in zip(mini_batch, ended)]
"""
NUMBER = """
    import os

    def number():
        open("mark", "w").close()
        return os.stat("mark").st_mtime_ns % 9973
"""
MAKES_ANEW = (
    NUMBER
    + """
    def run(mini_batch):
        return [f"{path[-10:]} {number()}" for path in mini_batch]
"""
)
SOMETIMES_MORE = (
    NUMBER
    + """
    def run(mini_batch):
        return [path[-10:] for path in mini_batch for _ in range(1 + number() % 499)]
"""
)


@pytest.fixture
def many(write: Write) -> str:
    for number in range(20):
        write(f"many/item_{number:02}.txt", f"text {number}")
    return "many"


def test_values_that_come_to_other_items_in_another_run_fail(judged: Judge, many: str) -> None:
    found = judged(SWAPS, "--parallelrun-set=mini_batch_size=20", input=many)
    assert found.failed == {CHECK}
    assert re.search(
        r"alone, tem_(\d\d).txt gets 'm_\1.txt'; in mini-batch 0 it gets 'm_(\d\d).txt', the value of tem_\2.txt",
        found.messages[CHECK],
    )


NUMBERED = "import random\ndef run(b):\n    names = [path[-10:] for path in b]\n"
SCORES = NUMBERED + "    scores = [1 / (2 + ord(name[-5])) for name in names]\n    random.shuffle(scores)\n"
LABELS = NUMBERED + "    labels = [ord(name[-5]) % 2 for name in names]\n    random.shuffle(labels)\n"
MISPLACES = {
    "numbers": SCORES + "    return [f'{n} {s}' for n, s in zip(names, scores)]\n",
    "two labels": LABELS + "    return [{'file': n, 'label': s} for n, s in zip(names, labels)]\n",
    "beside an id and the time": "import time, uuid\n"
    + SCORES
    + "    return [(n, s, str(uuid.uuid4()), time.time()) for n, s in zip(names, scores)]\n",
    "seeded by init": "def init(): random.seed(1)\n"
    + SCORES
    + "    return [f'{n} {s}' for n, s in zip(names, scores)]\n",
}


@pytest.mark.parametrize("script", MISPLACES.values(), ids=MISPLACES)
def test_values_shuffled_without_their_names_fail(judged: Judge, many: str, script: str) -> None:
    found = judged(script, "--parallelrun-set=mini_batch_size=10", input=many)
    assert found.failed == {CHECK}
    assert "Values come to the wrong items" in found.messages[CHECK]


NOT_MISPLACED = {
    "rows without names": SCORES + "    return scores\n",
    "rows in another order": SCORES.replace("shuffle(scores)", "shuffle(names)")
    + "    return [f'{n} {1 / (2 + ord(n[-5]))}' for n in names]\n",
    "numbered as they come": SCORES + "    return [{'row': i, 'score': s} for i, s in enumerate(scores)]\n",
    "new labels": NUMBERED + "    return [{'file': n, 'label': random.choice('yn')} for n in names]\n",
    "labels that rarely change": NUMBERED
    + "    return [{'file': n, 'label': (ord(n[-5]) + (random.random() < 0.2)) % 2} for n in names]\n",
    "drawn groups": NUMBERED
    + "    groups = list(range(len(b)))\n    random.shuffle(groups)\n"
    + "    return [{'file': n, 'group': g} for n, g in zip(names, groups)]\n",
    "drawn from a list": NUMBERED + "    return [f'{n} {random.choice([0.12345, 0.77777, 0.99991])}' for n in names]\n",
}


@pytest.mark.parametrize("script", NOT_MISPLACED.values(), ids=NOT_MISPLACED)
def test_random_rows_and_other_orders_are_no_wrong_items(judged: Judge, many: str, script: str) -> None:
    found = judged(script, "--parallelrun-set=mini_batch_size=10", input=many)
    assert found.failed == set()


def test_rows_of_one_file_that_are_mixed_up_fail(judged: Judge, write: Write) -> None:
    for number in range(2):
        rows = "".join(f"id-{number}-{row},{row**0.5}\n" for row in range(1, 9))
        write(f"tables/{number}.csv", rows)
    script = """
        import random

        def run(mini_batch):
            rows = []
            for path in mini_batch:
                lines = [line.strip().split(",") for line in open(path)]
                scores = [float(value) / 3 for _, value in lines]
                random.shuffle(scores)
                rows += [{"id": id, "score": score} for (id, _), score in zip(lines, scores)]
            return rows
    """
    found = judged(script, "--parallelrun-set=mini_batch_size=1", input="tables")
    assert found.failed == {CHECK}
    assert "in one run id-" in found.messages[CHECK]


@pytest.mark.parametrize("script", [MAKES_ANEW, SOMETIMES_MORE], ids=["values", "number of rows"])
def test_other_results_in_another_run_are_advice(judged: Judge, script: str) -> None:
    found = judged(script)
    assert found.outcomes[CHECK] == "advice"
    assert "no random number generator was used" in found.messages[CHECK]
    assert "to the wrong items" not in found.messages[CHECK]


def test_a_flaw_beside_results_that_change_is_still_found(judged: Judge) -> None:
    script = PREVIOUS.replace('f"{path[-10:]} after {previous}"', 'f"{time.perf_counter_ns() % 9973} {previous}"')
    found = judged("import time\n" + script.replace("\n    ", "\n"))
    assert found.failed == {CHECK}
    assert "Results depend on the order of mini-batches" in found.messages[CHECK]


DRAWS = {
    "from the process": "import random\ndef run(b): return [random.random() for _ in b]\n",
    "from one made in run()": "import numpy\ndef run(b): return list(numpy.random.default_rng().normal(size=len(b)))\n",
    "from the system": "import os\ndef run(b): return [int.from_bytes(os.urandom(4), 'big') for _ in b]\n",
    "in a name": "import importlib\ndef run(b):\n    r = importlib.import_module('random')\n"
    "    return [r.Random().random() for _ in b]\n",
    "by the clock": "import time\ndef run(b): return [f'{p}: {time.perf_counter_ns() % 9973} units' for p in b]\n",
    "in a module of its own": "import helper\ndef run(b): return [helper.draw() for _ in b]\n",
}


@pytest.mark.parametrize("script", DRAWS.values(), ids=DRAWS)
def test_what_is_drawn_may_change(judged: Judge, write: Write, script: str) -> None:
    write("helper.py", "import secrets\ndef draw(): return secrets.token_hex(8)\n")
    found = judged(script)
    assert found.outcomes[CHECK] == "skipped"
    assert "results are not reproducible" in found.messages[CHECK]


IN_A_PROCESS = "--parallelrun-engine=process"


def test_hash_of_a_text_fails_where_workers_are_processes(judged: Judge) -> None:
    found = judged("def run(b): return [hash(p[-10:]) % 999983 for p in b]\n", IN_A_PROCESS)
    assert found.failed == {CHECK}
    assert "hash() of a string" in found.messages[CHECK]


def test_a_generator_that_run_imports_is_watched_where_workers_are_processes(judged: Judge) -> None:
    script = "def run(b):\n    import numpy\n    return numpy.random.randint(10**6, size=len(b)).tolist()\n"
    assert judged(script, IN_A_PROCESS).outcomes[CHECK] == "skipped"


def test_a_run_that_fails_at_times_is_not_called_chance(judged: Judge, write: Write) -> None:
    # Every second worker of the gate finds the service busy.
    write("births.txt", "")
    script = """
        import pathlib

        def init():
            global busy
            births = pathlib.Path(__file__).with_name("births.txt")
            busy = len(births.read_text()) % 2
            births.open("a").write("x")

        def run(mini_batch):
            if busy:
                raise ConnectionError("busy")
            return [path[-10:] for path in mini_batch]
    """
    assert judged(script, "--parallelrun-set=max_concurrency_per_instance=1").outcomes[CHECK] in ("skipped", "passed")
