"""Rows of a result in pytest-regressions and syrupy, as docs/how-to/golden-output.md shows them.

In an environment of their own (`.ci/environments`), because both are plugins that every pytest in it would load.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages import DOCS, blocks, commands, file_name

PAGE = DOCS / "how-to" / "golden-output.md"
SCRIPT = """
import os
import numpy as np
import pandas as pd

def run(mini_batch):
    names = [os.path.basename(path) for path in mini_batch]
    return ROWS
"""
ROWS = {
    "texts": '[f"{name}: {n / 3}" for n, name in enumerate(names)]',
    "dicts": '[{"file": name, "score": n / 3} for n, name in enumerate(names)]',
    "tuples": "[(name, True, None) for name in names]",
    "table": 'pd.DataFrame({"file": names, "score": np.float32(1 / 3), "n": np.int64(3), "gap": np.nan})',
    "dates": 'pd.DataFrame({"file": names, "day": pd.Timestamp("2026-01-02")})',
}
TESTS = """
import pandas as pd
import pytest

kinds = pytest.mark.parametrize("kind", ["texts", "dicts", "tuples", "table", "dates"])


@kinds
def test_regressions(parallelrun, kind, data_regression, dataframe_regression):
    rows = parallelrun(f"{kind}.py", "data").rows
    if kind == "dates":
        dataframe_regression.check(pd.DataFrame(rows))
    else:
        data_regression.check(rows)


@kinds
def test_syrupy(parallelrun, kind, snapshot):
    assert parallelrun(f"{kind}.py", "data").rows == snapshot
"""


@pytest.fixture(autouse=True)
def folder(pytester: pytest.Pytester) -> Path:
    for name in ("pytest_regressions", "syrupy"):
        pytest.importorskip(name)
    return pytester.path


def test_the_examples_of_the_page(folder: Path, pytester: pytest.Pytester) -> None:
    runs: list[str] = []
    for block in blocks(PAGE):
        if name := file_name(block):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(block.text, encoding="utf-8")
        elif block.language == "bash":
            runs += block.text.splitlines()
        elif block.language == "console" and "os.mkdir" in block.text:
            [(command, _)] = commands(block.text)
            assert pytester.run("sh", "-c", command).ret == 0
    assert len(runs) == 4
    for run in runs:
        outcomes = pytester.runpytest_subprocess(*run.split()[1:]).parseoutcomes()
        assert "passed" in outcomes, run
        assert "failed" not in outcomes, run


def test_rows_of_every_kind_are_stored_and_compared(folder: Path, pytester: pytest.Pytester) -> None:
    (folder / "data").mkdir()
    for number in (1, 2, 3):
        (folder / "data" / f"{number}.txt").write_text("x", encoding="utf-8")
    for kind, rows in ROWS.items():
        (folder / f"{kind}.py").write_text(SCRIPT.replace("ROWS", rows), encoding="utf-8")
    pytester.makepyfile(test_rows=TESTS)
    pytester.runpytest_subprocess("--regen-all", "--snapshot-update")
    pytester.runpytest_subprocess().assert_outcomes(passed=10)
    for kind, rows in ROWS.items():
        (folder / f"{kind}.py").write_text(SCRIPT.replace("ROWS", f"{rows}[:0]"), encoding="utf-8")
    pytester.runpytest_subprocess().assert_outcomes(failed=10)
