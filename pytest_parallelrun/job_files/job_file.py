"""Reads a job file of any kind."""

from __future__ import annotations

from pathlib import Path

from pytest_parallelrun.job_files.job_step import JobFile
from pytest_parallelrun.job_files.job_table import TAKES, read_job_table
from pytest_parallelrun.job_files.python_sdk import read_python
from pytest_parallelrun.job_files.script import NO_CODE, GivenCode
from pytest_parallelrun.job_files.tree import Problems, SourceLocation
from pytest_parallelrun.job_files.yaml_reader import read_yaml

YAML = (".yml", ".yaml", ".json", "")
SIGNATURES = (
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"PAR1", "a Parquet file"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"%PDF", "a PDF file"),
)
ENDINGS = {
    ".csv": "a table",
    ".tsv": "a table",
    ".jsonl": "JSON lines",
    ".txt": "a text",
    ".md": "a text",
    ".rst": "a text",
    ".sh": "a shell script",
    ".ps1": "a script of PowerShell",
    ".r": "a script of R",
    ".toml": "a configuration in TOML",
    ".ini": "a configuration in INI format",
    ".cfg": "a configuration in INI format",
    ".bicep": "a template of Azure resources",
    ".tf": "a configuration of Terraform",
}


def read_job_file(file: Path, given: GivenCode = NO_CODE) -> JobFile:
    """All parallel jobs of a file, and its problems. given: code next to the file."""
    if file.suffix.lower() in (".py", ".pyw", ".ipynb"):
        return read_python(file, given)
    problems = Problems()
    other = _other_kind(file)
    if other is not None:
        problems.add(SourceLocation(file), f"this is no job definition: it appears to be {other}. {TAKES}")
        return JobFile.none(file, problems)
    table = read_yaml(file, problems)
    return JobFile.none(file, problems) if table is None else read_job_table(table, file, given)


def _other_kind(file: Path) -> str | None:
    """What a file that is neither YAML nor Python seems to be; None if it may be YAML."""
    suffix = file.suffix.lower()
    try:
        with open(file, "rb") as stream:
            start = stream.read(4096)
    except OSError:
        # The error of reading it says more.
        return None
    for signature, kind in SIGNATURES:
        if start.startswith(signature):
            return kind
    if b"\0" in start and suffix not in YAML:
        return "a binary file"
    return None if suffix in YAML else ENDINGS.get(suffix, f"a text file with the ending '{suffix}'")
