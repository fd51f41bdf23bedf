"""Whether forecasts keep their promise: jobs whose distributions are known, each forecast from 20 mini-batches.

    python -m tests.forecast.study [JOBS]

A forecast must cover the wall time that the job then has, in 90 % of the jobs, and its interval must be no wider than
needed. Whoever knows the true distribution, and only estimates its scale from the same 20 mini-batches, has the
interval of `oracle`: it cannot be much narrower, because the mean of 20 run times is only known to 1 / sqrt(20) of
their spread, while that of the 2,000 of the job varies by a tenth of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice, product

import numpy as np

from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.forecast.request import Range
from pytest_parallelrun.forecast.sample import Sample, draw
from pytest_parallelrun.forecast.simulation import Course, Shape, simulate_by_work, simulate_exactly

MINI_BATCHES, OBSERVED, DRAWS, INIT = 2_000, 20, 200, 5.0
GIVEN = {"node_start": Range(0, 0), "overhead": Range(0.05, 0.05), "scheduling_rate": Range(400, 400)}
SETTINGS = JobSettings(timeout=3600, max_retries=3)
SHAPE = Shape(
    instances=2,
    concurrency=4,
    items=10,
    kind="files",
    settings=SETTINGS,
    mini_batches=MINI_BATCHES,
)

Times = Callable[[np.random.Generator, int], np.ndarray]


def bimodal(share: float) -> Times:
    """Most take about 1, a share of them about 10."""

    def times(rng: np.random.Generator, number: int) -> np.ndarray:
        scale = np.where(rng.random(number) < share, 10.0, 1.0)
        return scale * rng.lognormal(0, 0.2, number)

    return times


DISTRIBUTIONS: dict[str, Times] = {
    "lognormal 0.3": lambda rng, number: rng.lognormal(0, 0.3, number),
    "lognormal 0.7": lambda rng, number: rng.lognormal(0, 0.7, number),
    "lognormal 1.2 (heavy tail)": lambda rng, number: rng.lognormal(0, 1.2, number),
    "Pareto 2.5 (heavy tail)": lambda rng, number: rng.pareto(2.5, number) + 1,
    "gamma 4": lambda rng, number: rng.gamma(4, 1, number),
    "exponential": lambda rng, number: rng.exponential(1, number),
    "uniform": lambda rng, number: rng.uniform(0.5, 1.5, number),
    "bimodal 20 %": bimodal(0.2),
    "bimodal 30 %": bimodal(0.3),
}
FAILURES = {"no failures": (0.0, 0.0), "2 %, gone at a retry": (0.02, 0.1), "10 %, half of them for good": (0.1, 0.5)}
"""Share of first attempts that fail, and of retries."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job whose distributions are known. scale: seconds."""

    distribution: str
    failures: str
    scale: float
    seed: int

    def course(self, rng: np.random.Generator, number: int) -> Course:
        fails, again = FAILURES[self.failures]
        failures = (rng.random(number) < fails).astype(int)
        for _ in range(SETTINGS.max_retries):
            failures += (failures > 0) & (rng.random(number) < again) & (failures == failures.max())
        seconds = self.scale * DISTRIBUTIONS[self.distribution](rng, number)
        return Course(
            seconds=seconds,
            failures=failures,
            short=np.zeros(number, bool),
            lost=1.0,
            node_start=(0.0, 0.0),
            init=INIT,
            overhead=0.05,
            scheduling_rate=400,
        )

    def sample(self, rng: np.random.Generator) -> Sample:
        """What the gate would see of 20 of its mini-batches."""
        seen = self.course(rng, OBSERVED)
        retries = [min(int(number), SETTINGS.max_retries) for number in seen.failures if number]
        last_failed = sum(int(number) > SETTINGS.max_retries for number in seen.failures)
        return Sample(
            items=SHAPE.items,
            seconds=(seen.seconds / SHAPE.items).tolist(),
            tried=OBSERVED,
            failed=len(retries),
            retried=sum(retries),
            failed_again=sum(retries) - len(retries) + last_failed,
            init=(INIT,),
        )


def jobs(number: int) -> Iterator[Job]:
    """All combinations in turn."""
    combinations = cycle(product(DISTRIBUTIONS, FAILURES))
    for seed, (distribution, failures) in enumerate(islice(combinations, number)):
        scale = float(np.random.default_rng(seed).uniform(1, 30))
        yield Job(distribution=distribution, failures=failures, scale=scale, seed=seed)


def forecast_of(sample: Sample, draws: int = DRAWS) -> tuple[float, float]:
    """The 90 % interval of the wall time."""
    known = draw(sample, GIVEN, draws)
    courses = (known.course(each, MINI_BATCHES, SHAPE.items, 2, max_attempts=4) for each in range(draws))
    walls = [simulate_by_work(course, [SHAPE])[0].wall for course in courses]
    low, high = np.quantile(walls, [0.05, 0.95])
    return float(low), float(high)


@cache
def oracle(distribution: str, failures: str) -> tuple[float, float]:
    """The 90 % interval, as multiples of the mean of 20 mini-batches, of who knows the distribution."""
    job = Job(distribution=distribution, failures=failures, scale=10.0, seed=0)
    rng = np.random.default_rng(1)
    ratios = []
    for _ in range(300):
        mean = job.course(rng, OBSERVED).seconds.mean()
        ratios.append(simulate_by_work(job.course(rng, MINI_BATCHES), [SHAPE])[0].wall / mean)
    low, high = np.quantile(ratios, [0.05, 0.95])
    return float(low), float(high)


@cache
def known_parameters(distribution: str, failures: str) -> float:
    """The width of the 90 % interval of who knows the parameters as well, as a multiple of the scale."""
    job = Job(distribution=distribution, failures=failures, scale=10.0, seed=0)
    rng = np.random.default_rng(2)
    walls = [simulate_by_work(job.course(rng, MINI_BATCHES), [SHAPE])[0].wall for _ in range(200)]
    low, high = np.quantile(walls, [0.05, 0.95])
    return float(high - low) / job.scale


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """covered: whether the wall time was in the interval.

    relative, absolute: its width over that of `oracle` and of who knows the parameters as well.
    """

    job: Job
    covered: bool
    relative: float
    absolute: float


def outcome_of(job: Job, draws: int = DRAWS) -> Outcome:
    """One job: its sample, its forecast, and what it takes with the real scheduler."""
    rng = np.random.default_rng((job.seed, 7))
    sample = job.sample(rng)
    low, high = forecast_of(sample, draws)
    wall = simulate_exactly(job.course(rng, MINI_BATCHES), SHAPE).wall
    least, most = oracle(job.distribution, job.failures)
    mean = sample.mean * SHAPE.items
    return Outcome(
        job=job,
        covered=low <= wall <= high,
        relative=(high - low) / ((most - least) * mean),
        absolute=(high - low) / (known_parameters(job.distribution, job.failures) * job.scale),
    )


def main(number: int) -> None:
    outcomes = [outcome_of(job) for job in jobs(number)]
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        for name in (outcome.job.distribution, outcome.job.failures, "all"):
            groups.setdefault(name, []).append(outcome)
    print(f"{'':30}{'jobs':>6}{'covered':>9}{'width':>7}{'known parameters':>18}")
    for name, group in groups.items():
        covered = np.mean([outcome.covered for outcome in group])
        relative = np.mean([outcome.relative for outcome in group])
        absolute = np.mean([outcome.absolute for outcome in group])
        print(f"{name:30}{len(group):>6}{covered:>9.1%}{relative:>7.2f}{absolute:>18.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
