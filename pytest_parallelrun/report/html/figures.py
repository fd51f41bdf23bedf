"""The plots of a job, as figures of Plotly. All texts in them come from `label()`."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.events import Outcome
from pytest_parallelrun.report.sanitize import in_one_line
from pytest_parallelrun.report.trace import Bar, CellState, Lane, Trace, TraceCell

if TYPE_CHECKING:
    import plotly.graph_objects as go


MIN_SECONDS = 1e-6
"""Minimum seconds of an attempt on a logarithmic scale."""
MAX_NUMBERED = 120
"""Maximum bars with the number of their mini-batch."""
HEIGHT, HEIGHT_OF_A_RETRY = 0.66, 0.33
"""Of a bar, in lanes."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


def label(text: str) -> str:
    """A text for a plot: Plotly reads tags and entities in texts."""
    return html.escape(in_one_line(text), quote=False)


def timeline(trace: Trace) -> go.Figure:
    """A lane for each worker; its start and its attempts as bars over the seconds of the job, retries lower."""
    import plotly.graph_objects as go

    figure = _figure(height=110 + 34 * max(1, len(trace.lanes)), x="seconds since the start of the job", y="")
    for name, colour, pattern, is_up in (
        ("import and init()", STARTS, "", True),
        ("did not come up", NOT_UP, "x", False),
    ):
        _add_bars(figure, name, colour, pattern, [lane for lane in trace.lanes if is_up == (not lane.error)])
    numbered = len(trace.bars) <= MAX_NUMBERED
    for outcome, colour in OUTCOMES.items():
        bars = [bar for bar in trace.bars if bar.outcome == outcome]
        _add_bars(figure, outcome, colour, PATTERNS[outcome], bars, numbered=numbered)
    order = [_lane_name(lane) for lane in trace.lanes] or sorted({_lane_name(bar) for bar in trace.bars})
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=order[::-1], showgrid=False)
    figure.update_layout(
        barmode="overlay",
        showlegend=True,
        xaxis_rangemode="tozero",
        # A number that does not fit is left out, not made small.
        uniformtext={"minsize": 10, "mode": "hide"},
    )
    if not figure.data:
        figure.add_trace(go.Scatter(x=[], y=[]))
    return figure


def threshold(trace: Trace, title: str, counts: Sequence[float], limit: float | None) -> go.Figure:
    """Counts of one threshold over the attempts, and its limit; None if it is off."""
    import plotly.graph_objects as go

    figure = _figure(height=240, x="attempts", y=title)
    attempts = [step.attempts for step in trace.steps]
    figure.add_trace(
        go.Scatter(
            x=attempts,
            y=list(counts),
            mode="lines+markers" if len(attempts) <= 50 else "lines",
            line={"shape": "hv", "color": COUNTED, "width": 2.5},
            name="counted",
        )
    )
    if limit is not None:
        figure.add_trace(_line([0, max(attempts[-1], 1) * 1.03], [limit, limit], "limit", LIMIT, "dash"))
        figure.add_annotation(x=0, y=limit, text=f"limit {limit:g}", showarrow=False, xanchor="left", yanchor="bottom")
    top = max([1.0, *counts, limit or 0])
    # Half an item is none.
    figure.update_yaxes(rangemode="tozero", range=[0, top * 1.2], **({"dtick": 1} if top <= 5 else {}))
    _whole_numbers(figure, 0, max(attempts[-1], 1))
    figure.update_layout(showlegend=False)
    return figure


def run_time(trace: Trace) -> go.Figure:
    """The longest attempt of each mini-batch in seconds, with the timeout and the half of it."""
    import plotly.graph_objects as go

    figure = _figure(height=300, x="mini-batch", y="seconds in run()")
    for state, colour in STATES.items():
        cells = [cell for cell in trace.cells if cell.state == state and cell.seconds is not None]
        if cells:
            figure.add_trace(
                go.Scatter(
                    x=[cell.first for cell in cells],
                    y=[max(cell.seconds or 0.0, MIN_SECONDS) for cell in cells],
                    mode="markers",
                    marker={"color": colour, "size": 8, "symbol": SYMBOLS[state]},
                    hovertext=[label(cell_text(cell)) for cell in cells],
                    hoverinfo="text",
                    name=state,
                )
            )
    ends = [0, max(trace.total_mini_batches - 1, 1)]
    figure.add_trace(_line(ends, [trace.timeout] * 2, f"timeout {trace.timeout:g} s", LIMIT, "dash"))
    figure.add_trace(_line(ends, [trace.timeout / 2] * 2, "half of it", WARNING, "dot"))
    shown = [cell.seconds for cell in trace.cells if cell.seconds is not None]
    figure.update_yaxes(**_in_powers_of_ten([*shown, trace.timeout / 2, trace.timeout]))
    _whole_numbers(figure, ends[0], ends[1])
    return figure


def safe_size(trace: Trace, figures: Mapping[str, float | str]) -> go.Figure:
    """How run() grows with the items of a mini-batch, up to the timeout."""
    import plotly.graph_objects as go

    noun = str(figures["noun"])
    largest, full = float(figures["largest_size"]), float(figures["full_size"])
    figure = _figure(height=300, x=f"{noun}s in a mini-batch", y="seconds in run()")
    end = max(largest, full, 2.0) * 2
    sizes = [end ** (number / 30) for number in range(31)]
    seconds = [float(figures["at_once"]) + float(figures["per_item"]) * size for size in sizes]
    name = "measured line" if figures["is_solid"] else "upper bound"
    figure.add_trace(_line(sizes, [max(value, MIN_SECONDS) for value in seconds], name, OUTCOMES["succeeded"], "solid"))
    cells = [cell for cell in trace.cells if cell.count == 1 and cell.items and cell.seconds is not None]
    figure.add_trace(
        go.Scatter(
            x=[cell.items for cell in cells],
            y=[max(cell.seconds or 0.0, MIN_SECONDS) for cell in cells],
            mode="markers",
            marker={"color": OUTCOMES["succeeded"], "size": 7, "symbol": "circle-open"},
            hovertext=[label(cell_text(cell)) for cell in cells],
            hoverinfo="text",
            name="mini-batches",
        )
    )
    figure.add_trace(_line([1, end], [trace.timeout] * 2, f"timeout {trace.timeout:g} s", LIMIT, "dash"))
    margin = trace.timeout / float(figures["margin"])
    figure.add_trace(_line([1, end], [margin] * 2, f"margin of {figures['margin']:g}", WARNING, "dot"))
    shown = [*seconds, *(cell.seconds or 0.0 for cell in cells)]
    low = min((value for value in shown if value > MIN_SECONDS), default=MIN_SECONDS)
    if largest >= 1:
        figure.add_trace(_line([largest] * 2, [low, margin], f"largest safe size {largest:,.0f}", COUNTED, "dashdot"))
    figure.update_xaxes(**_in_powers_of_ten([1, end]))
    figure.update_yaxes(**_in_powers_of_ten([low, *shown, trace.timeout]))
    return figure


SYMBOLS = {
    "succeeded": "circle",
    "retried": "diamond",
    "short": "triangle-up",
    "failed": "x",
    "unfinished": "circle-open",
}


def cell_text(cell: TraceCell) -> str:
    """A cell of the grid as text."""
    if cell.count == 1:
        text = f"mini-batch {cell.first}: {cell.state}"
        text += f", {cell.attempts} attempt(s)" if cell.attempts else ""
        text += "" if cell.items is None else f", {cell.failed_items} of {cell.items} item(s) failed"
    else:
        states = ", ".join(f"{number} {state}" for state, number in cell.states.items())
        text = f"mini-batches {cell.first} to {cell.first + cell.count - 1}: {states}"
    return text + ("" if cell.seconds is None else f", {seconds_text(cell.seconds)}")


def bar_text(bar: Bar) -> str:
    """A bar of the timeline as text."""
    if bar.mini_batch is None:
        outcomes = ", ".join(f"{number} {outcome}" for outcome, number in bar.outcomes.items())
        return f"{bar.attempts} attempts: {outcomes}" + (f"; {bar.error}" if bar.error else "")
    text = f"mini-batch {bar.mini_batch}, attempt {bar.number}: {bar.outcome}, {seconds_text(bar.seconds)}"
    return text + (f"; {bar.error}" if bar.error else "")


def seconds_text(seconds: float) -> str:
    """Seconds with three significant digits."""
    if seconds >= 1000:
        return f"{seconds:,.0f} s"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def _start_text(lane: Lane) -> str:
    text = f"worker {lane.worker} on instance {lane.instance}"
    return f"{text}: {lane.error}" if lane.error else f"{text}: up in {seconds_text(lane.seconds)}"


def _number(bar: Bar) -> str:
    return f"{bar.mini_batch}" + ("" if bar.number == 1 else f" ({bar.number}.)")


def _lane_name(bar: Bar | Lane) -> str:
    return f"worker {bar.worker}"


def _height(bar: Bar | Lane) -> float:
    return HEIGHT_OF_A_RETRY if isinstance(bar, Bar) and (bar.number or 1) > 1 else HEIGHT


def _add_bars(
    figure: go.Figure, name: str, colour: str, pattern: str, bars: Sequence[Bar | Lane], *, numbered: bool = False
) -> None:
    """Attempts, or the starts of workers; nothing if there are none."""
    import plotly.graph_objects as go

    if not bars:
        return
    figure.add_trace(
        go.Bar(
            orientation="h",
            y=[_lane_name(bar) for bar in bars],
            base=[bar.started for bar in bars],
            x=[bar.seconds for bar in bars],
            width=[_height(bar) for bar in bars],
            text=[_number(bar) if numbered and isinstance(bar, Bar) else "" for bar in bars],
            textposition="inside",
            textfont={"color": ink_on(colour)},
            insidetextanchor="middle",
            textangle=0,
            hovertext=[label(bar_text(bar) if isinstance(bar, Bar) else _start_text(bar)) for bar in bars],
            hoverinfo="text",
            # The outline shows what is too short for a bar.
            marker={
                "color": colour,
                "line": {"color": colour, "width": 1.5},
                "pattern": {"shape": pattern, "fillmode": "overlay", "size": 6, "solidity": 0.2},
            },
            name=name,
        )
    )


def _whole_numbers(figure: go.Figure, first: int, last: int) -> None:
    """An axis from the first number to the last, with marks at whole numbers and a little room at both ends."""
    room = (last - first) * 0.03
    step = {"dtick": 1} if last - first <= 10 else {}
    figure.update_xaxes(range=[first - room, last + room], tickformat=",d", **step)


def _in_powers_of_ten(values: Sequence[float]) -> dict[str, object]:
    """An axis of powers of ten, with marks between them where there would be hardly any."""
    least, most = max(min(values), MIN_SECONDS), max(values)
    return {"type": "log", "dtick": 1 if most > 50 * least else "D2", "tickformat": "~g"}


def _line(x: Sequence[float], y: Sequence[float], name: str, colour: str, dash: str) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(x=x, y=y, mode="lines", line={"color": colour, "dash": dash, "width": 2}, name=name)


def _figure(*, height: int, x: str, y: str) -> go.Figure:
    import plotly.graph_objects as go

    figure = go.Figure()
    # Without a format of its own an axis has marks such as "100\u00b5".
    axis = {"automargin": True, "zeroline": False, "exponentformat": "none"}
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 70, "r": 16, "t": 12, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13},
        xaxis={"title": {"text": label(x), "font": {"size": 13}}, **axis},
        yaxis={"title": {"text": label(y), "font": {"size": 13}}, **axis},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hoverlabel={"align": "left"},
    )
    return figure


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
    """Black or white, whichever is more readable on the colour."""
    return "#fff" if light_of(colour) < 0.18 else "#111"


def light_of(colour: str) -> float:
    """The relative luminance of `#rrggbb`, from 0 to 1, as defined by the WCAG."""
    parts = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
