"""An exception of the script as text: one line, and the user's own frames."""

from __future__ import annotations

import functools
import os
import re
import sysconfig
import traceback
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from pytest_parallelrun.emulator.events import ErrorInfo, Failure, Frame, Phase

_OUR_PACKAGE = str(Path(__file__).parents[2])
_NOBODYS = ("<frozen ", "<string>")
_IN_PACKAGES = re.compile(r"[\\/](?:site|dist)-packages[\\/]([^\\/]+)")

MAX_FRAMES = 50
"""Maximum frames that are shown of one exception."""
MAX_USAGE = 150
"""Maximum characters of an objection of argparse, which names all arguments of the service."""
_MAX_FRAMES_READ = 1000
"""Maximum frames that are examined: the user's frame is below a deep call of a library."""

# Placeholder for frames that are left out, since a stack consists of frames.
_LEFT_OUT = "<left out>"
_LEFT_OUT_LINE = re.compile(rf'File "{_LEFT_OUT}", line 0, in (.*)')


def describe_exception(error: BaseException) -> str:
    """Type and message in one line, even if the exception's own __str__ fails."""
    lines = traceback.format_exception_only(type(error), error)
    usage = _usage_error(error)
    return " ".join("".join(lines).split("\n")).strip() + (f" (argparse: {usage})" if usage else "")


def _usage_error(error: BaseException) -> str:
    """What argparse objected to before it ended the process, in short; "" for any other exception."""
    frames = traceback.walk_tb(error.__traceback__ if isinstance(error, SystemExit) else None)
    texts = (
        str(frame.f_locals.get("message", ""))
        for frame, _ in frames
        if frame.f_globals.get("__name__") == "argparse" and frame.f_code.co_name == "error"
    )
    text = next(texts, "")
    return text if len(text) <= MAX_USAGE else f"{text[:MAX_USAGE]}..."


def user_traceback(error: BaseException) -> str:
    """The traceback without our frames and those of the import system, with causes.

    Next to frames of the user, those of installed packages and the standard library become a line such as "(then 5
    frames in pandas, the last: read_csv)". The exception itself is not kept: its frames would keep everything alive
    that they refer to.
    """
    report = traceback.TracebackException.from_exception(error, limit=-_MAX_FRAMES_READ, lookup_lines=False)
    report.__suppress_context__ |= bool(_usage_error(error))
    waiting: list[traceback.TracebackException | None] = [report]
    seen: set[int] = set()
    while waiting:
        part = waiting.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        part.stack = traceback.StackSummary.from_list(_own_frames(part.stack))
        waiting += [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or ())]
    return _LEFT_OUT_LINE.sub(r"(\1)", "".join(report.format())).rstrip()


def failure_of(phase: Phase, error: BaseException) -> Failure:
    """The failure for an exception of the script: as text and as plain values."""
    return Failure(
        phase=phase,
        error=describe_exception(error),
        traceback=user_traceback(error),
        retry_request=_retry_request_of(error),
        chain=tuple(map(_info_of, _chain(error))),
        frames=_frames_of(error),
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and those that a traceback shows before it, without cycles."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(seen) < MAX_FRAMES:
        seen.add(id(current))
        yield current
        hidden = current.__suppress_context__ or current.__cause__ is not None
        current = current.__cause__ if hidden else current.__context__


def _info_of(error: BaseException) -> ErrorInfo:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        message = _exact(str(error))
    except BaseException:
        message = ""
    path, module, errno = (getattr(error, attribute, None) for attribute in ("filename", "name", "errno"))
    return ErrorInfo(
        type="argparse.SystemExit" if _usage_error(error) else name,
        message=_usage_error(error) or message,
        path=_exact(str(path)) if isinstance(error, OSError) and path is not None else "",
        module=_exact(module) if isinstance(error, ImportError) and isinstance(module, str) else "",
        errno=int(errno) if isinstance(error, OSError) and isinstance(errno, int) else 0,
    )


def _exact(text: str) -> str:
    """Not a subclass of str, which `marshal` cannot write."""
    return "".join([text])


def _frames_of(error: BaseException) -> tuple[Frame, ...]:
    stack = traceback.StackSummary.extract(
        traceback.walk_tb(error.__traceback__), limit=-_MAX_FRAMES_READ, lookup_lines=False
    )
    frames = [frame for frame in stack if not _is_machinery(frame.filename)]
    own = [frame for frame in frames if not _library_of(frame.filename)] or frames
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        own.append(traceback.FrameSummary(error.filename, error.lineno, "<module>", lookup_line=False, line=""))
    return tuple(Frame(frame.filename, frame.lineno or 0, frame.name) for frame in own[-MAX_FRAMES:])


def _own_frames(stack: Sequence[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    frames = [frame for frame in stack if not _is_machinery(frame.filename)]
    kept: list[traceback.FrameSummary] = []
    for installed, run in groupby(frames, key=lambda frame: bool(_library_of(frame.filename))):
        if not installed:
            kept.extend(run)
        elif kept:
            kept.append(_summed_up(list(run)))
        # Frames before the first one of the user only led to it.
    return (kept or frames)[-MAX_FRAMES:]


def _summed_up(frames: Sequence[traceback.FrameSummary]) -> traceback.FrameSummary:
    libraries = ", ".join(dict.fromkeys(_library_of(frame.filename) for frame in frames))
    count = "1 frame" if len(frames) == 1 else f"{len(frames)} frames"
    text = f"then {count} in {libraries}, the last: {frames[-1].name}"
    return traceback.FrameSummary(_LEFT_OUT, 0, text, lookup_line=False, line="")


@functools.lru_cache(maxsize=1024)
def _library_of(filename: str) -> str:
    """The installed package, or module of the standard library, of a file; "" for the user's own."""
    if filename.startswith("<"):
        return "generated code"
    package = _IN_PACKAGES.search(filename)
    if package is not None:
        return package[1].removesuffix(".py")
    for folder in _standard_library():
        if filename.startswith(folder):
            return re.split(r"[\\/]", filename[len(folder) :])[0].removesuffix(".py")
    return ""


@functools.cache
def _standard_library() -> tuple[str, ...]:
    folders = {os.path.dirname(os.__file__), sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    return tuple(os.path.join(folder, "") for folder in folders)


def is_of_user(filename: str) -> bool:
    """Whether it is a file of the user, not of an installed package, the standard library or this one."""
    return not _is_machinery(filename) and not _library_of(filename)


def _is_machinery(filename: str) -> bool:
    return filename.startswith((_OUR_PACKAGE, *_NOBODYS)) or Path(filename).parts[-2:] == ("importlib", "__init__.py")


def _retry_request_of(error: BaseException) -> tuple[str, float] | None:
    """Code and delay of a ParallelRunException, of the stand-in or of azureml-core."""
    if not any(kind.__name__ == "ParallelRunException" for kind in type(error).__mro__):
        return None
    code = getattr(error, "code", None) or "Retry.Sleep"
    delay = getattr(error, "delay_seconds", 0)
    return str(code), max(0.0, float(delay)) if isinstance(delay, (int, float)) else 0.0
