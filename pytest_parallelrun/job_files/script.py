"""The entry script of a job file, and its code root."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pytest_parallelrun.emulator.entry import EntryFile, find_entry
from pytest_parallelrun.emulator.errors import EntryScriptError
from pytest_parallelrun.emulator.splitting.input_paths import REMOTE
from pytest_parallelrun.job_files.inputs import local_path
from pytest_parallelrun.job_files.tree import Node, Opaque, Problems, SourceLocation, present, text_of

MODULE = re.compile(r"(?!.*\.py$)[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
"""An entry script as the name of a module. Source: specification of the batch_score component."""
CODE = ("task.code", "source_directory", "code_configuration.code")
GIVE_SCRIPT = "give it with --parallelrun-entry=PATH"


@dataclass(frozen=True)
class GivenCode:
    """Options next to a job file. root: overrides its code root. script: used if its own cannot be read."""

    root: Path | None = None
    script: Path | None = None


NO_CODE = GivenCode()


def find_script(
    code: Node | None, script: Node | None, problems: Problems, *, names: tuple[str, str], given: GivenCode
) -> EntryFile | None:
    """The script of a job file; None, with problems, if it is missing or not named.

    names: of the two keys.
    """
    taken = given.script if script is None or isinstance(script, Opaque) else None
    script_text = _text(script, names[1], problems) if taken is None else str(taken)
    code_text = _text(code, names[0], problems) if given.root is None else ""
    if not script_text or code_text is None:
        return None
    if given.root is not None:
        root = given.root
    elif code is None and taken is not None:
        root = taken.parent
    elif code is None:
        return None
    elif REMOTE.match(code_text) or code_text.startswith(("git+", "git@")):
        problems.add(
            code.location, f"{names[0]}={code_text!r} is not on this machine: give a copy with --parallelrun-code=DIR"
        )
        return None
    else:
        root = Path(local_path(code_text, code.location))
        if not root.is_dir():
            reason = "is a file; give its folder" if root.is_file() else f"is no folder (looked for '{root}')"
            hint = "; write it with forward slashes" if "\\" in code_text and not root.exists() else ""
            problems.add(code.location, f"{names[0]}={code_text!r} {reason}{hint}")
            return None
    path = _script_path(root, script_text)
    try:
        entry = find_entry(path, root)
    except EntryScriptError as error:
        node = script or code
        problems.add(SourceLocation(path) if node is None else node.location, f"{names[1]}={script_text!r}: {error}")
        return None
    assert isinstance(entry, EntryFile)
    return entry


def check_found(entry: EntryFile | None, location: SourceLocation, problems: Problems) -> None:
    """Adds a problem if there is no script and nothing says why, as in a call that cannot be read completely."""
    if entry is None and not problems:
        problems.add(location, f"the entry script cannot be read: {GIVE_SCRIPT} beside --parallelrun-job")


def _script_path(root: Path, script: str) -> Path:
    """The file of a script that is written as a path, or as a dotted module without `.py`."""
    # The runtime accepts both slashes as separators and makes a dotted name of the path.
    path = root / script.replace("\\", "/")
    if (path.exists() and not path.is_dir()) or not MODULE.fullmatch(script):
        return path
    module = root.joinpath(*script.split(".")).with_suffix(".py")
    return path if path.is_dir() and not module.is_file() else module


def _text(node: Node | None, name: str, problems: Problems) -> str | None:
    """The text of a key; "" if it is missing, None with a problem if it is not a string."""
    node = present(node)
    if node is None:
        return ""
    text = text_of(node)
    if text is None or not text.strip():
        hint = ""
        if isinstance(node, Opaque):
            hint = (
                " (a code root can be given with --parallelrun-code=DIR)"
                if name in CODE
                else f" ({GIVE_SCRIPT} beside --parallelrun-job)"
            )
        problems.add(node.location, f"{name} must be a path, and is {node.described}{hint}")
        return None
    return text.strip()
