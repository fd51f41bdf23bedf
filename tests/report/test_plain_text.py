from __future__ import annotations

import pytest

from pytest_parallelrun.report.sanitize import in_one_line, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größer 😀\tend\nnext", "größer 😀\tend\nnext"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\r\nb\rc", "a\nb\\rc"),
        ("x\u202egnp.exe", "x\\u202egnp.exe"),
        ("line\u2028sep", "line\\u2028sep"),
        ("file \udcff", "file \\udcff"),
        ("\0\x7f\x9b", "\\x00\\x7f\\x9b"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_one_line_stays_one() -> None:
    assert in_one_line(" a\n\tb\x0bc ") == "a b\\x0bc"
