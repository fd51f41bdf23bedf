"""Which entries are gated, and by which step of which job definition: --parallelrun-entry and --parallelrun-job."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_parallelrun._options import OptionValue, absolute
from pytest_parallelrun.emulator.entry import EntryFile, find_entry
from pytest_parallelrun.emulator.errors import ParallelRunError, did_you_mean
from pytest_parallelrun.report.sanitize import masked_text

if TYPE_CHECKING:
    from pytest_parallelrun.job_files.job_step import JobFile, JobStep, StepReading
    from pytest_parallelrun.job_files.tree import Problem, SourceLocation

STEP = "::"
"""Between the file and the step in the value of --parallelrun-job."""


@dataclass(frozen=True)
class Target:
    """An entry to gate. step: what a job definition says about it. notes: sentences about that definition.

    job: that definition as --parallelrun-job names it.
    """

    entry: EntryFile
    step: JobStep | None = None
    notes: tuple[str, ...] = ()
    job: str | None = None


def node_ids(target: Target, root: Path) -> tuple[str, str]:
    """The node id of an entry, and that which it has where another step has the same script.

    Posix path relative to rootdir; a script elsewhere is given from there, for its node id to be unique.
    """
    alone = Path(os.path.relpath(target.entry.path, root)).as_posix()
    return alone, alone if target.step is None else f"{alone}{STEP}{target.step.name}"


def find_targets(
    entries: Sequence[OptionValue], jobs: Sequence[OptionValue], code: Path | None, root: Path
) -> tuple[Target, ...]:
    """The entries that were given, else those of the job definition; without repetition.

    code: a code root over those of job definitions. root: where the search for job definitions ends.
    UsageError: an entry or file that is not there, a definition that is not valid, an entry that is no step of any,
    several definitions of one entry, two steps that no node id would tell apart.
    """
    if jobs:
        return _of_jobs(jobs, entries, code)
    scripts = list(dict.fromkeys(_script(item, code) for item in entries))
    return tuple(_discovered(script, code, root) for script in scripts)


def _script(item: OptionValue, code: Path | None) -> EntryFile:
    """Errors show the path as it was written."""
    try:
        entry = find_entry(absolute(item), code)
    except ParallelRunError as error:
        raise pytest.UsageError(f"{item.origin}={item.value}: {error}") from None
    assert isinstance(entry, EntryFile)
    return entry


def _of_jobs(jobs: Sequence[OptionValue], entries: Sequence[OptionValue], code: Path | None) -> tuple[Target, ...]:
    from pytest_parallelrun.job_files.tree import JobFileError

    read = [(item, *_read(item, code)) for item in jobs]
    readings = [reading for _, _, steps in read for reading in steps]
    asked = {os.path.realpath(absolute(entry)): entry for entry in entries}
    known = {os.path.realpath(reading.script) for reading in readings if reading.script is not None}
    for path, entry in asked.items():
        if path not in known and not _anything_unknown(readings):
            files = ", ".join(f"{item.origin}={item.value}" for item in jobs)
            raise pytest.UsageError(
                f"{entry.origin}={entry.value} is no entry of {files}, "
                f"which has: {', '.join(_named(reading.name, reading.script) for reading in readings) or 'none'}."
            )
    found: list[Problem] = []
    targets: dict[SourceLocation, Target] = {}
    for item, job, steps in read:
        if asked:
            steps = [one for one in steps if one.script is None or os.path.realpath(one.script) in asked]
        found += [*job.problems, *(finding for reading in steps for finding in reading.problems)]
        file = item.value.partition(STEP)[0]
        for one in steps:
            if one.step is not None:
                targets.setdefault(one.step.location, Target(one.step.entry, one.step, job.skipped, file))
        if not job.steps and not found:
            skipped = "".join(f" {sentence}." for sentence in job.skipped)
            raise pytest.UsageError(f"{item.origin}={item.value}: the file has no parallel job to gate.{skipped}")
    if found:
        raise _usage_error(JobFileError(found))
    _check_names(targets)
    return tuple(targets.values())


def _read(item: OptionValue, code: Path | None) -> tuple[JobFile, list[StepReading]]:
    """A job definition, and the steps of it that are meant."""
    from pytest_parallelrun.job_files.job_file import read_job_file
    from pytest_parallelrun.job_files.tree import JobFileError

    text, _, wanted = item.value.partition(STEP)
    job = read_job_file(_job_path(replace(item, value=text)), code)
    if job.problems and not job.steps:
        raise _usage_error(JobFileError(job.problems))
    steps = list(job.steps)
    if STEP in item.value:
        names = [reading.name for reading in steps]
        steps = [reading for reading in steps if reading.name == wanted]
        if not steps:
            raise pytest.UsageError(f"{item.origin}={item.value}: there is no such step. {_hint(wanted, names, job)}")
    return job, steps


def _check_names(targets: Mapping[SourceLocation, Target]) -> None:
    """UsageError for two steps of one name and one script, which would have the same node ids."""
    places: dict[tuple[Path, str], SourceLocation] = {}
    for place, target in targets.items():
        assert target.step is not None
        other = places.setdefault((target.entry.path, target.step.name), place)
        if other != place:
            raise pytest.UsageError(
                f"--parallelrun-job: {other.origin} and {place.origin} both have a step '{target.step.name}' of "
                f"{target.entry.path.name}, and their tests would have the same ids: gate them in two runs."
            )


def _job_path(item: OptionValue) -> Path:
    path = absolute(item)
    if path.is_file():
        return path
    folder = path if path.is_dir() else path.parent
    names = (
        sorted(file.name for file in folder.iterdir() if file.suffix in (".yml", ".yaml")) if folder.is_dir() else []
    )
    what = "is a folder; give a file" if path.is_dir() else "does not exist"
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    hint = f" Did you mean '{near[0]}'?" if near else f" There is: {', '.join(names)}." if names else ""
    raise pytest.UsageError(f"{item.origin}={item.value}: {what}.{hint}")


def _hint(wanted: str, names: Sequence[str], job: JobFile) -> str:
    if not wanted:
        return f"Write FILE{STEP}STEP, or FILE alone for all of them."
    skipped = "".join(f" {sentence}." for sentence in job.skipped)
    return (did_you_mean(wanted, names) if names else "The file has no parallel step.") + skipped


def _anything_unknown(readings: Sequence[object]) -> bool:
    """Whether a step is so wrong that its script is not known; its findings then say more."""
    return any(getattr(reading, "script", None) is None for reading in readings)


def _named(name: str, script: Path | None) -> str:
    return f"'{name}'" + ("" if script is None else f" ({script.name})")


def _discovered(entry: EntryFile, code: Path | None, root: Path) -> Target:
    """The entry with the one definition that is found for it."""
    from pytest_parallelrun.job_files.discovery import discover
    from pytest_parallelrun.job_files.tree import JobFileError, shown

    found, broken = discover(entry.path, root)
    if len(found) > 1:
        options = "\n".join(f"  --parallelrun-job={shown(one.file.path)}{STEP}{one.reading.name}" for one in found)
        raise pytest.UsageError(
            f"{len(found)} job definitions run {shown(entry.path)}; say which one is meant:\n{options}"
        )
    if broken and not found:
        raise _usage_error(JobFileError(broken))
    if not found:
        return Target(entry)
    [one] = found
    if one.reading.step is None:
        raise _usage_error(JobFileError(one.reading.problems))
    passed_over = tuple(f"a job definition that names this script is broken, and not used: {each}" for each in broken)
    notes = (*(f"{finding}" for finding in one.file.problems), *passed_over)
    # The folder given for --parallelrun-code goes over that of the file.
    return Target(entry if code is not None else one.reading.step.entry, one.reading.step, notes)


def _usage_error(error: ParallelRunError) -> pytest.UsageError:
    return pytest.UsageError(masked_text(str(error)))
