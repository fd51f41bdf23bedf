"""A part of the study, see study.py: tests/benchmarks has the whole of it."""

from __future__ import annotations

import numpy as np

from tests.forecast.study import Job, outcome_of


def test_forecasts_cover_the_wall_time_and_are_not_wider_than_needed() -> None:
    jobs = [
        Job(distribution=name, failures="no failures", scale=10.0, seed=seed)
        for name in ("lognormal 0.7", "bimodal 30 %")
        for seed in range(3)
    ]
    outcomes = [outcome_of(job, draws=30) for job in jobs]
    assert sum(outcome.covered for outcome in outcomes) >= 4
    assert 0.7 < np.mean([outcome.relative for outcome in outcomes]) < 2
