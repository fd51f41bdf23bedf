"""The report as one HTML page that opens offline: the data of the template, and its scripts and plots.

Nothing of a report is ever a script. The template and the plots escape texts, the cells of a grid lie in a block of
JSON in which no tag can end or begin, and by its content security policy the page runs just the script whose hash it
names.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pytest_parallelrun.emulator.events import seconds_text
from pytest_parallelrun.report import figures
from pytest_parallelrun.report.forecast import forecast_sentences, forecast_tables, forecast_title
from pytest_parallelrun.report.records import (
    NOT_CHECKABLE,
    SIMULATED,
    AcceptanceRecord,
    EntryReport,
    gate_headline,
    grouped_findings,
    worst_verdict,
)
from pytest_parallelrun.report.sanitize import count_of, in_one_line, visible
from pytest_parallelrun.report.trace import Loss, Trace

ASSETS = Path(__file__).parent / "assets"
FAR = 1000
"""Times the size that is set: what is beyond is not drawn."""
MAX_LOSS_BYTES, LOSS_MARKUP = 1_000_000, 150
"""Of all rows about failed mini-batches, and of the tags of one of them."""
_NOT_IN_A_BLOCK = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One plot as SVG with what stands for it in words, and its data as a table. svg: "" where nothing is drawn."""

    key: str
    title: str
    says: str
    svg: str
    head: Sequence[str]
    rows: Sequence[Sequence[object]]


def html_report(reports: Sequence[EntryReport], acceptances: Sequence[AcceptanceRecord] = ()) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(line=in_one_line, visible=visible, seconds=seconds_text)
    script = (ASSETS / "page.js").read_text(encoding="utf-8").replace("\r\n", "\n")
    return environment.get_template("page.html.jinja").render(
        entries=[_entry(number, report) for number, report in enumerate(reports)],
        acceptances=acceptances,
        verdict=worst_verdict(reports),
        title=gate_headline(reports),
        script=script,
        script_hash=f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'",
        patterns=figures.patterns(),
        outcomes=figures.OUTCOMES,
        pages={name: text for report in reports for name, text in report.pages.items() if text},
        style=(ASSETS / "page.css").read_text(encoding="utf-8"),
        looks=figures.LOOKS,
        ink_on=figures.ink_on,
        simulated=SIMULATED,
        not_checkable=NOT_CHECKABLE,
        cell_text=figures.cell_text,
        forecast_title=forecast_title,
        forecast_sentences=forecast_sentences,
        made=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    )


def json_block(values: object) -> str:
    """JSON that cannot end the element around it, nor a line of a script."""
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _NOT_IN_A_BLOCK.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _entry(number: int, report: EntryReport) -> dict[str, object]:
    """One entry as the template shows it."""
    trace = None if report.trace is None else Trace.from_json(report.trace)
    key = f"entry-{number}"
    shown: dict[str, object] = {
        "key": key,
        "report": report,
        "failed": grouped_findings(report, "failed"),
        "advice": grouped_findings(report, "advice"),
        "skipped": report.not_checked(),
        "forecast": () if report.forecast is None else tuple(_forecast(key, report.forecast)),
        "trace": trace,
    }
    if trace is None:
        return shown
    losses = list(_losses_that_fit(trace))
    cells = [asdict(cell) | {"says": figures.cell_text(cell)} for cell in trace.cells]
    return shown | {
        "plots": tuple(_plots(key, trace, report)),
        "thresholds": tuple(_thresholds(key, trace)),
        "cells": json_block(cells) if trace.per_cell == 1 else "",
        "losses": losses,
        "left_out": trace.total_losses - len(losses),
        "kinds": dict(Counter(loss.kind for loss in losses).most_common()),
        "states": dict(sum((Counter(cell.states) for cell in trace.cells), Counter())),
        "attempted": {name for bar in trace.bars for name in bar.outcomes or (bar.outcome,)},
        "aggregated": _aggregated(trace),
    }


def _losses_that_fit(trace: Trace) -> Iterator[Loss]:
    """As many as a page can have: an error or a name may be long, and there may be thousands."""
    room = MAX_LOSS_BYTES
    for loss in trace.losses:
        room -= LOSS_MARKUP + len((loss.names + loss.error).encode("utf-8", "replace"))
        if room < 0:
            return
        yield loss


def _aggregated(trace: Trace) -> str:
    """What is drawn together, or ""."""
    sentences = []
    if trace.per_cell > 1:
        sentences.append(
            f"{trace.total_mini_batches:,} mini-batches are too many to be drawn one by one: each point stands for the "
            f"longest of {trace.per_cell:,} that follow each other"
        )
    if any(bar.mini_batch is None for bar in trace.bars):
        sentences.append(
            f"{trace.total_attempts:,} attempts are too many as well: each bar stands for all of a worker in a "
            "stretch of time, with their outcomes as shares of its height"
        )
    if trace.workers > len(trace.lanes):
        sentences.append(f"Of {trace.workers:,} workers the first {len(trace.lanes)} have a lane")
    return ". ".join(sentences) + "." if sentences else ""


def _plots(key: str, trace: Trace, report: EntryReport) -> Iterator[Plot]:
    measured = report.figures()
    yield Plot(
        key=f"{key}-timeline",
        title="Workers and attempts",
        says=_course(trace, in_turns=report.set_up.get("engine") == "inprocess"),
        svg=figures.timeline(trace),
        head=("worker", "from", "for", "what"),
        rows=[
            *((lane.worker, _at(lane.started), seconds_text(lane.seconds), _start(lane.error)) for lane in trace.lanes),
            *((bar.worker, _at(bar.started), seconds_text(bar.seconds), figures.bar_text(bar)) for bar in trace.bars),
        ],
    )
    longest = max((cell.seconds for cell in trace.cells if cell.seconds is not None), default=None)
    said = "run() was never called" if longest is None else f"The longest attempt took {seconds_text(longest)}"
    yield Plot(
        key=f"{key}-times",
        title="Run time against the timeout",
        says=f"{said}; timeout is {trace.timeout:g} s.",
        svg="" if longest is None else figures.run_time(trace),
        head=("mini-batch", "items", "seconds", "state"),
        rows=[
            (
                cell.first if cell.count == 1 else f"{cell.first} to {cell.first + cell.count - 1}",
                "" if cell.items is None else cell.items,
                "" if cell.seconds is None else f"{cell.seconds:.6f}",
                cell.state,
            )
            for cell in trace.cells
        ],
    )
    if measured:
        yield Plot(
            key=f"{key}-sizes",
            title="Largest safe size",
            says=_pace(measured),
            svg=figures.safe_size(trace, measured) if _has_safe_size(measured) else "",
            head=("figure", "value"),
            rows=[(name.replace("_", " "), value) for name, value in measured.items()],
        )


def _course(trace: Trace, *, in_turns: bool) -> str:
    """in_turns: whether the workers share a process, so that attempts follow each other."""
    workers, attempts = count_of(trace.workers, "worker"), count_of(trace.total_attempts, "attempt")
    said = f"{workers} made {attempts} in {seconds_text(trace.duration)}, on the clock of the script."
    if in_turns and trace.workers > 1:
        said += " They take turns here, and work side by side on the service."
    if any((bar.number or 1) > 1 for bar in trace.bars):
        said += " A lower bar is a retry."
    return said


def _has_safe_size(measured: Mapping[str, float | str]) -> bool:
    """Whether the line leads to a size near that which is set; else it is a guess far beyond what was measured."""
    is_known = bool(measured["is_solid"] or measured.get("is_least"))
    return is_known and float(measured["largest_size"]) <= FAR * float(measured["full_size"])


def _pace(measured: Mapping[str, float | str]) -> str:
    largest, noun, full = float(measured["largest_size"]), measured["noun"], float(measured["full_size"])
    if not _has_safe_size(measured):
        return (
            f"run() is so fast that no size near the configured one ({full:,.0f}) comes close to the timeout, so a "
            "largest safe size cannot be given."
        )
    least = bool(measured.get("is_least"))
    size = (
        f"{'at most ' if least else ''}{largest:,.0f} {noun}s" if largest >= 1 else f"none: one {noun} takes too long"
    )
    return (
        f"The largest mini-batch that keeps a margin of {measured['margin']:g} to the timeout has {size}; "
        f"the size that is set has {full:,.0f}. The smallest timeout for it is {'above ' if least else ''}"
        f"{measured['smallest_timeout']:g} s."
    )


def _thresholds(key: str, trace: Trace) -> Iterator[Plot]:
    total = max(trace.total_mini_batches, 1)
    percents = [100 * step.failed_mini_batches / total for step in trace.steps]
    for name, title, counts, limit, off in (
        ("error_threshold", "failed items", [step.failed_items for step in trace.steps], trace.error_threshold, -1),
        (
            "mini_batch_error_threshold",
            "failed mini-batches",
            [step.failed_mini_batches for step in trace.steps],
            trace.mini_batch_error_threshold,
            -1,
        ),
        ("allowed_failed_percent", "% of mini-batches failed", percents, trace.allowed_failed_percent, 100),
    ):
        is_off = limit == off
        verb = "is off: nothing is too much" if is_off else f"allows {limit:g}"
        yield Plot(
            key=f"{key}-{name}",
            title=name,
            says=f"{title}: {counts[-1]:.4g}. {name} {verb}.",
            svg="" if is_off else figures.threshold(trace, title, [float(count) for count in counts], limit),
            head=("attempts", title),
            rows=[(step.attempts, f"{count:g}") for step, count in zip(trace.steps, counts, strict=True)],
        )


def _forecast(key: str, forecast: Mapping[str, object]) -> Iterator[Plot]:
    """The plot of the wall time with its table, then the other tables."""
    for number, table in enumerate(() if "problem" in forecast else forecast_tables(forecast)):
        yield Plot(
            key=f"{key}-forecast-{number}",
            title=table.title,
            says="" if number else "Wall time: a point at the 50th percentile, and a line from the 5th to the 95th.",
            svg="" if number else figures.forecast_plot(forecast),
            head=table.head,
            rows=table.rows,
        )


def _start(error: str) -> str:
    return f"did not come up: {error}" if error else "import and init()"


def _at(seconds: float) -> str:
    return f"{seconds:.3f} s"
