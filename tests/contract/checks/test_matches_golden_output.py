from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from pytest_parallelrun.contract.checks import matches_golden_output
from pytest_parallelrun.contract.checks.matches_golden_output import Difference
from pytest_parallelrun.contract.golden_file import golden_output
from tests.conftest import Run, Write
from tests.contract.conftest import Judge, Judged
from tests.plugin.counts import TOTAL

NAME = "matches_golden_output"
UPDATE = "--parallelrun-update-golden"
TEXTS = 'return [f"{Path(path).name}: {len(Path(path).read_text())}.5" for path in mini_batch]'
FRAME = (
    'return pd.DataFrame({"file": [Path(path).name for path in mini_batch], "score": [len(Path(path).read_text()) / 4 '
    'for path in mini_batch], "label": "a"})'
)
TABLE = 'return mini_batch.assign(score=mini_batch["value"] / 4)'

Golden = Callable[..., tuple[str, str, str]]


def script(body: str) -> str:
    return (
        "import datetime, os, random, time, uuid\nimport numpy as np, pandas as pd\nfrom pathlib import Path\n"
        f"def run(mini_batch):\n    {body}\n"
    )


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample is repeated without a worker process, which takes a second; one test has it."""
    monkeypatch.setattr(matches_golden_output, "MAX_REPEATED", -1)
    for name in ("CI", "BUILD_ID", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def golden(judge: Judge) -> Golden:
    """Outcome, message and notes of the check for a script with this body of run()."""

    def golden(body: str, *arguments: str, name: str = "score.py", input: str = "data") -> tuple[str, str, str]:
        found: Judged = judge(
            script(body), "--parallelrun-golden=golden", "-k", NAME, *arguments, name=name, input=input
        )
        return found.outcomes[NAME], found.messages[NAME], " ".join(found.notes[NAME])

    return golden


def file_of(project: Path, name: str = "score.py") -> Path:
    return project / "golden" / f"{name}.golden"


def body_of(project: Path) -> list[str]:
    return file_of(project).read_text(encoding="utf-8").partition("\n\n")[2].splitlines()


def edit(project: Path, old: str, new: str) -> None:
    text = file_of(project).read_text(encoding="utf-8")
    assert old in text
    file_of(project).write_text(text.replace(old, new), encoding="utf-8")


def test_output_is_accepted_and_compared_and_a_change_is_shown(golden: Golden, project: Path, run_pytest: Run) -> None:
    outcome, message, _ = golden(TEXTS)
    assert outcome == "failed"
    assert message.startswith("There is no golden output for this script: golden/score.py.golden does not exist.\n")
    outcome, _, notes = golden(TEXTS, UPDATE)
    assert (outcome, notes) == ("passed", "golden output was written to golden/score.py.golden; items: 3 new")
    assert body_of(project) == [f"item_{n}.txt\titem_{n}.txt: {n}.5" for n in (1, 2, 3)]
    assert golden(TEXTS) == ("passed", "", "")
    changed = TEXTS.replace(".5", "{'.5' if '2' not in path[-5:] else '.75'}")
    outcome, message, _ = golden(changed)
    assert outcome == "failed"
    assert message.splitlines()[:5] == [
        "The output is not the accepted one in golden/score.py.golden: 1 of 3 rows changed (word 2 in 1).",
        "Largest difference: word 2 2.5 -> 2.75 (item_2.txt).",
        "    item        accepted         now",
        "    item_2.txt  item_2.txt: 2.5  item_2.txt: 2.75",
        message.splitlines()[4],
    ]
    # The command of the finding accepts it.
    command = message.splitlines()[4].partition(": pytest ")[2]
    assert message.splitlines()[4].startswith(
        "fix: if the new output is right, accept it, review the file and commit it"
    )
    run_pytest(*shlex.split(command)).assert_outcomes(passed=1, deselected=TOTAL)
    assert body_of(project)[1] == "item_2.txt\titem_2.txt: 2.75"
    assert golden(changed)[0] == "passed"


def test_unchanged_items_stay_as_they_are_and_an_update_says_what_it_wrote(
    golden: Golden, project: Path, write: Write
) -> None:
    golden(FRAME, UPDATE)
    assert body_of(project)[0] == 'item_1.txt\t{"file": "item_1.txt", "score": 0.25, "label": "a"}'
    edit(project, "tolerance: {}", 'tolerance: {"score": {"abs": 0.1}}')
    (project / "data/item_3.txt").unlink()
    write("data/item_4.txt", "xxxx")
    _, _, notes = golden(FRAME.replace("/ 4", "* (0.2501 if '1' in Path(path).name else 0.5)"), UPDATE)
    assert "golden/score.py.golden; items: 1 new, 1 changed, 1 removed, 1 unchanged" in notes
    assert '# tolerance: {"score": {"abs": 0.1}}' in file_of(project).read_text()
    assert body_of(project) == [
        'item_1.txt\t{"file": "item_1.txt", "score": 0.25, "label": "a"}',
        'item_2.txt\t{"file": "item_2.txt", "score": 1.0, "label": "a"}',
        'item_4.txt\t{"file": "item_4.txt", "score": 2.0, "label": "a"}',
    ]


def test_an_update_accepts_other_columns(golden: Golden, project: Path) -> None:
    golden(FRAME, UPDATE)
    before = body_of(project)
    more = FRAME.replace('"label": "a"', '"label": "a", "more": 1')
    for body, change in ((more, ', "more": 1}'), (FRAME, "}")):
        assert "Its columns changed: 'more' is " in golden(body)[1]
        assert "items: 3 changed" in golden(body, UPDATE)[2]
        assert body_of(project) == [line.replace("}", change) for line in before]
        assert golden(body)[0] == "passed"


def test_numbers_that_are_durations_by_name_are_said_to_be_left_out(golden: Golden) -> None:
    body = FRAME.replace('"label": "a"', '"predict_time": 1.5')
    assert "not compared, because their names are those of durations: predict_time" in golden(body, UPDATE)[2]
    assert golden(body.replace("1.5", "2.5"))[0] == "passed"


def test_only_random_values_are_said_to_differ_in_every_run(golden: Golden, project: Path) -> None:
    golden(FRAME, UPDATE)
    edit(project, "not compared: []", 'not compared: ["label"]')
    assert "not compared" not in golden(FRAME, UPDATE)[2]
    assert 'not compared: ["label"]' in file_of(project).read_text()


ROWS = [{"file": f"{n}.txt", "score": n / 4, "label": "a"} for n in (1, 2, 3)]


def difference(*rows: object, accepted: Sequence[object] = ROWS) -> str:
    """What is said about these rows, all of one item; "" if nothing is."""
    before, now = (golden_output({"data": found}, {}, str) for found in (accepted, rows))
    found = Difference(before, now, ())
    return found.text("FILE", {"data"}) if found else ""


def changed(**values: object) -> list[dict[str, object]]:
    return [{**row, **values} for row in ROWS]


@pytest.mark.parametrize(
    "rows",
    [
        ROWS[::-1],
        [dict(reversed(row.items())) for row in ROWS],
        [{**row, "score": np.float32(n / 4)} for n, row in enumerate(ROWS, 1)],
        [{**row, "score": n / 4 * 1.00001} for n, row in enumerate(ROWS, 1)],
    ],
    ids=["order of rows", "order of columns", "float32", "last digits"],
)
def test_what_is_no_change_passes(rows: list[object]) -> None:
    assert difference(*rows) == ""


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        (
            [{"file": row["file"], "score": row["score"], "grade": "a"} for row in ROWS],
            [
                "not the accepted one in FILE: other columns.",
                "Its columns changed: 'grade' is new, 'label' is missing.",
            ],
        ),
        (changed(more=None), ["Its columns changed: 'more' is new."]),
        (changed(label="b"), ["3 of 3 rows changed (label in 3)", "    data  label=a   label=b"]),
        (changed(score="x"), ["rows changed (score in 3)", "The type of 'score' changed: number -> text."]),
        (changed(label=None), ["3 of 3 rows changed (label in 3)", "label=a   label=None"]),
        (changed(score=0.5), ["2 of 3 rows changed (score in 2)", "Largest difference: score 0.75 -> 0.5 (data)."]),
        (ROWS[:2], ["FILE: 1 row missing.", "(no row)"]),
        (ROWS + ROWS, ["FILE: 3 rows new."]),
        (["1.txt", "2.txt", "3.txt"], ["3 of 3 rows changed"]),
        ([*ROWS[:2], None], ["1 of 3 rows changed"]),
    ],
    ids=["columns", "empty column", "value", "type", "null", "number", "missing", "new", "texts", "no value"],
)
def test_a_change_is_described(rows: list[object], parts: list[str]) -> None:
    text = difference(*rows)
    assert [part for part in parts if part not in text] == []


def test_a_tolerance_and_a_left_out_column_are_set_in_the_file(golden: Golden, project: Path) -> None:
    golden(FRAME, UPDATE)
    other = FRAME.replace("/ 4", "/ 4 + 0.05").replace('"a"', '"b"')
    edit(project, "tolerance: {}", 'tolerance: {"score": {"abs": 0.1}}')
    edit(project, "not compared: []", 'not compared: ["label"]')
    assert golden(other)[0] == "passed"
    edit(project, '"abs": 0.1', '"rel": 0.01')
    assert "(score in 3)" in golden(other)[1]
    edit(project, '"score": {', '"scor": {')
    assert "'tolerance' names 'scor', which no row has as a decimal number. Did you mean 'score'?" in golden(other)[1]


def test_another_sample_and_other_settings_are_named(golden: Golden, project: Path, write: Write) -> None:
    golden(TEXTS, UPDATE)
    outcome, _, notes = golden(TEXTS, "--parallelrun-set=mini_batch_size=2", "--parallelrun-args=--x 1")
    assert outcome == "passed"
    assert "settings changed since: mini_batch_size: not set -> 2, program arguments: not set -> --x 1" in notes
    (project / "data/item_3.txt").unlink()
    write("data/item_4.txt", "xxxx")
    message = golden(TEXTS, "--parallelrun-set=mini_batch_size=2")[1]
    assert "The accepted output is outdated: the sample has the new item_4.txt and lacks item_3.txt." in message
    assert "Settings changed since it was accepted: mini_batch_size: not set -> 2." in message


def test_rows_without_a_name_are_compared_by_mini_batch(golden: Golden, project: Path) -> None:
    summary = "return [f'{len(mini_batch)} files', *(f'{os.path.getsize(path)} bytes' for path in mini_batch)]"
    golden(summary, UPDATE, "--parallelrun-set=mini_batch_size=2")
    assert body_of(project)[:2] == [
        "mini-batch of item_1.txt, item_2.txt\t2 files",
        "mini-batch of item_1.txt, item_2.txt\t1 bytes",
    ]
    assert golden(summary, "--parallelrun-set=mini_batch_size=2")[0] == "passed"
    message = golden(summary, "--parallelrun-set=mini_batch_size=3")[1]
    assert "rows that do not name their item are compared by mini-batch, and the mini-batches changed" in message


def test_rows_of_a_table_are_compared_by_row(golden: Golden, project: Path, write: Write) -> None:
    write("data/table.csv", "id,value\n" + "".join(f"k{n},{n}\n" for n in range(12)))
    golden(TABLE, UPDATE, "--parallelrun-set=mini_batch_size=20", input="data/table.csv")
    assert body_of(project)[1] == 'row 2 of table.csv\t{"id": "k1", "value": 1, "score": 0.25}'
    assert [line.partition("\t")[0] for line in body_of(project)] == [f"row {n} of table.csv" for n in range(1, 13)]
    assert golden(TABLE, input="data/table.csv")[0] == "passed"


RANDOM = {
    "random": "return [f'{Path(path).name}: {random.random()}' for path in mini_batch]",
    "random column": "return pd.DataFrame({'file': mini_batch, 'score': np.random.rand(len(mini_batch)), 'v': 1})",
    "number of rows": "return mini_batch * random.randint(1, 1000)",
}


@pytest.mark.parametrize("body", RANDOM.values(), ids=RANDOM)
def test_random_output_is_neither_stored_nor_compared(golden: Golden, project: Path, body: str) -> None:
    for arguments in ((), (UPDATE,)):
        outcome, message, _ = golden(body, *arguments)
        assert outcome == "skipped"
        assert message.startswith("nothing is stored or compared: results are not reproducible")
    assert not file_of(project).exists()


PARTLY_RANDOM = {
    "an id": ('"id": [str(uuid.uuid4()) for _ in mini_batch]', "id"),
    "a time": ('"at": datetime.datetime.now().isoformat()', "at"),
    "a day": ('"day": str(datetime.date.today())', "day"),
    "seconds since 1970": ('"at": int(time.time())', "at"),
    "a random column": ('"noise": np.random.rand(len(mini_batch))', "noise"),
}


@pytest.mark.parametrize(("column", "name"), PARTLY_RANDOM.values(), ids=PARTLY_RANDOM)
def test_random_values_are_left_out_by_name(golden: Golden, project: Path, column: str, name: str) -> None:
    body = FRAME.replace("})", f", {column}}})")
    outcome, _, notes = golden(body, UPDATE)
    assert outcome == "passed"
    assert f"not compared, because they differ in every run: {name}" in notes
    assert name not in file_of(project).read_text().partition("\n\n")[2]
    assert f'# not compared: ["{name}"]' in file_of(project).read_text()
    assert "3 of 3 rows changed (label in 3)" in golden(body.replace('"a"', '"b"'))[1]


@pytest.mark.parametrize("column", ["'text': 'read ' + Path(path).read_text()", "'class': 1 + ('1' in path[-5:])"])
def test_a_result_beside_a_random_column_is_stored(golden: Golden, column: str) -> None:
    body = f"return [{{'file': Path(path).name, 'noise': random.random(), {column}}} for path in mini_batch]"
    outcome, _, notes = golden(body, UPDATE)
    assert (outcome, notes.rpartition(": ")[2]) == ("passed", "noise")


def test_texts_with_an_id_and_a_time_are_compared_without_them(golden: Golden) -> None:
    body = (
        "return ['%s %s %s %.1f' % (Path(path).name, uuid.uuid4(), datetime.datetime.now().isoformat(' '), "
        "len(Path(path).read_text())) for path in mini_batch]"
    )
    _, _, notes = golden(body, UPDATE)
    assert "differ in every run: word 2, word 3, word 4" in notes
    assert golden(body)[0] == "passed"
    assert "(word 5 in 3)" in golden(body.replace("%.1f", "%.1f5"))[1]


def test_what_depends_on_the_process_is_random(golden: Golden, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matches_golden_output, "MAX_REPEATED", 30)
    body = "return [f\"{Path(path).name}: {hash('x' + Path(path).name) % 1000}\" for path in mini_batch]"
    outcome, message, _ = golden(body, UPDATE)
    assert (outcome, message.partition(":")[0]) == ("skipped", "nothing is stored or compared")
    assert golden(TEXTS, UPDATE)[0] == "passed"


def test_too_much_output_is_not_stored(golden: Golden, project: Path) -> None:
    large = "return [f'{Path(path).name}: ' + 'x' * 500_000 for path in mini_batch]"
    outcome, message, _ = golden(large, UPDATE)
    assert outcome == "skipped"
    assert message.startswith(
        "the output of the sample has more than 1 MB, too much to be reviewed: nothing is stored."
    )
    assert not file_of(project).exists()
    nested = "x = []; x.append(x); return [x for _ in mini_batch]"
    assert golden(nested, UPDATE)[:1] == ("skipped",)
    golden(TEXTS, UPDATE)
    outcome, message, _ = golden(large)
    assert outcome == "failed"
    assert message.startswith(
        "The output is not the accepted one in golden/score.py.golden: the output of the sample has"
    )


def test_an_unreadable_file_is_a_finding_and_is_replaced(golden: Golden, project: Path) -> None:
    golden(TEXTS, UPDATE)
    edit(project, "item_2.txt\t", "<<<<<<< HEAD\nitem_2.txt\t")
    outcome, message, _ = golden(TEXTS)
    assert outcome == "failed"
    assert "Golden output cannot be read: golden/score.py.golden: line 10 is not an item, a tab and a row" in message
    assert "fix: correct or restore the file, or write it again: pytest " in message
    assert "could not be read" in golden(TEXTS, UPDATE)[2]
    assert golden(TEXTS)[0] == "passed"
    file_of(project).unlink()
    file_of(project).mkdir()
    assert "cannot be read" in golden(TEXTS)[1]
    assert "Golden output cannot be written: golden/score.py.golden: " in golden(TEXTS, UPDATE)[1]


UNDECIDED = {
    "no rows": ("return []", "--parallelrun-set=error_threshold=-1", "run() returned no rows"),
    "every mini-batch fails": ("raise ValueError('x')", "-q", "run() fails for every mini-batch"),
    "the job fails": (
        "return mini_batch[:'2' in mini_batch[0][-5:]]",
        "--parallelrun-set=error_threshold=0",
        "the job fails, so its output is incomplete",
    ),
}


@pytest.mark.parametrize(("body", "option", "reason"), UNDECIDED.values(), ids=UNDECIDED)
def test_without_output_it_cannot_decide(golden: Golden, project: Path, body: str, option: str, reason: str) -> None:
    for arguments in ((), (UPDATE,)):
        outcome, message, _ = golden(body, option, *arguments)
        assert (outcome, reason in message) == ("skipped", True), message
    assert not file_of(project).exists()


def test_items_without_rows_are_missing_and_the_sample_is_the_same(golden: Golden) -> None:
    golden(TEXTS, UPDATE)
    body = "assert '2' not in mini_batch[0][-5:]; " + TEXTS
    message = golden(body, "--parallelrun-set=max_retries=0")[1]
    assert "1 row missing." in message
    assert "item_2.txt  item_2.txt: 2.5  (no row)" in message
    assert "outdated" not in message


def test_paths_do_not_depend_on_the_machine(golden: Golden, project: Path) -> None:
    body = "return [f'{path} of {os.getcwd()} in {__file__}' for path in mini_batch]"
    golden(body, UPDATE, "--parallelrun-args=--model /some/where/model.pkl --code " + str(project / "src" / "x.py"))
    assert body_of(project)[0] == "item_1.txt\titem_1.txt of ~~ in score.py"
    text = file_of(project).read_text()
    assert '"program arguments": "--model model.pkl --code src/x.py"' in text
    assert str(project) not in text


def test_no_secret_is_stored(golden: Golden, project: Path) -> None:
    options = ("--parallelrun-args=--api-key abc123456 --n 1", "--parallelrun-env=SOME=hidden99")
    message = golden(TEXTS, *options, "--parallelrun-env=MY_TOKEN=xyz654321")[1]
    assert "abc123456" not in message
    assert "xyz654321" not in message
    golden(TEXTS, UPDATE, *options)
    text = file_of(project).read_text()
    assert "abc123456" not in text
    assert "hidden99" not in text
    assert '"program arguments": "--api-key *** --n 1", "environment variables": "SOME"' in text


def test_it_works_with_worker_processes(golden: Golden) -> None:
    golden(FRAME, UPDATE)
    assert golden(FRAME, "--parallelrun-engine=process")[0] == "passed"
