"""A forecast in reports: the numbers as text, and what is said where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_parallelrun.report.figures import forecast_plot
from pytest_parallelrun.report.forecast import between, forecast_sentences, forecast_tables, forecast_title
from pytest_parallelrun.report.terminal import summary_lines
from tests.report.reports import record, report

RESOURCES: dict[str, Any] = {
    "problem": "",
    "init_memory": 100 * 1024**2,
    "run_memory": 200 * 1024**2,
    "cores": 1.5,
    "mini_batches": 20,
    "largest_concurrency": None,
    "limited_by": "",
    "concurrency": 4,
}
FORECAST: dict[str, Any] = {
    "size": "250GB",
    "items": 1_000_000.4,
    "noun": "row",
    "mini_batches": 2_000,
    "draws": 200,
    "configurations": [
        {
            "label": label,
            "instance_count": nodes,
            "max_concurrency_per_instance": 4,
            "workers": 4 * nodes,
            "mini_batches": 2_000,
            "wall": [3_000.0, 3_661.0, 4_000.0],
            "worker_hours": [0.5, 1.0, 20.0],
            "node_hours": [1.0, 1.0, 1.0],
            "ending": [0.0, 30.0, 90.0],
        }
        for label, nodes in (("as set", 2), ("", 4))
    ],
    "attempts": [2_000, 2_000, 2_100],
    "retries": [0, 0, 100],
    "timeout_share": [0.0, 0.0, 0.0123],
    "stragglers": [1, 2, 3],
    "thresholds": [{"name": "error_threshold", "limit": 5, "probability": 0.25, "low": 0.0, "high": 1.0}],
    "recommendation": [{"setting": "timeout", "set": "60", "recommended": "90", "reason": "slow"}],
    "inputs": [
        {"name": "run_time", "title": "run()", "unit": "seconds", "values": [0.1, 0.2, 0.3], "origin": "measured"},
        {"name": "", "title": "spread", "unit": "share", "values": [2.5, 2.5, 2.5], "origin": "measured"},
    ],
    "resources": RESOURCES,
    "notes": ["a note"],
}


def test_the_title_has_size_and_mini_batches() -> None:
    rest = "about 1,000,000 rows, in 2,000 mini-batches"
    assert forecast_title(FORECAST) == f"forecast of the full job: a table of 250GB, {rest}"
    in_bytes = {**FORECAST, "size": "5000000"}
    assert forecast_title(in_bytes) == f"forecast of the full job: a table of 5,000,000 bytes, {rest}"


def test_the_sentences_have_the_middle_and_the_range() -> None:
    said = "\n".join(forecast_sentences(FORECAST))
    assert said.startswith("wall time 61 min (50 to 67) with the settings of the job; brackets have the 5th and 95th ")
    assert "percentiles of 200 simulated jobs" in said
    assert "attempts: 2,000 (2,000 to 2,100); retries: 0 (0 to 100)" in said
    assert "reach the timeout: 0 % (0 to 1.2)" in said
    assert (
        "error_threshold=5 is exceeded with a probability of 25 %; after this sample it may be 0 % to 100 %. The job "
        "then ends early: other numbers are those of a job without the threshold"
    ) in said
    assert "100 MB in init(), and in run() up to 200 MB and 1.5 cores, measured in a worker process" in said
    assert "the first idle worker waits 30 s (0 to 90) for the last mini-batch" in said


@pytest.mark.parametrize(
    ("values", "unit", "text"),
    [
        ([0.0118, 0.0146, 0.0172], "seconds", "15 ms (12 to 17)"),
        ([4e-7, 4e-7, 4e-7], "seconds", "less than 0.1 ms"),
        ([0, 2e-5, 0.5], "seconds", "0.02 ms (0 to 500)"),
        ([119.97, 119.97, 119.97], "seconds", "120 s"),
        ([50_000, 88_000, 130_000], "seconds", "24 h (14 to 36)"),
        ([1_234_500, 2_000_000, 3_000_000], "seconds", "23 days (14 to 35)"),
        ([0.007, 0.527, 0.995], "share", "53 % (0.7 to 100)"),
        ([400, 400.0, 400], "rate", "400 per second"),
        ([9.96, 9.98, 10.2], "number", "10"),
        ([0.1967, 0.256, 0.2757], "number", "0.26 (0.2 to 0.28)"),
        ([0, 0, 0], "number", "0"),
    ],
)
def test_numbers_have_the_digits_that_can_be_known(values: list[float], unit: str, text: str) -> None:
    assert between(values, unit) == text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "give node_memory=64GB and node_cores=16 to see how many workers fit on a node"),
        (
            {"largest_concurrency": 3, "limited_by": "cores"},
            "3 workers fit on a node, limited by its cores, and max_con",
        ),
        ({"largest_concurrency": 8, "limited_by": "memory"}, "8 workers fit on a node, limited by its memory"),
        ({"largest_concurrency": 0, "limited_by": "memory"}, "not even one fits into the memory of a node"),
        ({"cores": 0.01}, "200 MB and 0.1 cores, measured"),
        ({"cores": None}, "probably one core (it is too short to measure)"),
        ({"problem": "Windows"}, "were not measured: Windows"),
    ],
)
def test_memory_and_cores(changes: dict[str, Any], said: str) -> None:
    assert said in "\n".join(forecast_sentences({**FORECAST, "resources": {**RESOURCES, **changes}}))


def test_without_a_threshold_nothing_ends_the_job() -> None:
    assert "no threshold is set" in "\n".join(forecast_sentences({**FORECAST, "thresholds": []}))


def test_the_tables() -> None:
    nodes, settings, inputs = forecast_tables(FORECAST)
    assert nodes.rows[0] == ("2 x 4 (as set)", "61 min (50 to 67)", "1 (0.5 to 20)")
    assert settings.rows == [("timeout", "60", "90", "slow")]
    assert [row[1] for row in inputs.rows] == ["200 ms (100 to 300)", "250 %"]


def test_the_plot_has_a_line_for_each_configuration() -> None:
    drawn = forecast_plot(FORECAST)
    assert drawn.count('class="counted"') == drawn.count("<title>") == 2
    assert "2 x 4 as set: 61 min (50 to 67)" in drawn


@pytest.mark.parametrize(("verbosity", "shown"), [(0, "recommended settings"), (-1, "wall time 61 min")])
def test_the_summary_has_it_and_quietly_its_wall_time(verbosity: int, shown: str) -> None:
    made = report(record())
    made.forecast = FORECAST
    lines = [line.text for line in summary_lines(made, width=100, verbosity=verbosity)]
    assert any(shown in line for line in lines)
    assert ("note: a note" in "\n".join(lines)) == (verbosity == 0)


def test_quietly_a_line_that_is_too_wide_is_not_cut() -> None:
    made = report(record())
    made.forecast = FORECAST
    quiet = [line.text.strip() for line in summary_lines(made, width=50, verbosity=-1)]
    assert " ".join(quiet).endswith("5th and 95th percentiles of 200 simulated jobs")


def test_in_a_narrow_terminal_long_texts_are_below_their_row() -> None:
    made = report(record())
    made.forecast = {**FORECAST, "recommendation": [{**FORECAST["recommendation"][0], "reason": "slow " * 20}]}
    lines = [line.text for line in summary_lines(made, width=80)]
    place = lines.index("      timeout  60   90")
    assert lines[place + 1].startswith("        slow slow")
    assert max(map(len, lines)) <= 80


def test_without_a_forecast_the_reason_is_told() -> None:
    made = report(record())
    made.forecast = {"problem": "nothing was measured"}
    assert "no forecast: nothing was measured" in "\n".join(line.text for line in summary_lines(made))
