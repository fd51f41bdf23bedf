"""The colours of the page, which people with any kind of colour vision tell apart; each has a sign beside it too."""

from __future__ import annotations

from pytest_parallelrun.emulator.events import Outcome
from pytest_parallelrun.report.trace import CellState

STATES: dict[CellState, str] = {
    "succeeded": "#15b86f",
    "retried": "#3d65f3",
    "short": "#ee8800",
    "failed": "#c8281c",
    "unfinished": "#74777d",
}
SIGNS: dict[CellState, str] = {"succeeded": "", "retried": "↻", "short": "−", "failed": "×", "unfinished": "·"}
MEANINGS: dict[CellState, str] = {
    "succeeded": "succeeded at the first attempt",
    "retried": "succeeded after a retry",
    "short": "succeeded, with failed items",
    "failed": "failed",
    "unfinished": "not ended when the job did",
}
OUTCOMES: dict[Outcome, str] = {
    "succeeded": STATES["succeeded"],
    "short": STATES["short"],
    "exception": STATES["failed"],
    "timeout": "#cc85e5",
    "wrong_type": "#e8d44d",
    "load_error": "#3d65f3",
    "crashed": "#7a1256",
}
PATTERNS: dict[Outcome, str] = {
    "succeeded": "",
    "short": "-",
    "exception": "x",
    "timeout": "/",
    "wrong_type": "+",
    "load_error": "\\",
    "crashed": ".",
}
"""What is drawn over the colour of a bar."""
STARTS = "#9aa8bd"
NOT_UP = STATES["failed"]
COUNTED = "#3d65f3"
LIMIT = STATES["failed"]
WARNING = STATES["short"]


def ink_on(colour: str) -> str:
    """Black or white, whichever is read better on the colour."""
    return "#fff" if light_of(colour) < 0.18 else "#111"


def light_of(colour: str) -> float:
    """The relative luminance of `#rrggbb`, from 0 to 1, as the guidelines for accessible content of the web have it."""
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
