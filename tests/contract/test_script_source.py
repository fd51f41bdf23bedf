from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.contract.script_source import called_for_no_item, local_of_init, returns_of_none
from pytest_parallelrun.emulator.events import ErrorInfo, Frame

MISSING = "the end of run() in line {}, where a `return` is missing"
OWN_LINE = "returns None: call it in a line of its own"
ENDS = {
    "constant": ("    return None", ["`return None` in line 2"]),
    "bare": ("    if not b:\n        return\n    return b", ["the bare `return` in line 3"]),
    "missing": ("    for x in b:\n        return [x]", [MISSING.format(3)]),
    "after an error": ("    try:\n        return b\n    except OSError as e:\n        print(e)", [MISSING.format(5)]),
    "suppressed": ("    with suppress(OSError):\n        return b", [MISSING.format(3)]),
    "sort": (
        "    return b.sort()",
        [f"`return b.sort()` in line 2 (sort() {OWN_LINE})"],
    ),
    "append": (
        "    rows = []\n    rows = rows.append(b)\n    return rows",
        [f"`return rows` in line 4 (append() {OWN_LINE})"],
    ),
    "inplace": (
        "    return b.drop(columns='x', inplace=True)",
        [
            f"`return b.drop(columns='x', inplace=True)` in line 2 (drop() {OWN_LINE})",
        ],
    ),
    "variable": (
        "    out = None\n    try:\n        out = b\n    except OSError:\n        pass\n    return out",
        ["`return out` in line 7, set to None in line 2"],
    ),
    "helper": (
        "    return go(b)\ndef go(b):\n    if b:\n        return",
        [
            "the bare `return` in line 5",
            "the end of go() in line 5, where a `return` is missing",
        ],
    ),
    "two": (
        "    if b:\n        return None\n    else:\n        print(b)",
        ["`return None` in line 3", MISSING.format(5)],
    ),
}
NEVER = {
    "if": "    if b:\n        return b\n    else:\n        raise OSError",
    "try": "    try:\n        x = 1\n    except OSError:\n        raise\n    else:\n        return b",
    "finally": "    try:\n        x = 1\n    finally:\n        return b",
    "with": "    with open(b) as f:\n        return [f]",
    "loop": "    while True:\n        if b:\n            return b",
    "inner": "    def key(x):\n        return\n    return sorted(b, key=key)",
}


@pytest.mark.parametrize(("body", "found"), ENDS.values(), ids=ENDS)
def test_each_way_to_end_with_none_is_named(body: str, found: list[str], tmp_path: Path) -> None:
    script = tmp_path / "score.py"
    script.write_text(f"def run(b):\n{body}\n", encoding="utf-8")
    assert returns_of_none(str(script)) == found


@pytest.mark.parametrize("body", NEVER.values(), ids=NEVER)
def test_a_function_that_always_returns_a_value_is_not_suspected(body: str, tmp_path: Path) -> None:
    script = tmp_path / "score.py"
    script.write_text(f"def run(b):\n{body}\n", encoding="utf-8")
    assert returns_of_none(str(script)) == []


def test_a_run_that_is_no_plain_function_is_left_alone(tmp_path: Path) -> None:
    script = tmp_path / "score.py"
    script.write_text("run = print\n", encoding="utf-8")
    assert returns_of_none(str(script)) == []


CALLS = """
class Model:
    def __init__(self):
        read(PATH)

def run(batch):
    model = Model()
    once = load(PATH, key=1)
    pause()
    for item in batch:
        each = load(item)
        inner(lambda: load(PATH))
"""


@pytest.mark.parametrize(
    ("line", "called", "expected"),
    [
        (7, Frame("score.py", 4, "__init__"), "Model() (line 7)"),
        (8, Frame("score.py", 99, "load"), "load() (line 8)"),
        (9, Frame("score.py", 99, "pause"), ""),
        (11, Frame("score.py", 99, "load"), ""),
    ],
    ids=["class", "constants", "pause", "item"],
)
def test_a_call_that_gets_nothing_of_an_item(line: int, called: Frame, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "score.py"
    path.write_text(CALLS, encoding="utf-8")
    assert called_for_no_item([Frame(str(path), line, "run"), called._replace(file=str(path))]) == expected


USES = "def run(b):\n    return [model.predict(x) for x in b]\n"
LOCALS = {
    "no global": ("def init():\n    model = object()\n", "name 'model' is not defined", ("model", "init", 2)),
    "set to None": (
        "model = None\ndef init():\n    model = 1\n",
        "'NoneType' object has no attribute",
        ("model", "init", 3),
    ),
    "helper": (
        "def load():\n    model = 1\ndef init():\n    load()\n",
        "name 'model' is not defined",
        ("model", "load", 2),
    ),
    "with": (
        "def init():\n    with x() as model:\n        pass\n",
        "name 'model' is not defined",
        ("model", "init", 2),
    ),
    "global": ("model = None\ndef init():\n    global model\n    model = 1\n", "'NoneType' object", None),
    "another name": ("def init():\n    model = 1\n", "name 'b' is not defined", None),
    "set in the module": ("model = load()\ndef init():\n    model = 1\n", "'NoneType' object", None),
    "another error": ("model = None\ndef init():\n    model = 1\n", "'int' object has no attribute", None),
    "no init": ("", "name 'model' is not defined", None),
}


@pytest.mark.parametrize(("head", "message", "found"), LOCALS.values(), ids=LOCALS)
def test_a_local_variable_of_init_is_what_run_lacks(
    head: str, message: str, found: tuple[str, str, int] | None, tmp_path: Path
) -> None:
    script = tmp_path / "score.py"
    script.write_text(head + USES, encoding="utf-8")
    frame = Frame(str(script), len(head.splitlines()) + 2, "run")
    error = ErrorInfo(type="NameError" if "not defined" in message else "AttributeError", message=message)
    assert local_of_init(frame, error) == found
