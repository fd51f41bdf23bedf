from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.contract.dependence.written_files import WrittenFile
from tests.conftest import Write
from tests.contract.conftest import Judge, Judged

CHECK = "retry_is_harmless"
APPENDS = "--parallelrun-set=output_action=append_row"


@pytest.fixture
def judged(judge: Judge) -> Judge:
    def judged(script: str, *arguments: str, input: str | None = "data", name: str = "score.py") -> Judged:
        return judge(script, "-k", f"test_{CHECK}", APPENDS, *arguments, input=input, name=name)

    return judged


def writing(*lines: str, init: tuple[str, ...] = ("pass",), returns: str = "names") -> str:
    """A script with these lines in run(), in which `out` is the output folder and `names` are the items' names."""
    return "\n".join(
        [
            "import gzip, json, logging, os, random, sqlite3, tempfile, time, uuid",
            "from datetime import datetime",
            "from pathlib import Path",
            "from azureml_user.parallel_run import EntryScript",
            "out = Path(os.environ['AZUREML_BI_OUTPUT_PATH'])",
            "seen, rows = set(), []",
            "def init():",
            *(f"    {line}" for line in init),
            "def run(mini_batch):",
            "    names = [os.path.basename(p) for p in mini_batch]",
            *(f"    {line}" for line in lines),
            f"    return {returns}",
            "",
        ]
    )


BY_ITEM = "for n in names: (out / f'{n}.json').write_text(json.dumps({'name': n, 'at': str(datetime.now())}))"

SKIPS_SEEN = writing("new = [n for n in names if n not in seen]", "seen.update(new)", returns="new")
SKIPS_WRITTEN = writing(
    "new = [n for n in names if not (out / n).exists()]", "for n in new: (out / n).write_text(n)", returns="new"
)
MAKES_FOLDERS = writing("for n in names: os.mkdir(out / n)")
MOVES_ITEMS = writing("for p in mini_batch: os.replace(p, p + '.done')")
CREATES = writing("for n in names: open(out / n, 'x').close()")
COUNTS = writing("rows.extend(names)", returns="[f'{n} {len(rows)}' for n in names]")


@pytest.mark.parametrize(
    ("script", "what"),
    [
        (SKIPS_SEEN, "it returns no rows"),
        (SKIPS_WRITTEN, "it returns no rows"),
        (MAKES_FOLDERS, "it fails: FileExistsError"),
        (MOVES_ITEMS, "it fails: FileNotFoundError"),
        (CREATES, "it fails: FileExistsError"),
        (COUNTS, "it returns"),
    ],
    ids=["seen", "written", "mkdir", "moves items", "exclusive", "counts"],
)
def test_a_second_delivery_that_is_answered_differently_is_found(
    judged: Judge, script: str, what: str, size: int
) -> None:
    found = judged(script, f"--parallelrun-set=mini_batch_size={size}")
    assert found.failed == {CHECK}
    message = found.messages[CHECK]
    assert message.startswith("A retried mini-batch gives a different result: the first time run()")
    assert "in a second delivery to the same worker " + what in message


def test_the_traceback_of_a_retry_that_fails_is_shown(judged: Judge) -> None:
    assert "score.py" in judged(MAKES_FOLDERS).messages[CHECK].partition("where:")[2]


def test_rows_that_name_their_worker_otherwise_are_found_on_the_other_worker(judged: Judge) -> None:
    script = writing(returns="[int(EntryScript().agent_name[-1]) for n in names]")
    assert "in a second delivery to another worker it returns" in judged(script).messages[CHECK]


LEFTOVERS = writing(
    "for p in mini_batch: rows.append(open(p).read())", "found = list(rows)", "rows.clear()", returns="found"
)
CLAIMED = writing(
    "os.close(os.open(out / f'{names[0]}.claim', os.O_CREAT | os.O_EXCL))",
    "texts = [open(p).read() for p in mini_batch]",
    "os.unlink(out / f'{names[0]}.claim')",
)


def test_what_a_failed_attempt_leaves_in_memory_is_found(judged: Judge) -> None:
    found = judged(LEFTOVERS)
    assert found.failed == {CHECK}
    message = found.messages[CHECK]
    assert "in a retry after an attempt that failed in the middle (which failed with FileNotFoundError" in message
    assert "it returns 3 rows, also 'x'" in message


def test_what_a_failed_attempt_leaves_in_files_is_found(judged: Judge) -> None:
    found = judged(CLAIMED)
    assert found.failed == {CHECK}
    assert "FileExistsError" in found.messages[CHECK]


def test_a_file_that_only_a_failed_attempt_leaves_is_found(judged: Judge) -> None:
    script = writing(
        "path = out / f'{names[0]}.{uuid.uuid4()}'",
        "path.write_text('x')",
        "texts = [open(p).read() for p in mini_batch]",
        "os.replace(path, out / names[0])",
    )
    found = judged(script)
    assert found.failed == {CHECK}
    assert "after a retry after an attempt that failed in the middle 'item_1.txt." in found.messages[CHECK]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("with open(out / 'all.txt', 'a') as f: f.write('\\n'.join(names) + '\\n')", "it has"),
        ("with open(out / f'{EntryScript().agent_name}.csv', 'a') as f: print(*names, sep='\\n', file=f)", "it has"),
        ("with open(f'{os.getpid()}.csv', 'a') as f: print(*names, sep='\\n', file=f)", "it has"),
        # Not a duplicate: the second file has other content.
        (
            "seen.update(names + [len(seen)]); (out / str(uuid.uuid4())).write_text(str(len(seen)))",
            "is a file that one",
        ),
        ("(out / f'{names[0]}_{time.time_ns()}').write_text('')", "is a file that one delivery does not leave"),
        ("(out / f'{names[0]}{datetime.now():%Y%m%d_%H%M%S}').write_text('')", "is a file that one delivery does"),
        ("(out / f'{names[0]}_{random.random()}').write_text('')", "is a file that one delivery does not leave"),
        ("(out / f'{EntryScript().agent_name}{names[0]}').write_text('')", "is a file that one delivery does not"),
        ("(out / f'{os.getpid()}_{names[0]}').write_text('')", "is named after the process"),
        ("(out / f'part-{len(list(out.iterdir()))}').write_text(names[0])", "is a file that one delivery does not"),
    ],
    ids=["append", "by agent", "by process", "uuid", "ns", "second", "random", "agent", "process", "number"],
)
def test_files_that_a_second_delivery_adds_to_are_found(judged: Judge, line: str, what: str, size: int) -> None:
    found = judged(writing(line), f"--parallelrun-set=mini_batch_size={size}")
    assert found.failed == {CHECK}
    message = found.messages[CHECK]
    assert message.startswith("A mini-batch that is delivered again leaves other files: after a second delivery to")
    assert what in message


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["inprocess", "process"])
def test_rows_that_an_open_file_still_holds_back_are_found(judged: Judge, engine: str) -> None:
    held = "globals()['held'] = open(out / 'all.csv', 'w')"
    found = judged(writing("held.write(names[0] + '\\n')", init=(held,)), f"--parallelrun-engine={engine}")
    assert found.failed == {CHECK}
    assert "'all.csv' in the output folder" in found.messages[CHECK]
    assert "it has 2 lines instead of 1" in found.messages[CHECK]


DUPLICATES = {
    "uuid": "(out / str(uuid.uuid4())).write_text(names[0])",
    "hex": "for n in names: (out / f'{n}_{uuid.uuid4().hex}.json').write_text(n)",
    "number": "(out / f'{uuid.uuid4().int}').write_text('x')",
    "folder": "f = out / uuid.uuid4().hex; f.mkdir(); (f / 'rows.txt').write_text(names[0])",
    "time in it": "(out / f'{uuid.uuid4()}').write_text(json.dumps({'names': names, 'at': time.time()}))",
}


@pytest.mark.parametrize("line", DUPLICATES.values(), ids=DUPLICATES)
def test_files_under_random_names_that_are_merely_there_twice_are_advice(judged: Judge, line: str) -> None:
    found = judged(writing(line), "--parallelrun-set=mini_batch_size=2")
    assert found.outcomes == {CHECK: "advice"}
    assert found.messages[CHECK].startswith("A mini-batch that is delivered again leaves its files twice, under random")


@pytest.mark.parametrize(
    "line", ["open(out / 'all', 'a').write('x')", "(out / f'{EntryScript().agent_name}{names[0]}').write_text('')"]
)
def test_another_flaw_beside_random_names_is_found(judged: Judge, line: str) -> None:
    assert judged(writing("(out / str(uuid.uuid4())).write_text(names[0])", line)).outcomes == {CHECK: "failed"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("part-1b4e28ba-2fa1-11d2-883f-0016d3cca427.csv", "part-*.csv"),
        ("a_3f2a9c1e.json", "a_*.json"),
        ("1700000000123456789", None),
        ("120000_000001.csv", None),
        ("process001.csv", None),
        ("deadbeef.txt", None),
    ],
)
def test_random_parts_of_a_name(name: str, expected: str | None) -> None:
    file = WrittenFile("", name).without_random_parts
    assert (None if file is None else file.name) == expected


def test_a_database_that_rows_are_added_to_is_found(judged: Judge) -> None:
    script = writing(
        "with sqlite3.connect(out / 'r.db') as db:",
        "    db.execute('create table if not exists r (name text)')",
        "    db.executemany('insert into r values (?)', [(name,) for name in names])",
        "db.close()",
    )
    found = judged(script)
    assert found.failed == {CHECK}
    assert "'r.db' in the output folder" in found.messages[CHECK]


@pytest.mark.parametrize(
    "script",
    [
        writing(),
        writing(BY_ITEM),
        writing("for n in names: gzip.open(out / n, 'wb').write(n.encode())"),
        writing("for n in names: (out / n).mkdir(exist_ok=True), (out / n / 'r.txt').write_text(n)"),
        writing("(out / 'all.json').write_text(json.dumps(names))"),
        writing("logging.getLogger('x').warning('x')", init=("logging.basicConfig(filename=out / 'x.txt')",)),
        writing("EntryScript().logger.info('x')"),
        writing("with open(out / 'run.log', 'a') as f: f.write('x\\n')"),
        writing("with tempfile.NamedTemporaryFile('w', delete=False) as f: f.write('x')"),
        writing("path = out / f'.{uuid.uuid4()}'", "path.write_text('x')", "os.replace(path, out / names[0])"),
        writing(init=("(out / f'{EntryScript().agent_name}.txt').write_text(str(uuid.uuid4()))",)),
        writing(returns="[f'{n} {uuid.uuid4()}' for n in names]"),
        writing(
            "with sqlite3.connect(out / 'r.db') as db:",
            "    db.execute('create table if not exists r (name text primary key)')",
            "    db.executemany('insert or replace into r values (?)', [(name,) for name in names])",
            "db.close()",
        ),
        writing(
            "try: [open(p) for p in mini_batch]",
            "except OSError as error:",
            "    (out / f'errors_{uuid.uuid4()}.txt').write_text(str(error))",
            "    raise",
        ),
        writing(
            "found = []",
            "for p in mini_batch:",
            "    try: found.append(open(p).read())",
            "    except OSError as error: found.append(str(error))",
            returns="found",
        ),
    ],
    ids=[
        "none",
        "by item",
        "gzip",
        "folders",
        "fixed",
        "logging",
        "EntryScript",
        "log",
        "tempfile",
        "moved",
        "in init",
        "uuid in rows",
        "database",
        "reports failures",
        "error rows",
    ],
)
def test_scripts_that_write_the_same_again_pass(judged: Judge, script: str, size: int) -> None:
    assert judged(script, f"--parallelrun-set=mini_batch_size={size}").outcomes[CHECK] == "passed"


def test_tables_are_delivered_again_too(judged: Judge, write: Write) -> None:
    write("table.csv", "x\n1\n2\n")
    sound = "def run(mini_batch):\n    mini_batch['y'] = mini_batch.x + 1\n    return mini_batch\n"
    flawed = "t = 0\ndef run(b):\n    global t\n    b['y'] = b.x + t\n    t += b.x.sum()\n    return b\n"
    assert judged(sound, input="table.csv").outcomes[CHECK] == "passed"
    assert judged(flawed, input="table.csv").failed == {CHECK}


def test_a_script_that_returns_nothing_is_checked_by_its_files(judged: Judge) -> None:
    settings = "--parallelrun-set=error_threshold=-1"
    appending = "with open(out / 'all.txt', 'a') as f: f.write('x\\n')"
    assert judged(writing(appending, returns="[]"), settings).failed == {CHECK}
    assert judged(writing(BY_ITEM, returns="[]"), settings).outcomes[CHECK] == "passed"


@pytest.mark.parametrize(
    "script",
    [
        writing(returns="[random.random() for n in names]"),
        writing(init=("random.seed(0)",), returns="[random.random() for n in names]"),
        writing(init=("global r", "r = random.Random(0)"), returns="[r.random() for n in names]"),
    ],
    ids=["random", "seeded once", "own generator"],
)
def test_random_results_are_not_blamed(judged: Judge, script: str) -> None:
    found = judged(script)
    assert found.outcomes[CHECK] == "skipped"
    assert "random" in found.messages[CHECK]


def test_files_are_compared_where_results_are_random(judged: Judge) -> None:
    script = writing(
        "with open(out / 'all.txt', 'a') as f: f.write('x\\n')", returns="[random.random() for n in names]"
    )
    assert judged(script).failed == {CHECK}


def test_it_cannot_be_decided_where_nothing_is_returned(judged: Judge) -> None:
    assert judged("def run(mini_batch): pass\n").outcomes[CHECK] == "skipped"


ARGUMENTS = (
    "import argparse, os\nparser = argparse.ArgumentParser(allow_abbrev=False)\nparser.add_argument('--out')\n"
    "args, _ = parser.parse_known_args()\ndef run(mini_batch):\n    for p in mini_batch:\n"
)


@pytest.mark.parametrize("form", ["--out '{}'", "'--out={}'"])
def test_a_folder_of_the_users_own_gets_nothing_but_what_the_job_writes(
    judged: Judge, project: Path, form: str
) -> None:
    out = project / "my results"
    out.mkdir()
    script = ARGUMENTS + (
        "        with open(os.path.join(args.out, 'all.txt'), 'a') as f: f.write('x\\n')\n    return mini_batch\n"
    )
    found = judged(script, f"--parallelrun-args={form.format(out)}")
    assert found.failed == {CHECK}
    assert "'all.txt' in the folder of --out" in found.messages[CHECK]
    assert [path.name for path in out.iterdir()] == ["all.txt"]
    assert (out / "all.txt").read_text() == "x\n" * 3


def test_files_that_the_script_reads_in_that_folder_are_there_too(judged: Judge, write: Write) -> None:
    out = write("out/names.txt", "a").parent
    script = ARGUMENTS + (
        "        open(os.path.join(args.out, os.path.basename(p)), 'w').write(p)\n"
        "    return [open(os.path.join(args.out, 'names.txt')).read() for p in mini_batch]\n"
    )
    assert judged(script, f"--parallelrun-args=--out {out}").outcomes[CHECK] == "passed"


def test_a_folder_of_a_variable_is_replaced_too(judged: Judge, project: Path) -> None:
    out = project / "made by the script"
    script = (
        "import os\ndef init(): os.makedirs(os.environ['OUT'], exist_ok=True)\ndef run(mini_batch):\n"
        "    with open(os.path.join(os.environ['OUT'], 'all.txt'), 'a') as f: f.write('x\\n')\n    return mini_batch\n"
    )
    found = judged(script, f"--parallelrun-set=environment_variables=OUT={out}")
    assert found.failed == {CHECK}
    assert "'all.txt' in the folder of $OUT" in found.messages[CHECK]
    assert (out / "all.txt").read_text() == "x\n" * 3


def test_files_at_a_fixed_path_are_put_back(judged: Judge, project: Path) -> None:
    script = (
        "import pathlib, uuid\nfolder = pathlib.Path(__file__).with_name('fixed')\nfolder.mkdir(exist_ok=True)\n"
        "def run(mini_batch):\n    with open(folder / 'all.txt', 'a') as f: f.write('x\\n')\n"
        "    (folder / str(uuid.uuid4())).write_text('x')\n    return mini_batch\n"
    )
    assert judged(script).failed == {CHECK}
    assert (project / "fixed/all.txt").read_text() == "x\n" * 3
    assert len(list((project / "fixed").iterdir())) == 4


def test_a_script_that_does_not_read_its_items_needs_no_further_workers(judge: Judge) -> None:
    # The baseline, three workers that are asked everything, and the attempt without an item, which does not fail.
    found = judge("def run(b): return [p[-10:] for p in b]\n", "-k", "test_retry_is_harmless")
    assert found.outcomes["retry_is_harmless"] == "passed"
    assert found.init_calls == 5


def test_a_script_that_starts_on_the_main_thread_alone_is_checked_there(judge: Judge) -> None:
    # Other checks have shown that a bad item does not hang, so that the retry is tried off the main thread.
    script = (
        "import signal\ndef init(): signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))\n"
        "def run(b): return [f'{p[-10:]} {len(open(p).read())}' for p in b]\n"
    )
    found = judge(script, "-k", "reports_failures or retry_is_harmless", "--parallelrun-set=mini_batch_size=2")
    assert found.outcomes == {"reports_failures": "passed", "retry_is_harmless": "passed"}
