"""Pages of the documentation: their blocks, and what an example has to print.

CONTRIBUTING.md says how to write an example.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_parallelrun.contract import CHECKS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
CHECK_PAGES = [DOCS / "checks" / f"{check.name}.md" for check in CHECKS]

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"(?:#|//) ([\w./-]+\.(?:py|ini|toml|yml|json|golden))\n")
DURATION = re.compile(r"\b\d+\.\d\d ?s\b")
FILLED_LINE = re.compile(r"^([=_-])\1+ (.*) \1+$")


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        yield Block(match[1], match[2], text.count("\n", 0, match.start()) + 1)


def file_name(block: Block) -> str | None:
    """The file that a block is written to, by its first line."""
    match = FILE_NAME.match(block.text)
    return None if match is None else match[1]


def is_run(block: Block) -> bool:
    return block.language in ("python", "console") or file_name(block) is not None


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """The commands of a console block, each with the lines that it must print; a backslash continues a command."""
    text = text.replace("\\\n", " ")
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *expected = part.rstrip().split("\n")
        yield command, expected


def compare(expected: list[str], output: str, folder: Path, where: str) -> None:
    """`...` stands for any number of lines, or for the rest of a line; durations may differ."""
    wanted = [_normal(line) for line in expected if line.strip()]
    printed = [_normal(line) for line in output.replace(str(folder), "FOLDER").splitlines() if line.strip()]
    pattern = "".join(_pattern(line) for line in wanted)
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is None:
        pytest.fail(f"{where}\nprinted\n{output}\nwhere the page shows\n" + "\n".join(expected), pytrace=False)


def _pattern(line: str) -> str:
    if line == "...":
        return r"(?:.*\n)*?"
    start = line.removesuffix(" ...")
    return re.escape(start) + (r"\n" if start == line else r" .*\n")


def _normal(line: str) -> str:
    line = DURATION.sub("0.00 s", line.rstrip())
    if line.startswith("FAILED "):
        # pytest before 9 leaves out what follows the id where the failure is a text.
        line = line.partition(" - ")[0]
    filled = FILLED_LINE.match(line)
    # The page is not about the column of "[100%]".
    return re.sub(r" +\[", " [", f"{filled[1]} {filled[2]} {filled[1]}" if filled else line)
