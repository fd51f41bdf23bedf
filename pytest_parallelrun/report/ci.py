"""Findings and summaries for GitHub Actions and Azure Pipelines."""

from __future__ import annotations

import ast
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from pytest_parallelrun.contract.finding import Finding
from pytest_parallelrun.report.markdown import markdown_report
from pytest_parallelrun.report.records import AcceptanceRecord, EntryReport, grouped_findings
from pytest_parallelrun.report.sanitize import visible

MAX_ANNOTATIONS_PER_LEVEL = 10
"""Annotations shown for each step: this number of errors and of warnings."""
MAX_SUMMARY_BYTES = 1024 * 1024
"""Bytes of the summary of a step, in all; a longer one is not shown at all."""


def on_github() -> bool:
    return os.environ.get("GITHUB_ACTIONS", "").lower() == "true"


def on_azure() -> bool:
    return os.environ.get("TF_BUILD", "").lower() == "true"


def on_ci() -> bool:
    """Whether something reads commands from the log."""
    return on_github() or on_azure()


def ci_parts(
    reports: Sequence[EntryReport], acceptances: Sequence[AcceptanceRecord]
) -> Iterator[tuple[str, Iterator[str]]]:
    """(name, lines) for each part that this CI system gets. The summary of a step is written directly.

    The lines belong in the log: commands, and why a summary could not be written, which does not fail the run.
    """
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        yield "the summary of the step", _step_summary(summary, reports, acceptances)
    if on_github():
        checkout = os.environ.get("GITHUB_WORKSPACE") or os.getcwd()
        yield "annotations", github_commands(annotated(reports, checkout))
    if on_azure():
        checkout = os.environ.get("BUILD_SOURCESDIRECTORY") or os.getcwd()
        yield "annotations", azure_commands(annotated(reports, checkout))
        yield "the summary of the run", _azure_summary(reports, acceptances)


def _step_summary(path: str, reports: Sequence[EntryReport], acceptances: Sequence[AcceptanceRecord]) -> Iterator[str]:
    try:
        written = os.path.getsize(path) if os.path.exists(path) else 0
        room = max(0, MAX_SUMMARY_BYTES - written - 1024)
        with open(path, "a", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write("\n" + markdown_report(reports, acceptances, most_bytes=room))
    except OSError as error:
        yield f"GITHUB_STEP_SUMMARY: {path} cannot be written: {error.strerror or error}"


def _azure_summary(reports: Sequence[EntryReport], acceptances: Sequence[AcceptanceRecord]) -> Iterator[str]:
    folder = os.environ.get("AGENT_TEMPDIRECTORY")
    try:
        # The agent reads it after the run, and deletes its folder with the job.
        handle, path = tempfile.mkstemp(prefix="parallelrun-", suffix=".md", dir=folder or None)
        with open(handle, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(markdown_report(reports, acceptances))
    except OSError as error:
        yield f"AGENT_TEMPDIRECTORY: no summary can be written in {folder}: {error.strerror or error}"
        return
    yield azure_upload_summary(os.path.abspath(path))


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """A finding at a line. file: relative to the checkout, with `/`, or absolute if outside."""

    level: Literal["error", "warning"]
    file: str
    line: int
    title: str
    message: str


def annotated(reports: Sequence[EntryReport], checkout: str) -> Iterator[Annotation]:
    """One for each entry that is incomplete, then for each finding, errors before advice, of all entries together."""
    for report in reports:
        if report.verdict == "incomplete":
            yield Annotation(
                level="warning",
                file=visible(_below(checkout, report.path)),
                line=1,
                title=visible(f"{report.entry}: incomplete"),
                message=visible(f"The sample was not judged: {report.unjudged}."),
            )
    findings = [(report, grouped) for report in reports for grouped in grouped_findings(report)]
    for report, grouped in sorted(findings, key=lambda pair: pair[1].record.outcome != "failed"):
        file, line = script_location(grouped.finding, report.path)
        parts = [grouped.finding.what, *grouped.finding.labelled_lines("location", "fix"), grouped.command]
        yield Annotation(
            level="error" if grouped.record.outcome == "failed" else "warning",
            file=visible(_below(checkout, file)),
            line=line,
            title=visible(f"{report.entry}: {grouped.record.name}"),
            message=visible("\n".join(part for part in parts if part)),
        )


def _below(checkout: str, file: str) -> str:
    try:
        relative = os.path.relpath(os.path.realpath(file), os.path.realpath(checkout))
    except ValueError:
        # On another drive.
        return file
    return file if relative.startswith(os.pardir) else relative.replace(os.sep, "/")


def script_location(finding: Finding, script: str) -> tuple[str, int]:
    """(file, line) of a finding: the last frame of the user, the function that failed, or the first line."""
    cause, location = finding.cause, finding.location
    if cause is not None and cause.frame is not None:
        return cause.frame.file, cause.frame.line
    return script, _lines_of_functions(script).get(location.phase if location else "run", 1)


def source_around(file: str, line: int, lines: int = 3) -> str:
    """Lines of a file with their numbers, the one in question marked; "" where it cannot be read."""
    try:
        source = Path(file).read_bytes().decode("utf-8", "replace").splitlines()
    except (OSError, ValueError):
        return ""
    first = max(1, line - lines)
    return "\n".join(
        f"{'>' if number == line else ' '} {number:4} | {text}".rstrip()
        for number, text in enumerate(source[first - 1 : line + lines], first)
    )


def _lines_of_functions(script: str) -> Mapping[str, int]:
    try:
        tree = ast.parse(Path(script).read_bytes())
    except (OSError, ValueError, SyntaxError):
        return {}
    return {node.name: node.lineno for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


GITHUB_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
GITHUB_PROPERTY = GITHUB_DATA | str.maketrans({":": "%3A", ",": "%2C"})
AZURE_DATA = str.maketrans({"%": "%AZP25", "\r": "%0D", "\n": "%0A"})
AZURE_PROPERTY = AZURE_DATA | str.maketrans({";": "%3B", "]": "%5D"})
"""How commands write what would end them."""


def github_commands(annotations: Iterable[Annotation]) -> Iterator[str]:
    """A line for each annotation that will be shown."""
    every = list(annotations)
    for level in ("error", "warning"):
        for annotation in islice((each for each in every if each.level == level), MAX_ANNOTATIONS_PER_LEVEL):
            file, title = (text.translate(GITHUB_PROPERTY) for text in (annotation.file, annotation.title))
            message = annotation.message.translate(GITHUB_DATA)
            yield f"::{level} file={file},line={annotation.line},title={title}::{message}"


def azure_commands(annotations: Iterable[Annotation]) -> Iterator[str]:
    for annotation in annotations:
        file, code = (text.translate(AZURE_PROPERTY) for text in (annotation.file, annotation.title))
        yield (
            f"##vso[task.logissue type={annotation.level};sourcepath={file};linenumber={annotation.line};code={code};]"
            f"{annotation.message.translate(AZURE_DATA)}"
        )


def azure_upload_summary(path: str) -> str:
    """The line that shows a Markdown file with the run. path: absolute."""
    return f"##vso[task.uploadsummary]{path.translate(AZURE_DATA)}"
