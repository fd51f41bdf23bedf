"""What is to be shown at a line of a script, and how a log is kept from giving commands of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_parallelrun.report.findings import findings, place_in_script
from pytest_parallelrun.report.plain_text import visible
from pytest_parallelrun.report.records import EntryReport

# The runner of GitHub ends lines at a single \r as well, and does not see characters without a width.
_COMMAND = re.compile(r"(?:^|(?<=[\r\n]))[^a-z0-9\r\n]*?:(?=:)|##(?=\[|vso\[)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """A finding at a line. file: relative to the checkout where it lies in there, with `/`, else absolute."""

    level: Literal["error", "warning"]
    file: str
    line: int
    title: str
    message: str


def annotated(reports: Sequence[EntryReport], checkout: str) -> Iterator[Annotation]:
    """One for each finding, errors before advice, those of all entries together."""
    told = [(report, each) for report in reports for each in findings(report)]
    for report, each in sorted(told, key=lambda pair: pair[1].record.outcome != "failed"):
        file, line = place_in_script(each, report.path)
        parts = [each.what, each.part("where") and f"where: {each.part('where')}"]
        parts += [each.part("fix") and f"to do: {each.part('fix')}", each.command]
        yield Annotation(
            level="error" if each.record.outcome == "failed" else "warning",
            file=visible(_below(checkout, file)),
            line=line,
            title=visible(f"{report.entry}: {each.record.name}"),
            message=visible("\n".join(part for part in parts if part)),
        )


def _below(checkout: str, file: str) -> str:
    try:
        relative = os.path.relpath(os.path.realpath(file), os.path.realpath(checkout))
    except ValueError:
        # On another drive.
        return file
    return file if relative.startswith(os.pardir) else relative.replace(os.sep, "/")


def defused(text: str) -> str:
    """The text without commands: an error of a script that begins with `::` or has `##vso[` would be obeyed."""
    return _COMMAND.sub(lambda match: f"{match.group()} ", text)
