from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.contract.finding import Location
from pytest_parallelrun.report.markdown import NO_MORE, code, fence, markdown_report, sentence
from pytest_parallelrun.report.records import AcceptanceRecord
from tests.report.reports import COMMAND, FULL, FULL_TEXTS, REPLAY, WRONG_TYPE, found, job, record, report


def test_counts_findings_and_their_commands_are_in_it(tmp_path: Path) -> None:
    result = job(tmp_path, 3, {"001.txt": [ValueError("bad")] * 3}, error_threshold=0)
    finding = found(
        "first_check",
        cause=WRONG_TYPE,
        what="It is wrong.",
        location=Location(phase="run"),
        traceback='File "score.py", line 1',
        fix="mend",
        replay=REPLAY,
    )
    text = markdown_report([report(finding, found("second_check", cause=WRONG_TYPE, what="too"), result=result)])
    assert text.startswith("# ❌ 1 finding in 1 entry script\n")
    assert "| `score.py` | ❌ failed | 2, 2 failed | 2 of 3 | 2 of 3 | 5 | 0 | 0.00 s |" in text
    assert "is **Failed**: 1 failed item &gt; error\\_threshold 0." in text
    assert "### ❌ first_check (also reported by second_check)\n\nIt is wrong.\n\n- fix: mend\n- where: run()" in text
    assert '```text\nFile "score.py", line 1\n```' in text
    assert f"```console\n{COMMAND}\n```" in text
    assert text.count("It is wrong.") == 1


def test_what_was_not_checked_accepted_or_noted_is_in_it() -> None:
    made = report(
        record("first_check", "skipped", message="no *input*"),
        record("second_check", "accepted", message="rows differ\nmore", reason="known"),
        record("third_check", notes=("a note",), details=("a detail",)),
    )
    text = markdown_report([made])
    assert "### Not checked\n\n- no \\*input\\*: first_check" in text
    assert "- second_check: rows differ (known)" in text
    assert "- third\\_check: a note\n- third\\_check: a detail" in text


def test_every_part_of_a_finding_is_told() -> None:
    text = markdown_report([report(record(outcome="failed", finding=FULL))])
    assert [part for part in FULL_TEXTS if part not in text] == []


def test_a_part_of_several_lines_keeps_them() -> None:
    text = markdown_report([report(found(what="It is wrong.", counts="2 of 3\n  1 <b>", fix="mend"))])
    assert "- fix: mend\n\ncounts:\n\n```text\n2 of 3\n  1 <b>\n```" in text


def test_acceptances_to_be_looked_at_are_in_it() -> None:
    acceptance = AcceptanceRecord(
        line="x: y", check="x", pattern="*", reason="y", until=None, state="unneeded", message="remove the line"
    )
    assert "- `x: y`: remove the line" in markdown_report([report(record())], [acceptance])


def test_an_interrupted_run_says_so() -> None:
    made = report(record())
    made.interrupted = True
    assert "The run was interrupted" in markdown_report([made])


HOSTILE = "<script>alert(1)</script> | `x` **b** [a](javascript:b) ![i](x) ~~s~~ $m$ # h\n- next"


def test_a_sentence_calls_nobody() -> None:
    assert sentence("ask @team/data or me@example.org") == "ask @<!-- -->team/data or me@example.org"


def test_a_sentence_has_no_markup() -> None:
    assert sentence(HOSTILE) == (
        "&lt;script&gt;alert(1)&lt;/script&gt; \\| \\`x\\` \\*\\*b\\*\\* \\[a\\](javascript:b) \\!\\[i\\](x) "
        "\\~\\~s\\~\\~ \\$m\\$ \\# h - next"
    )


@pytest.mark.parametrize(
    ("text", "span"), [("a", "`a`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), ("a|b", "`a\\|b`"), ("", "` `")]
)
def test_a_code_span_cannot_be_left(text: str, span: str) -> None:
    assert code(text) == span


def test_a_fence_cannot_be_left() -> None:
    assert fence("a\n```\n<script>\n````") == "`````text\na\n```\n<script>\n````\n`````"


def test_it_is_cut_after_a_whole_part_and_says_so() -> None:
    made = [report(found(what="ü" * 1000)) for _ in range(50)]
    text = markdown_report(made, most_bytes=20_000)
    assert text.endswith(NO_MORE)
    assert len(text.encode()) <= 20_000
    assert len(text.encode()) > 15_000
    assert NO_MORE not in markdown_report(made)


def test_hardly_any_room_is_no_error() -> None:
    assert markdown_report([report(record())], most_bytes=10) == NO_MORE
