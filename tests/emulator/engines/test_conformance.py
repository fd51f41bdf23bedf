"""The same jobs on all engines: the same result, up to order and duration."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_parallelrun import Fault, JobResult, JobSettings, ParallelJob
from pytest_parallelrun.emulator.errors import FaultError
from pytest_parallelrun.emulator.events import Failure, WorkerFailed, WorkerStopped

SCRIPT = """
import json, os, sys

def init():
    global plan
    with open(os.environ["PLAN"], encoding="utf-8") as file:
        plan = json.load(file)

def run(paths, context):
    answers = plan.get(str(context.minibatch_index), [])
    # Workers have nothing in common but files: each attempt takes the next number.
    for number in range(100):
        try:
            os.close(os.open(f"{os.environ['PLAN']}.{context.minibatch_index}.{number}", os.O_CREAT | os.O_EXCL))
            break
        except FileExistsError:
            pass
    answer = answers[number] if number < len(answers) else "all"
    names = [os.path.basename(path) for path in paths]
    if answer == "raises":
        raise ValueError(f"no {names[0]}")
    if answer == "leaves":
        sys.exit("enough")
    if answer == "dies":
        os._exit(3)
    if answer == "none":
        return None
    if answer == "text":
        return "text"
    if answer == "short":
        return names[1:]
    if answer == "more":
        return [*names, "one more"]
    if answer == "dicts":
        return [{"name": name, "size": 1.5} for name in names]
    return names
"""

SEES = """
import json, multiprocessing, os, pickle, sys
def run(paths, context):
    if context.minibatch_index == 1 and context.retry_count == 0:
        raise ValueError("once")
    copied = pickle.loads(pickle.dumps(paths))
    names = [os.path.basename(path) for path in paths]
    assert isinstance(paths, list) and paths == list(paths) == copied and str(paths) == str(list(paths))
    process = multiprocessing.current_process().name
    own = [value for value in sys.argv if value.startswith("{") and json.loads(value)]
    ids = paths.task_id, copied.task_id, context.retry_count
    return [json.dumps([*names, *ids, process, os.path.basename(os.getcwd()), len(own)])]
"""

ANSWERS = ("all", "raises", "leaves", "dies", "none", "text", "short", "more", "dicts")


def essence(result: JobResult) -> dict[str, object]:
    """What is equal on all engines."""
    return {
        "status": result.status,
        "reason": result.reason,
        "exceeded": result.exceeded,
        "counts": (
            result.total_mini_batches,
            result.processed_mini_batches,
            result.succeeded_mini_batches,
            result.failed_mini_batches,
            result.total_items,
            result.succeeded_items,
            result.failed_items,
        ),
        "mini_batches": [
            (
                batch.id,
                batch.size,
                batch.status,
                batch.succeeded,
                batch.failed,
                [(each.number, each.outcome, each.returned, each.phase) for each in batch.attempts],
                # How a process ended is told in other words where there is none.
                [each.error for each in batch.attempts if each.outcome not in ("crashed", "timeout")],
            )
            for batch in result.mini_batches
        ],
        "rows": Counter(repr(row) for row in result.rows),
        "readings": result.readings,
        "appended": None if result.output_path is None else sorted(result.output_path.read_text("utf-8").split("\n")),
    }


class Jobs:
    """Runs one plan on each engine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._script = folder / "score.py"
        self._script.write_text(SCRIPT, encoding="utf-8")
        self.data = folder / "data"
        self.data.mkdir()
        self._plans = 0

    def items(self, count: int) -> list[str]:
        paths = [self.data / f"f{number:02d}" for number in range(count)]
        for path in paths:
            path.touch()
        return [str(path) for path in paths]

    def run(
        self, items: int, plan: dict[int, list[str]], faults: list[Fault], chosen: dict[str, object], engine: str
    ) -> dict[str, object] | str:
        self._plans += 1
        file = self._folder / f"plan{self._plans}"
        file.write_text(json.dumps(plan), encoding="utf-8")
        fields = JobSettings.from_mapping({**chosen, "environment_variables": {"PLAN": str(file)}})
        job = ParallelJob(self._script, self.items(items), fields, faults=faults, engine=engine)
        try:
            return essence(job.run())
        except FaultError as error:
            return str(error)


@pytest.fixture(scope="module")
def engines() -> tuple[str, ...]:
    """Those that need nothing that is not installed here; tests/ray has another one."""
    return ("inprocess", "process")


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    return Jobs(tmp_path_factory.mktemp("conformance"))


@st.composite
def plans(draw: st.DrawFn) -> dict[int, list[str]]:
    ids = draw(st.lists(st.integers(0, 4), unique=True, max_size=4))
    return {number: draw(st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=3)) for number in ids}


def faults() -> st.SearchStrategy[list[Fault]]:
    where = {"mini_batch": st.integers(0, 4), "attempt": st.integers(1, 2)}
    return st.lists(
        st.one_of(
            st.builds(Fault.raises, st.just(KeyError), **where),
            st.builds(Fault.times_out, **where),
            st.builds(Fault.crashes, **where),
            st.builds(Fault.returns, st.sampled_from([[], None, ["a", "b"]]), **where),
            st.builds(Fault.drops, st.integers(1, 2), **where),
            st.builds(Fault.delivers_twice, **where),
            st.builds(Fault.load_fails, **where),
        ),
        max_size=2,
    )


def chosen_settings() -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries(
        {"mini_batch_size": st.integers(1, 3), "max_retries": st.integers(0, 2)},
        optional={
            "error_threshold": st.integers(-1, 4),
            "mini_batch_error_threshold": st.integers(-1, 3),
            "allowed_failed_percent": st.sampled_from([0, 30, 100]),
            "output_action": st.sampled_from(["summary_only", "append_row"]),
            "rules": st.sampled_from(["documented", "observed"]),
        },
    )


@pytest.mark.slow
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(items=st.integers(1, 8), plan=plans(), faults=faults(), chosen=chosen_settings())
def test_drawn_jobs_have_the_same_result_on_all_engines(
    jobs: Jobs,
    engines: tuple[str, ...],
    items: int,
    plan: dict[int, list[str]],
    faults: list[Fault],
    chosen: dict[str, object],
) -> None:
    first, *others = (jobs.run(items, plan, faults, chosen, engine) for engine in engines)
    assert others == [first] * len(others)


@pytest.mark.parametrize(
    "fault",
    [
        Fault.raises(KeyError, mini_batch=1),
        Fault.times_out(mini_batch=1, attempt=1),
        Fault.crashes(mini_batch=1, attempt=1),
        Fault.returns(["a"], mini_batch=1),
        Fault.returns("text", mini_batch=1),
        Fault.drops(1, mini_batch=1, attempt=1),
        Fault.delivers_twice(mini_batch=1),
        Fault.load_fails(mini_batch=1, attempt=2),
        Fault.load_fails(mini_batch=1),
        Fault.init_raises(worker=0),
    ],
    ids=str,
)
def test_each_fault_has_the_same_result_on_all_engines(jobs: Jobs, engines: tuple[str, ...], fault: Fault) -> None:
    first, *others = (jobs.run(4, {}, [fault], {"mini_batch_size": 2}, engine) for engine in engines)
    assert others == [first] * len(others)


class ParallelRunException(Exception):
    """A wish of the script's to pause."""

    code = "Retry.Sleep"
    delay_seconds = 0.4


def test_a_pause_that_is_injected_is_one_on_all_engines(tmp_path: Path, engines: tuple[str, ...]) -> None:
    (tmp_path / "score.py").write_text("def run(paths): return paths", encoding="utf-8")
    (tmp_path / "item").touch()
    fault = Fault.raises(ParallelRunException("later"), mini_batch=0, attempt=1)
    for engine in engines:
        result = ParallelJob(tmp_path / "score.py", [str(tmp_path / "item")], faults=[fault], engine=engine).run()
        first, second = result.attempts
        assert (first.outcome, second.outcome) == ("exception", "succeeded")
        assert second.started - first.started >= 0.4


RAISES = "class Own(Exception): ...\ndef work(path):\n    {}\ndef run(paths):\n    return work(paths[0])\n"
FROM_ANOTHER = """
    try:
        open(path + ".missing")
    except OSError as error:
        raise RuntimeError("cannot work") from error
"""
REQUESTS = """
    from azureml.exceptions import ParallelRunException
    raise ParallelRunException("not again", code="Retry.NoRetry", delay_seconds=2)
"""


@pytest.mark.parametrize(
    ("work", "exceptions"),
    [
        ("raise ValueError('bad')", ["ValueError"]),
        ("raise Own('bad')", ["score.Own"]),
        (FROM_ANOTHER, ["RuntimeError", "FileNotFoundError"]),
        ("import no_such_module", ["ModuleNotFoundError"]),
        ("open(path + '.missing')", ["FileNotFoundError"]),
        ("import json; json.loads('{')", ["json.decoder.JSONDecodeError"]),
        ("raise SystemExit(3)", ["SystemExit"]),
        (REQUESTS, ["azureml.exceptions.ParallelRunException"]),
        ("return {1: 2}", []),
        ("return None", []),
    ],
)
def test_a_failure_has_the_same_fields_on_all_engines(
    tmp_path: Path, engines: tuple[str, ...], work: str, exceptions: list[str]
) -> None:
    (tmp_path / "score.py").write_text(RAISES.format(work), encoding="utf-8")
    (tmp_path / "item").touch()
    failures = []
    for engine in engines:
        settings = JobSettings(max_retries=0)
        job = ParallelJob(tmp_path / "score.py", [str(tmp_path / "item")], settings, engine=engine)
        [attempt] = job.run().attempts
        failures.append(attempt.failure)
    first, *others = failures
    assert first is not None
    assert others == [first] * len(others)
    assert [info.type for info in first.chain] == exceptions
    assert bool(first.frame) == bool(first.traceback) == bool(exceptions)
    assert bool(first.returned_type) == (not exceptions)


@pytest.mark.parametrize(
    ("script", "phase"),
    [
        ("import no_such_module", "import"),
        ("def run(:", "import"),
        ("run = 1", "define"),
        ("def init(): open('missing')\ndef run(paths): return paths", "init"),
        ("def run(paths): return paths\ndef shutdown(): 1 / 0", "shutdown"),
    ],
)
def test_a_worker_that_fails_has_the_same_failure_on_all_engines(
    tmp_path: Path, engines: tuple[str, ...], script: str, phase: str
) -> None:
    (tmp_path / "score.py").write_text(script, encoding="utf-8")
    (tmp_path / "item").touch()
    failures = [worker_failure(tmp_path, engine) for engine in engines]
    assert failures == failures[:1] * len(failures)
    assert (failures[0].phase, bool(failures[0].chain)) == (phase, True)


def test_an_injected_failure_of_init_is_the_same_on_all_engines(tmp_path: Path, engines: tuple[str, ...]) -> None:
    (tmp_path / "score.py").write_text("def run(paths): return paths", encoding="utf-8")
    (tmp_path / "item").touch()
    failures = [worker_failure(tmp_path, engine, Fault.init_raises(KeyError, worker=0)) for engine in engines]
    assert failures == failures[:1] * len(failures)
    assert failures[0].exception == "KeyError"


def worker_failure(folder: Path, engine: str, *faults: Fault) -> Failure:
    """Of the first worker that could not be started, or whose shutdown() failed."""
    result = ParallelJob(folder / "score.py", [str(folder / "item")], faults=faults, engine=engine).run()
    failures = [event.failure for event in result.events if isinstance(event, (WorkerFailed, WorkerStopped))]
    return next(failure for failure in failures if failure is not None)


@pytest.mark.parametrize("thread", ["main", "worker"])
def test_several_workers_have_the_same_result_on_all_engines(jobs: Jobs, engines: tuple[str, ...], thread: str) -> None:
    plan = {number: [answer] for number, answer in enumerate(ANSWERS)}
    chosen: dict[str, object] = {
        "max_concurrency_per_instance": 2,
        "instance_count": 2,
        "mini_batch_size": 2,
        "output_action": "append_row",
        "thread": thread,
    }
    first, *others = (jobs.run(24, plan, [], chosen, engine) for engine in engines)
    assert others == [first] * len(others)


TABLE = """
import datetime, decimal, http
from collections import Counter, defaultdict
from zoneinfo import ZoneInfo
import pandas as pd
def init():
    global offset
    offset = 1
def run(table):
    if (table["x"] == 3).any():
        raise ValueError("three")
    berlin = ZoneInfo("Europe/Berlin")
    return table.assign(
        y=table["x"] + offset,
        day=pd.Timestamp("2024-02-29"),
        moment=pd.Timestamp("2024-02-29 12:00", tz=berlin),
        part=table["name"].str[:1],
        whole=table["x"].astype("Int64"),
        values=[
            {
                "status": http.HTTPStatus.OK,
                "counts": [Counter("aab"), defaultdict(list, a=[decimal.Decimal("1.10")])],
                "when": datetime.datetime(2024, 7, 1, tzinfo=berlin),
            }
            for _ in table["x"]
        ],
    )
"""


def test_tables_have_the_same_result_on_all_engines(tmp_path: Path, engines: tuple[str, ...]) -> None:
    script = tmp_path / "score.py"
    script.write_text(TABLE, encoding="utf-8")
    frame = pd.DataFrame({"x": range(8), "name": ["äö", "b c", '"', "d", "e", "f", "g", None]})
    results = [
        essence(
            ParallelJob(
                script,
                frame,
                JobSettings(mini_batch_size=6, output_action="append_row", append_row_dataframe_header=True),
                engine=engine,
            ).run()
        )
        for engine in engines
    ]
    assert results[0] == results[1]
    assert results[0]["status"] == "Completed"


EXAMPLES = Path(__file__).parents[3] / "example_scripts"
QUICK = ("text_files", "iris_table", "sound/error_rows", "sound/class_based", "flawed/returns_none_for_empty_file")


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_example_scripts_have_the_same_result_on_all_engines(
    tmp_path: Path, engines: tuple[str, ...], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "iris_table":
        pytest.importorskip("sklearn")
    monkeypatch.chdir(EXAMPLES.parent)
    options: list[str] = json.loads((EXAMPLES / name / "expected.json").read_text("utf-8"))["options"]
    given = [option.removeprefix("--parallelrun-").partition("=") for option in options]
    values = {key: value for key, _, value in given}
    fields = JobSettings.from_mapping(dict(value.split("=", 1) for key, _, value in given if key == "set"))
    arguments = values.get("args", "").replace("{scratch}", str(tmp_path))
    results = [
        essence(
            ParallelJob(
                values["entry"],
                os.path.abspath(values["input"]),
                fields,
                arguments,
                engine=engine,
                models=[value for key, _, value in given if key == "model"],
            ).run()
        )
        for engine in engines
    ]
    assert results[0] == results[1]


@pytest.mark.parametrize("engine", ["inprocess", "process"])
def test_a_script_sees_its_task_its_retries_and_the_name_of_its_process(engine: str, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(SEES, encoding="utf-8")
    data = tmp_path / "data"
    data.mkdir()
    for name in ("a", "b", "c"):
        (data / name).touch()
    settings = JobSettings(mini_batch_size=1, max_concurrency_per_instance=2)
    host = multiprocessing.current_process().name
    rows = ParallelJob(tmp_path / "score.py", data, settings, engine=engine).run().rows
    seen = sorted(json.loads(str(row)) for row in rows)
    assert multiprocessing.current_process().name == host
    assert [row[:4] for row in seen] == [["a", 0, 0, 0], ["b", 1, 1, 1], ["c", 2, 2, 0]]
    assert all(process == folder in ("process000", "process001") and own == 1 for *_, process, folder, own in seen)
