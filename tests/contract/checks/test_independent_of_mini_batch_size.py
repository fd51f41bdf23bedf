from __future__ import annotations

import pytest

from tests.conftest import Write
from tests.contract.conftest import Judge, Judged

CHECK = "independent_of_mini_batch_size"


@pytest.fixture
def judged(judge: Judge) -> Judge:
    def judged(script: str, *arguments: str, input: str | None = "data", name: str = "score.py") -> Judged:
        return judge(script, "-k", f"test_{CHECK}", *arguments, input=input, name=name)

    return judged


RANKS = """
    def run(mini_batch):
        lengths = [len(open(path).read()) for path in mini_batch]
        return [f"{path[-10:]} {sorted(lengths).index(n)}" for path, n in zip(mini_batch, lengths)]
"""
FIRST_ONLY = "def run(mini_batch): return [mini_batch[0][-10:]]\n"
NEEDS_TWO = """
    import statistics

    def run(mini_batch):
        spread = statistics.stdev([len(open(path).read()) for path in mini_batch] + [0] * (len(mini_batch) > 1))
        return [f"{path[-10:]}" for path in mini_batch]
"""
ONE_ONLY = """
    def run(mini_batch):
        (path,) = mini_batch
        return [path[-10:]]
"""
NORMALISES = """
    def run(mini_batch):
        mini_batch["z"] = (mini_batch.x - mini_batch.x.mean()) / mini_batch.x.max()
        return mini_batch
"""


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_value_over_the_whole_mini_batch_is_found(judged: Judge, size: int) -> None:
    found = judged(RANKS, f"--parallelrun-set=mini_batch_size={size}")
    assert found.failed == {CHECK}
    message = found.messages[CHECK]
    assert message.startswith("Results depend on mini_batch_size: for the same 2 items run() returns")
    assert "2 rows, among them 'item_2.txt 1' as one mini-batch; " in message
    assert "as 2 mini-batches of 1 it returns 2 rows, among them 'item_2.txt 0'" in message


def test_a_script_that_looks_at_one_item_is_found_where_the_size_is_one(judged: Judge) -> None:
    found = judged(FIRST_ONLY)
    assert found.failed == {CHECK}
    assert "counts: 1 row in one mini-batch, 2 in 2" in found.messages[CHECK]


@pytest.mark.parametrize(
    ("rows", "fix"),
    [
        ("[f'{n} {k}' for n, k in zip(names, sorted(sizes, reverse=True))]", "keep each value with its item"),
        ("[f'{n} {k}' for n, k in zip(names, [float(k) for k in sizes] if names[1:] else sizes)]", "format each value"),
        ("names + [f'total {sum(sizes)}']", "return rows of the items alone."),
        ("sorted(os.listdir(os.path.dirname(mini_batch[0])))", "use only the paths in mini_batch."),
        (
            "[open(p).read() + p[-10:] for p in sorted(glob.glob(os.path.dirname(mini_batch[0]) + '/*'))]",
            "use only the paths in mini_batch: a listing",
        ),
        ("[f'{n} {k}' for n in names[:len(names) // 2 * 2] or names for k in 'ab']", "A loop over chunks"),
    ],
    ids=["sorted", "form", "summary", "listing", "opened", "chunks"],
)
def test_rows_that_were_lost_and_rows_that_are_too_many_need_other_fixes(judged: Judge, rows: str, fix: str) -> None:
    found = judged(
        f"""
        import glob, os

        def run(mini_batch):
            names = [os.path.basename(path) for path in mini_batch]
            sizes = [os.path.getsize(path) for path in mini_batch]
            return {rows}
        """,
        "--parallelrun-set=mini_batch_size=3",
    )
    assert found.failed == {CHECK}
    assert fix in found.messages[CHECK].partition("fix: ")[2]


def test_a_script_that_takes_one_item_alone_is_found(judged: Judge) -> None:
    found = judged(ONE_ONLY)
    assert found.failed == {CHECK}
    assert "it fails: ValueError: too many values to unpack" in found.messages[CHECK].replace("run() fails", "it fails")


def test_an_item_that_fails_alone_is_found(judged: Judge) -> None:
    found = judged(NEEDS_TWO, "--parallelrun-set=mini_batch_size=3")
    assert found.failed == {CHECK}
    message = found.messages[CHECK]
    assert "StatisticsError" in message
    assert 'score.py", line 4' in message


@pytest.mark.parametrize("settings", [(), ("--parallelrun-set=mini_batch_size=6",)], ids=["whole", "by rows"])
def test_statistics_over_the_rows_of_a_table_are_found(judged: Judge, write: Write, settings: tuple[str, ...]) -> None:
    write("table.csv", "x\n1\n2\n30\n44\n5\n16\n")
    assert judged(NORMALISES, *settings, input="table.csv").failed == {CHECK}


def test_state_that_makes_the_difference_is_named_beside_it(judged: Judge) -> None:
    # Alone on a fresh worker each item is the first.
    script = "n = 0\ndef run(b):\n    global n\n    rows = []\n    for p in b:\n        n += 1\n"
    found = judged(script + "        rows.append(f'{n} {p}')\n    return rows\n")
    assert found.failed == {CHECK}
    assert "fix: set 'n' inside run() in each call" in found.messages[CHECK]


def test_state_that_makes_no_difference_on_fresh_workers_is_left_to_the_check_of_history(judged: Judge) -> None:
    script = "n = 0\ndef run(b):\n    global n\n    n += 1\n    return [f'{n} {p}' for p in b]\n"
    found = judged(script, "--parallelrun-set=mini_batch_size=3")
    assert found.outcomes[CHECK] == "passed"


@pytest.mark.parametrize(
    "script",
    [
        "def run(mini_batch): return [p[-10:] for p in mini_batch]\n",
        "def run(mini_batch, context):\n    first = context.global_row_index_lower_bound\n"
        "    return [f'{context.minibatch_index} {first + i}' for i, _ in enumerate(mini_batch)]\n",
        "done = {}\ndef run(mini_batch, context):\n    return done.setdefault(context.minibatch_index, mini_batch)\n",
        "def run(mini_batch): return [c for p in mini_batch for c in open(p).read()]\n",
        "import os\ndef run(mini_batch):\n    folder = os.environ['AZUREML_BI_OUTPUT_PATH']\n"
        "    for p in mini_batch: os.mkdir(os.path.join(folder, os.path.basename(p)))\n    return mini_batch\n",
        "seen = set()\ndef run(mini_batch):\n    new = [p for p in mini_batch if p not in seen]\n"
        "    seen.update(new)\n    return new\n",
    ],
    ids=["plain", "context", "cache by number", "many rows an item", "folder by item", "seen"],
)
def test_scripts_that_look_at_their_items_alone_pass(judged: Judge, script: str, size: int) -> None:
    settings = ("--parallelrun-set=output_action=append_row", f"--parallelrun-set=mini_batch_size={size}")
    assert judged(script, *settings).outcomes[CHECK] == "passed"


def test_a_table_whose_rows_are_computed_one_by_one_passes(judged: Judge, write: Write) -> None:
    write("table.csv", "x,name\n" + "".join(f"{i / 7},n{i}\n" for i in range(40)))
    script = "def run(mini_batch):\n    mini_batch['y'] = mini_batch.x * 3\n    return mini_batch\n"
    assert judged(script, input="table.csv").outcomes[CHECK] == "passed"


def test_sums_that_are_rounded_in_another_order_pass(judged: Judge, write: Write) -> None:
    write("table.csv", "x\n" + "".join(f"{i / 7}\n" for i in range(40)))
    script = "def run(mini_batch):\n    return [x * (1 + 1e-7 * len(mini_batch)) for x in mini_batch.x]\n"
    assert judged(script, input="table.csv").outcomes[CHECK] == "passed"


@pytest.mark.parametrize(
    "script",
    [
        "import random\ndef run(mini_batch):\n    random.seed(0)\n    return [random.random() for _ in mini_batch]\n",
        "import random\nrandom.seed(0)\ndef run(mini_batch): return [random.random() for _ in mini_batch]\n",
        "import random\ndef init():\n    global r\n    r = random.Random(0)\n"
        "def run(mini_batch): return [r.random() for _ in mini_batch]\n",
    ],
    ids=["seeds in run", "seeds once", "own generator"],
)
def test_random_numbers_are_not_blamed(judged: Judge, script: str) -> None:
    found = judged(script, "--parallelrun-set=mini_batch_size=3")
    assert found.outcomes[CHECK] == "skipped"
    assert "random numbers" in found.messages[CHECK]


def test_random_numbers_that_decide_on_nothing_hide_no_flaw(judged: Judge) -> None:
    script = "import random" + RANKS.replace("        lengths", "        random.random()\n        lengths")
    import textwrap

    found = judged("import random\n" + textwrap.dedent(script.removeprefix("import random")))
    assert found.failed == {CHECK}


def test_a_single_item_makes_mini_batches_of_one_size(judged: Judge, write: Write) -> None:
    write("one/item_1.txt", "x")
    found = judged("def run(mini_batch): return list(mini_batch)\n", input="one")
    assert "the sample has a single item" in found.messages[CHECK]


def test_a_script_that_sums_up_on_purpose_cannot_be_compared(judged: Judge) -> None:
    script = "def run(mini_batch): return [sum(len(p) for p in mini_batch)]\n"
    settings = ("--parallelrun-set=mini_batch_size=3", "--parallelrun-set=error_threshold=-1")
    assert "so they cannot be assigned to items" in judged(script, *settings).messages[CHECK]


def test_files_that_earlier_mini_batches_left_are_left_to_the_check_of_order(judged: Judge) -> None:
    script = (
        "import os\ndef run(mini_batch):\n    folder = os.environ['AZUREML_BI_OUTPUT_PATH']\n"
        "    rows = [len(os.listdir(folder)) for _ in mini_batch]\n"
        "    for p in mini_batch: open(os.path.join(folder, os.path.basename(p)), 'w').close()\n    return rows\n"
    )
    found = judged(script, "--parallelrun-set=output_action=append_row")
    assert "see test_independent_of_order" in found.messages[CHECK]


@pytest.mark.parametrize("key", ["", "meter,"])
def test_what_needs_other_rows_may_keep_them_by_a_key(judged: Judge, write: Write, key: str) -> None:
    rows = [f"{number},{'AB'[number // 8] + ',' if key else ''}{number**2}.5" for number in range(16)]
    write("table.csv", "\n".join([f"time,{key}reading", *rows]))
    script = """
        def run(frame):
            return frame.assign(delta=frame["reading"].diff().fillna(0.0))
    """
    fix = judged(script, "--parallelrun-set=mini_batch_size=1KB", input="table.csv").messages[CHECK]
    assert "Compute what needs other rows (diff(), shift(), rolling()) before the job" in fix
    assert ("keep the rows of a meter together with partition_keys=meter." in fix) == bool(key)
