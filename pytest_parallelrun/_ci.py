"""Tells the CI system that the run is in, by what it sets: summaries, and annotations at lines of the script."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence

from pytest_parallelrun.report import azure, github
from pytest_parallelrun.report.annotations import annotated
from pytest_parallelrun.report.markdown import markdown_report
from pytest_parallelrun.report.records import AcceptanceRecord, EntryReport


def on_github() -> bool:
    return os.environ.get("GITHUB_ACTIONS", "").lower() == "true"


def on_azure() -> bool:
    return os.environ.get("TF_BUILD", "").lower() == "true"


def ci_lines(reports: Sequence[EntryReport], acceptances: Sequence[AcceptanceRecord]) -> Iterator[str]:
    """Writes the summaries. Yields what belongs into the log: commands, and why a summary could not be written.

    None of it fails the run: what the gate found does not depend on who is told.
    """
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        yield from _step_summary(summary, reports, acceptances)
    if on_github():
        yield from github.commands(annotated(reports, os.environ.get("GITHUB_WORKSPACE") or os.getcwd()))
    if on_azure():
        yield from azure.commands(annotated(reports, os.environ.get("BUILD_SOURCESDIRECTORY") or os.getcwd()))
        yield from _azure_summary(reports, acceptances)


def _step_summary(path: str, reports: Sequence[EntryReport], acceptances: Sequence[AcceptanceRecord]) -> Iterator[str]:
    try:
        written = os.path.getsize(path) if os.path.exists(path) else 0
        room = max(0, github.MOST_OF_A_SUMMARY - written - 1024)
        with open(path, "a", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write("\n" + markdown_report(reports, acceptances, most_bytes=room))
    except OSError as error:
        yield f"GITHUB_STEP_SUMMARY: {path} cannot be written: {error.strerror or error}"


def _azure_summary(reports: Sequence[EntryReport], acceptances: Sequence[AcceptanceRecord]) -> Iterator[str]:
    folder = os.environ.get("AGENT_TEMPDIRECTORY")
    try:
        # The agent reads it after the run, and removes its folder with the job.
        handle, path = tempfile.mkstemp(prefix="parallelrun-", suffix=".md", dir=folder or None)
        with open(handle, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(markdown_report(reports, acceptances))
    except OSError as error:
        yield f"AGENT_TEMPDIRECTORY: no summary can be written in {folder}: {error.strerror or error}"
        return
    yield azure.upload_summary(os.path.abspath(path))
