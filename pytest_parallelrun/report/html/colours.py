"""The colours of the page, which people with any kind of colour vision tell apart; each has a sign beside it too."""

from __future__ import annotations

from pytest_parallelrun.report.trace import CellState

STATES: dict[CellState, str] = {
    "succeeded": "#2a9d6f",
    "retried": "#3f8fd2",
    "short": "#e08e0b",
    "failed": "#d1435b",
    "unfinished": "#8a929c",
}
SIGNS: dict[CellState, str] = {"succeeded": "", "retried": "↻", "short": "−", "failed": "×", "unfinished": "·"}
MEANINGS: dict[CellState, str] = {
    "succeeded": "succeeded at the first attempt",
    "retried": "succeeded after a retry",
    "short": "succeeded, with failed items",
    "failed": "failed",
    "unfinished": "not ended when the job did",
}
OUTCOMES = {
    "succeeded": "#2a9d6f",
    "short": "#e08e0b",
    "exception": "#d1435b",
    "timeout": "#8a5cc2",
    "wrong_type": "#b0703c",
    "load_error": "#c25f9a",
    "crashed": "#7d1f33",
}
STARTS = "#6f86a8"
LIMIT = "#d1435b"
WARNING = "#e08e0b"
