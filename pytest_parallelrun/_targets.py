"""Which scripts are checked, and by which step of which job file: --parallelrun-entry and --parallelrun-job."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun._configuration import RunConfiguration
from pytest_parallelrun._options import STEP, OptionValue, absolute_path, usage_error
from pytest_parallelrun.emulator.entry import EntryFile, find_entry
from pytest_parallelrun.emulator.errors import ParallelRunError, did_you_mean, not_there
from pytest_parallelrun.job_files.tree import JobFileError, Problem, shown

if TYPE_CHECKING:
    from pytest_parallelrun.contract.cases.saved_case import SavedCase
    from pytest_parallelrun.job_files.job_step import JobFile, JobStep, StepReading
    from pytest_parallelrun.job_files.tree import SourceLocation


@dataclass(frozen=True, kw_only=True)
class Target:
    """A script to check. script_id: its path in node ids. step: what a job file says about it.

    job: that file as --parallelrun-job names it. notes: sentences about it. shares_script: whether another step of the
    run has the same script.
    """

    entry: EntryFile
    script_id: str
    step: JobStep | None = None
    job: str | None = None
    notes: tuple[str, ...] = ()
    shares_script: bool = False

    @property
    def nodeid(self) -> str:
        return self.step_id if self.shares_script else self.script_id

    @property
    def step_id(self) -> str:
        """The node id with the step, if there is one."""
        return self.script_id if self.step is None else f"{self.script_id}{STEP}{self.step.name}"

    @property
    def folder_name(self) -> str:
        """A unique name for each entry, even if scripts and their folders have the same name."""
        parts = [part for part in Path(self.script_id).with_suffix("").parts if part != os.pardir]
        if self.step is not None and self.shares_script:
            parts.append(re.sub(r"[^\w.-]", "_", self.step.name))
        return "-".join(parts)


def find_targets(configuration: RunConfiguration, root: Path) -> tuple[Target, ...]:
    """The entries that were given, otherwise those of the job files, without duplicates. For a replay, only its own.

    root: where node ids start, and where the search for job files ends.
    UsageError: a missing entry or file, an invalid job file, an entry that no step has, several files for one entry,
    two steps with the same node id, no entry for a replay.
    """
    code = configuration.code
    if configuration.jobs:
        targets = _of_jobs(configuration.jobs, configuration.entries, code, root)
    else:
        scripts = dict.fromkeys(_script(item, code) for item in configuration.entries)
        targets = tuple(_discovered(script, code, root) for script in scripts)
    if configuration.replay is not None:
        targets = (_target_of(configuration.replay, targets),)
    uses = Counter(target.entry.path for target in targets)
    return tuple(replace(target, shares_script=uses[target.entry.path] > 1) for target in targets)


def script_id(entry: EntryFile, root: Path) -> str:
    """Posix path relative to rootdir, even for a script elsewhere, so that its node id is unique."""
    return Path(os.path.relpath(entry.path, root)).as_posix()


def _target_of(case: SavedCase, targets: Sequence[Target]) -> Target:
    """The entry to run a case with; of several, the one that it was saved for."""
    if len(targets) == 1:
        return targets[0]
    for target in targets:
        if case.entry in (target.script_id, target.step_id):
            return target
    reason = f"{len(targets)} entries are given, none of them the one" if targets else "no entry is given"
    raise usage_error(
        f"--parallelrun-replay={case.folder}: {reason}. It was saved for {case.entry}: add --parallelrun-entry=PATH."
    )


def _script(item: OptionValue, code: Path | None) -> EntryFile:
    """Errors show the path as it was written."""
    try:
        entry = find_entry(absolute_path(item), code)
    except ParallelRunError as error:
        raise usage_error(f"{item}: {error}") from None
    assert isinstance(entry, EntryFile)
    return entry


def _of_jobs(
    jobs: Sequence[OptionValue], entries: Sequence[OptionValue], code: Path | None, root: Path
) -> tuple[Target, ...]:
    files = _read_jobs(jobs, entries, code)
    readings = [reading for _, _, steps in files for reading in steps]
    wanted = {os.path.realpath(absolute_path(entry)): entry for entry in entries}
    scripts = {os.path.realpath(reading.script) for reading in readings if reading.script is not None}
    for path, entry in wanted.items():
        # If a step is so wrong that its script is unknown, the problems say more.
        if path not in scripts and all(reading.script is not None for reading in readings):
            steps_text = ", ".join(
                f"'{reading.name}'" + ("" if reading.script is None else f" ({reading.script.name})")
                for reading in readings
            )
            raise usage_error(
                f"{entry} is no entry of {', '.join(str(item) for item in jobs)}, which has: {steps_text or 'none'}."
            )
    problems: list[Problem] = []
    targets: dict[SourceLocation, Target] = {}
    for item, job, steps in files:
        if wanted:
            steps = [step for step in steps if step.script is None or os.path.realpath(step.script) in wanted]
        problems += [*job.problems, *(problem for reading in steps for problem in reading.problems)]
        for step in (reading.step for reading in steps):
            if step is not None:
                target = Target(
                    entry=step.entry,
                    script_id=script_id(step.entry, root),
                    step=step,
                    job=item.value.partition(STEP)[0],
                    notes=job.skipped,
                )
                targets.setdefault(step.location, target)
        if not job.steps and not problems:
            skipped = "".join(f" {sentence}." for sentence in job.skipped)
            raise usage_error(f"{item}: the file has no parallel job to gate.{skipped}")
    if problems:
        raise JobFileError(problems)
    _check_names(targets)
    return tuple(targets.values())


def _read_jobs(
    jobs: Sequence[OptionValue], entries: Sequence[OptionValue], code: Path | None
) -> list[tuple[OptionValue, JobFile, list[StepReading]]]:
    """All job files; an entry that no step has belongs to the steps whose script cannot be read."""
    files = [(item, *_read_job(item, code)) for item in jobs]
    scripts = [reading.script for _, _, steps in files for reading in steps]
    known = {os.path.realpath(script) for script in scripts if script is not None}
    others = [entry for entry in entries if os.path.realpath(absolute_path(entry)) not in known]
    if len(others) != 1 or None not in scripts:
        return files
    script = _script(others[0], code).path
    return [(item, *_read_job(item, code, script)) for item in jobs]


def _read_job(item: OptionValue, code: Path | None, script: Path | None = None) -> tuple[JobFile, list[StepReading]]:
    """A job file and the selected steps. script: if that of a step cannot be read."""
    from pytest_parallelrun.job_files.job_file import read_job_file
    from pytest_parallelrun.job_files.script import GivenCode

    file, separator, wanted = item.value.partition(STEP)
    job = read_job_file(_job_path(replace(item, value=file)), GivenCode(code, script))
    if job.problems and not job.steps:
        raise JobFileError(job.problems)
    if not separator:
        return job, list(job.steps)
    steps = [reading for reading in job.steps if reading.name == wanted]
    if not steps:
        hint = _hint(wanted, [reading.name for reading in job.steps], job)
        raise usage_error(f"{item}: there is no such step. {hint}")
    return job, steps


def _check_names(targets: Mapping[SourceLocation, Target]) -> None:
    """UsageError for two steps with the same name and script, which would have the same node ids."""
    locations: dict[tuple[Path, str], SourceLocation] = {}
    for location, target in targets.items():
        assert target.step is not None
        other = locations.setdefault((target.entry.path, target.step.name), location)
        if other != location:
            raise usage_error(
                f"--parallelrun-job: {other.origin} and {location.origin} both have a step '{target.step.name}' of "
                f"{target.entry.path.name}, and their tests would have the same ids: gate them in two runs."
            )


def _job_path(item: OptionValue) -> Path:
    path = absolute_path(item)
    if path.is_file():
        return path
    folder = path if path.is_dir() else path.parent
    files = sorted(file.name for file in folder.glob("*") if file.suffix in (".yml", ".yaml"))
    problem = "is a folder; give a file" if path.is_dir() else not_there(path)
    near = difflib.get_close_matches(path.name, files, n=1, cutoff=0.6)
    hint = (
        f" Did you mean '{near[0]}'?"
        if near and near != [path.name]
        else f" There is: {', '.join(files)}."
        if files
        else ""
    )
    raise usage_error(f"{item}: {problem}.{hint}")


def _hint(wanted: str, names: Sequence[str], job: JobFile) -> str:
    if not wanted:
        return f"Write FILE{STEP}STEP, or FILE alone for all of them."
    skipped = "".join(f" {sentence}." for sentence in job.skipped)
    return (did_you_mean(wanted, names) if names else "The file has no parallel step.") + skipped


def _discovered(entry: EntryFile, code: Path | None, root: Path) -> Target:
    """The entry with the only job file found for it."""
    from pytest_parallelrun.job_files.discovery import discover

    steps, broken = discover(entry.path, root)
    if len(steps) > 1:
        options = "\n".join(f"  --parallelrun-job={shown(one.file.path)}{STEP}{one.reading.name}" for one in steps)
        raise usage_error(f"{len(steps)} job definitions run {shown(entry.path)}; say which one is meant:\n{options}")
    if broken and not steps:
        raise JobFileError(broken)
    if not steps:
        return Target(entry=entry, script_id=script_id(entry, root))
    [discovered] = steps
    step = discovered.reading.step
    if step is None:
        raise JobFileError(discovered.reading.problems)
    passed_over = (f"a job definition that names this script is broken, and not used: {each}" for each in broken)
    # The folder of --parallelrun-code overrides that of the file.
    entry = entry if code is not None else step.entry
    notes = (*(str(problem) for problem in discovered.file.problems), *passed_over)
    return Target(entry=entry, script_id=script_id(entry, root), step=step, notes=notes)
