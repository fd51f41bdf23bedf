"""Files at relative paths are deleted with the worker's folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.dependence.written_files import OF_NO_VALUE
from pytest_parallelrun.contract.entry.preconditions import skip_without_results
from pytest_parallelrun.contract.finding import Finding, Location
from pytest_parallelrun.contract.phrases import items_text

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.emulator.settings import JobSettings

_LOG = re.compile(r"(^|.*[^a-z])logs?([^a-z].*|$)", re.IGNORECASE)


def test_keeps_its_files(
    parallelrun_entry: EntryUnderTest, parallelrun_baseline: Baseline, parallelrun_check: Check
) -> None:
    """The files that run() writes can be found after the job."""
    __tracebackhide__ = True
    if all(attempt.returned is None for attempt in parallelrun_baseline.result.attempts):
        skip_without_results(parallelrun_baseline, parallelrun_check)
    names = _names_of_files_left(parallelrun_entry, parallelrun_baseline)
    logs = [name for name in names if _has_part(name, _LOG)]
    if logs:
        parallelrun_check.note(f"the log '{logs[0]}' lies in the folder of the worker, and is gone with it")
    lost = tuple(name for name in names if name not in logs)
    if lost:
        parallelrun_check.advise(
            Finding(
                what=f"Files that run() writes are lost: {items_text(lost)}. A relative path ends up in the worker's "
                "temporary folder.",
                location=Location(phase="run"),
                service="no error: the folder is deleted with the worker, and the output of the job lacks the files",
                fix=_where_to_write(parallelrun_baseline.result.settings),
            )
        )


def _names_of_files_left(entry: EntryUnderTest, baseline: Baseline) -> list[str]:
    """The files by relative path, without empty files and those that have served their purpose."""
    root = str(baseline.result.folder)
    # On another machine that folder has another path.
    read = {path[path.index(root) :] for path in entry.outputs.read if root in path}
    names: dict[str, None] = {}
    for path, size in baseline.result.files_left.items():
        # A file that was read again was uploaded, or was an intermediate file.
        if size and str(path) not in read:
            # Without the folder of the worker.
            name = Path(*path.relative_to(root).parts[1:]).as_posix()
            if not _has_part(name, OF_NO_VALUE):
                names[name] = None
    return sorted(names)


def _has_part(name: str, pattern: re.Pattern[str]) -> bool:
    return any(pattern.fullmatch(part) for part in Path(name).parts)


def _where_to_write(settings: JobSettings) -> str:
    if settings.output_folder:
        return (
            "write below os.environ['AZUREML_BI_OUTPUT_PATH'], which EntryScript().output_dir is too, or below a "
            "folder that the script is given by its absolute path."
        )
    return (
        "give the script a folder as a program argument, such as --out ${{outputs.NAME}}, and write below it. A "
        "relative path, such as ./out, is in the working folder of a worker, which nobody keeps. "
        "EntryScript().output_dir is the folder of the worker in a job without append_row_to."
    )
