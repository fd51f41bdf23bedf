from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.conftest import Judge

NAME = "keeps_its_files"
V1 = "--parallelrun-set=profile=v1"


def judged(judge: Judge, body: str, *arguments: str, init: str = "pass") -> tuple[str, str, str]:
    """Outcome, message and notes for a script that makes `body` of each path."""
    script = (
        "import os, shutil, sys, tempfile\nfrom pathlib import Path\n"
        f"def init():\n    {init}\n"
        "def run(mini_batch):\n    for path in mini_batch:\n        name = os.path.basename(path)\n"
        f"        {body}\n    return list(mini_batch)\n"
    )
    found = judge(script, *arguments, "-k", NAME)
    return found.outcomes[NAME], found.messages[NAME], " ".join(found.notes[NAME])


LOST = {
    "in the working folder": "Path(name).write_text('x')",
    "below a folder that is made": "os.makedirs('outputs', exist_ok=True); Path('outputs', name).write_text('x')",
    "by its absolute path": "Path(os.getcwd(), name).write_text('x')",
    "natively": "fd = os.open(name, os.O_CREAT | os.O_WRONLY); os.write(fd, b'x'); os.close(fd)",
    "copied": "shutil.copy(path, '.')",
    "appended to": "print(name, file=open('item_1.txt', 'a'))",
}


@pytest.mark.parametrize(
    ("body", "engine"),
    [*((body, "inprocess") for body in LOST.values()), (LOST["natively"], "process")],
    ids=[*LOST, "worker process"],
)
def test_files_in_the_folder_of_a_worker_are_advice(judge: Judge, body: str, engine: str) -> None:
    outcome, message, _ = judged(judge, body, f"--parallelrun-engine={engine}")
    assert outcome == "advice"
    assert "Files that run() writes are lost: " in message
    assert "item_1.txt" in message
    assert "process000" not in message


def test_files_prepared_below_outputs_in_v1_are_advice(judge: Judge) -> None:
    body = "Path('outputs/prepared', name + '.parquet').write_bytes(b'PAR1')"
    init = "os.makedirs('outputs/prepared', exist_ok=True)"
    outcome, message, _ = judged(judge, body, V1, "--parallelrun-set=output_action=append_row", init=init)
    assert outcome == "advice"
    shown = ", ".join(f"outputs/prepared/item_{number}.txt.parquet" for number in (1, 2, 3))
    assert f"are lost: {shown}. " in message
    assert "write below os.environ['AZUREML_BI_OUTPUT_PATH']" in message


def test_without_an_output_folder_a_program_argument_names_one(judge: Judge) -> None:
    outcome, message, _ = judged(
        judge, "from azureml_user.parallel_run import EntryScript as E; Path(E().output_dir, name).write_text('x')"
    )
    assert outcome == "advice"
    assert "--out ${{outputs.NAME}}" in message


NOT_LOST = {
    "no file": "pass",
    "removed again": "Path(name).write_text('x'); os.remove(name)",
    "moved away": "Path(name).write_text('x'); shutil.move(name, tempfile.mkdtemp())",
    "scratch of tempfile": "tempfile.NamedTemporaryFile(dir='.', delete=False).write(b'x')",
    "of tempfile elsewhere": "Path(tempfile.mkdtemp(), name).write_text('x')",
    "absolute path outside": "Path(os.path.dirname(path), '..', 'elsewhere.txt').write_text('x')",
    "cache": "os.makedirs('.cache/hub', exist_ok=True); Path('.cache/hub', name).write_text('x')",
    "cache by its name": "os.makedirs('model_cache', exist_ok=True); Path('model_cache', name).write_text('x')",
    "bytecode": "Path('module.py').write_text('x = 1'); sys.path.insert(0, '.'); import py_compile; "
    "py_compile.compile('module.py'); os.remove('module.py')",
    "marker": "Path('done').touch()",
    "read again": "Path(name).write_text('x'); Path(name).read_text()",
    "sent elsewhere": "Path(name).write_text('x'); shutil.copy(name, tempfile.mkdtemp())",
    "of MLflow": "os.makedirs('mlruns/0', exist_ok=True); Path('mlruns/0/meta.yaml').write_text('x')",
}


@pytest.mark.parametrize("body", NOT_LOST.values(), ids=NOT_LOST)
def test_what_nobody_would_look_for_is_not_lost(judge: Judge, body: str) -> None:
    assert judged(judge, body)[0] == "passed"


@pytest.mark.parametrize("engine", ["inprocess", "process"])
def test_what_init_downloads_is_not_lost(judge: Judge, engine: str) -> None:
    init = "os.makedirs('azureml-models/m', exist_ok=True); Path('azureml-models/m/model.pkl').write_text('x')"
    assert judged(judge, "pass", f"--parallelrun-engine={engine}", init=init)[0] == "passed"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--parallelrun-set=profile=batch", "--parallelrun-set=output_action=summary_only"),
        (V1, "--parallelrun-set=output_action=summary_only"),
        ("--parallelrun-set=output_action=append_row",),
    ],
    ids=["batch", "v1", "v2"],
)
def test_files_in_the_output_folder_are_kept(judge: Judge, project: Path, arguments: tuple[str, ...]) -> None:
    body = "Path(os.environ['AZUREML_BI_OUTPUT_PATH'], name).write_text('x')"
    assert judged(judge, body, *arguments, "--parallelrun-output=kept")[0] == "passed"
    assert {"item_1.txt", "item_2.txt", "item_3.txt"} <= {path.name for path in (project / "kept").iterdir()}


@pytest.mark.parametrize(("body", "outcome"), [(LOST["copied"], "advice"), (NOT_LOST["read again"], "passed")])
def test_files_that_were_moved_to_the_kept_output_count_too(judge: Judge, body: str, outcome: str) -> None:
    assert judged(judge, body, "--parallelrun-output=kept")[0] == outcome


@pytest.mark.parametrize("log", ["score.log", "logs/worker.txt"])
def test_a_log_is_noted(judge: Judge, log: str) -> None:
    body = f"os.makedirs('logs', exist_ok=True); Path('{log}').write_text('x')"
    outcome, _, notes = judged(judge, body)
    assert outcome == "passed"
    assert f"the log '{log}' lies in the folder of the worker" in notes


def test_it_fails_a_strict_gate(judge: Judge) -> None:
    assert judged(judge, LOST["copied"], "--parallelrun-strict")[0] == "failed"


def test_without_any_result_it_cannot_be_decided(judge: Judge) -> None:
    outcome, message, _ = judged(judge, "Path(name).write_text('x'); raise ValueError('no luck')")
    assert outcome == "skipped"
    assert "no luck" in message


def test_it_calls_init_no_more_often_than_the_run_of_the_sample(judge: Judge) -> None:
    found = judge("def run(mini_batch):\n    return list(mini_batch)\n", "-k", NAME)
    assert found.init_calls == 1
