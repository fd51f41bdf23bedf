from __future__ import annotations

import pytest

from tests.conftest import Write
from tests.contract.conftest import Judge, Judged

CHECK = "workers_do_not_collide"
APPENDS = "--parallelrun-set=output_action=append_row"


@pytest.fixture
def judged(judge: Judge) -> Judge:
    def judged(script: str, *arguments: str, input: str | None = "data", name: str = "score.py") -> Judged:
        return judge(script, "-k", f"test_{CHECK}", APPENDS, *arguments, input=input, name=name)

    return judged


def writing(*lines: str, init: tuple[str, ...] = ("pass",)) -> str:
    """A script with these lines in run(), in which `out` is the output folder and `names` are the items' names."""
    return "\n".join(
        [
            "import json, logging, os, sqlite3, tempfile",
            "from pathlib import Path",
            "from azureml_user.parallel_run import EntryScript",
            "out = Path(os.environ['AZUREML_BI_OUTPUT_PATH'])",
            "def init():",
            *(f"    {line}" for line in init),
            "def run(mini_batch):",
            "    names = [os.path.basename(p) for p in mini_batch]",
            *(f"    {line}" for line in lines),
            "    return names",
            "",
        ]
    )


FIXED = writing("(out / 'results.json').write_text(json.dumps(names))")
READ_AND_WRITTEN = writing(
    "path = out / 'all.json'",
    "known = json.loads(path.read_text()) if path.exists() else []",
    "path.write_text(json.dumps(known + names))",
)
APPENDED = writing("with open(out / 'results.txt', 'a') as f: f.write('\\n'.join(names))")
APPENDED_IN_INIT = writing(init=("with open(out / 'workers.txt', 'a') as f: f.write('up')",))
HEADER_IN_INIT = writing(
    "with open(out / 'r.csv', 'r+') as f: f.seek(0, 2), f.write('\\n'.join(names))",
    init=("(out / 'r.csv').write_text('name\\n')",),
)
OWN_NAME_IN_INIT = writing(init=("(out / 'worker.txt').write_text(EntryScript().agent_name)",))
TEMPORARY = writing(
    "(out / 'current.tmp').write_text(names[0])",
    "os.replace(out / 'current.tmp', out / names[0])",
)
READ_BACK = writing(
    "(out / 'current').write_text(names[0])",
    "assert (out / 'current').read_text() == names[0]",
    "(out / 'current').unlink()",
)


@pytest.mark.parametrize(
    ("script", "file", "how"),
    [
        (FIXED, "results.json", "both write it, with different content"),
        (READ_AND_WRITTEN, "all.json", "both write it, with different content"),
        (APPENDED, "results.txt", "both append to it"),
        (APPENDED_IN_INIT, "workers.txt", "both append to it"),
        (HEADER_IN_INIT, "r.csv", "both write it, with different content"),
        (OWN_NAME_IN_INIT, "worker.txt", "both write it, with different content"),
        (TEMPORARY, "current.tmp", "both use it as a temporary file"),
        (READ_BACK, "current", "both use it as a temporary file"),
    ],
    ids=["fixed", "read and written", "appended", "in init", "header in init", "own name", "moved", "read back"],
)
def test_a_file_of_both_workers_is_found(judged: Judge, script: str, file: str, how: str, size: int) -> None:
    found = judged(script, f"--parallelrun-set=mini_batch_size={size}")
    assert found.failed == {CHECK}
    assert found.messages[CHECK].startswith(f"Two workers collide on '{file}' in the output folder: {how}")


@pytest.mark.parametrize(
    ("script", "settings", "outcome"),
    [
        (APPENDED, ("instance_count=1", "max_concurrency_per_instance=1"), "advice"),
        (TEMPORARY, ("instance_count=1", "max_concurrency_per_instance=1"), "advice"),
        (FIXED, ("instance_count=1", "max_concurrency_per_instance=1"), "failed"),
        (APPENDED, ("instance_count=1", "max_concurrency_per_instance=2"), "failed"),
        (APPENDED, ("instance_count=1",), "failed"),
    ],
    ids=["appended", "moved", "replaced", "two workers", "not set"],
)
def test_one_worker_that_was_set_may_append(
    judged: Judge, script: str, settings: tuple[str, ...], outcome: str
) -> None:
    found = judged(script, *(f"--parallelrun-set={setting}" for setting in settings))
    assert found.outcomes == {CHECK: outcome}
    assert ("so it has one worker" in found.messages[CHECK]) == (outcome == "advice")


def test_both_mini_batches_are_named(judged: Judge) -> None:
    message = judged(FIXED).messages[CHECK]
    assert "(for mini-batch 0 (item_1.txt) and for mini-batch 1 (item_2.txt))" in message
    assert "where: run(), mini-batch 1 (item_2.txt)" in message


def test_init_is_named_where_it_is_the_one(judged: Judge) -> None:
    message = judged(APPENDED_IN_INIT).messages[CHECK]
    assert "(each in its init())" in message
    assert "where: init()" in message


def test_a_table_is_split_among_the_workers(judged: Judge, write: Write) -> None:
    write("table.csv", "x\n1\n2\n30\n")
    script = (
        "import os\ndef run(mini_batch):\n    folder = os.environ['AZUREML_BI_OUTPUT_PATH']\n"
        "    mini_batch.to_csv(os.path.join(folder, 'part.csv'))\n    return mini_batch\n"
    )
    assert judged(script, input="table.csv").failed == {CHECK}


def test_a_folder_among_the_arguments_is_not_the_users_own(judged: Judge, project: object, write: Write) -> None:
    out = write("results of mine/before.txt", "x").parent
    script = (
        "import argparse, os\nparser = argparse.ArgumentParser(allow_abbrev=False)\nparser.add_argument('--out')\n"
        "args, _ = parser.parse_known_args()\ndef run(mini_batch):\n"
        "    open(os.path.join(args.out, 'last.txt'), 'w').write(mini_batch[0])\n    return mini_batch\n"
    )
    found = judged(script, f"--parallelrun-args=--out '{out}'")
    assert found.failed == {CHECK}
    assert "'last.txt' in the folder of --out" in found.messages[CHECK]
    assert sorted(path.name for path in out.iterdir()) == ["before.txt", "last.txt"]


def test_a_second_worker_that_fails_on_a_file_of_the_first_is_found(judged: Judge) -> None:
    script = writing("os.close(os.open(out / 'mine', os.O_CREAT | os.O_EXCL)) if first else None", "first = False")
    script = script.replace("def init():\n    pass", "first = True\ndef init(): pass").replace(
        "    names =", "    global first\n    names ="
    )
    found = judged(script)
    assert found.failed == {CHECK}
    assert "mini-batch 1 succeeds alone, but fails next to a worker that wrote that file" in found.messages[CHECK]


@pytest.mark.parametrize(
    "script",
    [
        writing(),
        writing("for name in names: (out / name).write_text(name)"),
        writing("(out / f'{os.getpid()}.txt').write_text(names[0])"),
        writing("with open(out / f'{EntryScript().agent_name}.txt', 'a') as f: f.write(names[0])"),
        writing("Path('results.txt').write_text(names[0])"),
        writing("with open('results.txt', 'a') as f: f.write(names[0])"),
        writing("(out / 'schema.json').write_text('[1, 2]')"),
        writing(init=("(out / 'schema.json').write_text('[1, 2]')",)),
        writing(
            "logging.getLogger('x').warning(names[0])",
            init=("logging.getLogger('x').addHandler(logging.FileHandler(out / 'all.txt'))",),
        ),
        writing("with tempfile.TemporaryDirectory() as f: (Path(f) / 'x').write_text(names[0])"),
        writing(
            "handle = os.open(out / 'results.lock', os.O_CREAT | os.O_EXCL | os.O_RDWR)",
            "os.write(handle, names[0].encode())",
            "os.close(handle)",
            "os.unlink(out / 'results.lock')",
        ),
        writing(
            "with sqlite3.connect(out / 'r.db') as db:",
            "    db.execute('create table if not exists r (name text primary key)')",
            "    db.executemany('insert or replace into r values (?)', [(name,) for name in names])",
            "db.close()",
        ),
    ],
    ids=[
        "none",
        "by item",
        "by process",
        "by agent",
        "own folder",
        "appended in own folder",
        "same content",
        "same content in init",
        "logging",
        "tempfile",
        "lock",
        "database",
    ],
)
def test_files_that_no_two_workers_fight_for_pass(judged: Judge, script: str, size: int) -> None:
    assert judged(script, f"--parallelrun-set=mini_batch_size={size}").outcomes[CHECK] == "passed"


NATIVELY = writing(
    "fd = os.open('part-0000.csv', os.O_CREAT | os.O_WRONLY | os.O_TRUNC)",
    "os.write(fd, names[0].encode())",
    "os.close(fd)",
)
RELATIVE = writing("os.makedirs('parts', exist_ok=True)", "Path('parts/part-0000.csv').write_text(names[0])")


@pytest.mark.parametrize("script", [RELATIVE, NATIVELY], ids=["through Python", "natively"])
def test_a_file_that_each_worker_has_for_itself_is_no_collision(judged: Judge, script: str) -> None:
    assert judged(script).outcomes[CHECK] == "passed"


def test_a_log_that_both_write_is_noted(judged: Judge, run_pytest: object) -> None:
    found = judged(writing("with open(out / 'log.txt', 'a') as f: f.write(names[0])"))
    assert found.outcomes[CHECK] == "passed"


def test_a_single_item_cannot_tell_different_content(judged: Judge, write: Write) -> None:
    write("one/item_1.txt", "x")
    found = judged(FIXED, input="one")
    assert found.outcomes[CHECK] == "skipped"
    assert "the sample has a single item" in found.messages[CHECK]
    assert judged(APPENDED, input="one").failed == {CHECK}
    assert judged(writing(), input="one").outcomes[CHECK] == "passed"


def test_a_second_init_that_fails_is_left_to_its_own_check(judged: Judge) -> None:
    found = judged(writing(init=("os.mkdir(out / 'made')",)))
    assert found.outcomes[CHECK] == "skipped"
    assert "see test_init_runs_in_every_worker" in found.messages[CHECK]


def test_a_script_whose_rows_are_none_is_checked_all_the_same(judged: Judge) -> None:
    script = FIXED.replace("return names", "return []")
    assert judged(script, "--parallelrun-set=error_threshold=-1").failed == {CHECK}


def test_a_file_in_an_output_that_program_arguments_name_is_found(judged: Judge) -> None:
    named = "--parallelrun-args=--out ${{outputs.pages}}"
    script = FIXED.replace("os.environ['AZUREML_BI_OUTPUT_PATH']", "__import__('sys').argv[-1]")
    found = judged(script, named)
    assert found.failed == {CHECK}
    assert "'pages/results.json' in the output folder" in found.messages[CHECK]
