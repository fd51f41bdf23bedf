"""The plots of a job as SVG. They need no script; colours of the page come from its style sheet.

All texts in them go through `text_of()`.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from pytest_parallelrun.emulator.events import Outcome, seconds_text
from pytest_parallelrun.report.forecast import between, time_unit
from pytest_parallelrun.report.sanitize import count_of, in_one_line
from pytest_parallelrun.report.trace import Bar, CellState, Lane, Trace, TraceCell

MIN_SECONDS = 1e-6
"""Minimum seconds of an attempt on a logarithmic scale."""
MAX_NUMBERED = 120
"""Bars that can have the number of their mini-batch."""
LANE = 30
"""Height of a lane of the timeline."""


def text_of(text: str) -> str:
    """A text between tags or in an attribute."""
    return html.escape(in_one_line(text))


@dataclass
class Chart:
    """A plot with two axes; points are given in values, and `x` and `y` say where they are in the drawing.

    y_range: None for one without an axis of its own, whose heights are those of the drawing.
    """

    x_title: str
    y_title: str
    x_range: tuple[float, float]
    y_range: tuple[float, float] | None
    width: int = 560
    height: int = 280
    left: int = 62
    logarithmic: tuple[bool, bool] = (False, False)
    whole: tuple[bool, bool] = (False, False)
    parts: list[str] = field(default_factory=list)

    top, bottom, right = 14, 40, 14

    def x(self, value: float) -> float:
        start, end = self.left, self.width - self.right
        return start + (end - start) * _share(value, self.x_range, logarithmic=self.logarithmic[0])

    def y(self, value: float) -> float:
        if self.y_range is None:
            return value
        start, end = self.height - self.bottom, self.top
        return start + (end - start) * _share(value, self.y_range, logarithmic=self.logarithmic[1])

    def line(
        self,
        points: Sequence[tuple[float, float]],
        kind: str,
        *,
        name: str = "",
        steps: bool = False,
        last: bool = True,
    ) -> None:
        """A line through the points; in steps: each value holds until the next one.

        name: written at its last point, or at its first.
        """
        if steps:
            corners = [(after[0], before[1]) for before, after in pairwise(points)]
            points = [point for pair in zip(points, [*corners, points[-1]], strict=True) for point in pair]
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        self.parts.append(f'<polyline class="{kind}" points="{path}"/>')
        if name:
            x, y = points[-1 if last else 0]
            place = f'x="{self.x(x) - 4 if last else self.x(x) + 4:.1f}" y="{self.y(y) - 5:.1f}"'
            self.parts.append(f'<text {place} text-anchor="{"end" if last else "start"}">{text_of(name)}</text>')

    def mark(self, x: float, y: float, colour: str, *, says: str, sign: str = "circle") -> None:
        """A point; says: what it tells when it is pointed at."""
        place = f'transform="translate({self.x(x):.1f} {self.y(y):.1f})" fill="{colour}"'
        self.parts.append(f'<path class="mark" {place} d="{SHAPES[sign]}"><title>{text_of(says)}</title></path>')

    def label(self, y: float, text: str) -> None:
        """A text left of the axis, at a height of the drawing."""
        place = f'x="{self.left - 8}" y="{y:g}" dy=".35em" text-anchor="end"'
        self.parts.append(f"<text {place}>{text_of(text)}</text>")

    def svg(self) -> str:
        size = f'viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}"'
        return f"<svg {size}>{''.join([*self._x_axis(), *self._y_axis(), *self.parts])}</svg>"

    def _x_axis(self) -> Iterator[str]:
        low = self.height - self.bottom
        for value in ticks(self.x_range, logarithmic=self.logarithmic[0], whole=self.whole[0]):
            at = f"{self.x(value):.1f}"
            yield f'<path class="rule" d="M{at} {self.top}V{low}"/>'
            yield f'<text x="{at}" y="{low + 16}" text-anchor="middle">{value:,g}</text>'
        middle = (self.left + self.width - self.right) / 2
        yield f'<text x="{middle}" y="{self.height - 5}" text-anchor="middle">{text_of(self.x_title)}</text>'

    def _y_axis(self) -> Iterator[str]:
        if self.y_range is None:
            return
        for value in ticks(self.y_range, logarithmic=self.logarithmic[1], whole=self.whole[1]):
            at = f"{self.y(value):.1f}"
            yield f'<path class="rule" d="M{self.left} {at}H{self.width - self.right}"/>'
            yield f'<text x="{self.left - 6}" y="{at}" dy=".35em" text-anchor="end">{value:,g}</text>'
        middle = (self.top + self.height - self.bottom) / 2
        place = f'transform="translate(13 {middle}) rotate(-90)" text-anchor="middle"'
        yield f"<text {place}>{text_of(self.y_title)}</text>"


def _share(value: float, ends: tuple[float, float], *, logarithmic: bool) -> float:
    """0 at the first end, 1 at the other."""
    low, high = ends
    if logarithmic:
        low, high, value = (math.log10(max(each, MIN_SECONDS)) for each in (low, high, value))
    return (value - low) / ((high - low) or 1)


def ticks(ends: tuple[float, float], *, logarithmic: bool = False, whole: bool = False) -> list[float]:
    """About five round values from one end to the other."""
    low, high = ends
    if logarithmic:
        first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
        step = max(1, (last - first) // 6)
        return [float(10.0**power) for power in range(first, last + 1, step)]
    rough = (high - low) / 5 or 1
    scale = 10.0 ** math.floor(math.log10(rough))
    step_size = next(scale * part for part in (1, 2, 5, 10) if scale * part >= rough * 0.999)
    if whole:
        step_size = max(1.0, round(step_size))
    first = math.ceil(low / step_size - 1e-9)
    last = math.floor(high / step_size + 1e-9)
    return [round(number * step_size, 10) for number in range(first, last + 1)]


def timeline(trace: Trace) -> str:
    """A lane for each worker; its start and its attempts as bars over the seconds of the job, retries lower."""
    order = [lane.worker for lane in trace.lanes] or sorted({bar.worker for bar in trace.bars})
    timed: list[Bar | Lane] = [*trace.bars, *trace.lanes]
    end = max([trace.duration, *(each.started + each.seconds for each in timed)])
    chart = Chart(
        "seconds since the start of the job",
        "",
        (0.0, end or 1.0),
        None,
        width=1120,
        height=54 + LANE * max(1, len(order)),
        left=84,
    )
    numbered = len(trace.bars) <= MAX_NUMBERED
    tops = {worker: chart.top + LANE * place for place, worker in enumerate(order)}
    for worker, top in tops.items():
        chart.label(top + LANE / 2, f"worker {worker}")
    for lane in trace.lanes:
        kind = "not-up" if lane.error else "start"
        came_up = lane.error or f"up in {seconds_text(lane.seconds)}"
        says = f"worker {lane.worker} on instance {lane.instance}: {came_up}"
        chart.parts.append(_box(chart, lane, tops[lane.worker] + 5, LANE - 10, f"bar {kind}", says))
    for bar in trace.bars:
        height = (LANE - 10) / (2 if (bar.number or 1) > 1 else 1)
        at = tops[bar.worker] + (LANE - height) / 2
        says = bar_text(bar)
        for outcome, number in (bar.outcomes or {bar.outcome: 1}).items():
            share = height * number / bar.attempts
            chart.parts.append(_box(chart, bar, at, share, f"bar {outcome}", says))
            at += share
        width = chart.x(bar.started + bar.seconds) - chart.x(bar.started)
        label = f"{bar.mini_batch}" + ("" if bar.number == 1 else f" ({bar.number}.)") if numbered else ""
        if label and width > 7 * len(label) + 2 and height > 12:
            middle = chart.x(bar.started) + width / 2
            place = f'x="{middle:.1f}" y="{tops[bar.worker] + LANE / 2:g}" dy=".35em" text-anchor="middle"'
            ink = ink_on(OUTCOMES[bar.outcome])
            chart.parts.append(f'<text class="in-bar" {place} style="fill:{ink}">{label}</text>')
    return chart.svg()


def threshold(trace: Trace, title: str, counts: Sequence[float], limit: float) -> str:
    """What one threshold counted after so many attempts, and its limit."""
    attempts = [step.attempts for step in trace.steps]
    end = max(attempts[-1], 1)
    top = max([1.0, *counts, limit])
    chart = Chart("attempts", title, (0, end), (0, top * 1.15), width=400, height=220, whole=(True, top < 5))
    chart.line(list(zip(attempts, counts, strict=True)), "counted", steps=True)
    chart.line([(0, limit), (end, limit)], "limit", name=f"limit {limit:g}")
    return chart.svg()


def run_time(trace: Trace) -> str:
    """The longest attempt of each mini-batch in seconds, with the timeout and the half of it."""
    cells = [cell for cell in trace.cells if cell.seconds is not None]
    shown = [max(cell.seconds or 0.0, MIN_SECONDS) for cell in cells]
    end = max(trace.total_mini_batches - 1, 1)
    chart = Chart(
        "mini-batch",
        "seconds in run()",
        (-0.02 * end, end * 1.02),
        (min([*shown, trace.timeout / 2]) / 1.5, max([*shown, trace.timeout]) * 2),
        logarithmic=(False, True),
        whole=(True, False),
    )
    for cell, seconds in zip(cells, shown, strict=True):
        # What stands for several has the colour of none of them.
        state = cell.state if cell.count == 1 else None
        colour, sign = (STARTS, "circle") if state is None else (LOOKS[state].colour, LOOKS[state].shape)
        chart.mark(cell.first, seconds, colour, says=cell_text(cell), sign=sign)
    chart.line([(0, trace.timeout), (end, trace.timeout)], "limit", name=f"timeout {trace.timeout:g} s")
    chart.line([(0, trace.timeout / 2), (end, trace.timeout / 2)], "warning", name="half of it", last=False)
    return chart.svg()


def safe_size(trace: Trace, figures: Mapping[str, float | str]) -> str:
    """How run() grows with the items of a mini-batch, up to the timeout."""
    noun = str(figures["noun"])
    largest, full = float(figures["largest_size"]), float(figures["full_size"])
    at_once, per_item = float(figures["at_once"]), float(figures["per_item"])
    end = max(largest, full, 2.0) * 2
    sizes = [end ** (number / 30) for number in range(31)]
    line = [(size, max(at_once + per_item * size, MIN_SECONDS)) for size in sizes]
    cells = [cell for cell in trace.cells if cell.count == 1 and cell.items and cell.seconds is not None]
    shown = [*(seconds for _, seconds in line), *(max(cell.seconds or 0.0, MIN_SECONDS) for cell in cells)]
    low, margin = min(shown), trace.timeout / float(figures["margin"])
    chart = Chart(
        f"{noun}s in a mini-batch",
        "seconds in run()",
        (1.0, end),
        (low / 1.5, max([*shown, trace.timeout]) * 2),
        logarithmic=(True, True),
    )
    chart.line(line, "measured")
    for cell in cells:
        chart.mark(cell.items or 1, max(cell.seconds or 0.0, MIN_SECONDS), STATES["succeeded"], says=cell_text(cell))
    chart.line([(1, trace.timeout), (end, trace.timeout)], "limit", name=f"timeout {trace.timeout:g} s")
    chart.line([(1, margin), (end, margin)], "warning", name=f"margin of {figures['margin']:g}", last=False)
    if largest >= 1:
        chart.line([(largest, low), (largest, margin)], "counted", name=f"largest safe size {largest:,.0f}")
    return chart.svg()


def forecast_plot(forecast: Mapping[str, Any]) -> str:
    """The wall time of each configuration: its middle as a point on the line from the 5th to the 95th percentile."""
    made = forecast["configurations"]
    longest = max(high for each in made for high in each["wall"]) or 1.0
    factor, unit = time_unit(longest)
    chart = Chart(
        unit,
        "",
        (0.0, longest * factor * 1.05),
        None,
        height=54 + LANE * len(made),
        left=175,
    )
    for place, each in enumerate(made):
        low, middle, high = (seconds * factor for seconds in each["wall"])
        at = chart.top + LANE * (place + 0.5)
        label = f"{each['instance_count']} x {each['max_concurrency_per_instance']} {each['label']}"
        chart.label(at, label)
        chart.line([(low, at), (high, at)], "counted")
        chart.mark(middle, at, STATES["retried"], says=f"{label}: {between(each['wall'], 'seconds')}")
    return chart.svg()


def cell_text(cell: TraceCell) -> str:
    if cell.count == 1:
        text = f"mini-batch {cell.first}: {cell.state}"
        text += f", {count_of(cell.attempts, 'attempt')}" if cell.attempts else ""
        text += "" if cell.items is None else f", {cell.failed_items} of {count_of(cell.items, 'item')} failed"
    else:
        states = ", ".join(f"{number} {state}" for state, number in cell.states.items())
        text = f"mini-batches {cell.first} to {cell.first + cell.count - 1}: {states}"
    return text + ("" if cell.seconds is None else f", {seconds_text(cell.seconds)}")


def bar_text(bar: Bar) -> str:
    if bar.mini_batch is None:
        outcomes = ", ".join(f"{number} {outcome}" for outcome, number in bar.outcomes.items())
        return f"{bar.attempts} attempts: {outcomes}" + (f"; {bar.error}" if bar.error else "")
    text = f"mini-batch {bar.mini_batch}, attempt {bar.number}: {bar.outcome}, {seconds_text(bar.seconds)}"
    return text + (f"; {bar.error}" if bar.error else "")


def _box(chart: Chart, bar: Bar | Lane, top: float, height: float, kind: str, says: str) -> str:
    start = chart.x(bar.started)
    # The outline shows what is too short for a bar.
    width = max(chart.x(bar.started + bar.seconds) - start, 1.0)
    place = f'x="{start:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{kind}" {place}><title>{text_of(says)}</title></rect>'


class Look(NamedTuple):
    """How a state of mini-batches is shown: in the grid by its colour and sign, among the run times by its shape."""

    colour: str
    sign: str
    shape: str
    meaning: str


LOOKS: dict[CellState, Look] = {
    "succeeded": Look("#15b86f", "", "circle", "succeeded at the first attempt"),
    "retried": Look("#3d65f3", "↻", "diamond", "succeeded after a retry"),
    "short": Look("#ee8800", "−", "triangle", "succeeded, with failed items"),
    "failed": Look("#c8281c", "×", "cross", "failed"),
    "unfinished": Look("#74777d", "·", "ring", "not ended when the job did"),
}
STATES = {state: look.colour for state, look in LOOKS.items()}
FILLS: dict[Outcome, tuple[str, str]] = {
    "succeeded": (STATES["succeeded"], ""),
    "short": (STATES["short"], "M0 4H8"),
    "exception": (STATES["failed"], "M0 0L8 8M8 0L0 8"),
    "timeout": ("#cc85e5", "M0 8L8 0"),
    "wrong_type": ("#e8d44d", "M0 4H8M4 0V8"),
    "load_error": ("#3d65f3", "M0 0L8 8"),
    "crashed": ("#7a1256", "M3 4H5"),
}
"""The colour of a bar, and what is drawn over it, in a tile of 8 by 8."""
OUTCOMES = {outcome: colour for outcome, (colour, _) in FILLS.items()}
STARTS = "#9aa8bd"
SHAPES = {
    "circle": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
    "diamond": "M0-5L5 0L0 5L-5 0Z",
    "triangle": "M0-5L5 4H-5Z",
    "cross": "M-5-3L-3-5L0-2L3-5L5-3L2 0L5 3L3 5L0 2L-3 5L-5 3L-2 0Z",
    "ring": "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0M-3 0a3 3 0 1 1 6 0a3 3 0 1 1-6 0",
}


def patterns() -> str:
    """The fills of bars, which a page has once for all of its plots."""
    made = "".join(
        f'<pattern id="fill-{outcome}" width="8" height="8" patternUnits="userSpaceOnUse">'
        f'<rect width="8" height="8" fill="{colour}"/>'
        f'<path d="{lines}" stroke="{ink_on(colour)}" stroke-opacity=".45"/></pattern>'
        for outcome, (colour, lines) in FILLS.items()
    )
    return f'<svg width="0" height="0" aria-hidden="true"><defs>{made}</defs></svg>'


def ink_on(colour: str) -> str:
    """Black or white, whichever is more readable on the colour."""
    return "#fff" if light_of(colour) < 0.18 else "#111"


def light_of(colour: str) -> float:
    """The relative luminance of `#rrggbb`, from 0 to 1, as defined by the WCAG."""
    parts = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
