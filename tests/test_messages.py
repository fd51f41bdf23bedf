"""The wording of messages: the style guide of CONTRIBUTING.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_parallelrun

ROOT = Path(pytest_parallelrun.__file__).parent
AVOIDED = re.compile(
    r"\w\((?:e?s|ies)\)|^(?:to do|more|on the service):?$|\b(?:"
    r"to do:|mend(?:s|ed|ing)?\b|(?:sound|odd) (?:file|item|mini-batch|one|row|script)|"
    r"(?:is|are|was|were) tried again|all tries|every try|told by its|"
    r"in vain|another matter|nothing tells|nobody can tell|no worker comes up|made anew|let (?:the|that) exception out|"
    r"there is no such (?:engine|setting)|in a test of yours|"
    r"hand(?:s|ed|ing)? (?:over|paths?|files|tables?|lines|to|that|it)\b|not checked, )"
)


def _texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and value of each string literal that is not a docstring, also of the parts of an f-string."""
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements:
            yield node.lineno, node.value


@pytest.mark.parametrize(
    "text", ["3 item(s) in", "a sound mini-batch", "to do", "2 times in vain", "is tried again", "hands paths"]
)
def test_the_list_finds(text: str) -> None:
    assert AVOIDED.search(text)


def test_messages_follow_the_style_guide() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}: {text}"
        for file in sorted(ROOT.rglob("*.py"))
        for line, text in _texts(ast.parse(file.read_text(encoding="utf-8")))
        if AVOIDED.search(text)
    ]
    assert not found, "see the style guide in CONTRIBUTING.md"
