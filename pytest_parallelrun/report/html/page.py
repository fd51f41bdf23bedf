"""The page: the data of the template, and its scripts and plots.

Nothing in a report can become a script. The template escapes texts, the plots are blocks of JSON without tags, and the
content security policy allows only the two scripts whose hashes it names.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.report.html.figures import (
    MEANINGS,
    SIGNS,
    STATES,
    bar_text,
    cell_text,
    ink_on,
    run_time,
    safe_size,
    seconds_text,
    threshold,
    timeline,
)
from pytest_parallelrun.report.records import (
    NOT_CHECKABLE,
    SIMULATED,
    AcceptanceRecord,
    EntryReport,
    GroupedFinding,
    grouped_findings,
)
from pytest_parallelrun.report.sanitize import count_of, in_one_line, visible
from pytest_parallelrun.report.terminal import not_checked
from pytest_parallelrun.report.trace import Trace

if TYPE_CHECKING:
    import plotly.graph_objects as go

ASSETS = Path(__file__).parent / "assets"
_NOT_IN_A_BLOCK = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One plot with its description, and its data as a table. figure: "" if there is nothing to draw."""

    key: str
    title: str
    says: str
    figure: str
    head: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True, kw_only=True)
class EntryPage:
    """One entry as the template shows it."""

    key: str
    report: EntryReport
    failed: Sequence[GroupedFinding]
    advice: Sequence[GroupedFinding]
    skipped: Mapping[str, Sequence[str]]
    trace: Trace | None
    plots: Sequence[Plot]
    thresholds: Sequence[Plot]
    cells: str
    aggregated: str


def html_report(reports: Sequence[EntryReport], acceptances: Sequence[AcceptanceRecord] = ()) -> str:
    """The whole page as a string."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(line=in_one_line, visible=visible, seconds=seconds_text)
    scripts = [_in_lines_of_unix(get_plotlyjs()), _in_lines_of_unix((ASSETS / "page.js").read_text(encoding="utf-8"))]
    failed = sum(report.verdict == "failed" for report in reports)
    return environment.get_template("page.html.jinja").render(
        entries=[_entry(number, report) for number, report in enumerate(reports)],
        acceptances=acceptances,
        failed=failed,
        title=f"{count_of(failed, 'entry script')} failed" if failed else "The gate passed",
        scripts=scripts,
        hashes=" ".join(f"'sha256-{_hash(script)}'" for script in scripts),
        style=(ASSETS / "page.css").read_text(encoding="utf-8"),
        colours=STATES,
        signs=SIGNS,
        meanings=MEANINGS,
        inks={state: ink_on(colour) for state, colour in STATES.items()},
        simulated=SIMULATED,
        not_checkable=NOT_CHECKABLE,
        cell_text=cell_text,
        made=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    )


def json_block(values: object) -> str:
    """JSON that cannot end the element around it, nor a line of a script."""
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _NOT_IN_A_BLOCK.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _in_lines_of_unix(script: str) -> str:
    """As a browser reads it, which normalizes line breaks before it computes the hash."""
    if "</script" in script.lower():
        raise ValueError("a script that names its own end cannot be put into a page")
    return script.replace("\r\n", "\n").replace("\r", "\n")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _entry(number: int, report: EntryReport) -> EntryPage:
    trace = None if report.trace is None else Trace.from_json(report.trace)
    key = f"entry-{number}"
    return EntryPage(
        key=key,
        report=report,
        failed=grouped_findings(report, "failed"),
        advice=grouped_findings(report, "advice"),
        skipped=not_checked(report),
        trace=trace,
        plots=() if trace is None else tuple(_plots(key, trace, report)),
        thresholds=() if trace is None else tuple(_thresholds(key, trace)),
        cells="" if trace is None else json_block([asdict(cell) | {"says": cell_text(cell)} for cell in trace.cells]),
        aggregated="" if trace is None else _aggregated(trace),
    )


def _aggregated(trace: Trace) -> str:
    """What is drawn together, or ""."""
    sentences = []
    if trace.per_cell > 1:
        sentences.append(
            f"{trace.total_mini_batches:,} mini-batches are too many to be drawn one by one: each cell and each point "
            f"stands for {trace.per_cell:,} that follow each other, and has the colour of the worst of them"
        )
    if any(bar.mini_batch is None for bar in trace.bars):
        sentences.append(
            f"{trace.total_attempts:,} attempts are too many as well: each bar stands for all of a worker in a "
            "stretch of time, and has the colour of the worst outcome"
        )
    if trace.workers > len(trace.lanes):
        sentences.append(f"Of {trace.workers:,} workers the first {len(trace.lanes)} have a lane")
    return ". ".join(sentences) + "." if sentences else ""


def _plots(key: str, trace: Trace, report: EntryReport) -> Iterator[Plot]:
    figures = report.figures()
    yield Plot(
        key=f"{key}-timeline",
        title="Workers and attempts",
        says=_course(trace, in_turns=report.set_up.get("engine") == "inprocess"),
        figure=_figure(timeline(trace)),
        head=("worker", "from", "for", "what"),
        rows=[
            *((lane.worker, _at(lane.started), seconds_text(lane.seconds), _start(lane.error)) for lane in trace.lanes),
            *((bar.worker, _at(bar.started), seconds_text(bar.seconds), bar_text(bar)) for bar in trace.bars),
        ],
    )
    longest = max((cell.seconds for cell in trace.cells if cell.seconds is not None), default=None)
    said = "run() was never called" if longest is None else f"The longest attempt took {seconds_text(longest)}"
    yield Plot(
        key=f"{key}-times",
        title="Run time against the timeout",
        says=f"{said}; timeout is {trace.timeout:g} s.",
        figure="" if longest is None else _figure(run_time(trace)),
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
    if figures:
        yield Plot(
            key=f"{key}-sizes",
            title="Largest safe size",
            says=_pace(figures) + _left_out(trace),
            figure=_figure(safe_size(trace, figures)),
            head=("figure", "value"),
            rows=[(name.replace("_", " "), value) for name, value in figures.items()],
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


def _pace(figures: Mapping[str, float | str]) -> str:
    if not figures:
        return ""
    largest, noun = float(figures["largest_size"]), figures["noun"]
    more = "" if figures["is_solid"] else " or more"
    size = f"{largest:,.0f} {noun}s{more}" if largest >= 1 else f"none: one {noun} takes too long"
    return (
        f"The largest mini-batch that keeps a margin of {figures['margin']:g} to the timeout has {size}; "
        f"the size that is set has {figures['full_size']:,.0f}. The smallest timeout for it is "
        f"{figures['smallest_timeout']:g} s."
    )


def _left_out(trace: Trace) -> str:
    """What the measured line knows nothing of."""
    late = sum(bar.outcomes.get("timeout", 0) if bar.outcomes else bar.outcome == "timeout" for bar in trace.bars)
    return f" {count_of(late, 'attempt')} that ran into the timeout had no part in this." if late else ""


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
        nothing = is_off and not any(counts)
        drawn = threshold(trace, title, [float(count) for count in counts], None if is_off else limit)
        yield Plot(
            key=f"{key}-{name}",
            title=name,
            says=f"{title}: {counts[-1]:.4g}. {name} {verb}.",
            figure="" if nothing else _figure(drawn),
            head=("attempts", title),
            rows=[(step.attempts, f"{count:g}") for step, count in zip(trace.steps, counts, strict=True)],
        )


def _start(error: str) -> str:
    return f"did not come up: {error}" if error else "import and init()"


def _at(seconds: float) -> str:
    return f"{seconds:.3f} s"


def _figure(figure: go.Figure) -> str:
    return json_block(json.loads(str(figure.to_json())))
