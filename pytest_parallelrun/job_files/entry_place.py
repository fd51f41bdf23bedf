"""Where the entry script of a job definition is: its code root, which stands in the file, and the script below."""

from __future__ import annotations

from pathlib import Path

from pytest_parallelrun.emulator.entry import EntryFile, find_entry
from pytest_parallelrun.emulator.errors import EntryScriptError
from pytest_parallelrun.emulator.splitting.input_paths import REMOTE
from pytest_parallelrun.job_files.inputs import local_path
from pytest_parallelrun.job_files.keys import problem
from pytest_parallelrun.job_files.problems import Findings
from pytest_parallelrun.job_files.tree import Node, present, text_of


def find_script(
    code: Node | None, script: Node | None, findings: Findings, *, names: tuple[str, str], other_root: Path | None
) -> EntryFile | None:
    """The script of a definition; None, with findings, where it is not there, and for what is missing altogether.

    names: of the two keys. other_root: a code root that is given otherwise, over that of the file.
    """
    script_text = _text(script, names[1], findings)
    code_text = _text(code, names[0], findings) if other_root is None else ""
    if script is None or not script_text or code_text is None:
        return None
    if other_root is not None:
        root = other_root
    elif code is None:
        return None
    elif REMOTE.match(code_text) or code_text.startswith(("git+", "git@")):
        findings.add(
            code.place, f"{names[0]}={code_text!r} is not on this machine: give a copy with --parallelrun-code=DIR"
        )
        return None
    else:
        root = Path(local_path(code_text, code.place))
        if not root.is_dir():
            what = "is a file; give its folder" if root.is_file() else f"is no folder (looked for '{root}')"
            hint = "; write it with forward slashes" if "\\" in code_text and not root.exists() else ""
            findings.add(code.place, f"{names[0]}={code_text!r} {what}{hint}")
            return None
    # Both slashes are those of folders to the runtime, which makes a dotted name of the path.
    path = root / script_text.replace("\\", "/")
    try:
        found = find_entry(path, root)
    except EntryScriptError as error:
        findings.add(script.place, f"{names[1]}={script_text!r}: {error}")
        return None
    assert isinstance(found, EntryFile)
    return found


def _text(node: Node | None, name: str, findings: Findings) -> str | None:
    """The text of a key; "" where it is not there, None with a finding where it is something else."""
    node = present(node)
    if node is None:
        return ""
    text = text_of(node)
    if text is None or not text.strip():
        findings.add(node.place, f"{name} must be a path, and is {problem(node)}")
        return None
    return text.strip()
