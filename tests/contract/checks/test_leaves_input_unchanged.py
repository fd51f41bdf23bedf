from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Write
from tests.contract.conftest import Judge

NAME = "leaves_input_unchanged"


def judged(judge: Judge, body: str, *arguments: str, input: str = "data") -> tuple[str, str]:
    head = "import os, shutil, sqlite3, tempfile\nfrom pathlib import Path\n"
    script = f"{head}def run(mini_batch):\n    {body}\n    return list(mini_batch)\n"
    found = judge(script, *arguments, "-k", NAME, input=input)
    return found.outcomes[NAME], found.messages[NAME]


CHANGING = {
    "rewrites": ("for p in mini_batch: Path(p).write_text('new text')", "modified: item_1.txt, item_2.txt"),
    "appends": ("for p in mini_batch: print('x', file=open(p, 'a'))", "modified: item_1.txt, item_2.txt"),
    "same size": ("Path(mini_batch[0]).write_text('y' * len(Path(mini_batch[0]).read_text()))", "modified: item_1.txt"),
    "deletes": ("for p in mini_batch: os.remove(p)", "deleted or moved away: item_1.txt, item_2.txt"),
    "renames": (
        "for p in mini_batch: os.rename(p, p + '.done')",
        "deleted or moved away: item_1.txt, item_2.txt, item_3.txt; new: item_1.txt.done",
    ),
    "moves": ("for p in mini_batch: shutil.move(p, '.')", "deleted or moved away: item_1.txt"),
    "one of them": ("'_2' in mini_batch[0] and os.remove(mini_batch[0])", "deleted or moved away: item_2.txt."),
}


@pytest.mark.parametrize(("body", "message"), CHANGING.values(), ids=CHANGING)
def test_changed_files_fail_and_are_named(judge: Judge, project: Path, body: str, message: str) -> None:
    outcome, text = judged(judge, body)
    assert outcome == "failed"
    assert "The script changes its input." in text
    assert message in text
    assert "read-only" in text
    first = "mini-batch 1 (item_2.txt)" if "_2" in body else "mini-batch 0 (item_1.txt)"
    assert f"where: run(), {first}" in text
    assert (project / "data" / "item_1.txt").read_text() == "x"


BESIDE = {
    "left": ("Path(p + '.json').write_text('x')", ": item_1.txt.json, item_2.txt.json, item_3.txt.json."),
    "in a folder": (
        "p = Path(p).parent / 'out' / Path(p).name; p.parent.mkdir(exist_ok=True); p.write_text('x')",
        ": out/item_1.txt, out/item_2.txt, out/item_3.txt.",
    ),
    "taken away": (
        "Path(p + '.tmp').write_text('x'); os.remove(p + '.tmp')",
        ", and deletes them again: item_1.txt.tmp",
    ),
    "of tempfile": (
        "tempfile.NamedTemporaryFile(dir=os.path.dirname(p), suffix='.x').close()",
        ", and deletes them again: tmp",
    ),
}


@pytest.mark.parametrize(("body", "message"), BESIDE.values(), ids=BESIDE)
def test_files_that_are_written_beside_the_input_fail(judge: Judge, body: str, message: str) -> None:
    outcome, text = judged(judge, f"for p in mini_batch: {body}")
    assert outcome == "failed"
    assert f"The script writes files beside its input{message}" in text
    assert "the input is mounted read-only" in text


@pytest.mark.parametrize(
    "body",
    [
        "[Path(p).read_text() for p in mini_batch]",
        "[os.utime(p) for p in mini_batch]",
        "[shutil.copy(p, '.') for p in mini_batch]",
        "[Path(p).write_text(Path(p).read_text()) for p in mini_batch]",
        "[shutil.copy(p, tempfile.mkdtemp()) for p in mini_batch]",
        "[sqlite3.connect(p).close() for p in mini_batch]",
    ],
    ids=["reads", "touches", "copies elsewhere", "writes the same", "copies to tempfile", "connects"],
)
def test_files_that_stay_as_they_were_pass(judge: Judge, body: str) -> None:
    assert judged(judge, body)[0] == "passed"


@pytest.mark.parametrize("input", ["data/*.txt", "data/item_1.*"])
def test_globs_are_compared_too(judge: Judge, input: str) -> None:
    assert judged(judge, "os.remove(mini_batch[0])", input=input)[0] == "failed"
    assert judged(judge, "pass", input=input)[0] == "passed"


def test_the_file_of_a_table_is_compared(judge: Judge, write: Write) -> None:
    write("table.csv", "path,x\na,1\nb,2\n")
    through = "p = next(Path(os.environ['PYTEST_TMP']).rglob('table.csv')) if 0 else None; mini_batch['x'] = 0"
    assert judged(judge, through, input="table.csv")[0] == "passed"


def test_without_any_result_it_cannot_be_decided(judge: Judge) -> None:
    outcome, text = judged(judge, "raise ValueError('no luck')")
    assert outcome == "skipped"
    assert "no luck" in text


def test_a_script_that_fails_after_its_change_is_found(judge: Judge) -> None:
    assert judged(judge, "os.remove(mini_batch[0]); raise ValueError")[0] == "failed"
