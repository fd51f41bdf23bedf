from __future__ import annotations

import gc
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from pytest_parallelrun.emulator.sandbox import damage
from tests.emulator._scripts import errors, outcomes, run_script

BREAKS = {
    "os.closerange(3, 100)": "closed file descriptors that it had not opened",
    "os.close(NUMBER)": "closed file descriptors that it had not opened",
    "sys.modules.clear()": "removed modules from sys.modules that Python needs",
    "sys.modules = {}": "removed modules from sys.modules that Python needs",
    "del sys.modules['os'], sys.modules['warnings']": "removed modules from sys.modules that Python needs",
    "os.getpid = os.getcwd = None": "replaced os.getcwd, os.getpid with something that is not callable",
    "os.path.join = None": "replaced os.path.join with something that is not callable",
    "del os.stat": "replaced os.stat with something that is not callable",
}


@pytest.mark.parametrize("at", ["run", "import"])
@pytest.mark.parametrize("thread", ["main", "worker"])
@pytest.mark.parametrize(("statement", "broken"), BREAKS.items(), ids=BREAKS)
def test_what_a_script_breaks_is_mended_and_told(
    tmp_path: Path, statement: str, broken: str, thread: str, at: str
) -> None:
    modules, functions = dict(sys.modules), dict(vars(os))
    with open(os.devnull) as host:
        statement = statement.replace("NUMBER", str(host.fileno()))
        first, then = ("pass", statement) if at == "run" else (statement, "pass")
        script = f"import os, sys\n{first}\ndef run(batch):\n    {then}\n    return batch\n"
        result = run_script(tmp_path, script, files=1, thread=thread)
        os.fstat(host.fileno())
    text = f"the script {broken}: its worker cannot continue"
    if at == "run":
        assert (outcomes(result), errors(result)) == (["crashed"], [text])
    else:
        assert text in str(result.reason)
    assert {name: sys.modules.get(name) for name in modules} == modules
    assert {name: value for name, value in vars(os).items() if functions.get(name) is not value} == {}


def test_a_script_closes_what_it_has_opened(tmp_path: Path) -> None:
    script = """
        import os
        def run(batch):
            first, second = os.open(os.devnull, 0), os.open(os.devnull, 0)
            os.close(first)
            os.closerange(second, second + 1)
            return batch
    """
    assert outcomes(run_script(tmp_path, script, files=1)) == ["succeeded"]


@pytest.mark.parametrize("file", [os.__file__, damage.__file__], ids=["standard library", "this package"])
def test_an_owner_that_is_collected_meanwhile_closes_what_it_has_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    made: dict[str, Any] = {}
    exec(compile("import os\ndef collected(number): os.close(number)", file, "exec"), made)
    monkeypatch.setattr(gc, "collected", made["collected"], raising=False)
    number = os.open(os.devnull, os.O_RDONLY)
    result = run_script(
        tmp_path, f"import gc\ndef run(batch):\n    gc.collected({number})\n    return batch\n", files=1
    )
    assert (outcomes(result), errors(result)) == (["succeeded"], [])
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_a_forked_child_may_close_what_it_wants(tmp_path: Path) -> None:
    script = """
        import os
        def run(batch):
            if (child := os.fork()) == 0:
                os.closerange(3, 100)
                os._exit(7)
            return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]
    """
    if not hasattr(os, "fork"):
        pytest.skip("no fork on this platform")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert run_script(tmp_path, script, files=1).rows == [7]


def test_a_number_that_another_file_has_meanwhile_is_not_that_of_the_host() -> None:
    first = os.open(os.devnull, os.O_RDONLY)
    with damage.Damage() as guard:
        real = guard._close
        real(first)
        second = os.open(__file__, os.O_RDONLY)
        assert second == first
        os.close(second)
        assert guard._mend() == []


def test_where_descriptors_cannot_be_listed_all_are_taken_for_those_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "listdir", _refuse)
    assert damage._descriptors() == list(range(256))


def _refuse(path: str) -> list[str]:
    raise FileNotFoundError(path)


PATCHES = """
import sys
runner, reports = sys.modules["_pytest.runner"], sys.modules["_pytest.reports"]
def fail(*arguments, **options): raise RuntimeError("patched")
def run(batch):
    runner.call_and_report = fail
    reports.TestReport.from_item_and_call = classmethod(fail)
    return batch
"""


def test_what_a_script_puts_into_pytest_stays_with_its_workers(tmp_path: Path) -> None:
    runner, reports = sys.modules["_pytest.runner"], sys.modules["_pytest.reports"]
    before = runner.call_and_report, vars(reports.TestReport)["from_item_and_call"]
    assert outcomes(run_script(tmp_path, PATCHES, files=2)) == ["succeeded"] * 2

    assert (runner.call_and_report, vars(reports.TestReport)["from_item_and_call"]) == before
