"""A forecast as every report shows it: sentences and tables, made from its plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pytest_parallelrun.emulator.events import in_hours, seconds_text
from pytest_parallelrun.emulator.splitting.model import count_text
from pytest_parallelrun.report.sanitize import count_of

MEMORY = 1024**2


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
    """What is not in the tables."""
    own = forecast["configurations"][0]
    yield f"wall time {_between(own['wall'], _duration)} with the settings of the job"
    yield "each number is the median of the simulated jobs, with their 5th and 95th percentiles in brackets"
    yield (
        f"attempts: {_between(forecast['attempts'], _number)}; retries: {_between(forecast['retries'], _number)}; "
        f"mini-batches that reach the timeout: {_between(forecast['timeout_share'], _percent)}"
    )
    stragglers = f"stragglers, which take more than 3 times the median: {_between(forecast['stragglers'], _number)}"
    if own["workers"] > 1:
        stragglers += f"; the first idle worker waits {_between(own['ending'], _duration)} for the last mini-batch"
    yield stragglers
    for threshold in forecast["thresholds"]:
        probability = _percent(threshold["probability"])
        said = f"{threshold['name']}={threshold['limit']} is exceeded with a probability of {probability}"
        if threshold["low"] != threshold["high"]:
            said += (
                f": {_percent(threshold['low'])} if failures are as rare as they may be after this sample, "
                f"{_percent(threshold['high'])} if they are as frequent as they may be"
            )
        yield said
    if not forecast["thresholds"]:
        yield "no threshold is set, so no number of failures ends the job"
    yield _resources(forecast["resources"])


def forecast_tables(forecast: Mapping[str, Any]) -> Iterator[Table]:
    """Configurations, recommendation and inputs."""
    yield Table(
        "Nodes and workers",
        ("nodes x workers", "mini-batches", "wall time", "worker hours", "node hours"),
        [
            (
                f"{each['instance_count']} x {each['max_concurrency_per_instance']}"
                + (f" ({each['label']})" if each["label"] else ""),
                f"{each['mini_batches']:,}",
                _between(each["wall"], _duration),
                _between(each["worker_hours"], _number),
                _between(each["node_hours"], _number),
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
        ("what", "value", "origin", "to be given as"),
        [
            (
                str(each["title"]),
                _between(each["values"], {"share": _percent, "rate": _number}.get(each["unit"], seconds_text)),
                str(each["origin"]),
                str(each["name"]),
            )
            for each in forecast["inputs"]
        ],
    )


def _resources(resources: Mapping[str, Any]) -> str:
    if resources["problem"]:
        return f"memory and processor time of a worker were not measured: {resources['problem']}"
    cores, number = resources["cores"], count_text(resources["mini_batches"], "mini-batch")
    used = f"{cores:.1f} cores" if cores is not None else "probably one core (it is too short to measure)"
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


def _between(values: Sequence[float], text: Any) -> str:
    """The middle, with the ends if they differ."""
    low, middle, high = map(text, values)
    return str(middle) if low == high else f"{middle} ({low} to {high})"


def _duration(seconds: float) -> str:
    return in_hours(seconds) if seconds >= 60 else seconds_text(seconds)


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 or number == int(number) else f"{number:.2g}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if not share or share > 0.095 else f"{100 * share:.2g} %"


def _memory(number: int) -> str:
    return f"{number / MEMORY:,.0f} MB"
