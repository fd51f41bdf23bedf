from __future__ import annotations

import builtins
import traceback
from pathlib import Path

import pytest

from pytest_parallelrun.emulator.engines.tracebacks import describe_exception, failure_of, is_of_user, user_traceback
from pytest_parallelrun.emulator.policy import init_limit


def _caught(source: str, filename: str = "/user/score.py") -> BaseException:
    try:
        exec(compile(source, filename, "exec"), {"init_limit": init_limit})
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def test_an_exception_is_described_in_one_line() -> None:
    assert describe_exception(ValueError("two\nlines")) == "ValueError: two lines"


def test_a_syntax_error_says_where_it_is() -> None:
    error = _caught("def run(batch:\n  pass", "/user/score.py")
    description = describe_exception(error)
    assert "\n" not in description
    assert '"/user/score.py", line 1' in description
    assert "SyntaxError" in description


def test_an_exception_that_cannot_say_what_it_is_is_described_all_the_same() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "MuteError: <exception str() failed>" in describe_exception(MuteError())
    [info] = failure_of("run", MuteError()).chain
    assert info.type.endswith("MuteError")
    assert info.message == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "the following arguments are required: --mode"),
        (["--mode", "slow"], "argument --mode: invalid choice: 'slow' (choose from"),
        (["--mode", "fast", "x" * 500], f"unrecognized arguments: {'x' * 126}..."),
    ],
)
def test_the_exit_of_argparse_is_described_by_its_objection(arguments: list[str], says: str) -> None:
    source = (
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('--mode', choices=['fast'], required=True)\n"
    )
    failure = failure_of("init", _caught(f"{source}p.parse_args({arguments})"))
    assert failure.error.startswith(f"SystemExit: 2 (argparse: {says}")
    assert failure.chain[0].type == "argparse.SystemExit"
    assert failure.chain[0].message.startswith(says)
    assert "During handling" not in failure.traceback


def test_a_file_of_the_user_is_neither_installed_nor_ours() -> None:
    assert is_of_user("/user/score.py")
    assert not any(map(is_of_user, (traceback.__file__, pytest.__file__, init_limit.__code__.co_filename, "<string>")))


def test_any_other_exit_has_no_objection() -> None:
    assert describe_exception(_caught("raise SystemExit(3)")) == "SystemExit: 3"


def test_a_traceback_has_the_frames_of_the_user_and_none_of_ours() -> None:
    text = user_traceback(_caught("def run():\n    init_limit(None)\nrun()"))
    assert 'File "/user/score.py", line 2, in run' in text
    assert "policy.py" not in text
    assert text.splitlines()[-1].startswith("TypeError")


def test_causes_are_part_of_a_traceback_and_lose_our_frames_too() -> None:
    source = "try:\n    init_limit(None)\nexcept TypeError as error:\n    raise ValueError('mine') from error"
    text = user_traceback(_caught(source))
    assert "TypeError" in text
    assert "ValueError: mine" in text
    assert "policy.py" not in text


def test_frames_of_the_import_system_are_left_out() -> None:
    text = user_traceback(_caught("import nothing_of_that_name"))
    assert "importlib" not in text
    assert 'File "/user/score.py", line 1' in text


@pytest.mark.parametrize(
    "statement", ["importlib.import_module('nothing_of_that_name')", "runpy.run_module('nowhere')"]
)
def test_frames_of_what_python_imports_and_runs_modules_with_are_left_out(statement: str) -> None:
    text = user_traceback(_caught(f"import importlib, runpy\n{statement}"))
    assert "frozen" not in text
    assert "importlib/__init__.py" not in text.replace("\\", "/")
    assert 'File "/user/score.py", line 2' in text


def test_a_very_deep_recursion_gives_a_traceback_that_can_be_read() -> None:
    text = user_traceback(_caught("def run():\n    run()\nrun()"))
    assert "RecursionError" in text
    assert len(text.splitlines()) < 200


def test_a_chain_of_causes_that_bites_its_tail_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    report = traceback.TracebackException.from_exception(ValueError("once"))
    report.__cause__ = report
    # A later Python may build such a ring itself, where today's cuts it.
    monkeypatch.setattr(traceback.TracebackException, "from_exception", lambda error, **options: report)
    monkeypatch.setattr(report, "format", lambda: ["ValueError: once"], raising=False)
    assert user_traceback(ValueError("once")) == "ValueError: once"


def test_frames_of_libraries_become_a_line_that_names_them(tmp_path: Path) -> None:
    library = tmp_path / "site-packages" / "scaler" / "core.py"
    source = f"""
import json
def callback(text):
    return json.loads(text)
namespace = {{"callback": callback}}
inner = "def outer(): return inner()\\ndef inner(): return callback('no')"
exec(compile(inner, {str(library)!r}, "exec"), namespace)
namespace["outer"]()
"""
    text = user_traceback(_caught(source))
    lines = [line.strip() for line in text.splitlines() if line.startswith(("  File", "  (then"))]
    # The first one is of this file, which called the script.
    assert lines[1:] == [
        'File "/user/score.py", line 8, in <module>',
        "(then 2 frames in scaler, the last: inner)",
        'File "/user/score.py", line 4, in callback',
        "(then 3 frames in json, the last: raw_decode)",
    ]


def test_frames_of_libraries_are_shown_where_none_is_the_users() -> None:
    error = _caught("raise ValueError('deep')", "/venv/lib/site-packages/scaler/core.py")
    assert error.__traceback__ is not None
    text = user_traceback(error.with_traceback(error.__traceback__.tb_next))
    assert 'File "/venv/lib/site-packages/scaler/core.py", line 1, in <module>' in text
    assert "then" not in text


def test_code_that_a_library_made_up_is_not_the_users() -> None:
    made = compile("def made(): raise ValueError('deep')", "<made by a decorator>", "exec")
    namespace: dict[str, object] = {}
    exec(made, namespace)
    with pytest.raises(ValueError, match="deep") as raised:
        namespace["made"]()  # type: ignore[operator]
    assert "(then 1 frame in generated code, the last: made)" in user_traceback(raised.value)


def test_what_a_library_does_before_it_calls_the_user_is_left_out() -> None:
    from concurrent.futures import ThreadPoolExecutor

    def fail() -> None:
        raise ValueError("in a thread")

    with ThreadPoolExecutor(1) as pool:
        error = pool.submit(fail).exception()
    assert error is not None
    text = user_traceback(error)
    assert "in fail" in text
    assert "concurrent" not in text
    assert "frame" not in text.replace("frames.py", "")


def test_the_users_frame_is_found_below_a_deep_call_of_a_library() -> None:
    source = """
import copy
class Deep:
    def __deepcopy__(self, memo):
        raise ValueError("deep")
value = [Deep()]
for _ in range(60):
    value = [value]
copy.deepcopy(value)
"""
    text = user_traceback(_caught(source))
    assert "line 9, in <module>" in text
    assert "line 5, in __deepcopy__" in text
    assert len(text.splitlines()) < 12


def test_the_parts_of_an_exception_group_lose_our_frames_too() -> None:
    group = getattr(builtins, "ExceptionGroup", None)
    if group is None:
        pytest.skip("Python 3.10 has no exception groups")
    part = _caught("init_limit(None)")
    text = user_traceback(group("several", [part]))
    assert "policy.py" not in text
    assert "TypeError" in text


class ParallelRunException(Exception):
    """Named as the class of the service, which a script may have from an installed azureml-core."""

    def __init__(self, code: object = None, delay_seconds: object = 0) -> None:
        super().__init__("again")
        self.code = code
        self.delay_seconds = delay_seconds


class _OfTheUser(ParallelRunException):
    pass


@pytest.mark.parametrize("kind", [ParallelRunException, _OfTheUser])
def test_code_and_delay_of_a_parallel_run_exception_are_found(kind: type[ParallelRunException]) -> None:
    assert failure_of("run", kind("Retry.NoRetry", 2)).retry_request == ("Retry.NoRetry", 2.0)


def test_without_a_code_it_asks_for_a_delay() -> None:
    assert failure_of("run", ParallelRunException()).retry_request == ("Retry.Sleep", 0.0)


@pytest.mark.parametrize("delay", [None, "soon", -3])
def test_a_delay_that_is_none_is_no_delay(delay: object) -> None:
    assert failure_of("run", ParallelRunException(delay_seconds=delay)).retry_request == ("Retry.Sleep", 0.0)


def test_any_other_exception_asks_for_nothing() -> None:
    assert failure_of("run", ValueError()).retry_request is None
