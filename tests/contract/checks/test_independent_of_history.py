from __future__ import annotations

import pytest

from tests.conftest import Write
from tests.contract.conftest import Judge, Judged

CHECK = "independent_of_history"


@pytest.fixture
def judged(judge: Judge) -> Judge:
    def judged(script: str, *arguments: str, input: str | None = "data", name: str = "score.py") -> Judged:
        return judge(script, "-k", f"test_{CHECK}", *arguments, input=input, name=name)

    return judged


COUNTS = """
    calls = 0

    def run(mini_batch):
        global calls
        calls += 1
        return [f"{calls} {path[-10:]}" for path in mini_batch]
"""
COLLECTS = """
    results = []

    def run(mini_batch):
        for path in mini_batch:
            results.append(path[-10:])
        return results
"""
USES_UP = """
    def init():
        global names
        names = iter(["first"])

    def run(mini_batch):
        return [f"{next(names)} {path}" for path in mini_batch]
"""
LEARNS = """
    class Model:
        def __init__(self):
            self.mean = 1.0

        def score(self, path):
            self.mean = 0.5 * self.mean + len(open(path).read())
            return self.mean

    def init():
        global model
        model = Model()

    def run(mini_batch):
        return [{"item": path, "score": model.score(path)} for path in mini_batch]
"""


@pytest.mark.parametrize("script", [COUNTS, COLLECTS, LEARNS], ids=["counts", "collects", "learns"])
def test_what_is_kept_between_calls_is_found(judged: Judge, script: str, size: int) -> None:
    found = judged(script, f"--parallelrun-set=mini_batch_size={size}")
    assert found.failed == {CHECK}
    assert found.messages[CHECK].startswith("run() depends on earlier mini-batches: for mini-batch ")


def test_what_is_used_up_after_one_mini_batch_is_found(judged: Judge) -> None:
    # All others failed in the job.
    assert judged(USES_UP).failed == {CHECK}


@pytest.mark.parametrize(
    ("script", "changed", "fix"),
    [
        (
            "def f(p, *, seen=[]):\n    seen.append(p[-5:])\n    return str(seen)\n"
            "def run(b): return [f(p) for p in b]\n",
            "the default argument 'seen' of f(), which gains '1.txt'",
            "write seen=None, and create the object inside f()",
        ),
        (
            "def run(b):\n    run.calls += 1\n    return [f'{run.calls} {p}' for p in b]\nrun.calls = 0\n",
            "'run.calls', from 0 to 1",
            "set 'run.calls' inside run()",
        ),
        (
            "def make():\n    seen = []\n    def run(b):\n        seen.append(b[0][-5:])\n        return [str(seen)]\n"
            "    return run\nrun = make()\n",
            "'make.<locals>.run.seen', which gains '1.txt'",
            "start with an empty one in each call of run()",
        ),
    ],
    ids=["default argument", "attribute", "closure"],
)
def test_what_functions_keep_is_named(judged: Judge, script: str, changed: str, fix: str) -> None:
    message = judged(script).messages[CHECK]
    assert f"In a call, run() changes {changed}." in message.replace("'2.txt'", "'1.txt'")
    assert fix in message.partition("fix: ")[2]


def test_both_answers_and_the_smallest_history_are_told(judged: Judge) -> None:
    message = judged(COUNTS).messages[CHECK]
    assert (
        "for mini-batch 0 a fresh worker returns '1 item_1.txt'; after mini-batch 1 (item_2.txt) the same worker"
        in message
    )
    assert "the same worker returns '2 item_1.txt'." in message
    assert "where: run(), mini-batch 0 (item_1.txt)" in message


def test_a_failure_of_a_warm_worker_is_told_with_its_traceback(judged: Judge) -> None:
    message = judged(USES_UP).messages[CHECK]
    assert "the same worker fails: StopIteration" in message
    assert 'score.py", line 6' in message


def test_a_history_of_several_mini_batches_is_found(judged: Judge) -> None:
    script = (
        "calls = 0\ndef run(mini_batch):\n    global calls\n    calls += 1\n"
        "    return ['late' if calls > 2 else 'early' for _ in mini_batch]\n"
    )
    message = judged(script).messages[CHECK]
    assert "after mini-batches 2, 1 the same worker returns 'late'" in message


@pytest.mark.parametrize("check", [CHECK, "independent_of_order"])
def test_what_comes_back_after_every_second_call_is_found_in_an_odd_number_of_mini_batches(
    judge: Judge, check: str
) -> None:
    # Forward and backward the first and the third of three have an even number of others before them.
    script = (
        "import itertools\nvariants = itertools.cycle('AB')\n"
        "def run(mini_batch):\n    name = next(variants)\n    return [f'{name} {path[-10:]}' for path in mini_batch]\n"
    )
    found = judge(script, "-k", f"test_{check}")
    assert found.failed == {check}
    assert "'A item_2.txt'" in found.messages[check]
    assert "after mini-batch 0 (item_1.txt) " in found.messages[check]
    assert " returns 'B item_2.txt'" in found.messages[check]


def test_what_a_second_worker_answers_differently_is_not_called_state(judge: Judge) -> None:
    script = "import os\ndef run(b): return [f\"{'process001' in os.getcwd()} {p[-10:]}\" for p in b]\n"
    found = judge(script, "-k", "independent_of")
    assert found.failed == {"independent_of_order"}
    assert "Results depend on the worker" in found.messages["independent_of_order"]


def test_statistics_of_earlier_rows_of_a_table_are_found(judged: Judge, write: Write) -> None:
    write("table.csv", "x\n1\n2\n30\n40\n")
    script = """
        seen = []

        def run(mini_batch):
            seen.extend(mini_batch.x)
            mini_batch["score"] = mini_batch.x - sum(seen) / len(seen)
            return mini_batch
    """
    assert judged(script, input="table.csv").failed == {CHECK}


def test_it_is_replayed_with_both_mini_batches(judged: Judge, write: Write) -> None:
    found = judged(COUNTS, "--parallelrun-save=cases")
    assert "--parallelrun-replay=" in found.messages[CHECK]


@pytest.mark.parametrize(
    "script",
    [
        "def run(mini_batch): return [p[-10:] for p in mini_batch]\n",
        "cache = {}\ndef run(mini_batch): return [cache.setdefault(p, len(p)) for p in mini_batch]\n",
        "def run(mini_batch, context): return [f'{context.minibatch_index} {p}' for p in mini_batch]\n",
        "from uuid import uuid4\ndef run(mini_batch): return [f'{p} {uuid4()}' for p in mini_batch]\n",
        "import random\ndef run(mini_batch): return [random.Random(p).random() for p in mini_batch]\n",
        "import time\ndef run(mini_batch): return [{'p': p, 'elapsed': time.perf_counter()} for p in mini_batch]\n",
        "from azureml_user.parallel_run import EntryScript\n"
        "def run(mini_batch): return [f'{EntryScript().agent_name} {p}' for p in mini_batch]\n",
        "model = None\ndef run(mini_batch):\n    global model\n    model = model or 3\n"
        "    return [model for p in mini_batch]\n",
    ],
    ids=["plain", "cache", "context", "uuid", "seeded by item", "elapsed", "agent name", "loads late"],
)
def test_a_script_whose_results_depend_on_their_items_passes(judged: Judge, script: str, size: int) -> None:
    assert judged(script, f"--parallelrun-set=mini_batch_size={size}").outcomes[CHECK] == "passed"


def test_a_table_changed_in_place_passes(judged: Judge, write: Write) -> None:
    write("table.csv", "x\n1\n2\n30\n")
    script = "def run(mini_batch):\n    mini_batch['y'] = mini_batch.x * 2\n    return mini_batch\n"
    assert judged(script, input="table.csv").outcomes[CHECK] == "passed"


def test_random_results_are_said_to_be_random(judged: Judge) -> None:
    found = judged("import random\ndef run(mini_batch): return [f'{p} {random.random()}' for p in mini_batch]\n")
    assert found.outcomes[CHECK] == "skipped"
    assert (
        "results are not reproducible: two identical runs on fresh workers differ in word 2 of the text"
        in found.messages[CHECK]
    )


def test_a_flaw_beside_random_values_is_found(judged: Judge) -> None:
    script = COUNTS.replace('f"{calls} {path[-10:]}"', '{"n": str(calls), "r": random()}')
    found = judged("from random import random\n" + script.replace("\n    ", "\n"))
    assert found.failed == {CHECK}


@pytest.mark.parametrize(
    "script",
    [
        "import random\nrandom.seed(0)\ndef run(mini_batch): return [random.random() for _ in mini_batch]\n",
        "import random\nr = random.Random(0)\ndef run(mini_batch): return [r.random() for _ in mini_batch]\n",
        "import numpy as np\ndef init():\n    global r\n    r = np.random.default_rng(0)\n"
        "def run(mini_batch): return [r.normal() for _ in mini_batch]\n",
        "import numpy as np\nnp.random.seed(0)\ndef run(mini_batch): return [np.random.rand() for _ in mini_batch]\n",
        "import numpy as np\nr = np.random.RandomState(0)\ndef run(files): return [r.rand() for _ in files]\n",
    ],
    ids=["random", "Random", "Generator", "numpy", "RandomState"],
)
def test_a_generator_that_was_seeded_once_is_told_from_state(judged: Judge, script: str) -> None:
    found = judged(script)
    assert found.outcomes[CHECK] == "skipped"
    assert "draws random numbers from a generator that was seeded once" in found.messages[CHECK]


def test_state_kept_in_files_is_left_to_the_check_of_order(judged: Judge) -> None:
    script = (
        "import os\ndef run(mini_batch):\n    folder = os.environ['AZUREML_BI_OUTPUT_PATH']\n"
        "    rows = [len(os.listdir(folder)) for _ in mini_batch]\n"
        "    for p in mini_batch: open(os.path.join(folder, os.path.basename(p)), 'w').close()\n    return rows\n"
    )
    found = judged(script, "--parallelrun-set=output_action=append_row")
    assert found.outcomes[CHECK] == "skipped"
    assert "see test_independent_of_order" in found.messages[CHECK]


def test_it_cannot_be_decided_without_rows(judged: Judge) -> None:
    found = judged("def run(mini_batch): return []\n", "--parallelrun-set=error_threshold=-1")
    assert "run() returns no rows" in found.messages[CHECK]


def test_it_cannot_be_decided_where_nothing_is_returned(judged: Judge) -> None:
    found = judged("def run(mini_batch): pass\n")
    assert "run() fails for every mini-batch; see test_returns_valid_type" in found.messages[CHECK]


def test_it_cannot_be_decided_where_the_number_of_rows_is_random(judged: Judge) -> None:
    script = "import random\ndef run(mini_batch): return ['x'] * random.randint(1, 10**4)\n"
    assert "two identical runs on fresh workers differ in the number of rows" in judged(script).messages[CHECK]


def test_it_cannot_be_decided_where_no_further_worker_comes_up(judged: Judge, write: Write) -> None:
    script = """
        import os, pathlib

        def init():
            pathlib.Path(__file__).with_name("once").mkdir()

        def run(mini_batch):
            return list(mini_batch)
    """
    found = judged(script)
    assert found.outcomes[CHECK] == "skipped"
    assert "no worker could start; see test_init_runs_in_every_worker: FileExistsError" in found.messages[CHECK]


def test_a_sample_of_a_single_item_is_not_enough(judged: Judge, write: Write) -> None:
    write("one/item_1.txt", "x")
    found = judged(COUNTS, input="one")
    assert found.outcomes[CHECK] == "skipped"
    assert "the sample has a single item" in found.messages[CHECK]


@pytest.mark.parametrize("size", [1, 3])
def test_what_was_seen_already_is_the_business_of_retries(judged: Judge, size: int) -> None:
    script = (
        "seen = set()\ndef run(mini_batch):\n    new = [p for p in mini_batch if p not in seen]\n"
        "    seen.update(new)\n    return new\n"
    )
    assert judged(script, f"--parallelrun-set=mini_batch_size={size}").outcomes[CHECK] == "passed"
