"""What the attempts at the sample tell about the full job, and what is drawn from it.

A sample of 20 mini-batches does not give the mean run time or the failure rate of a job, but a range of them. Each draw
is one job that is compatible with the sample: its mean, the shape around it, its failure rate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_parallelrun.forecast.request import ASSUMPTIONS, Range
from pytest_parallelrun.forecast.simulation import Course

if TYPE_CHECKING:
    import numpy as np

    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.result import JobResult

CANDIDATES = 2_000
"""Means that are drawn; a simulation uses as many of them as it has draws, evenly spaced."""
MAX_T = 6.0
"""Of the bootstrap: a sample that happens to have no spread would give an infinite one."""
FEW = 5
"""Mini-batches below which the bootstrap has nothing to draw from."""
MIN_WARM = 8
"""Warm attempts with which the first one of each worker is left out."""
TABLE = 2**16
"""Values of a distribution that is drawn from, so that two bytes select one."""
LEAST = 1e-6
"""Seconds of an attempt."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """items: of its mini-batches, on average. seconds: for an item, one value for each mini-batch that returned.

    tried, failed, timed_out: mini-batches with a first attempt, those whose first attempt failed, and those whose
    first attempt ran into the timeout. retried, failed_again: the same of retries. short, lost: how many of the failed
    returned too few results, and the share of their items that was lost. warm_up: seconds that the first call of
    run() takes more than others. init: seconds from the start of a worker to the end of init().
    """

    items: float
    seconds: Sequence[float]
    tried: int
    failed: int = 0
    timed_out: int = 0
    retried: int = 0
    failed_again: int = 0
    short: int = 0
    lost: float = 1.0
    warm_up: float = 0.0
    init: Sequence[float] = (0.0,)

    @property
    def mean(self) -> float:
        """Seconds for an item."""
        return sum(self.seconds) / len(self.seconds)

    @property
    def spread(self) -> float:
        """Standard deviation of the seconds of a mini-batch, as a share of their mean; 0 of a single one."""
        if len(self.seconds) < 2 or not self.mean:
            return 0.0
        square = sum((each - self.mean) ** 2 for each in self.seconds) / (len(self.seconds) - 1)
        return math.sqrt(square) / self.mean


def sample_of(result: JobResult, init: Sequence[float] = ()) -> Sample | None:
    """None if no attempt returned anything. init: seconds that were measured in worker processes, if they were."""
    first: dict[int, AttemptEnded] = {}
    again: list[AttemptEnded] = []
    cold: dict[int, AttemptEnded] = {}
    for attempt in result.attempts:
        cold.setdefault(attempt.worker, attempt)
        if attempt.number > 1:
            again.append(attempt)
        else:
            first.setdefault(attempt.mini_batch.id, attempt)
    returned = [one for one in first.values() if one.returned is not None] or [
        one for one in again if one.returned is not None
    ]
    if not returned:
        return None
    # The last mini-batch of a folder is smaller; what run() does once for each would weigh more in it.
    largest = max(one.mini_batch.size for one in returned)
    full = [one for one in returned if 2 * one.mini_batch.size > largest]
    warm = [one for one in full if one is not cold[one.worker]]
    warm_up = 0.0
    if len(warm) >= MIN_WARM:
        usual = sum(map(_per_item, warm)) / len(warm)
        firsts = [_per_item(one) - usual for one in full if one is cold[one.worker]]
        warm_up = max(0.0, *firsts, 0.0) * largest
        full = warm
    short = [one for one in first.values() if one.outcome == "short"]
    lost = [1 - (one.returned or 0) / one.mini_batch.size for one in short]
    return Sample(
        items=sum(one.mini_batch.size for one in full) / len(full),
        seconds=[max(_per_item(one), LEAST / one.mini_batch.size) for one in full],
        tried=len(first),
        failed=sum(one.outcome != "succeeded" for one in first.values()),
        timed_out=sum(one.outcome == "timeout" for one in first.values()),
        retried=len(again),
        failed_again=sum(one.outcome != "succeeded" for one in again),
        short=len(short),
        lost=sum(lost) / len(lost) if lost else 1.0,
        warm_up=warm_up,
        init=tuple(init) or tuple(_starts(result)),
    )


def _per_item(attempt: AttemptEnded) -> float:
    return (attempt.loading + attempt.running) / attempt.mini_batch.size


def _starts(result: JobResult) -> Sequence[float]:
    """Only the first worker of a process imports packages."""
    from pytest_parallelrun.emulator.events import WorkerStarted

    return [event.duration for event in result.events.others if isinstance(event, WorkerStarted)][:1] or [0.0]


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Full jobs that are compatible with the sample, one for each index.

    mean: seconds for an item. spread: of the logarithm of a mini-batch's seconds, nan where the mini-batches of the
    sample are drawn again. fails, times_out, fails_again: probabilities; the first two are those of
    a mini-batch with rated_items. given: ranges of the other values.
    """

    sample: Sample
    mean: np.ndarray
    spread: np.ndarray
    fails: np.ndarray
    times_out: np.ndarray
    fails_again: np.ndarray
    rated_items: float
    given: Mapping[str, Range]

    def course(self, index: int, mini_batches: int, items: float, nodes: int, *, max_attempts: int) -> Course:
        """What happens in a job of that many mini-batches of so many items."""
        import numpy as np

        rng = np.random.default_rng((index, 18))
        seconds = self._shape(rng, index, mini_batches, items)
        seconds *= self.mean[index] * items
        # An item fails its mini-batch: with more items in it, more mini-batches fail.
        ratio = items / self.rated_items
        if self.times_out[index]:
            seconds[rng.random(mini_batches) < 1 - (1 - self.times_out[index]) ** ratio] = np.inf
        failures, short = np.zeros(mini_batches, np.int16), np.zeros(mini_batches, bool)
        places = np.flatnonzero(rng.random(mini_batches) < 1 - (1 - self.fails[index]) ** ratio)
        sample = self.sample
        short[places] = rng.random(len(places)) < sample.short / max(sample.failed, 1)
        failures[places] = 1
        for _ in range(max_attempts - 1):
            places = places[rng.random(len(places)) < self.fails_again[index]]
            failures[places] += 1
        node_start = self._value("node_start", rng, nodes)
        init = self._value("init_time", rng, 1)[0] if "init_time" in self.given else rng.choice(sample.init)
        overhead, rate = (float(self._value(name, rng, 1)[0]) for name in ("overhead", "scheduling_rate"))
        return Course(
            seconds=seconds,
            failures=failures,
            short=short,
            lost=sample.lost,
            node_start=tuple(map(float, node_start)),
            init=float(init) + sample.warm_up,
            overhead=overhead,
            scheduling_rate=rate,
        )

    def _value(self, name: str, rng: np.random.Generator, number: int) -> np.ndarray:
        return rng.uniform(*self.given[name], size=number)

    def _shape(self, rng: np.random.Generator, index: int, number: int, items: float) -> np.ndarray:
        """Seconds relative to their mean. More items in a mini-batch even each other out."""
        import numpy as np

        narrower = math.sqrt(self.sample.items / items)
        spread = float(self.spread[index]) * narrower
        observed: np.ndarray | None = None
        if math.isnan(spread):
            known = np.asarray(self.sample.seconds) ** narrower
            # A table to draw from, as choosing by weight is slow.
            known = np.repeat(known, rng.multinomial(TABLE, rng.dirichlet(np.ones(len(known)))))
            observed = (known / known.mean()).astype(np.float32)[rng.integers(0, TABLE, number, np.uint16)]
            # Blurred, because no mini-batch of the job takes exactly what one of the sample took.
            spread = _log_spread(self.sample.seconds) * len(self.sample.seconds) ** -0.2 * narrower / 2
        noise = rng.standard_normal(number, np.float32)
        noise *= np.float32(spread)
        noise -= np.float32(spread**2 / 2)
        np.exp(noise, out=noise)
        return noise if observed is None else np.multiply(noise, observed, out=noise)


def draw(sample: Sample, given: Mapping[str, Range], draws: int, *, items: float | None = None, seed: int = 0) -> Draws:
    """So many jobs that are compatible with the sample and with what was given for mini-batches of so many items."""
    import numpy as np

    rng = np.random.default_rng(seed)
    known = {name: entry.default for name, entry in ASSUMPTIONS.items() if entry.default is not None} | dict(given)
    if "run_time" in given:
        mean = rng.uniform(*given["run_time"], size=draws)
    else:
        # Evenly spaced among many: few draws then have the percentiles of many.
        mean = np.sort(_means(rng, np.asarray(sample.seconds, float)))
        mean = mean[((np.arange(draws) + 0.5) / draws * len(mean)).astype(int)]
    observed = len(sample.seconds)
    spread = np.full(draws, np.nan)
    if observed > 2:
        # Half of the draws have the tail of a lognormal distribution, which may be longer than what was seen.
        deviation = _log_spread(sample.seconds) * np.sqrt((observed - 1) / rng.chisquare(observed - 1, draws))
        spread[::2] = np.minimum(deviation, 2.0)[::2]
    rated_items = sample.items
    times_out = _rate(rng, sample.timed_out, sample.tried, draws) if sample.timed_out else np.zeros(draws)
    if "failure_rate" in given:
        # Timeouts keep their share of the failures.
        rate, share = rng.uniform(*given["failure_rate"], size=draws), sample.timed_out / max(sample.failed, 1)
        fails, times_out = rate * (1 - share), rate * share
        rated_items = items or sample.items
    elif sample.failed:
        fails = _rate(rng, sample.failed - sample.timed_out, sample.tried, draws)
    else:
        fails = _rate(rng, 0, sample.tried, draws)
        # As many draws as this says, by chance: their percentiles would differ from run to run.
        fails[: round(draws * _never(sample.tried))] = 0.0
        rng.shuffle(fails)
    if "retry_failure_rate" in given:
        fails_again = rng.uniform(*given["retry_failure_rate"], size=draws)
    else:
        fails_again = _rate(rng, sample.failed_again, sample.retried, draws)
    return Draws(
        sample=sample,
        mean=mean,
        spread=spread,
        fails=fails,
        times_out=times_out,
        fails_again=fails_again,
        rated_items=rated_items,
        given=known,
    )


def _rate(rng: np.random.Generator, events: int, trials: int, draws: int) -> np.ndarray:
    """A probability, after so many events (Jeffreys)."""
    return rng.beta(events + 0.5, trials - events + 0.5, draws)


def _never(trials: int) -> float:
    """The probability that nothing ever fails, after so many trials without a failure.

    Half of all scripts are assumed to be such; of the others a rate is not known before.
    """
    of_others = math.exp(math.lgamma(trials + 0.5) - math.lgamma(trials + 1)) / math.sqrt(math.pi)
    return 1 / (1 + of_others)


def _log_spread(seconds: Sequence[float]) -> float:
    import numpy as np

    return float(np.log(seconds).std(ddof=1)) if len(seconds) > 1 else 0.0


def _means(rng: np.random.Generator, seconds: np.ndarray) -> np.ndarray:
    """Means that the job may have: the bootstrap-t of Hall, which leans to the side of the long tail.

    Its statistic is widened by 2 / n, for what a small sample hides.
    """
    import numpy as np

    number, mean = len(seconds), seconds.mean()
    if number == 1:
        # Nothing shows the spread: a factor of 5 either way.
        return np.asarray(mean * np.exp(rng.standard_normal(CANDIDATES)))
    error = seconds.std(ddof=1) / math.sqrt(number)
    if number < FEW:
        factor = np.clip(rng.standard_t(number - 1, CANDIDATES), -MAX_T, MAX_T) * error / mean
        return np.asarray(mean * np.exp(factor))
    chosen = seconds[rng.integers(0, number, (CANDIDATES, number))]
    errors = np.maximum(chosen.std(axis=1, ddof=1) / math.sqrt(number), 1e-12)
    statistic = np.clip((chosen.mean(axis=1) - mean) / errors, -MAX_T, MAX_T) * (1 + 2 / number)
    return np.asarray(np.maximum(mean - statistic * error, seconds.min()))
