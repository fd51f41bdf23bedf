"""Workflow commands of GitHub Actions, and what a step may say of itself.

Source: the reference of workflow commands for GitHub Actions, and the limits that it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from pytest_parallelrun.report.annotations import Annotation

MOST_OF_A_LEVEL = 10
"""Annotations of a step that are shown for errors, and as many for warnings."""
MOST_OF_A_SUMMARY = 1024 * 1024
"""Bytes of the summary of a step, all that was written to it together; more of it is not shown at all."""


def commands(annotations: Iterable[Annotation]) -> Iterator[str]:
    """A line for each annotation that will be shown."""
    every = list(annotations)
    for level in ("error", "warning"):
        for annotation in islice((each for each in every if each.level == level), MOST_OF_A_LEVEL):
            yield (
                f"::{level} file={_property(annotation.file)},line={annotation.line},"
                f"title={_property(annotation.title)}::{_data(annotation.message)}"
            )


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
