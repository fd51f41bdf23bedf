"""The text of a Python file or notebook, whose code cells become one text."""

from __future__ import annotations

import ast
import json
import re
import warnings
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_parallelrun.job_files.tree import Problems, SourceLocation
from pytest_parallelrun.job_files.yaml_reader import is_too_large, read_text

MAX_NOTEBOOK_BYTES = 32 * 1024 * 1024
"""Bytes with all outputs; the code alone has the limit of any other file."""
RUN_AS_PYTHON = ("%%time", "%%timeit", "%%capture", "%%prun")
"""Cell magics whose cell is Python."""
_MAGIC = re.compile(r"(\s*)(?:[%!?]|[\w.]+\?{1,2}\s*$)")
_ASSIGNED = re.compile(r"(\s*[\w, ]+=\s*)[%!]")


@dataclass(frozen=True)
class SourceText:
    """Python source. starts: for a notebook, by cell: its first line in the text, and its number."""

    file: Path
    text: str
    starts: Sequence[tuple[int, int]] = ()

    def location(self, line: int, column: int = 1) -> SourceLocation:
        if not self.starts:
            return SourceLocation(self.file, line, column)
        first, cell = self.starts[max(0, bisect_right(self.starts, (line, len(self.text))) - 1)]
        return SourceLocation(self.file, line - first + 1, column, cell)


def read_source(file: Path, problems: Problems) -> SourceText | None:
    """The source of a Python file or notebook; None, with a problem, if there is none."""
    if file.suffix.lower() != ".ipynb":
        text = read_text(file, problems)
        return None if text is None else SourceText(file, text)
    text = read_text(file, problems, MAX_NOTEBOOK_BYTES)
    return None if text is None else _source_of_notebook(file, text, problems)


def parse_source(source: SourceText, problems: Problems) -> ast.Module | None:
    """The module of a source; None, with a problem, if it is not Python."""
    try:
        with warnings.catch_warnings():
            # For example about escapes in the user's strings.
            warnings.simplefilter("ignore")
            # A notebook may await outside functions.
            flags = ast.PyCF_ONLY_AST | (ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if source.starts else 0)
            module = compile(source.text, "job", "exec", flags, dont_inherit=True)
            assert isinstance(module, ast.Module)
            return module
    except SyntaxError as error:
        problems.add(source.location(error.lineno or 1, error.offset or 1), f"this is not valid Python: {error.msg}")
    except (RecursionError, MemoryError, ValueError) as error:
        problems.add(source.location(1), f"this is not valid Python: {str(error) or 'it is nested too deep'}")
    return None


def _source_of_notebook(file: Path, text: str, problems: Problems) -> SourceText | None:
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        line, column = (error.lineno, error.colno) if isinstance(error, json.JSONDecodeError) else (1, 1)
        problems.add(SourceLocation(file, line, column), "this is no valid notebook: it does not hold JSON")
        return None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        problems.add(SourceLocation(file), "this is no valid notebook: it has no list of 'cells' (nbformat 4)")
        return None
    language = _language(notebook)
    if language != "python":
        problems.add(SourceLocation(file), f"the notebook is written in {language}; only those in Python are read")
        return None
    lines: list[str] = []
    starts: list[tuple[int, int]] = []
    for number, cell in enumerate(cells, start=1):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            starts.append((len(lines) + 1, number))
            lines += python_lines(_text_of(cell.get("source")))
    source = SourceText(file, "\n".join(lines) + "\n", starts)
    return None if is_too_large(len(source.text), file, problems) else source


def _language(notebook: dict[str, object]) -> str:
    metadata = notebook.get("metadata")
    for part, key in (("language_info", "name"), ("kernelspec", "language")):
        about = metadata.get(part) if isinstance(metadata, dict) else None
        language = about.get(key) if isinstance(about, dict) else None
        if isinstance(language, str) and language:
            return language.lower()
    return "python"


def _text_of(source: object) -> str:
    if isinstance(source, list):
        return "".join(part for part in source if isinstance(part, str))
    return source if isinstance(source, str) else ""


def python_lines(cell: str) -> list[str]:
    """The lines of a cell, with `pass` instead of magics and shell commands."""
    lines = re.split(r"\r\n|\r|\n", cell)
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("%%") and first.split()[0] not in RUN_AS_PYTHON:
        return [""] * len(lines)
    if _is_python(cell):
        return lines
    made: list[str] = []
    continued = False
    for line in lines:
        match, assigned = _MAGIC.match(line), _ASSIGNED.match(line)
        if continued:
            made.append("")
        elif assigned:
            made.append(f"{assigned[1]}__magic__()")
        else:
            made.append(f"{match[1]}pass" if match else line)
        continued = line.rstrip().endswith("\\") and bool(continued or match or assigned)
    return made


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
