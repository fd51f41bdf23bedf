"""The whole gate of valid scripts, beside the bare measure: two Hypothesis tests of 100 examples that call run() twice.

Both are pytest runs of their own and take turns, so that a busy machine slows both; of the ratios the median counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest

EXAMPLES = Path(__file__).parents[2] / "example_scripts"
ROUNDS = int(os.environ.get("PARALLELRUN_BENCHMARK_ROUNDS", "5"))
MAX_WALL, MAX_CPU = 1.8, 2.2
"""Time on the clock and of the processor, with its worker processes, as a multiple of that of the bare measure.

1.0 and 1.5 are wanted. A script that imports much comes to more: two worker processes import it again.
"""

BARE = """
import glob, importlib.util, sys
from pathlib import Path
from hypothesis import given, settings, strategies as st

script, sample = {script!r}, {sample!r}
sys.path.insert(0, str(Path(script).parent))
spec = importlib.util.spec_from_file_location("score", script)
score = importlib.util.module_from_spec(spec)
spec.loader.exec_module(score)
getattr(score, "init", lambda: None)()
if sample.endswith(".csv"):
    import pandas as pd
    table = pd.read_csv(sample)
    size, items = len(table), lambda rows: table.iloc[rows].reset_index(drop=True)
else:
    paths = sorted(path for path in glob.glob(sample + "/**", recursive=True) if Path(path).is_file())
    size, items = len(paths), lambda rows: [paths[row] for row in rows]
rows = st.lists(st.integers(0, size - 1), min_size=1, max_size=size)

@settings(max_examples=100, deadline=None, database=None)
@given(rows)
def test_again(rows):
    assert len(score.run(items(rows))) == len(score.run(items(rows)))

@settings(max_examples=100, deadline=None, database=None)
@given(rows)
def test_backward(rows):
    assert len(score.run(items(rows))) == len(score.run(items(rows[::-1])))
"""

pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="needs resource"), pytest.mark.timeout(1800)]


def spent(folder: Path, *arguments: str) -> tuple[float, float]:
    """Seconds of the clock, and of the processor with all processes, of a pytest run that passes."""
    import resource

    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("name", ["text_files", "iris_table", "sound/tuples", "sound/error_rows", "sound/sorts_a_set"])
def test_a_gate_takes_about_as_long_as_the_bare_measure(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = json.loads((EXAMPLES / name / "expected.json").read_text("utf-8"))
    root = EXAMPLES.parent
    options = [option.replace("example_scripts/", f"{root}/example_scripts/") for option in expected["options"]]
    given = dict(option.split("=", 1) for option in options)
    # In a folder of its own: pytest would run it beside the gate, too.
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "test_bare.py").write_text(
        BARE.format(script=given["--parallelrun-entry"], sample=given["--parallelrun-input"]), encoding="utf-8"
    )
    ratios = []
    for number in range(ROUNDS + 1):
        bare = spent(folder, "-p", "no:parallelrun", "test_bare.py")
        gate = spent(tmp_path, *options, str(Path(given["--parallelrun-entry"]).parent))
        # The first one compiles.
        if number:
            ratios.append((gate[0] / bare[0], gate[1] / bare[1], *gate, *bare))
    wall, cpu, *seconds = (median(each) for each in zip(*ratios, strict=True))
    with capsys.disabled():
        print(
            f"\n{name}: gate {seconds[0]:.1f} s, {seconds[1]:.1f} s of the processor; bare {seconds[2]:.1f} s, "
            f"{seconds[3]:.1f} s of the processor; ratios {wall:.1f} and {cpu:.1f}"
        )
    assert wall <= MAX_WALL
    assert cpu <= MAX_CPU
