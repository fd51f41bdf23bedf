"""The gate of an entry script whose sample is an MLTable folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.mltable.test_mltable import mltable, write

WRITES_INTO_ITS_INPUT = """
def run(paths):
    for path in paths:
        with open(path, "a") as stream:
            stream.write("seen\\n")
    return paths
"""


def test_a_script_that_changes_files_of_an_mltable_is_found_and_the_users_files_stay(
    pytester: pytest.Pytester, tmp_path: Path
) -> None:
    script = pytester.makepyfile(score=WRITES_INTO_ITS_INPUT)
    write(tmp_path, **{"data__a.txt": "a\n", "data__b.txt": "b\n"})
    folder = mltable(tmp_path / "asset", paths="folder: ../data")
    result = pytester.runpytest_inprocess(
        f"--parallelrun-entry={script}",
        f"--parallelrun-input={folder}",
        "--parallelrun-report=report.json",
        "-k",
        "leaves_input_unchanged",
    )
    assert result.ret == 1
    [entry] = json.loads((pytester.path / "report.json").read_text(encoding="utf-8"))["entries"]
    [check] = [check for check in entry["checks"] if check["name"] == "leaves_input_unchanged"]
    assert "modified: " in check["message"]
    assert (tmp_path / "data" / "a.txt").read_text(encoding="utf-8") == "a\n"
    assert (folder / "MLTable").read_text(encoding="utf-8").endswith("../data\n")
