"""Reads a job definition, of whichever kind the file is."""

from __future__ import annotations

from pathlib import Path

from pytest_parallelrun.job_files.deployment import is_deployment, read_deployment
from pytest_parallelrun.job_files.job_step import JobFile, StepReading
from pytest_parallelrun.job_files.parallel import read_component
from pytest_parallelrun.job_files.pipeline import PipelineReader, is_parallel, is_pipeline
from pytest_parallelrun.job_files.python_sdk import read_config, read_python
from pytest_parallelrun.job_files.tree import Problems, SourceLocation, Table, entry_text
from pytest_parallelrun.job_files.yaml_reader import read_yaml

KINDS = (
    "a parallel component (type: parallel), a pipeline (type: pipeline), a batch deployment, or a Python file or "
    "notebook that builds one"
)

TAKES = f"--parallelrun-job takes {KINDS}"
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
OTHER_YAML = (
    (("dependencies",), "a conda environment"),
    (("paths", "transformations"), "an MLTable file"),
    (("auth_mode",), "an endpoint; give its deployment"),
    (("instance_type", "model"), "a deployment of an online endpoint"),
    (("image",), "an environment"),
    (("steps",), "a pipeline of a CI system"),
)


def read_job_file(file: Path, other_root: Path | None = None) -> JobFile:
    """All parallel jobs of a file, and what is wrong with it. other_root: a code root over those of the file."""
    if file.suffix.lower() in (".py", ".pyw", ".ipynb"):
        return read_python(file, other_root)
    problems = Problems()
    other = _other_kind(file)
    if other is not None:
        problems.add(SourceLocation(file), f"this is no job definition: it appears to be {other}. {TAKES}")
        return JobFile.none(file, problems)
    table = read_yaml(file, problems)
    return JobFile.none(file, problems) if table is None else read_job_table(table, file, other_root)


def read_job_table(table: Table, file: Path, other_root: Path | None = None) -> JobFile:
    """The same for a file that was parsed already."""
    files = frozenset({file})
    if is_deployment(table):
        return JobFile(path=file, steps=(read_deployment(table, other_root=other_root),), files=files)
    if is_parallel(table):
        name = entry_text(table, "name") or file.stem
        return JobFile(path=file, steps=(read_component(table, name, other_root=other_root),), files=files)
    if "parallel_run_config" in table.entries:
        return JobFile(path=file, steps=(_read_config(table, file, other_root),), files=files)
    if is_pipeline(table):
        reader = PipelineReader(other_root)
        return JobFile(
            path=file,
            steps=tuple(reader.steps(table)),
            problems=tuple(reader.problems),
            skipped=tuple(reader.skipped),
            files=files | reader.files.keys(),
        )
    problems = Problems()
    kind = entry_text(table, "type")
    location = table.entries["type"].location if kind else table.location
    type_text = f"type: {kind}" if kind else f"no type{_appears(table)}"
    problems.add(location, f"this is no parallel job: it has {type_text}. {TAKES}")
    return JobFile.none(file, problems)


def _read_config(table: Table, file: Path, other_root: Path | None) -> StepReading:
    """A file that ParallelRunConfig.load_yaml() reads."""
    config = table.entries["parallel_run_config"]
    return read_config(config, None, entry_text(table, "name") or file.stem, other_root=other_root, unread=())


def _appears(table: Table) -> str:
    """What a YAML file appears to be that is no job, for the end of a sentence."""
    for keys, kind in OTHER_YAML:
        if all(key in table.entries for key in keys):
            return f", and appears to be {kind}"
    return ""


def _other_kind(file: Path) -> str | None:
    """What a file appears to be that is neither YAML nor Python; None where it may be YAML."""
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
