"""Finds the job files of a script if none is given: next to it, and in every folder above up to a root.

Other files there, including broken or too large ones, are ignored unless they clearly name the script.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pytest_parallelrun.emulator.guarded_yaml import MAX_FILE_BYTES
from pytest_parallelrun.job_files.job_step import JobFile, StepReading
from pytest_parallelrun.job_files.tree import Problem, Problems
from pytest_parallelrun.job_files.yaml_reader import is_too_large, parse_yaml

MAX_LINES = 50
"""Maximum lines of a broken file that may name a code folder or a script; all combinations are tried."""
_ENDINGS = (".yml", ".yaml")
# Checked before anything is parsed, so that a folder of other YAML files costs nearly nothing.
_MAY_BE_ONE = re.compile(r"parallel|scoring_script|component", re.IGNORECASE)
_LINE = r"^[ \t-]*(?:{})[ \t]*:[ \t]*[\"']?([^\"'\n#]+)"
_CODE = re.compile(_LINE.format("code"), re.MULTILINE)
_SCRIPT = re.compile(_LINE.format("entry_script|scoring_script"), re.MULTILINE)


@dataclass(frozen=True)
class DiscoveredStep:
    """A step that runs the script, with its file."""

    file: JobFile
    reading: StepReading


def discover(script: Path, root: Path) -> tuple[list[DiscoveredStep], list[Problem]]:
    """The steps that run a script, and problems of files that name it but are not YAML.

    root: the last folder to search; for a script outside it, only its own folder. A component of a found pipeline is
    not found again by itself.
    """
    folders = [script.parent]
    if script.is_relative_to(root):
        folders += [folder for folder in script.parent.parents if folder.is_relative_to(root)]
    steps: list[DiscoveredStep] = []
    broken: list[Problem] = []
    for folder in folders:
        for path, text, size in _candidates(folder, script):
            job_file, problems = _read(path, text, size)
            if job_file is None:
                broken.extend(problems if _names(text, path, script) else [])
                continue
            steps += [
                DiscoveredStep(job_file, step) for step in job_file.steps if step.script and _same(step.script, script)
            ]
    referred = {path for one in steps for path in one.file.files if path != one.file.path}
    return [one for one in steps if one.file.path not in referred], broken


def _candidates(folder: Path, script: Path) -> Iterator[tuple[Path, str, int]]:
    """YAML files of a folder that may be job files, sorted by name, with the text that was read and the size.

    Of those that are too large to be parsed, only those that contain the name of the script.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.lower().endswith(_ENDINGS) and entry.is_file())
    except OSError:
        return
    for name in names:
        path = folder / name
        try:
            with open(path, "rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                data = stream.read(MAX_FILE_BYTES)
        except OSError:
            continue
        if size > MAX_FILE_BYTES and script.name.encode() not in data:
            continue
        text = data.decode("utf-8-sig", "replace")
        if _MAY_BE_ONE.search(text):
            yield path, text, size


def _read(path: Path, text: str, size: int) -> tuple[JobFile | None, list[Problem]]:
    # PyYAML takes 20 ms to import, which a run without such a file should not pay.
    from pytest_parallelrun.job_files.job_file import read_job_table

    problems = Problems()
    table = None if is_too_large(size, path, problems) else parse_yaml(text, path, problems)
    if table is None:
        return None, problems
    job_file = read_job_table(table, path)
    return (job_file, []) if job_file.is_job else (None, [])


def _names(text: str, path: Path, script: Path) -> bool:
    """Whether lines of an unparsable text name the script by its code folder and its path below."""
    codes, names = ([match[1] for match in islice(lines.finditer(text), MAX_LINES)] for lines in (_CODE, _SCRIPT))
    pairs = ((code, name) for code in codes for name in names)
    return any(_same(path.parent / code.strip() / name.strip().replace("\\", "/"), script) for code, name in pairs)


def _same(path: Path, script: Path) -> bool:
    return os.path.normcase(os.path.realpath(path)) == os.path.normcase(os.path.realpath(script))
