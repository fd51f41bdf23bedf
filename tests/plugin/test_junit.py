from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.conftest import Run, Write
from tests.plugin.conftest import WHOLE
from tests.plugin.counts import NAMES


def cases(project: Path, run: Run, *arguments: str) -> dict[str, ElementTree.Element]:
    run("--junitxml=junit.xml", *arguments)
    found = ElementTree.parse(project / "junit.xml").iter("testcase")
    return {case.attrib["name"]: case for case in found}


def test_each_check_is_a_test_case_of_the_script(project: Path, gate: Run) -> None:
    found = cases(project, gate, *WHOLE)
    assert list(found) == [f"test_{name}" for name in NAMES]
    assert {case.attrib["classname"] for case in found.values()} == {"score"}


def test_the_folder_of_the_script_is_part_of_the_class(project: Path, run_pytest: Run, write: Write) -> None:
    write("team/score.py", "def run(mini_batch):\n    return list(mini_batch)\n")
    found = cases(project, run_pytest, "--parallelrun-entry=team/score.py")
    assert {case.attrib["classname"] for case in found.values()} == {"team.score"}


def test_a_finding_is_the_message_of_the_failure(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    return None\n")
    failure = cases(project, gate)["test_returns_valid_type"].find("failure")
    assert failure is not None
    assert failure.attrib["message"].startswith("run() returned None.")


def test_the_message_is_the_first_line_of_the_finding_and_the_text_all_of_it(
    project: Path, gate: Run, write: Write
) -> None:
    write("score.py", "def run(mini_batch):\n    return None\n")
    failure = cases(project, gate)["test_returns_valid_type"].find("failure")
    assert failure is not None
    assert failure.text is not None
    assert failure.text.splitlines()[0] == failure.attrib["message"]
    assert "on Azure ML: " in failure.text


def test_the_reason_is_the_message_of_a_skip(project: Path, run_pytest: Run) -> None:
    skipped = cases(project, run_pytest, "--parallelrun-entry=score.py")["test_job_completes"].find("skipped")
    assert skipped is not None
    assert skipped.attrib["message"].startswith("there is no sample input")


def properties(project: Path) -> dict[str, str]:
    suite = ElementTree.parse(project / "junit.xml").find("testsuite/properties")
    assert suite is not None
    return {each.attrib["name"]: each.attrib["value"] for each in suite}


@pytest.mark.parametrize(("family", "run"), [("xunit1", "gate_in_one"), ("xunit2", "gate")])
def test_the_counts_of_an_entry_are_properties_of_the_suite(
    request: pytest.FixtureRequest, project: Path, write: Write, family: str, run: str
) -> None:
    write("score.py", "def run(mini_batch):\n    return [p for p in mini_batch if not p.endswith('_2.txt')]\n")
    found = cases(
        project, request.getfixturevalue(run), "-k", "completes or one_result", "-o", f"junit_family={family}"
    )
    expected = {
        "verdict": "failed",
        "checks": "2",
        "failed": "1",
        "status": "Completed",
        "total_mini_batches": "3",
        "failed_mini_batches": "1",
        "total_items": "3",
        "failed_items": "1",
        "attempts": "5",
    }
    told = properties(project)
    assert {name: told[f"parallelrun.score.py.{name}"] for name in expected} == expected
    # Those of a test case are against the schema of xunit2.
    assert all(case.find("properties") is None for case in found.values())


def test_each_entry_has_its_own_properties(project: Path, run_pytest: Run, write: Write) -> None:
    write("b/score.py", "import nowhere\n")
    cases(project, run_pytest, "--parallelrun-entry=score.py", "--parallelrun-entry=b/score.py", "-k", "imports")
    told = properties(project)
    assert told["parallelrun.score.py.verdict"] == "incomplete"
    assert told["parallelrun.b/score.py.verdict"] == "failed"


@pytest.mark.parametrize("name", ["a\x01b", "a\udcffb"])
def test_a_name_that_xml_cannot_have_is_written_out(project: Path, run_pytest: Run, write: Write, name: str) -> None:
    write(f"{name}/score.py", "def run(mini_batch):\n    return list(mini_batch)\n")
    found = cases(project, run_pytest, f"--parallelrun-entry={name}/score.py", "-k", "imports")
    shown = name.encode("unicode-escape").decode()
    assert found["test_entry_imports"].attrib["classname"] == f"{shown}.score"
    assert properties(project)[f"parallelrun.{shown}/score.py.verdict"] == "incomplete"
