"""A forecast as every report shows it: sentences and tables, made from its plain values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pytest_parallelrun.emulator.events import SHORTEST, seconds_text
from pytest_parallelrun.emulator.splitting.model import count_text
from pytest_parallelrun.report.sanitize import count_of

MEMORY = 1024**2
UNITS = {"number": (1.0, ""), "rate": (1.0, "per second"), "share": (100.0, "%")}
TIMES = (
    (1, 1000.0, "ms"),
    (120, 1.0, "s"),
    (7_200, 1 / 60, "min"),
    (259_200, 1 / 3600, "h"),
    (math.inf, 1 / 86_400, "days"),
)
"""Seconds below which a unit is used, its factor and its name."""


class Table(NamedTuple):
    """A table; cells are plain text."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def forecast_title(forecast: Mapping[str, Any]) -> str:
    """What was forecast, in one line; or why there is no forecast."""
    if "problem" in forecast:
        return f"no forecast: {forecast['problem']}"
    noun = str(forecast["noun"])
    items = count_text(round(forecast["items"]), noun)
    if noun == "row":
        size = str(forecast["size"])
        items = f"a table of {f'{int(size):,} bytes' if size.isdigit() else size}, about {items},"
    return f"forecast of the full job: {items} in {count_text(forecast['mini_batches'], 'mini-batch')}"


def forecast_sentences(forecast: Mapping[str, Any]) -> Iterator[str]:
    """What is not in the tables; the wall time first."""
    own = forecast["configurations"][0]
    yield (
        f"wall time {between(own['wall'], 'seconds')} with the settings of the job; brackets have the 5th and 95th "
        f"percentiles of {count_text(forecast['draws'], 'simulated job')}"
    )
    for threshold in forecast["thresholds"]:
        low, middle, high = (between([threshold[name]] * 3, "share") for name in ("low", "probability", "high"))
        said = f"{threshold['name']}={threshold['limit']} is exceeded with a probability of {middle}"
        if low != high:
            said += f"; after this sample it may be {low} to {high}"
        if threshold["probability"]:
            said += ". The job then ends early: other numbers are those of a job without the threshold"
        yield said
    if not forecast["thresholds"]:
        yield "no threshold is set, so no number of failures ends the job"
    yield (
        f"attempts: {between(forecast['attempts'])}; retries: {between(forecast['retries'])}; mini-batches that "
        f"reach the timeout: {between(forecast['timeout_share'], 'share')}"
    )
    stragglers = f"stragglers, which take more than 3 times the median: {between(forecast['stragglers'])}"
    if own["workers"] > 1:
        stragglers += f"; the first idle worker waits {between(own['ending'], 'seconds')} for the last mini-batch"
    yield stragglers
    yield _resources(forecast["resources"])


def forecast_tables(forecast: Mapping[str, Any]) -> Iterator[Table]:
    """Configurations, recommendation and inputs; the last column may have long texts."""
    yield Table(
        "Nodes and workers",
        ("nodes x workers", "wall time", "worker hours"),
        [
            (
                f"{each['instance_count']} x {each['max_concurrency_per_instance']}"
                + (f" ({each['label']})" if each["label"] else ""),
                between(each["wall"], "seconds"),
                between(each["worker_hours"]),
            )
            for each in forecast["configurations"]
        ],
    )
    yield Table(
        "Recommended settings",
        ("setting", "set", "recommended", "reason"),
        [tuple(map(str, each.values())) for each in forecast["recommendation"]],
    )
    yield Table(
        "Inputs of the forecast",
        ("what", "value", "to be given as", "origin"),
        [
            (str(each["title"]), between(each["values"], each["unit"]), str(each["name"]), str(each["origin"]))
            for each in forecast["inputs"]
        ],
    )


def _resources(resources: Mapping[str, Any]) -> str:
    if resources["problem"]:
        return f"memory and processor time of a worker were not measured: {resources['problem']}"
    cores, number = resources["cores"], count_text(resources["mini_batches"], "mini-batch")
    used = "probably one core (it is too short to measure)" if cores is None else f"{max(cores, 0.1):.1f} cores"
    said = (
        f"a worker takes up to {_memory(resources['init_memory'])} in init(), and in run() up to "
        f"{_memory(resources['run_memory'])} and {used}, measured in a worker process with {number}"
    )
    largest = resources["largest_concurrency"]
    if largest is None:
        return f"{said}; give node_memory=64GB and node_cores=16 to see how many workers fit on a node"
    if not largest:
        return f"{said}; not even one fits into the memory of a node"
    said += f"; {count_of(largest, 'worker')} fit on a node, limited by its {resources['limited_by']}"
    if resources["concurrency"] > largest:
        said += f", and max_concurrency_per_instance is {resources['concurrency']}"
    return said


def between(values: Sequence[float], unit: str = "number") -> str:
    """The middle, and the ends if they differ, with the digits that can be known: two, or three without a range."""
    low, middle, high = values
    if unit == "seconds" and high < SHORTEST:
        return seconds_text(high)
    factor, name = UNITS[unit] if unit in UNITS else time_unit(middle or high)
    digits = 2 if low < high else 3
    least, usual, most = (_rounded(value * factor, digits) for value in values)
    return f"{usual} {name}".rstrip() + ("" if least == most else f" ({least} to {most})")


def _rounded(number: float, digits: int) -> str:
    """All digits before the point, otherwise so many significant ones."""
    if number == int(number):
        return f"{number:,.0f}"
    text = f"{number:,.{max(0, digits - 1 - math.floor(math.log10(number)))}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def time_unit(seconds: float) -> tuple[float, str]:
    """What to multiply seconds with for a time of that size, and the unit of the product."""
    return next((factor, name) for end, factor, name in TIMES if seconds < end)


def _memory(number: int) -> str:
    return f"{number / MEMORY:,.0f} MB"
