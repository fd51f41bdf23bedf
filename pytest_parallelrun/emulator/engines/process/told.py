"""What a worker process wrote to its stdout and stderr, for whoever reads the output of this process."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pytest_parallelrun.emulator.sandbox.streams import show

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines.process.worker_process import WorkerProcess

MOST_TOLD = 100_000
"""Bytes of a stream that are shown; all of it is in the log."""
_CRASH = re.compile(r"^Fatal Python error: .*", re.MULTILINE | re.DOTALL)
_FRAME = re.compile(r'^  File "(.+)", line (\d+) in (.+)$', re.MULTILINE)
_LAST_LINES = 20_000


def tell_output(worker: WorkerProcess) -> None:
    """Writes what the worker wrote to sys.stdout and sys.stderr of this process, the middle of much left out."""
    _tell(worker.stdout, sys.stdout)
    _tell(worker.stderr, sys.stderr)


def _tell(path: Path, stream: TextIO | None) -> None:
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            if size <= MOST_TOLD:
                data = file.read()
            else:
                first = file.read(MOST_TOLD // 2)
                file.seek(size - MOST_TOLD // 2)
                left_out = f"\n... {size - MOST_TOLD:,} bytes left out, all of it is in {path.name} of the logs ...\n"
                data = first + left_out.encode() + file.read()
    except OSError:
        return
    show(data.decode("utf-8", "replace"), stream)


def crash_traceback(worker: WorkerProcess) -> str:
    """The frames of the script that the interpreter wrote when native code crashed, innermost last; or ""."""
    try:
        with open(worker.stderr, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - _LAST_LINES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    crash = _CRASH.search(text)
    if crash is None:
        return ""
    package = str(Path(__file__).parents[3])
    frames = [
        f'  File "{path}", line {line}, in {name}'
        for path, line, name in _FRAME.findall(crash.group())
        if not path.startswith((package, "<"))
    ]
    return "\n".join(["Traceback (most recent call last):", *reversed(frames)]) if frames else ""
