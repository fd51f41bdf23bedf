"""Logging commands of Azure Pipelines. Source: their reference, with its section on formatting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_parallelrun.report.annotations import Annotation


def commands(annotations: Iterable[Annotation]) -> Iterator[str]:
    """A line for each annotation."""
    for annotation in annotations:
        yield (
            f"##vso[task.logissue type={annotation.level};sourcepath={_property(annotation.file)};"
            f"linenumber={annotation.line};code={_property(annotation.title)};]{_data(annotation.message)}"
        )


def upload_summary(path: str) -> str:
    """The line that shows a Markdown file beside the run. path: absolute."""
    return f"##vso[task.uploadsummary]{_data(path)}"


def _data(text: str) -> str:
    return text.replace("%", "%AZP25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(";", "%3B").replace("]", "%5D")
