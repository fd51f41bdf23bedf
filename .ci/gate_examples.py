"""Gates every example script as a user would, and compares verdict, failed checks and counts with expected.json."""

# ruff: noqa: T201  # printing is what it is for

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

ROOT = Path(__file__).parents[1]


class Expected(TypedDict):
    """An expected.json: `failed` names checks, `job` has some of the counts."""

    options: list[str]
    verdict: str
    failed: list[str]
    job: dict[str, object]


class Check(TypedDict):
    """A check of the JSON report, as far as it is compared."""

    name: str
    outcome: str


class Report(TypedDict):
    """An entry of the JSON report, as far as it is compared."""

    verdict: str
    job: dict[str, object] | None
    checks: list[Check]


def main() -> int:
    files = sorted((ROOT / "example_scripts").rglob("expected.json"))
    if not files:
        print("there is no expected.json below example_scripts")
        return 1
    failures = 0
    for file in files:
        expected: Expected = json.loads(file.read_text(encoding="utf-8"))
        name = file.parent.relative_to(ROOT).as_posix()
        output, status, report = gate(expected["options"], file.parent / "score.py")
        differences = list(compare(expected, status, report))
        print(f"{'FAILED' if differences else 'ok'}  {name}: {expected['verdict']}")
        if differences:
            failures += 1
            print(output, *differences, sep="\n")
    print(f"{len(files)} examples, {failures} not as expected")
    return 1 if failures else 0


def gate(options: list[str], script: Path) -> tuple[str, int, Report | None]:
    """Output, exit code, and what the report says of the one entry, None without a report."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "report.json")
        command = [sys.executable, "-m", "pytest", str(script), *options, f"--parallelrun-report={path}"]
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace"
        )
        if not path.is_file():
            return done.stdout, done.returncode, None
        return done.stdout, done.returncode, json.loads(path.read_text(encoding="utf-8"))["entries"][0]


def compare(expected: Expected, status: int, report: Report | None) -> Iterator[str]:
    """A line for each difference."""
    wanted = 0 if expected["verdict"] == "passed" else 1
    if status != wanted:
        yield f"exit code: expected {wanted}, got {status}"
    if report is None:
        yield "no report was written"
        return
    if report["verdict"] != expected["verdict"]:
        yield f"verdict: expected {expected['verdict']}, got {report['verdict']}"
    failed = [check["name"] for check in report["checks"] if check["outcome"] == "failed"]
    if failed != expected["failed"]:
        yield f"failed checks: expected {expected['failed']}, got {failed}"
    for name, value in expected["job"].items():
        job = report["job"] or {}
        if job.get(name) != value:
            yield f"job, {name}: expected {value}, got {job.get(name)}"


if __name__ == "__main__":
    sys.exit(main())
