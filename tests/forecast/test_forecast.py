from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.forecast.forecast import forecast, recommend
from pytest_parallelrun.forecast.request import FullJob, read_request
from pytest_parallelrun.forecast.resources import Resources
from pytest_parallelrun.forecast.sample import Sample, draw

GB = 1024**3
MEASURED = Resources(init_memory=GB, run_memory=2 * GB, cores=1.0, init=(10.0,), mini_batches=20)


def prepared(
    size: int = 3_000,
    seconds: float = 0.1,
    options: tuple[str, ...] = (),
    sample: dict[str, Any] | None = None,
    **settings: Any,
) -> tuple[FullJob, Sample]:
    """A job whose files take so many seconds each, in mini-batches of ten, and what was seen of it."""
    times = (seconds * np.random.default_rng(0).lognormal(0, 0.3, 20)).tolist()
    request = read_request((text, "--parallelrun-forecast") for text in (str(size), *options))
    assert request is not None
    chosen = JobSettings(mini_batch_size=10, **settings)
    job = FullJob(request=request, settings=chosen, kind="files", bytes_per_item=0, items=10)
    return job, Sample(items=10, seconds=times, tried=20, init=(10.0,), **(sample or {}))


def made(**arguments: Any) -> dict[str, Any]:
    """The forecast of such a job."""
    return forecast(*prepared(**arguments), MEASURED, draws=20)


def test_it_has_the_settings_of_the_job_three_others_and_those_that_are_recommended() -> None:
    found = made(instance_count=2, max_concurrency_per_instance=3)
    nodes = [(each["instance_count"], each["label"]) for each in found["configurations"]]
    assert nodes[:4] == [(2, "as set"), (1, ""), (4, ""), (8, "")]
    assert nodes[4][1] == "recommended"
    for each in found["configurations"]:
        low, middle, high = each["wall"]
        assert 0 < low <= middle <= high
        assert each["worker_hours"][1] == pytest.approx(middle * each["workers"] / 3600)


def test_the_work_is_that_of_all_files_and_the_overhead_of_all_mini_batches() -> None:
    found = made(options=("node_start=0", "run_time=0.1", "failure_rate=0"))
    assert found["configurations"][0]["wall"][1] == pytest.approx(10 + 3_000 * 0.1 + 300 * 0.05, rel=0.05)


def test_the_origin_of_each_input_is_told() -> None:
    inputs = {each["title"]: each for each in made(options=("init_time=3",))["inputs"]}
    origins = {each["name"]: each["origin"] for each in inputs.values()}
    assert origins["run_time"] == "measured in 20 mini-batches of the sample"
    assert origins["init_time"] == "given"
    assert "tuning guide" in origins["overhead"]
    assert origins["failure_rate"].startswith("0 of 20 mini-batches")


@pytest.mark.parametrize(
    ("sample", "settings", "expected"),
    [
        ({}, {"error_threshold": 5}, {"error_threshold": (0.0, 1.0)}),
        ({"failed": 10, "failed_again": 10, "retried": 10}, {"error_threshold": 5}, {"error_threshold": (1.0, 1.0)}),
        ({"failed": 10, "failed_again": 0, "retried": 10}, {"mini_batch_error_threshold": 250}, None),
        ({}, {"allowed_failed_percent": 90}, {"allowed_failed_percent": (0.0, 0.0)}),
        ({}, {}, {}),
    ],
    ids=["the sample cannot tell", "surely", "retries help", "percent", "none is set"],
)
def test_the_probability_that_a_threshold_is_exceeded(
    sample: dict[str, Any], settings: dict[str, Any], expected: dict[str, tuple[float, float]] | None
) -> None:
    thresholds = {each["name"]: (each["low"], each["high"]) for each in made(sample=sample, **settings)["thresholds"]}
    assert thresholds == (expected if expected is not None else {"mini_batch_error_threshold": (0.0, 0.0)})


@pytest.mark.parametrize(
    ("arguments", "setting", "value", "reason"),
    [
        ({"size": 10**6, "seconds": 0.001}, "mini_batch_size", "1000", "names do not fit"),
        ({"size": 10**5, "seconds": 0.1}, "mini_batch_size", "300", "tens of seconds are right"),
        ({"size": 10**5, "seconds": 2.0}, "mini_batch_size", "10", "as set: a mini-batch takes"),
        ({"size": 100, "seconds": 0.1}, "instance_count", "1", "more than a tenth of the worker hours"),
        ({"size": 10**5, "seconds": 2.0, "timeout": 60}, "timeout", "100", "slowest"),
        ({"size": 10**5, "seconds": 10**5}, "timeout", "259200", "the most that is allowed"),
        ({"size": 10**6, "seconds": 0.1, "sample": {"failed": 2}}, "mini_batch_size", "10", "fail more often"),
        ({"size": 100, "seconds": 0.1}, "mini_batch_size", "10", "with larger ones, a worker has fewer than 10"),
    ],
)
def test_a_recommendation_has_its_reason(arguments: dict[str, Any], setting: str, value: str, reason: str) -> None:
    job, sample = prepared(**arguments)
    rows = recommend(job, draw(sample, job.request.given, 20), MEASURED).rows
    (row,) = (row for row in rows if row["setting"] == setting)
    assert reason in str(row["reason"])
    assert row["recommended"] == value


@pytest.mark.parametrize(
    ("options", "largest", "limit"),
    [
        (("node_memory=16GB",), 7, "memory"),
        (("node_cores=4",), 4, "cores"),
        (("node_memory=16GB", "node_cores=4"), 4, "cores"),
        (("node_memory=1GB",), 0, "memory"),
        ((), None, ""),
    ],
)
def test_workers_that_fit_on_a_node(options: tuple[str, ...], largest: int | None, limit: str) -> None:
    resources = made(options=options)["resources"]
    assert (resources["largest_concurrency"], resources["limited_by"]) == (largest, limit)


@pytest.mark.parametrize(
    ("options", "settings", "instances", "concurrency"),
    [
        (("node_cores=4",), {"max_concurrency_per_instance": 2}, "as set: with more", "more are of no use"),
        (("node_cores=1",), {"instance_count": 2}, "with more", "as set: 1 fit on a node"),
        (("node_memory=1GB",), {"max_concurrency_per_instance": 2}, "as set: with more", "not even one fits"),
    ],
)
def test_the_reason_fits_what_is_recommended(
    options: tuple[str, ...], settings: dict[str, int], instances: str, concurrency: str
) -> None:
    reasons = [str(each["reason"]) for each in made(size=100, options=options, **settings)["recommendation"]]
    assert reasons[2].startswith(instances)
    assert reasons[3].startswith(concurrency)


def test_workers_that_need_more_cores_than_the_node_has_are_slower() -> None:
    options = ("node_start=0", "failure_rate=0", "node_cores=2")
    slow, quick = (made(options=options, max_concurrency_per_instance=number) for number in (8, 2))
    walls = [found["configurations"][0]["wall"][1] for found in (slow, quick)]
    assert walls[0] == pytest.approx(walls[1], rel=0.1)


def test_what_a_small_sample_cannot_show_is_told() -> None:
    notes = " ".join(made()["notes"])
    assert "no mini-batch of 20 failed" in notes
    assert "times are those of this machine" in notes
    assert "repair the script first" not in notes


def test_a_script_that_mostly_fails_is_to_be_repaired_first() -> None:
    found = made(sample={"failed": 20, "retried": 40, "failed_again": 40})
    assert "20 of 20 mini-batches of the sample failed at the first attempt: fix" in " ".join(found["notes"])
    origins = {each["name"]: each["origin"] for each in found["inputs"]}
    assert origins["retry_failure_rate"] == "40 of 40 later attempts of the sample failed"


def test_a_million_mini_batches_are_simulated_by_their_work() -> None:
    found = made(size=120_000)
    assert (found["mini_batches"], found["simulation"]) == (12_000, "work")
