"""What editors do: list the tests, and run those that were selected, with all options in pyproject.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, Write
from tests.plugin.conftest import WHOLE
from tests.plugin.counts import TOTAL

OPTIONS = """
    [tool.pytest.ini_options]
    parallelrun_entry = "src/score.py"
    parallelrun_input = "data"
    parallelrun_set = ["mini_batch_size=2"]
    parallelrun_environment = "conda.yml"
"""


@pytest.fixture
def configured(project: Path, write: Write) -> Path:
    (project / "src").mkdir()
    script = (project / "score.py").rename(project / "src" / "score.py")
    script.write_text(f"open(r'{project / 'imported'}', 'a').close()\n{script.read_text('utf-8')}", "utf-8")
    write("pyproject.toml", OPTIONS)
    write("conda.yml", "dependencies: [python=3.10]\n")
    write("test_mine.py", "def test_mine():\n    pass\n")
    return project


def test_what_is_listed_is_what_is_run_and_the_script_is_not_imported(
    configured: Path, run_pytest: Run, write: Write
) -> None:
    write(
        "conftest.py",
        """
        def pytest_collection_finish(session):
            print(*(f"item: {item.nodeid} {item.path} {item.location[1]}" for item in session.items), sep="\\n")
            session.items.clear()
        """,
    )
    listed, run = ([line for line in run_pytest(*mode).outlines if "item: " in line] for mode in (["--co"], WHOLE))
    assert len(listed) == TOTAL + 2
    assert [line.split()[:-1] for line in listed] == [line.split()[:-1] for line in run]
    # A line of the script, not of a file that is not open.
    assert {line.split()[-1] for line in listed if "score.py" in line} == {"0"}
    assert not (configured / "imported").exists()


@pytest.mark.parametrize("base", ["", "{root}/"], ids=["relative", "absolute"])
def test_a_selected_check_is_run_alone(configured: Path, run_pytest: Run, base: str) -> None:
    selected = f"{base.format(root=configured)}src/score.py::test_entry_imports"
    run_pytest(f"--rootdir={configured}", selected).assert_outcomes(passed=1)
    assert (configured / "imported").exists()


def test_a_list_says_what_each_check_finds(configured: Path, run_pytest: Run) -> None:
    run_pytest("--co", "-v", "-k", "job_completes").stdout.fnmatch_lines(["*Finds that the sample fails under the*"])
