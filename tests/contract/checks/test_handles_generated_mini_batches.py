from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.conftest import Write
from tests.contract.conftest import Judge, Judged
from tests.light import SOME

CHECK = "handles_generated_mini_batches"

READ = "[len(open(p, 'rb').read()) for p in mini_batch]"


@pytest.fixture
def few_edge_cases() -> None:
    """All of them are tried here."""


@pytest.fixture
def found(judge: Judge) -> Judge:
    """The check alone, with enough examples."""

    def found(script: str, *arguments: str, input: str | None = "data", name: str = "score.py") -> Judged:
        return judge(script, "-k", CHECK, f"--hypothesis-profile={SOME}", *arguments, input=input, name=name)

    return found


SOUND = {
    "reads what there is": f"def run(mini_batch): return {READ}",
    "raises for an empty file": "def run(mini_batch): return [open(p, 'rb').read()[0] for p in mini_batch]",
    "returns nothing for an empty file": "def run(mini_batch): return [x for p in mini_batch for x in open(p, 'rb')]",
    "raises for any copy": "def run(mini_batch): return [len(p) // (' ' not in p) for p in mini_batch]",
    "draws at random": f"import random\ndef run(mini_batch): random.shuffle(mini_batch); return {READ}",
    "counts its calls": "n = 0\ndef run(mini_batch):\n    global n; n += 1\n    return [n for _ in mini_batch]",
    "writes a file for each mini-batch": (
        "def run(mini_batch, context):\n    open(f'{context.minibatch_index}.out', 'x').close()\n    return mini_batch"
    ),
    "exits for an empty file": "import os, sys\ndef run(mini_batch):\n    for p in mini_batch:\n"
    "        if not os.path.getsize(p): sys.exit('empty')\n    return mini_batch",
}


@pytest.mark.parametrize("script", SOUND.values(), ids=SOUND)
def test_sound_scripts_pass(found: Judge, script: str) -> None:
    assert found(script).outcomes == {CHECK: "passed"}


FLAWED = {
    "returns None for an empty file": (
        "def run(mini_batch):\n    if all(open(p, 'rb').read() for p in mini_batch): return mini_batch",
        "run() returns something that is not a list or a DataFrame for a malformed mini-batch",
        "(empty)",
    ),
    "ends the process for an empty file": (
        "import os\ndef run(mini_batch):\n    for p in mini_batch:\n        os.path.getsize(p) or os._exit(3)\n"
        "    return mini_batch",
        "run() ends its worker process for a malformed mini-batch",
        "os._exit(3)",
    ),
    "takes one order only": (
        "def run(mini_batch):\n    assert mini_batch == sorted(mini_batch)\n    return mini_batch",
        "run() raises for a valid mini-batch",
        "AssertionError",
    ),
    "takes one size only": (
        "def run(mini_batch):\n    first, = mini_batch\n    return [first]",
        "run() raises for a valid mini-batch",
        "too many values to unpack",
    ),
    "drops results of large mini-batches": (
        "def run(mini_batch): return mini_batch[:2]",
        "run() returns fewer results than items for a valid mini-batch",
        "3 items in, results out: 2",
    ),
    "keeps what an error left behind": (
        # Nearly everything that is odd raises, so that some mini-batch has a sound file before an odd one.
        "kept = []\ndef run(mini_batch):\n    for p in mini_batch:\n        text = open(p).read()\n"
        "        if set(text) != {'x'}: raise ValueError(text)\n        kept.append(text[0])\n"
        "    rows = list(kept)\n    kept.clear()\n    return rows",
        "A malformed mini-batch (",
        "breaks the valid one after it: it returns",
    ),
    "stays broken after an error": (
        "broken = False\ndef run(mini_batch):\n    global broken\n"
        "    if broken: raise RuntimeError('session is closed')\n    broken = True\n"
        "    rows = [open(p).read()[0] for p in mini_batch]\n    broken = False\n    return rows",
        "A malformed mini-batch (",
        "session is closed",
    ),
    "keeps what an empty file set, though it succeeds": (
        "width = None\ndef run(mini_batch):\n    global width\n"
        "    texts = [open(p, errors='replace').read() for p in mini_batch]\n"
        "    width = width if all(texts) else 0\n    return [text[:width] for text in texts]",
        "A malformed mini-batch (item_1.txt (empty)) breaks the valid one after it",
        "the malformed mini-batch itself: succeeded",
    ),
    "keeps what an empty file among others set, though it succeeds": (
        "width = None\ndef run(mini_batch):\n    global width\n"
        "    texts = [open(p, errors='replace').read() for p in mini_batch]\n"
        "    width = width if all(texts) or len(texts) == 1 else 0\n    return [text[:width] for text in texts]",
        "A malformed mini-batch (item_1.txt (empty), item_2.txt) breaks the valid one after it",
        "the malformed mini-batch itself: succeeded",
    ),
    "is used up": (
        "left = 40\ndef run(mini_batch):\n    global left\n    left -= 1\n"
        "    if left < 0: raise OSError('too many open files')\n    return mini_batch",
        "on a worker that had",
        "and not on a fresh one: OSError: too many open files",
    ),
}


@pytest.mark.parametrize(("script", "what", "detail"), FLAWED.values(), ids=FLAWED)
def test_flaws_are_found_with_what_shows_them(found: Judge, script: str, what: str, detail: str) -> None:
    result = found(script)
    assert result.outcomes == {CHECK: "failed"}
    assert what in result.messages[CHECK]
    assert detail in result.messages[CHECK]


def test_what_is_used_up_is_replayed_with_as_many_mini_batches(found: Judge, judge: Judge) -> None:
    script = FLAWED["is used up"][0]
    message = found(script, "--parallelrun-save=cases").messages[CHECK]
    # The one after the fortieth may have been odd, which may raise.
    assert re.search(r"on a worker that had 4[01] mini-batches before", message)
    replayed = judge(script, f"--parallelrun-replay=cases/score/{CHECK}", input=None)
    assert "OSError: too many open files" in replayed.messages["replay"]


def test_what_is_found_is_shrunk_to_one_item(found: Judge) -> None:
    message = found(FLAWED["returns None for an empty file"][0]).messages[CHECK]
    assert re.search(r"where: run\(\), mini-batch \d+ \(item_1.txt \(empty\)\), attempt 1 of 1", message)


HANGS_ON_EMPTY = """
    def run(mini_batch):
        for path in mini_batch:
            while not open(path, "rb").read():
                pass
        return mini_batch
"""


@pytest.mark.slow
def test_a_hang_is_found_in_seconds_and_waited_for_no_more_than_needed(found: Judge) -> None:
    before = time.monotonic()
    result = found(HANGS_ON_EMPTY, "--parallelrun-set=timeout=600")
    assert time.monotonic() - before < 300
    assert result.outcomes == {CHECK: "failed"}
    assert "run() hangs for a malformed mini-batch" in result.messages[CHECK]
    assert "(empty)" in result.messages[CHECK]
    assert " s working (limit of generated mini-batches: " in result.messages[CHECK]


TABLE = "--parallelrun-set=mini_batch_size=40"


@pytest.fixture
def table(write: Write) -> str:
    lines = [f"{number},{number / 4},{'abc'[number % 3]}" for number in range(12)]
    write("rows.csv", "\n".join(["id,value,kind", *lines]) + "\n")
    return "rows.csv"


@pytest.mark.parametrize(
    "body",
    [
        "return mini_batch",
        "mini_batch['value'] = mini_batch.value.round().astype(int); return mini_batch",
        "mini_batch.drop_duplicates('id', inplace=True); return mini_batch.kind.map(dict(a=1, b=2, c=3)).to_frame()",
        "return [{'a': 1, 'b': 2, 'c': 3}[kind] for kind in mini_batch.kind]",
    ],
)
def test_sound_scripts_for_tables_pass(found: Judge, table: str, body: str) -> None:
    assert found(f"def run(mini_batch):\n    {body}\n", TABLE, input=table).outcomes == {CHECK: "passed"}


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("if mini_batch.value.notna().all(): return mini_batch", "in column 'value'"),
        ("if mini_batch.kind.isin(['a', 'b', 'c']).all(): return mini_batch", "in column 'kind'"),
        ("assert mini_batch.id.is_monotonic_increasing; return mini_batch", "row 2 of rows.csv, row 1 of rows.csv"),
    ],
)
def test_flaws_with_tables_are_found_with_the_cell(found: Judge, table: str, body: str, detail: str) -> None:
    result = found(f"def run(mini_batch):\n    {body}\n", TABLE, input=table)
    assert result.outcomes == {CHECK: "failed"}
    assert detail in result.messages[CHECK]


def test_types_of_columns_are_those_of_the_whole_input(found: Judge, write: Write) -> None:
    write("rows.csv", "id,value\n" + "".join(f"{n},{n}\n" for n in range(20)) + "20,0.5\n")
    body = "assert str(mini_batch.dtypes['value']) == 'float64' and str(mini_batch.dtypes['id']) == 'int64'"
    assert found(f"def run(mini_batch):\n    {body}\n    return mini_batch", input="rows.csv").outcomes == {
        CHECK: "passed"
    }


def test_items_whose_mini_batch_fails_in_the_sample_are_not_sound(found: Judge) -> None:
    script = (
        "def run(mini_batch):\n    assert not any('_2' in p for p in mini_batch), 'bad sample'\n    return mini_batch"
    )
    assert found(script).outcomes == {CHECK: "passed"}


def test_returning_nothing_on_purpose_is_sound(found: Judge) -> None:
    assert found("def run(mini_batch): return []", "--parallelrun-set=error_threshold=-1").outcomes == {CHECK: "passed"}


def test_it_cannot_be_decided_without_a_sound_item(found: Judge) -> None:
    result = found("def run(mini_batch): raise ValueError('no luck')")
    assert result.outcomes == {CHECK: "skipped"}
    assert "run() fails for every mini-batch; see test_no_silent_losses" in result.messages[CHECK]


def test_the_input_stays_as_it_is(found: Judge, project: Path) -> None:
    script = "import os\ndef run(mini_batch):\n    for p in mini_batch: os.remove(p)\n    return mini_batch"
    assert found(script).outcomes == {CHECK: "passed"}
    assert len(list((project / "data").iterdir())) == 3


@pytest.fixture
def in_one_example(judge: Judge, write: Write) -> Judge:
    """The check where Hypothesis draws a single mini-batch, which is its plainest: a sound item."""
    write("conftest.py", "import hypothesis\nhypothesis.settings.register_profile('one', max_examples=1)\n")

    def found(script: str, *arguments: str, input: str | None = "data", name: str = "score.py") -> Judged:
        return judge(script, "-k", CHECK, "--hypothesis-profile=one", *arguments, input=input, name=name)

    return found


ODD_FILES = {
    "empty": "b''.join(open(p, 'rb').read() for p in mini_batch)",
    "bom": "all(open(p, 'rb').read(3) != b'\\xef\\xbb\\xbf' for p in mini_batch)",
    "wrong extension": "all(p.endswith('.txt') for p in mini_batch)",
}


@pytest.mark.parametrize(("words", "condition"), ODD_FILES.items(), ids=ODD_FILES)
def test_each_oddity_is_tried_alone_whatever_is_drawn(in_one_example: Judge, words: str, condition: str) -> None:
    result = in_one_example(f"def run(mini_batch):\n    if {condition}: return mini_batch\n")
    assert result.outcomes == {CHECK: "failed"}
    assert f"(item_1.txt ({words}))" in result.messages[CHECK]


def test_each_odd_cell_is_tried_alone_whatever_is_drawn(in_one_example: Judge, table: str) -> None:
    body = "if mini_batch.value.notna().any() and mini_batch.kind.isin(['a', 'b', 'c']).any(): return mini_batch"
    result = in_one_example(f"def run(mini_batch):\n    {body}\n", TABLE, input=table)
    assert result.outcomes == {CHECK: "failed"}
    assert "in column 'value' of its row 1" in result.messages[CHECK]


def test_of_a_wide_table_every_column_has_its_turn_first(in_one_example: Judge, write: Write) -> None:
    write("wide.csv", ",".join(f"c{n}" for n in range(30)) + "\n" + ("0.5," * 29 + "0.5\n") * 3)
    script = "def run(mini_batch):\n    if mini_batch.c29.notna().all(): return mini_batch\n"
    result = in_one_example(script, TABLE, input="wide.csv")
    assert result.outcomes == {CHECK: "failed"}
    assert "nan in column 'c29' of its row 1" in result.messages[CHECK]


def test_no_sound_mini_batch_is_larger_than_the_timeout_allows(found: Judge) -> None:
    script = "import time\ndef run(mini_batch):\n    for p in mini_batch: time.sleep(4)\n    return mini_batch\n"
    assert found(script, "--parallelrun-set=timeout=10").outcomes == {CHECK: "passed"}


KEEPS_ONE_BACK = """
    import os
    kept = []
    def run(mini_batch):
        kept.extend(mini_batch)
        results = []
        while len(kept) > 1:
            path = kept.pop(0)
            results.append(f"{os.path.basename(path)} {os.path.getsize(path)}")
        return results + ["kept"] * (len(mini_batch) - len(results))
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_where_init_may_be_called_no_more_what_was_found_before_is_told_alone(judge: Judge, seed: int) -> None:
    result = judge(KEEPS_ONE_BACK, f"--hypothesis-seed={seed}")
    assert result.outcomes[CHECK] in ("failed", "skipped", "passed")
    for message in result.messages.values():
        assert "Flaky" not in message
        assert "TooManyInitCalls" not in message
