"""Cases that are saved and run again, without pytest around them."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_parallelrun import Fault, JobSettings, load_case
from pytest_parallelrun.contract.cases import case as case_module
from pytest_parallelrun.contract.cases.case import Case, NotSaved, save_case
from pytest_parallelrun.contract.cases.saved_case import SavedCase
from pytest_parallelrun.emulator.errors import EntryScriptError, InputError, ParallelRunError

NAMES = "from pathlib import Path\ndef run(mini_batch):\n    return [Path(p).name for p in mini_batch]\n"


def write_script(folder: Path, text: str) -> Path:
    path = folder / "score.py"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def items(tmp_path: Path) -> list[str]:
    paths = [tmp_path / "sample" / "a" / "it's 1.txt", tmp_path / "sample" / "größe.txt"]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x" * number, encoding="utf-8")
    return [str(path) for path in paths]


def save(folder: Path, case: Case, settings: JobSettings | None = None, **options: Any) -> list[str]:
    return save_case(
        folder,
        case,
        entry="src/score.py",
        check="job_completes",
        finding="run() fails",
        settings=settings or JobSettings(),
        **options,
    )


def saved(tmp_path: Path, case: Case, settings: JobSettings | None = None) -> SavedCase:
    """Saved, moved to another place, and loaded."""
    folder = tmp_path / "case"
    assert save(folder, case, settings) == []
    moved = tmp_path / "some where else" / "case"
    moved.parent.mkdir()
    shutil.move(folder, moved)
    return load_case(moved)


def test_files_are_run_again_with_their_names_and_content(tmp_path: Path, items: list[str]) -> None:
    case = saved(tmp_path, Case(kind="files", mini_batches=(items, items[:1])))
    shutil.rmtree(tmp_path / "sample")
    script = NAMES.replace("Path(p).name", "(Path(p).name, Path(p).read_text())")
    result = case.run(write_script(tmp_path, script))
    assert result.rows == [("it's 1.txt", ""), ("größe.txt", "x"), ("it's 1.txt", "")]
    assert case.problem(result) == ""
    assert (case.entry, case.check, case.finding) == ("src/score.py", "job_completes", "run() fails")


def test_a_table_is_run_again_with_its_dtypes(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.0, float("nan")], "name": ["a", "b"]})
    case = saved(tmp_path, Case(kind="tabular", mini_batches=(frame,)))
    script = "def run(mini_batch):\n    return [str(mini_batch.dtypes['x']), mini_batch['name'].tolist()]\n"
    assert case.run(write_script(tmp_path, script)).rows == ["float64", ["a", "b"]]


def test_the_saved_items_stay_as_they_are_whatever_the_script_does(tmp_path: Path, items: list[str]) -> None:
    case = saved(tmp_path, Case(kind="files", mini_batches=(items,)))
    script = "import os\ndef run(mini_batch):\n    for path in mini_batch: os.remove(path)\n    return mini_batch\n"
    path = write_script(tmp_path, script)
    for _ in range(2):
        assert case.problem(case.run(path)) == ""


def test_items_that_are_missing_are_missing_again_and_folders_are_folders(tmp_path: Path, items: list[str]) -> None:
    os.remove(items[0])
    os.mkdir(items[0])
    link = str(tmp_path / "sample" / "link.txt")
    try:
        os.symlink("nowhere", link)
    except OSError:
        pytest.skip("this system makes no links")
    missing = str(tmp_path / "sample" / "gone.txt")
    case = saved(tmp_path, Case(kind="files", mini_batches=([items[0], link, missing, items[1]],)))
    script = (
        "import os\ndef run(mini_batch):\n"
        "    return [(os.path.isdir(p), os.path.islink(p), os.path.exists(p)) for p in mini_batch]\n"
    )
    assert case.run(write_script(tmp_path, script)).rows == [
        (True, False, True),
        (False, False, False),
        (False, False, False),
        (False, False, True),
    ]


ENDINGS = {
    "succeeded": "return list(mini_batch)",
    "exception": "raise ValueError('no')",
    "short": "return []",
    "wrong_type": "return None",
    "timeout": "import time; time.sleep(100)",
    "crashed": "import os; os._exit(3)",
}


@pytest.mark.parametrize(("outcome", "body"), ENDINGS.items(), ids=ENDINGS)
def test_a_case_that_expects_results_holds_where_every_attempt_succeeds(
    tmp_path: Path, items: list[str], outcome: str, body: str
) -> None:
    case = saved(tmp_path, Case(kind="files", mini_batches=(items[1:], items[:1])))
    result = case.run(write_script(tmp_path, f"def run(mini_batch):\n    {body}\n"))
    problem = case.problem(result)
    assert problem == "" if outcome == "succeeded" else problem.startswith(f"mini-batch 0 (größe.txt): {outcome}: ")


@pytest.mark.parametrize(("outcome", "body"), ENDINGS.items(), ids=ENDINGS)
def test_a_case_that_expects_no_harm_holds_where_attempts_raise_or_return_fewer(
    tmp_path: Path, items: list[str], outcome: str, body: str
) -> None:
    case = saved(tmp_path, Case(kind="files", mini_batches=(items,), expects="no_harm"))
    result = case.run(write_script(tmp_path, f"def run(mini_batch):\n    {body}\n"))
    assert (case.problem(result) == "") is (outcome in ("succeeded", "exception", "short"))


def test_a_script_whose_workers_do_not_come_up_does_not_pass(tmp_path: Path, items: list[str]) -> None:
    case = saved(tmp_path, Case(kind="files", mini_batches=(items,), expects="no_harm"))
    problem = case.problem(case.run(write_script(tmp_path, "raise OSError('no disk')\n")))
    assert problem.startswith("no worker could start: ")
    assert "no disk" in problem


COUNTS = "seen = []\ndef run(mini_batch):\n    seen.extend(mini_batch)\n    return [len(seen)] * len(mini_batch)\n"


def test_rows_of_the_last_mini_batch_must_be_those_expected(tmp_path: Path, items: list[str]) -> None:
    case = saved(tmp_path, Case(kind="files", mini_batches=(items[:1], items[1:]), expected_rows=(1,)))
    result = case.run(write_script(tmp_path, COUNTS))
    assert case.problem(result) == "mini-batch 1 returned 2 where 1 is expected"
    mended = case.run(write_script(tmp_path, "def run(mini_batch):\n    return [1] * len(mini_batch)\n"))
    assert case.problem(mended) == ""


def test_rows_that_are_expected_of_a_mini_batch_that_fails_are_missed(tmp_path: Path, items: list[str]) -> None:
    case = saved(
        tmp_path, Case(kind="files", mini_batches=(items[:1], items[1:]), expected_rows=(1,), expects="no_harm")
    )
    script = write_script(
        tmp_path, "calls = []\ndef run(mini_batch):\n    assert not calls\n    calls.append(1)\n    return [1]\n"
    )
    assert case.problem(case.run(script)).startswith("mini-batch 1 returned nothing where rows are expected: Assert")


def test_rows_that_name_the_path_of_an_item_are_expected_at_its_new_place(tmp_path: Path, items: list[str]) -> None:
    rows = tuple({"paths": [path], "name": (path,)} for path in items)
    case = saved(tmp_path, Case(kind="files", mini_batches=(items,), expected_rows=rows))
    script = "def run(mini_batch):\n    return [{'paths': [p], 'name': (p,)} for p in mini_batch]\n"
    assert case.problem(case.run(write_script(tmp_path, script))) == ""


def test_values_that_differ_between_any_two_runs_do_not_count(tmp_path: Path, items: list[str]) -> None:
    case = saved(
        tmp_path,
        Case(
            kind="files",
            mini_batches=(items[:1],),
            expected_rows=({"n": 1, "at": "2020-01-01"},),
            ignoring=frozenset({("'at'", ("word", 0))}),
        ),
    )
    script = "def run(mini_batch):\n    return [{'n': %d, 'at': '2024-05-05'}]\n"
    assert case.problem(case.run(write_script(tmp_path, script % 1))) == ""
    assert case.problem(case.run(write_script(tmp_path, script % 2))) != ""


INDEX = "def run(mini_batch, context):\n    return [context.minibatch_index] * len(mini_batch)\n"


def test_mini_batches_keep_the_index_that_they_had(tmp_path: Path, items: list[str]) -> None:
    case = saved(
        tmp_path,
        Case(kind="files", mini_batches=(items[:1], items[1:]), identities=((7, 14), (3, 6)), expected_rows=(3,)),
    )
    result = case.run(write_script(tmp_path, INDEX))
    assert result.rows == [7, 3]
    assert case.problem(result) == ""


def test_two_deliveries_of_the_same_mini_batch_count_from_0(tmp_path: Path, items: list[str]) -> None:
    case = saved(tmp_path, Case(kind="files", mini_batches=(items[:1], items[:1]), identities=((7, 14), (7, 14))))
    assert case.run(write_script(tmp_path, INDEX)).rows == [0, 1]


def test_faults_are_part_of_the_case_and_what_they_hit_is_not_judged(tmp_path: Path, items: list[str]) -> None:
    faults = (
        Fault.raises(ValueError("disk"), mini_batch=0, attempt=1),
        Fault.raises(UnicodeDecodeError("utf-8", b"", 0, 1, "why"), mini_batch=0, attempt=2),
        Fault.returns(["x", None], mini_batch=1, attempt=1),
    )
    case = saved(
        tmp_path,
        Case(kind="files", mini_batches=(items, items[:1]), faults=faults, settings=JobSettings(max_retries=2)),
    )
    result = case.run(write_script(tmp_path, NAMES))
    first, second = result.mini_batches
    assert [attempt.outcome for attempt in first.attempts] == ["exception", "exception", "succeeded"]
    assert first.attempts[0].error == "ValueError: disk"
    assert "UnicodeDecodeError" in str(first.attempts[1].error)
    assert [attempt.outcome for attempt in second.attempts] == ["succeeded"]


def test_a_fault_that_the_mended_script_does_not_come_to_is_left_out(tmp_path: Path, items: list[str]) -> None:
    faults = (Fault.drops(1, mini_batch=0, attempt=1), Fault.crashes(mini_batch=0, attempt=3))
    case = saved(
        tmp_path, Case(kind="files", mini_batches=(items,), faults=faults, settings=JobSettings(max_retries=2))
    )
    result = case.run(write_script(tmp_path, NAMES))
    assert [attempt.outcome for attempt in result.mini_batches[0].attempts] == ["short", "succeeded"]
    assert case.problem(result) == ""


def test_a_fault_with_an_exception_of_the_users_keeps_its_name_and_text(tmp_path: Path, items: list[str]) -> None:
    class ServerBusy(Exception):
        pass

    case = saved(tmp_path, Case(kind="files", mini_batches=(items,), faults=(Fault.raises(ServerBusy("later")),)))
    result = case.run(write_script(tmp_path, NAMES))
    assert result.mini_batches[0].attempts[0].error == "RuntimeError: ServerBusy: later"


def test_settings_of_the_case_go_over_those_given_and_these_over_those_of_the_run(
    tmp_path: Path, items: list[str]
) -> None:
    case = saved(
        tmp_path,
        Case(kind="files", mini_batches=(items,), settings=JobSettings(timeout=7, rules="observed")),
        JobSettings(timeout=30, encoding="latin-1", delimiter=";", mini_batch_size="10", instance_count=4),
    )
    settings = case.run(write_script(tmp_path, NAMES), settings=JobSettings(timeout=50, encoding="cp1252")).settings
    assert (settings.timeout, settings.encoding, settings.delimiter) == (7, "cp1252", ";")
    assert settings.rules.name == "observed"
    assert settings.mini_batch_size_text == "10"
    assert settings.instance_count * settings.max_concurrency_per_instance == 1


@pytest.mark.parametrize("profile", ["v2", "batch"])
def test_neither_thresholds_nor_retries_of_the_run_keep_a_mini_batch_from_its_turn(
    tmp_path: Path, items: list[str], profile: Any
) -> None:
    case = saved(
        tmp_path,
        Case(kind="files", mini_batches=(items[:1], items[1:]), expects="no_harm"),
        JobSettings(profile=profile, error_threshold=0),
    )
    result = case.run(write_script(tmp_path, "def run(mini_batch): raise ValueError\n"))
    assert [len(batch.attempts) for batch in result.mini_batches] == [1, 1]


def test_thresholds_that_the_case_needs_are_in_force(tmp_path: Path, items: list[str]) -> None:
    needed = JobSettings(error_threshold=0, mini_batch_error_threshold=5, allowed_failed_percent=50, max_retries=1)
    case = saved(tmp_path, Case(kind="files", mini_batches=(items[:1], items[1:]), settings=needed))
    result = case.run(write_script(tmp_path, "def run(mini_batch): raise ValueError\n"))
    assert result.exceeded == "error_threshold"
    assert result.settings.allowed_failed_percent == 50
    assert result.settings.max_retries == 1


def test_with_timeouts_suspended_nothing_ends_an_attempt(tmp_path: Path, items: list[str]) -> None:
    case = saved(tmp_path, Case(kind="files", mini_batches=(items,), settings=JobSettings(timeout=1)))
    result = case.run(
        write_script(tmp_path, "import time\ndef run(mini_batch):\n    time.sleep(5000)\n    return mini_batch\n"),
        suspended=True,
    )
    assert result.status == "Completed"


def test_a_wrong_set_up_is_an_error_and_leaves_no_copies(
    tmp_path: Path, items: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = saved(tmp_path, Case(kind="files", mini_batches=(items,)))
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    with pytest.raises(EntryScriptError):
        case.run(tmp_path / "nowhere.py")
    assert list((tmp_path / "temp").iterdir()) == []


def test_neither_variables_nor_arguments_are_written(tmp_path: Path, items: list[str]) -> None:
    settings = JobSettings(environment_variables={"API_KEY": "hunter2"})
    save(tmp_path / "case", Case(kind="files", mini_batches=(items,), settings=settings), settings)
    assert "hunter2" not in (tmp_path / "case" / "case.json").read_text()


def test_expected_rows_with_a_secret_are_left_out_and_said_to_be(tmp_path: Path, items: list[str]) -> None:
    case = Case(kind="files", mini_batches=(items,), expected_rows=("token hunter2",))
    remarks = save(tmp_path / "case", case, is_secret=lambda text: "hunter2" in text)
    assert remarks == ["the rows that it should return hold a secret and are left out"]
    assert "hunter2" not in (tmp_path / "case" / "case.json").read_text()


def test_values_that_are_kept_as_text_are_told_once(tmp_path: Path, items: list[str]) -> None:
    case = Case(kind="files", mini_batches=(items,), expected_rows=(object(), object()))
    assert save(tmp_path / "case", case) == ["values of type object are kept as text"]


def test_an_earlier_case_is_replaced_with_its_items(tmp_path: Path, items: list[str]) -> None:
    folder = tmp_path / "case"
    save(folder, Case(kind="files", mini_batches=(items,)))
    save(folder, Case(kind="files", mini_batches=(items[1:],)))
    assert [path.name for path in (folder / "items").iterdir()] == ["größe.txt"]


def test_a_folder_of_something_else_is_not_touched(tmp_path: Path, items: list[str]) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(NotSaved, match="holds no saved case"):
        save(tmp_path / "mine", Case(kind="files", mini_batches=(items,)))
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"


def test_items_that_are_too_large_are_not_copied(
    tmp_path: Path, items: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_module, "MAX_BYTES", 0)
    with pytest.raises(NotSaved, match="its items have 0 MB, and up to 0 MB are copied"):
        save(tmp_path / "case", Case(kind="files", mini_batches=(items,)))
    assert not (tmp_path / "case").exists()


def test_what_cannot_be_written_is_said(tmp_path: Path, items: list[str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotSaved, match="Error: "):
        save(tmp_path / "file" / "case", Case(kind="files", mini_batches=(items,)))
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(NotSaved, match="RecursionError: "):
        save(tmp_path / "case", Case(kind="files", mini_batches=(items,), expected_rows=(endless,)))


FILES: dict[str, Any] = {
    "version": 1,
    "kind": "files",
    "expects": "results",
    "mini_batches": [{"items": ["a/b.txt"]}],
    "identities": [[0, 0]],
    "partitions": [[["year", "2024"]]],
    "settings": {"timeout": 5},
    "settings_of_the_run": {"rules": "observed"},
    "faults": [{"kind": "raises", "mini_batch": 0, "attempt": 1, "worker": 0, "payload": {"tuple": ["OSError", "x"]}}],
    "expected_rows": ["b.txt", {"float": "nan"}],
    "ignoring": [{"tuple": [0, "score"]}],
    "seed": 3,
}
COLUMN = {"name": "a", "dtype": "float64", "values": [1.5, {"float": "nan"}]}
TABLE = {**FILES, "kind": "tabular", "mini_batches": [{"table": {"rows": 2, "columns": [COLUMN]}}]}
RECORDS = {**FILES, "kind": "records", "mini_batches": [{"records": [{"dict": [["a", {"date": "2024-01-31"}]]}]}]}


def of_items(*names: object) -> object:
    return {**FILES, "mini_batches": [{"items": list(names)}]}


def of_table(**changes: object) -> object:
    return {**TABLE, "mini_batches": [{"table": {"rows": 2, "columns": [{**COLUMN, **changes}]}}]}


WRONG = {
    "no folder": (None, "is no folder: give a folder that --parallelrun-save"),
    "no JSON": ("{", "cannot be read: "),
    "deep": ("[" * 100_000, "nested too deeply"),
    "no object": ("[]", "has version None, and this"),
    "another version": ({"version": 2}, "has version 2, and this pytest-parallelrun reads version 1"),
    "another kind": ({**FILES, "kind": "images"}, "kind must be files, tabular or records, and is 'images'."),
    "another expectation": ({**FILES, "expects": "fun"}, "expects must be results or no_harm, and is 'fun'."),
    "no mini-batches": ({**FILES, "mini_batches": []}, "mini_batches must be a list of mini-batches, and is []."),
    "items of a table": (
        {**FILES, "kind": "tabular"},
        "mini_batches[0] must have table, and is {'items': ['a/b.txt']}",
    ),
    "item above": (of_items("a.txt", "../../x"), "has the item '../../x', which is not below items."),
    "absolute item": (of_items("/etc/passwd"), "has the item '/etc/passwd', which is not below items."),
    "item of Windows": (of_items("..\\x"), "which is not below items."),
    "item on a drive": (of_items("C:x"), "has the item 'C:x', which is not below items."),
    "item that is none": (of_items(3), "has the item 3, which is not below items."),
    "variables": ({**FILES, "settings": {"environment_variables": {"A": "b"}}}, "without environment variables"),
    "unknown setting": ({**FILES, "settings": {"time_out": 3}}, "unknown setting 'time_out'"),
    "unknown fault": (
        {**FILES, "faults": [{"kind": "explodes"}]},
        "faults[0] has the kind 'explodes'. Allowed: raises",
    ),
    "payload": (
        {**FILES, "faults": [{"kind": "drops", "payload": "x"}]},
        "faults[0], which drops, has the payload 'x'",
    ),
    "indices": ({**FILES, "identities": [[0, 0], [1, 1]]}, "one entry for each mini-batch, and has 2"),
    "rows": (
        {**TABLE, "mini_batches": [{"table": {"rows": 10**12, "columns": [COLUMN]}}]},
        "'a' has 2 values in a table",
    ),
    "no rows": ({**TABLE, "mini_batches": [{"table": {"rows": -1}}]}, "a table has a number of rows and a list"),
    "no dtype": (of_table(dtype=None), "a column has name, dtype and values, and is {'name': 'a'"),
    "another dtype": (of_table(dtype="nonsense"), "the table of a saved case cannot be read"),
    "no value": ({**FILES, "expected_rows": [{"float": "x"}]}, "is malformed: ValueError: "),
    "no key": ({**FILES, "ignoring": [[0]]}, "is malformed: TypeError: "),
}


def write_case(folder: Path, content: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "case.json").write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=WRONG)
def test_a_folder_that_holds_no_case_is_refused(tmp_path: Path, content: object, message: str) -> None:
    if content is not None:
        write_case(tmp_path / "case", content)
    with pytest.raises(InputError) as raised:
        load_case(tmp_path / "case")
    assert message in str(raised.value)
    assert len(str(raised.value)) < 600 + len(str(tmp_path))


@pytest.mark.parametrize("how", ["file", "folder", "items", "fifo"])
def test_links_in_a_case_are_not_followed(tmp_path: Path, how: str) -> None:
    case = write_case(tmp_path / "case", of_items("x.txt"))
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "x.txt").write_text("secret")
    try:
        if how == "items":
            (case / "items").symlink_to(tmp_path / "secret")
        else:
            (case / "items").mkdir()
            if how == "fifo":
                os.mkfifo(case / "items" / "x.txt")
            else:
                target = tmp_path / "secret" / ("x.txt" if how == "file" else "")
                (case / "items" / "x.txt").symlink_to(target)
    except (OSError, AttributeError):
        pytest.skip("this system makes no links")
    script = write_script(tmp_path, "def run(mini_batch):\n    return [open(path).read() for path in mini_batch]\n")
    with pytest.raises(InputError, match="neither a file nor" if how == "fifo" else "is a link, which is not followed"):
        load_case(case).run(script)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["..", "/", "files"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["float", "tuple", "dict", "Timestamp", "bytes", "kind", "x"]), inner, max_size=2
        )
    ),
    max_leaves=6,
)


@st.composite
def malformed_cases(draw: st.DrawFn) -> object:
    """A case in which one thing, however deep, is another one, or not there."""
    content: Any = json.loads(json.dumps(draw(st.sampled_from([FILES, TABLE, RECORDS]))))
    place, depth = content, draw(st.integers(0, 5))
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys))
        if not depth or not isinstance(place[key], (dict, list)) or not place[key]:
            break
        place, depth = place[key], depth - 1
    if draw(st.booleans()):
        place[key] = draw(JSON)
    else:
        del place[key]
    return content


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=malformed_cases())
def test_what_is_malformed_is_refused_in_words_or_harmless(tmp_path: Path, content: object) -> None:
    script = write_script(tmp_path, "def run(mini_batch):\n    return list(mini_batch)\n")
    # Any other exception fails.
    with suppress(ParallelRunError):
        case = load_case(write_case(tmp_path / "case", content))
        case.problem(case.run(script))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no case\.json"):
        load_case(tmp_path)
