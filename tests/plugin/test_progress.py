"""The line on the terminal. It is written to /dev/tty, for which a test has a text."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from pytest_parallelrun import _progress
from pytest_parallelrun._progress import ProgressLine
from pytest_parallelrun.emulator.events import Progress
from tests.conftest import Run, Write
from tests.plugin.conftest import WHOLE


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    monkeypatch.setattr(_progress, "AFTER", 0.0)
    monkeypatch.setattr(_progress, "EVERY", 0.0)
    return io.StringIO()


def test_the_line_is_written_over_and_taken_away_in_the_end(terminal: io.StringIO) -> None:
    line = ProgressLine(terminal)
    line(Progress(1, 4, 10.0))
    line(Progress(2, 4, 20.0))
    line.clear()
    assert terminal.getvalue() == (
        "\r\x1b[Kparallelrun: Processed 1 of 4 mini batches in 0:00:10. Estimated remaining time 0:00:30."
        "\r\x1b[Kparallelrun: Processed 2 of 4 mini batches in 0:00:20. Estimated remaining time 0:00:20."
        "\r\x1b[K"
    )


def test_while_nothing_is_processed_the_time_moves(terminal: io.StringIO) -> None:
    ProgressLine(terminal)(Progress(0, 4, 10.0))
    assert terminal.getvalue() == "\r\x1b[Kparallelrun: No task has been processed yet. 0:00:10"


def test_a_short_job_has_none(terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "AFTER", 60.0)
    line = ProgressLine(terminal)
    line(Progress(1, 4, 10.0))
    line.clear()
    assert terminal.getvalue() == ""


def test_it_is_not_written_more_often_than_it_is_read(terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "EVERY", 60.0)
    line = ProgressLine(terminal)
    for number in range(3):
        line(Progress(number, 4, 10.0))
    assert terminal.getvalue().count("parallelrun") == 1


def test_a_long_gate_says_at_the_start_how_long_it_will_take(project: Path, gate: Run, write: Write) -> None:
    slow = """
        import time
        def init():
            ends = time.perf_counter() + SECONDS
            while time.perf_counter() < ends: pass
        def run(mini_batch):
            return FAILS or list(mini_batch)
    """
    write("score.py", slow.replace("SECONDS", "0.1").replace("FAILS", "[]"))
    assert "the checks will take" not in gate("-x", *WHOLE).stdout.str()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_progress, "WORTH_SAYING", 0.5)
        lines = gate("-x", *WHOLE).outlines
        assert [
            line for line in lines if re.fullmatch(r"parallelrun: the checks will take about [1-9]\d* s \(.*\)", line)
        ]
        # Nothing is known of a script that returns nothing.
        write("score.py", slow.replace("SECONDS", "0.1").replace("FAILS", "mini_batch[99]"))
        assert "the checks will take" not in gate("-x", *WHOLE).stdout.str()
