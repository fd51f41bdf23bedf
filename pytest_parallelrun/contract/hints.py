"""From the text of an error to what helps: mistakes that many scripts make, and that have one cure each."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.entry import EntryFile

_VARIABLES = {
    "AZUREML_BI_OUTPUT_PATH": (
        "AZUREML_BI_OUTPUT_PATH is set only with --parallelrun-set=output_action=append_row, as on the service."
    ),
    "AZUREML_MODEL_DIR": "AZUREML_MODEL_DIR is set where a model is given: --parallelrun-model=PATH.",
}
_MISSING_FILE = re.compile(r"FileNotFoundError: \[\w+ \d+\] [^:\n]*: (['\"])(.+?)\1")
_EXISTING_FILE = re.compile(r"FileExistsError: \[\w+ \d+\] [^:\n]*: (['\"])(.+?)\1")
_RELATIVE_IMPORT = ("attempted relative import with no known parent package", "attempted relative import beyond")


def hints(text: str, entry: EntryFile) -> str:
    """What helps against the errors in a text, a sentence or two a line; "" where nothing is known."""
    return "\n".join(dict.fromkeys(_hints(text, entry)))


def _hints(text: str, entry: EntryFile) -> Iterator[str]:
    for variable, hint in _VARIABLES.items():
        if f"KeyError: '{variable}'" in text:
            yield hint
    if "Address already in use" in text:
        yield (
            "Another worker of the same machine holds that port, also one of an earlier check here. Let the system "
            "choose a free one (port 0)."
        )
    for match in _MISSING_FILE.finditer(text):
        yield from _beside_the_script(_path(match), entry)
    if any(error in text for error in _RELATIVE_IMPORT):
        parent = entry.code_root.parent
        yield (
            f"The script is imported as '{entry.module_name}', below no package that has what it imports. Make the "
            f"folder above it the code root: --parallelrun-code={parent}; its name is then "
            f"'{entry.code_root.name}.{entry.module_name}'. On the service it must be the code folder too."
        )


def exists_already(text: str) -> str:
    """What a FileExistsError in a worker tells of the path; "" for other errors.

    Every worker process has a folder of its own, so only an absolute path can meet that of another run.
    """
    match = _EXISTING_FILE.search(text)
    if match is None or not os.path.isabs(path := _path(match)) or _is_of_a_job(path):
        return ""
    return f"'{path}' lies outside the folders of the job: every later run on the same machine fails as well."


def _path(match: re.Match[str]) -> str:
    # In a message a path is written as repr() does.
    return match.group(2).replace("\\\\", "\\")


def _beside_the_script(name: str, entry: EntryFile) -> Iterator[str]:
    folder = entry.path.parent
    if os.path.isabs(name):
        return
    for place in (folder / name, entry.code_root / name):
        if place.exists():
            relative = Path(os.path.relpath(place, folder)).as_posix()
            yield (
                f"'{name}' exists in '{place.parent}', but workers run in another folder. Use "
                f'os.path.join(os.path.dirname(__file__), "{relative}").'
            )
            return


def _is_of_a_job(path: str) -> bool:
    temporary = os.path.realpath(tempfile.gettempdir())
    relative = os.path.relpath(os.path.realpath(path), temporary) if _same_drive(path, temporary) else ""
    return relative.startswith("parallelrun-")


def _same_drive(path: str, other: str) -> bool:
    return os.path.splitdrive(os.path.realpath(path))[0].lower() == os.path.splitdrive(other)[0].lower()
