"""What makes the gates inside tests cheap; as a plugin, `-p tests.light`, also those in other processes.

.ci/gate_examples.py gates the corpus without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis
import pytest

from pytest_parallelrun.contract.confirmation import Confirmation
from pytest_parallelrun.contract.entry.observations import Observations
from pytest_parallelrun.contract.generation import examples
from pytest_parallelrun.strategies import Sample

if TYPE_CHECKING:
    from pytest_parallelrun.contract.generation.runner import Recipe

FEW = "few"
"""A profile for gates that are about something else than what Hypothesis finds."""
hypothesis.settings.register_profile(FEW, max_examples=3, derandomize=True, database=None)
SOME = "some"
"""A profile for the checks that Hypothesis drives."""
hypothesis.settings.register_profile(SOME, max_examples=examples.EXAMPLES, derandomize=True, database=None)

ONE_OF = 10
"""The edge cases, which are most of what a whole gate executes."""

all_edge_cases = examples._edge_cases


def without_processes(patch: pytest.MonkeyPatch) -> None:
    """What a check finds is not asked again of worker processes, which takes seconds: test_confirmation.py does."""
    patch.setattr(Confirmation, "_possible", False)
    patch.setattr(Observations, "comparing_processes", lambda self: self)


def with_few_edge_cases(patch: pytest.MonkeyPatch) -> None:
    def few(sample: Sample, most: int) -> tuple[Recipe, ...]:
        return all_edge_cases(sample, most)[::ONE_OF]

    patch.setattr(examples, "_edge_cases", few)


def pytest_configure() -> None:
    patch = pytest.MonkeyPatch()
    without_processes(patch)
    with_few_edge_cases(patch)
