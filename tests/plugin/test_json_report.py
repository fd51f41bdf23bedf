from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, Write
from tests.plugin.conftest import WHOLE
from tests.plugin.counts import NAMES
from tests.report.schema import read_valid


def report(project: Path, run: Run, *arguments: str) -> dict[str, Any]:
    run("--parallelrun-report=gate.json", *arguments)
    return read_valid(project / "gate.json")


def outcomes(entry: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["outcome"] for check in entry["checks"]}


def test_a_sound_script_passes_in_all_checks(project: Path, gate: Run) -> None:
    content = report(project, gate, *WHOLE)
    assert content["version"] == 2
    (entry,) = content["entries"]
    assert (entry["entry"], entry["verdict"]) == ("score.py", "passed")
    assert sorted(outcomes(entry)) == sorted(NAMES)
    assert set(outcomes(entry).values()) <= {"passed", "advice"}
    assert entry["init_calls"] >= 5


def test_the_job_is_told_with_its_counts(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    return [p for p in mini_batch if not p.endswith('_2.txt')]\n")
    job = report(project, gate, "-k", "job_completes")["entries"][0]["job"]
    expected = {
        "status": "Completed",
        "reason": None,
        "exceeded": None,
        "total_mini_batches": 3,
        "processed_mini_batches": 3,
        "succeeded_mini_batches": 2,
        "failed_mini_batches": 1,
        "total_items": 3,
        "succeeded_items": 2,
        "failed_items": 1,
        "attempts": 5,
    }
    assert {name: job[name] for name in expected} == expected


def test_a_failed_check_has_the_finding_as_its_message(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    return None\n")
    (entry,) = report(project, gate, "-k", "valid_type")["entries"]
    assert entry["verdict"] == "failed"
    (message,) = [check["message"] for check in entry["checks"] if check["name"] == "returns_valid_type"]
    assert message.startswith("run() returned None.")


def test_a_skipped_check_has_its_reason(project: Path, run_pytest: Run) -> None:
    (entry,) = report(project, run_pytest, "--parallelrun-entry=score.py")["entries"]
    assert entry["verdict"] == "incomplete"
    assert entry["job"] is None
    messages = {check["message"] for check in entry["checks"] if check["outcome"] == "skipped"}
    assert messages == {"there is no sample input: give one with --parallelrun-input=PATH"}


def test_advice_and_notes_are_kept_apart(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    return [p for p in mini_batch if not p.endswith('_2.txt')]\n")
    (entry,) = report(project, gate, "--parallelrun-set=error_threshold=1", "-k", "one_result or silent or completes")[
        "entries"
    ]
    assert entry["verdict"] == "passed"
    assert outcomes(entry)["returns_one_result_per_item"] == "advice"
    checks = {check["name"]: check for check in entry["checks"]}
    assert checks["no_silent_losses"]["outcome"] == "passed"
    assert "error_threshold=1" in checks["no_silent_losses"]["notes"][0]


def test_only_what_was_selected_is_in_it(project: Path, gate: Run) -> None:
    (entry,) = report(project, gate, "-k", "entry_imports")["entries"]
    assert outcomes(entry) == {"entry_imports": "passed"}


def test_an_entry_of_which_no_check_ran_has_not_passed(project: Path, gate: Run, write: Write) -> None:
    write("test_mine.py", "def test_mine(): pass\n")
    (entry,) = report(project, gate, "-k", "test_mine")["entries"]
    assert entry["checks"] == []
    assert entry["verdict"] == "incomplete"
    assert entry["unjudged"] == "no check that judges the sample was run"


def test_every_entry_is_in_it(project: Path, gate: Run, write: Write) -> None:
    write("other.py", "def run(mini_batch):\n    return None\n")
    entries = report(project, gate, "--parallelrun-entry=other.py", "-k", "valid_type or completes")["entries"]
    assert [(entry["entry"], entry["verdict"]) for entry in entries] == [("score.py", "passed"), ("other.py", "failed")]


def test_letters_are_written_as_they_are(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    raise ValueError('größer')\n")
    report(project, gate, "-k", "completes")
    assert "größer" in (project / "gate.json").read_text(encoding="utf-8")


def test_a_check_that_broke_counts_as_failed(project: Path, gate: Run, write: Write) -> None:
    write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture(scope="module")
        def parallelrun_entry():
            raise OSError("disk full")
        """,
    )
    (entry,) = report(project, gate)["entries"]
    assert entry["verdict"] == "failed"
    assert set(outcomes(entry).values()) == {"failed"}


def test_a_failing_teardown_does_not_hide_behind_a_pass(project: Path, gate: Run, write: Write) -> None:
    write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture(autouse=True)
        def spoiled():
            yield
            raise OSError("disk full")
        """,
    )
    (entry,) = report(project, gate, "-k", "entry_imports")["entries"]
    assert outcomes(entry) == {"entry_imports": "failed"}
    assert entry["verdict"] == "failed"


def test_a_finding_is_told_in_parts_too(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    return None\n")
    (entry,) = report(project, gate, "-k", "valid_type")["entries"]
    (check,) = entry["checks"]
    assert check["finding"]["what"].startswith("run() returned None.")
    assert check["finding"]["location"]["phase"] == "run"
    assert check["finding"]["cause"]["returned_type"] == "None"
    assert all(text in check["message"] for text in check["finding"].values() if isinstance(text, str))


def test_a_finding_has_the_source_around_it_and_what_its_attempt_printed(
    project: Path, gate: Run, write: Write
) -> None:
    write(
        "score.py",
        """
        def run(mini_batch):
            print("scoring", mini_batch[0][-10:], "with s3cr3t")
            if mini_batch[0].endswith("_2.txt"):
                raise ValueError("bad")
            return list(mini_batch)
        """,
    )
    given = ("--parallelrun-set=error_threshold=0", "--parallelrun-env=API_KEY=s3cr3t")
    (entry,) = report(project, gate, "-k", "completes", *given)["entries"]
    (check,) = entry["checks"]
    assert check["output"] == "scoring item_2.txt with ***"
    assert check["source"].splitlines()[3] == '>    4 |         raise ValueError("bad")'
    assert "s3cr3t" not in check["source"]
    assert entry["trace"]["losses"][0]["names"] == "item_2.txt"


def test_what_was_measured_is_there_as_numbers(project: Path, gate: Run) -> None:
    (entry,) = report(project, gate, "-k", "fits", "--parallelrun-set=mini_batch_size=3")["entries"]
    figures = entry["checks"][0]["figures"]
    assert (figures["noun"], figures["full_size"], figures["margin"]) == ("file", 3, 2)
    assert figures["largest_size"] > 3


def test_the_settings_are_there_with_their_origins_and_without_secrets(project: Path, gate: Run) -> None:
    given = ("--parallelrun-set=error_threshold=7", "--parallelrun-env=API_KEY=hunter2")
    (entry,) = report(project, gate, "-k", "imports", *given)["entries"]
    settings = {setting["name"]: setting for setting in entry["settings"]}
    assert settings["error_threshold"] | {"emulated": True} == {
        "name": "error_threshold",
        "value": "7",
        "origin": "--parallelrun-set",
        "is_set": True,
        "emulated": True,
    }
    assert settings["environment_variables"]["value"] == "API_KEY=***"
    assert not settings["timeout"]["is_set"]
    assert not settings["progress_update_timeout"]["emulated"]


def test_the_course_of_the_job_is_sent_by_the_workers_of_xdist(project: Path, anywhere: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    return [p for p in mini_batch if not p.endswith('_2.txt')]\n")
    (entry,) = report(project, anywhere, "-k", "completes or one_result")["entries"]
    trace = entry["trace"]
    assert [cell["state"] for cell in trace["cells"]] == ["succeeded", "failed", "succeeded"]
    assert [cell["names"] for cell in trace["cells"]] == ["item_1.txt", "item_2.txt", "item_3.txt"]
    assert [bar["outcome"] for bar in trace["bars"]].count("short") == 3
    assert trace["steps"][-1] == {"attempts": 5, "failed_items": 1, "failed_mini_batches": 1}


def test_an_entry_that_cannot_be_imported_is_told_as_any_other(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "import nowhere_to_be_found\n")
    (entry,) = report(project, gate)["entries"]
    assert entry["verdict"] == "failed"
    assert entry["job"]["status"] == "Failed"
    assert {cell["state"] for cell in entry["trace"]["cells"]} == {"unfinished"}
    assert "nowhere_to_be_found" in entry["trace"]["lanes"][0]["error"]


def test_scripts_of_one_name_in_two_folders_are_kept_apart(project: Path, run_pytest: Run, write: Write) -> None:
    for folder in ("a", "b"):
        write(f"{folder}/score.py", "def run(mini_batch):\n    return list(mini_batch)\n")
    given = ("--parallelrun-entry=a/score.py", "--parallelrun-entry=b/score.py", "-k", "imports")
    entries = report(project, run_pytest, *given)["entries"]
    assert [(entry["entry"], len(entry["checks"])) for entry in entries] == [("a/score.py", 1), ("b/score.py", 1)]


def test_a_check_that_took_its_worker_of_xdist_with_it_has_failed(
    project: Path, gate_in_two: Run, write: Write
) -> None:
    write("score.py", "import os\ndef run(mini_batch):\n    os.kill(os.getpid(), 9)\n")
    (entry,) = report(project, gate_in_two, "-k", "completes or imports")["entries"]
    assert outcomes(entry) == {"entry_imports": "passed", "job_completes": "failed"}
    assert entry["verdict"] == "failed"
    (message,) = [check["message"] for check in entry["checks"] if check["outcome"] == "failed"]
    assert "crashed" in message


def test_what_was_run_is_told_without_secrets(project: Path, gate: Run, write: Write) -> None:
    given = ("--parallelrun-args=--db-password 'correct horse' --name a", "--parallelrun-env=API_KEY=hunter2")
    (entry,) = report(project, gate, "-k", "imports", *given)["entries"]
    assert entry["set_up"] == {
        "input": f"{project / 'data'}  (--parallelrun-input)",
        "program arguments": "--db-password *** --name a",
        "code root": str(project),
        "engine": "inprocess",
    }
    assert entry["set_up_notes"] == []


def test_keys_of_a_job_definition_without_effect_are_named(project: Path, run_pytest: Run, write: Write) -> None:
    write(
        "job.yml",
        """
        $schema: https://azuremlschemas.azureedge.net/latest/parallelComponent.schema.json
        type: parallel
        name: rate
        inputs:
          letters: {type: uri_folder}
        input_data: ${{inputs.letters}}
        mini_batch_size: "1"
        task:
          type: run_function
          code: .
          entry_script: score.py
          environment: azureml:somewhere:1
        """,
    )
    given = ("--parallelrun-job=job.yml", "--parallelrun-input=letters=data", "-k", "imports")
    (entry,) = report(project, run_pytest, *given)["entries"]
    assert entry["set_up"]["job"] == "rate (job.yml:1)"
    assert entry["set_up_notes"] == ["not emulated: environment (job.yml:12)"]


def test_errors_in_the_course_of_the_job_name_no_folder_that_is_gone_tomorrow(
    project: Path, gate: Run, write: Write
) -> None:
    write("score.py", "def run(mini_batch):\n    raise ValueError(f'bad {mini_batch[0]}')\n")
    (entry,) = report(project, gate, "-k", "completes")["entries"]
    assert [cell["error"] for cell in entry["trace"]["cells"]] == [
        f"ValueError: bad item_{number}.txt" for number in (1, 2, 3)
    ]
    assert {bar["error"] for bar in entry["trace"]["bars"]} == {cell["error"] for cell in entry["trace"]["cells"]}


def test_a_timeline_that_cannot_be_made_costs_only_that(
    project: Path, gate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise ValueError("no such lane")

    monkeypatch.setattr("pytest_parallelrun._reporting.trace_of", broken)
    (entry,) = report(project, gate, "-k", "job_completes")["entries"]
    assert outcomes(entry) == {"job_completes": "passed"}
    (check,) = entry["checks"]
    assert check["notes"] == ["the timeline cannot be made: ValueError: no such lane (an error of pytest-parallelrun)"]
