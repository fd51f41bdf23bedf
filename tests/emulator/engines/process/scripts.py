"""Scripts for worker processes, and what is left of them afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from pytest_parallelrun import Fault, JobResult, JobSettings, ParallelJob
from pytest_parallelrun.emulator.event_log import Attempt

NAMES = """
import os

def run(paths):
    return [os.path.basename(path) for path in paths]
"""


def write_script(folder: Path, text: str, name: str = "score.py") -> Path:
    path = folder / "code" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def write_items(folder: Path, *names: str) -> Path:
    """Empty files; their folder."""
    data = folder / "data"
    data.mkdir(exist_ok=True)
    for name in names:
        (data / name).touch()
    return data


def run_on_processes(
    folder: Path,
    script: str,
    *names: str,
    faults: tuple[Fault, ...] = (),
    output: Path | None = None,
    **settings: object,
) -> JobResult:
    """A job of one file a mini-batch on the process engine; one worker and no retries unless told otherwise."""
    chosen: Mapping[str, object] = {"max_retries": 0, **settings}
    return ParallelJob(
        write_script(folder, script),
        write_items(folder, *names),
        JobSettings.from_mapping(chosen),
        faults=faults,
        engine="process",
        output=output,
    ).run()


def attempts_by_name(result: JobResult) -> dict[str, list[Attempt]]:
    """The attempts of each mini-batch, by the name of its one file."""
    return {result.item_names(batch.id)[0]: list(batch.attempts) for batch in result.mini_batches if batch.attempts}


def processes_with(text: str) -> list[int]:
    """Processes that have the text in their command, environment or working folder."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        place = Path("/proc", entry)
        try:
            told = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
            told += os.fsencode(os.readlink(place / "cwd"))
        except OSError:
            continue
        if os.fsencode(text) in told:
            found.append(int(entry))
    return found


def none_left(text: str, seconds: float = 60.0) -> bool:
    """Whether processes with the text are gone, in a moment at the latest: the system takes its time to end them."""
    until = time.monotonic() + seconds
    while processes_with(text):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
