from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.job_files.discovery import discover
from tests.job_files.conftest import Write

COMPONENT = """
name: c
type: parallel
inputs: {files: {type: uri_folder}}
input_data: ${{inputs.files}}
task: {type: run_function, code: CODE, entry_script: SCRIPT, environment: "azureml:e:1"}
"""


def component(code: str = "./src", script: str = "score.py") -> str:
    return COMPONENT.replace("CODE", code).replace("SCRIPT", script)


def found(folder: Path, root: Path | None = None) -> list[str]:
    steps, broken = discover(folder / "src" / "score.py", root or folder)
    assert not broken
    return [one.file.path.relative_to(folder).as_posix() for one in steps]


@pytest.mark.parametrize(
    ("name", "code", "script"),
    [
        ("src/job.yml", ".", "score.py"),
        ("job.yaml", "src", "score.py"),
        ("job.YML", "./", "src/score.py"),
        ("job.yml", ".", "src\\\\score.py"),
    ],
)
def test_a_file_beside_the_script_or_above_whose_code_leads_to_it_is_found(
    write: Write, folder: Path, name: str, code: str, script: str
) -> None:
    write(name, component(code, f'"{script}"'))
    assert found(folder) == [name]


def test_the_root_is_the_last_folder_that_is_looked_in(write: Write, folder: Path) -> None:
    write("job.yml", component())
    assert found(folder, folder) == ["job.yml"]
    assert found(folder, folder / "src") == []
    assert found(folder, folder / "data") == []


def test_a_file_that_leads_to_another_script_of_that_name_is_none_of_this_one(write: Write, folder: Path) -> None:
    write("other/score.py", "")
    write("job.yml", component("./other"))
    assert found(folder) == []


def test_a_component_that_a_found_pipeline_uses_is_found_once(write: Write, folder: Path) -> None:
    write("src/c.yml", component("."))
    write("pipeline.yml", "type: pipeline\njobs: {s: {component: src/c.yml, inputs: {files: ./data}}}\n")
    assert found(folder) == ["pipeline.yml"]


def test_two_files_of_one_script_are_both_found(write: Write, folder: Path) -> None:
    write("a.yml", component())
    write("b.yml", component())
    assert found(folder) == ["a.yml", "b.yml"]


@pytest.mark.parametrize(
    "text",
    [
        "parallel: [",
        "- parallel",
        "parallel: 1\n---\nparallel: 2\n",
        "type: command\ncommand: run parallel\n",
        "type: parallel\ntask: {code: ./src, entry_script: other.py}\n",
        "on: parallel\njobs:\n  build:\n    strategy: {max-parallel: 4}\n    steps: []\n",
        "code: ./other\nentry_script: score.py\nparallel: [\n",
    ],
)
def test_files_of_others_are_passed_over_be_they_broken_or_not(write: Write, folder: Path, text: str) -> None:
    write("other.yml", text)
    assert found(folder) == []


def test_a_broken_file_that_names_the_script_is_told(write: Write, folder: Path) -> None:
    write("job.yml", "type: parallel\ntask:\n  code: ./src\n\tentry_script: 'score.py'\n")
    steps, broken = discover(folder / "src" / "score.py", folder)
    assert not steps
    assert [str(problem).partition(": ")[0] for problem in broken] == ["job.yml:4:1"]


def test_a_file_that_names_the_script_and_is_wrong_is_found_with_what_is_wrong(write: Write, folder: Path) -> None:
    write("job.yml", f"{component()}error_threshold: -7\n")
    [one], _ = discover(folder / "src" / "score.py", folder)
    assert one.reading.step is None
    assert "error_threshold=-7" in str(one.reading.problems[0])
    assert (one.file.path, one.reading.name) == (folder / "job.yml", "c")


def test_a_huge_file_is_not_read(write: Write, folder: Path) -> None:
    write("job.yml", component() + "#" * 600_000)
    assert found(folder) == []


def test_the_same_script_by_a_link_is_the_same(write: Write, folder: Path) -> None:
    (folder / "linked").symlink_to(folder / "src")
    write("job.yml", component("./linked"))
    assert found(folder) == ["job.yml"]


def test_a_file_that_is_too_large_and_does_not_even_have_the_name_of_the_script_is_passed_over(
    write: Write, folder: Path
) -> None:
    write("job.yml", "type: parallel\ntask:\n  code: ./src\n  entry_script: other.py\n# " + "x" * 600_000)
    assert discover(folder / "src" / "score.py", folder) == ([], [])


def test_a_file_that_is_too_large_is_told_where_it_names_the_script(write: Write, folder: Path) -> None:
    text = "type: parallel\ntask:\n  code: ./CODE\n  entry_script: score.py\n# " + "x" * 600_000
    write("job.yml", text.replace("CODE", "src"))
    write("other.yml", text.replace("CODE", "elsewhere"))
    steps, broken = discover(folder / "src" / "score.py", folder)
    assert steps == []
    [problem] = broken
    assert problem.location.file == folder / "job.yml"
    assert (
        problem.message
        == f"the file has {len(text) - 1:,} bytes, a job definition at most 524,288: keep the job alone in a file"
    )
