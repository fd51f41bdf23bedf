"""A mini-batch takes more than half of its timeout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.dependence.run_time import MARGIN, fix_of, rounded, run_time, safe_timeout
from pytest_parallelrun.contract.entry.preconditions import skip_without_results, skip_without_worker
from pytest_parallelrun.contract.finding import Finding
from pytest_parallelrun.contract.phrases import shown_for
from pytest_parallelrun.emulator.events import SHORTEST, seconds_text
from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.dependence.run_time import RunTimeModel
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.events import Failure


def test_fits_timeout(
    parallelrun_observations: Observations, parallelrun_baseline: Baseline, parallelrun_check: Check
) -> None:
    """A mini-batch of the configured size takes at most half its timeout."""
    __tracebackhide__ = True
    settings = parallelrun_observations.entry.settings
    limit = float(settings.timeout)
    over = next((attempt for attempt in parallelrun_baseline.result.attempts if attempt.outcome == "timeout"), None)
    with skip_without_worker(parallelrun_check):
        model = run_time(parallelrun_observations)
    if model is None and over is None:
        skip_without_results(parallelrun_baseline, parallelrun_check)
    if model is not None:
        parallelrun_check.measured(
            _figures(model, limit),
            noun=model.noun,
            per_item=model.per_item,
            at_once=model.at_once,
            is_solid=model.is_solid,
            is_least=model.cut is not None,
            full_size=model.full_size,
            largest_size=rounded(model.items_within(limit / MARGIN)),
            smallest_timeout=safe_timeout(model.seconds(model.full_size)),
            margin=MARGIN,
        )
    if over is not None:
        parallelrun_check.advise(
            Finding(
                what=f"run() takes longer than timeout = {limit:g} s for mini-batch {over.mini_batch.id} of the "
                f"sample, of {count_text(over.mini_batch.size, 'item')}.",
                location=parallelrun_baseline.location_of(over),
                counts="" if model is None else _figures(model, limit),
                service=shown_for("timeout"),
                fix=_fix_of_a_timeout(model, limit, over.failure, partitions=bool(settings.partition_keys)),
            )
        )
        return
    assert model is not None
    slowest = max(attempt.running for attempt in parallelrun_baseline.result.attempts)
    expected = max(model.seconds(model.full_size) if model.is_solid or model.cut else 0.0, slowest)
    if expected * MARGIN > limit:
        parallelrun_check.advise(
            Finding(
                what=f"A mini-batch takes {'at least' if model.cut else 'about'} {seconds_text(expected)}, and timeout "
                f"is {limit:g} s: {limit / expected:.2g} times the time needed, where less than {MARGIN} leaves no "
                "margin.",
                counts=_figures(model, limit),
                service=shown_for("timeout"),
                fix=fix_of(model, limit, expected),
            )
        )


def _figures(model: RunTimeModel, limit: float) -> str:
    """Cost, headroom, the largest safe size and the smallest safe timeout in one line."""
    full, per_item = model.seconds(model.full_size), model.per_item
    sizes = ", ".join(f"{size:,}" for size in model.sizes)
    measured = f"measured with {sizes} {model.noun}{'' if model.sizes == (1,) else 's'} on this machine"
    if model.cut:
        size, spent = model.cut
        measured = f"as a mini-batch of {count_text(size, model.noun)} ran into its limit of {seconds_text(spent)}"
    factor = f"{'at most ' if model.cut else ''}{_factor_text(limit / max(full, 1e-9))} the time needed"
    return (
        f"{_bound_text(model, per_item)} per {model.noun}"
        + (f" and {seconds_text(model.at_once)} per mini-batch" if model.is_solid else "")
        + f", {measured}; a mini-batch of {model.full_size:,} takes {_bound_text(model, full)} of timeout {limit:g} s "
        f"({factor}); largest {model.sized_by or 'partition'} with a margin of {MARGIN}: {_largest(model, limit)}; "
        f"smallest timeout: {'above ' if model.cut else ''}{safe_timeout(full)} s"
    )


def _bound_text(model: RunTimeModel, seconds: float) -> str:
    return f"{model.qualifier if seconds >= SHORTEST else ''}{seconds_text(seconds)}"


def _largest(model: RunTimeModel, limit: float) -> str:
    items = model.items_within(limit / MARGIN)
    if items < 1:
        return f"none, one {model.noun} takes too long"
    text = f"{rounded(items):,} {model.noun}{'s' if items > 1 else ''}"
    if model.bytes_per_item:
        text += f" (about {max(1, int(rounded(items) * model.bytes_per_item / 1024)):,} KB)"
    return f"at most {text}" if model.cut else text if model.is_solid else f"{text} or more"


def _fix_of_a_timeout(model: RunTimeModel | None, limit: float, failure: Failure | None, *, partitions: bool) -> str:
    if model is not None and model.seconds(model.full_size) >= limit:
        return fix_of(model, limit, model.seconds(model.full_size), failure if model.in_time else None)
    # The measurements do not explain it.
    return ("use " if partitions else "use a smaller mini_batch_size or ") + "a larger timeout, or make run() quicker"


def _factor_text(factor: float) -> str:
    return f"{rounded(int(factor)):,} times" if factor >= 10 else f"{factor:.2g} times"
