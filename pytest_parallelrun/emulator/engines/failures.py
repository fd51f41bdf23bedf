"""Turns an exception of the script into text: one line, and the frames that are the user's own."""

from __future__ import annotations

import traceback
from pathlib import Path

_OUR_PACKAGE = str(Path(__file__).parents[2])
_NOBODYS = ("<frozen ", "<string>")


def describe_exception(error: BaseException) -> str:
    """Type and message in one line, also where the exception's own __str__ fails."""
    lines = traceback.format_exception_only(type(error), error)
    return " ".join("".join(lines).split("\n")).strip()


def user_traceback(error: BaseException) -> str:
    """The traceback with our frames and those of the import system left out, causes included.

    The exception itself is not kept: its frames would keep everything alive that they refer to.
    """
    report = traceback.TracebackException.from_exception(error, limit=-50)
    part: traceback.TracebackException | None = report
    seen: set[int] = set()
    while part is not None and id(part) not in seen:
        seen.add(id(part))
        part.stack = traceback.StackSummary.from_list(
            [frame for frame in part.stack if not _is_machinery(frame.filename)]
        )
        part = part.__cause__ or part.__context__
    return "".join(report.format()).rstrip()


def _is_machinery(filename: str) -> bool:
    return filename.startswith((_OUR_PACKAGE, *_NOBODYS)) or Path(filename).parts[-2:] == ("importlib", "__init__.py")


def retry_code(error: BaseException) -> tuple[str, float] | None:
    """Code and delay of a ParallelRunException, of the stand-in or of an installed azureml-core."""
    if not any(kind.__name__ == "ParallelRunException" for kind in type(error).__mro__):
        return None
    code = getattr(error, "code", None) or "Retry.Sleep"
    delay = getattr(error, "delay_seconds", 0)
    return str(code), max(0.0, float(delay)) if isinstance(delay, (int, float)) else 0.0
