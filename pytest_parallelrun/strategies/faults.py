"""Plans of faults that can all happen: no attempt is addressed that the job would not make."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.faults import Fault, FaultKind
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.strategies.sample import check_names, check_whole_number, invalid

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

PAYLOADS: dict[FaultKind, tuple[object, ...]] = {
    "raises": (ValueError, OSError, KeyError, MemoryError),
    "times_out": (None,),
    "crashes": (None,),
    "returns": (None, [], "text"),
    "drops": (1, 2),
    "delivers_twice": (None,),
    "load_fails": (None,),
}
"""What faults of each kind raise or return, or the number of results they drop."""
DEFAULT_KINDS: tuple[FaultKind, ...] = tuple(PAYLOADS)
FAULT_KINDS: tuple[FaultKind, ...] = (*DEFAULT_KINDS, "init_raises")
MAX_FAILED_INITS = 2
"""A third one ends an instance with one worker (article on debugging the ParallelRunStep)."""
_NO_SETTINGS = JobSettings()


def fault_plans(
    mini_batches: int,
    *,
    settings: JobSettings = _NO_SETTINGS,
    kinds: Sequence[FaultKind] = DEFAULT_KINDS,
    max_faults: int = 5,
) -> SearchStrategy[tuple[Fault, ...]]:
    """Faults for a job, each at one attempt at one mini-batch, to be given to a job as `faults`.

    mini_batches: how many the job has, each of one item at least.
    settings: those of the job: `max_retries` says how many attempts there are, the rule `short_return` whether one
        that returns too little is the last one.
    kinds: names of the class methods of Fault that may be drawn; "init_raises" only where it is named.
    max_faults: how many faults a plan has at most; the smallest plan has none.

    All of them fire, unless a threshold ends the job before: a later attempt has a fault only where all before it
    have one that fails, and there is none after `drops` and `delivers_twice`, where the script decides.

    >>> fault_plans(3, kinds=["raises"]).example()  # doctest: +SKIP
    (Fault.raises(OSError, mini_batch=2, attempt=1), Fault.raises(OSError, mini_batch=2, attempt=2))
    """
    from hypothesis import strategies as st

    check_whole_number("mini_batches", mini_batches, 1)
    check_whole_number("max_faults", max_faults, 0)
    check_names("kinds", kinds, FAULT_KINDS)
    if not isinstance(settings, JobSettings):
        raise invalid(f"settings={settings!r}: give a JobSettings object.")

    @st.composite
    def drawn(draw: DrawFn) -> tuple[Fault, ...]:
        return draw_faults(draw, mini_batches, settings, kinds, max_faults)

    return drawn()


def draw_faults(
    draw: DrawFn, mini_batches: int, settings: JobSettings, kinds: Sequence[FaultKind], max_faults: int
) -> tuple[Fault, ...]:
    """A plan as in `fault_plans()`, for a number of mini-batches that was drawn."""
    from hypothesis import strategies as st

    plan: list[Fault] = []
    if "init_raises" in kinds:
        # Workers are numbered as they start, so the first ones always exist.
        failing = draw(st.integers(0, min(MAX_FAILED_INITS, max_faults)))
        plan += [Fault.init_raises(worker=worker) for worker in range(failing)]
    tries = settings.max_retries + 1
    made: dict[int, int] = {}
    for mini_batch, times, kind in draw(_hits(mini_batches, tries, tuple(kinds), max_faults)):
        payload = draw(st.sampled_from(PAYLOADS[kind]))
        for _ in range(times):
            attempt = made.get(mini_batch, 0) + 1
            if attempt > tries or len(plan) == max_faults:
                break
            plan.append(Fault(kind=kind, mini_batch=mini_batch, attempt=attempt, payload=copy.copy(payload)))
            made[mini_batch] = tries if _may_be_last(plan[-1], settings) else attempt
    return tuple(plan)


@functools.lru_cache
def _hits(
    mini_batches: int, tries: int, kinds: tuple[FaultKind, ...], max_faults: int
) -> SearchStrategy[list[tuple[int, int, FaultKind]]]:
    """Mini-batches that are hit, the number of consecutive attempts, and the kinds."""
    from hypothesis import strategies as st

    at_attempts = [kind for kind in kinds if kind in PAYLOADS]
    if not at_attempts:
        return st.builds(list)
    hit = st.tuples(st.integers(0, mini_batches - 1), st.integers(1, tries), st.sampled_from(at_attempts))
    return st.lists(hit, max_size=max_faults)


def _may_be_last(fault: Fault, settings: JobSettings) -> bool:
    """Whether the attempt with this fault may end its mini-batch although retries are left."""
    if fault.kind == "returns":
        return fault.payload == [] and settings.rules.short_return == "items_only"
    return fault.kind in ("drops", "delivers_twice")
