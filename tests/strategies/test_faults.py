from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from pytest_parallelrun import Fault, JobSettings, ParallelJob
from pytest_parallelrun.strategies import fault_plans
from pytest_parallelrun.strategies.jobs import DEFAULT_KINDS, FAULT_KINDS
from tests.strategies.drawing import drawn, smallest

MINI_BATCHES = 3
ROW_BYTES = 2


def run(faults: tuple[Fault, ...], chosen: JobSettings, results: int = 1) -> None:
    """A job of MINI_BATCHES rows, a mini-batch each; a fault that cannot fire raises."""
    entry = SimpleNamespace(run=lambda table: list(range(results)))
    table = pd.DataFrame({"x": range(MINI_BATCHES)})
    ParallelJob(entry, table, settings=chosen.replace(mini_batch_size=ROW_BYTES), faults=faults).run()


@settings(max_examples=60, deadline=None, database=None)
@given(data=st.data(), rules=st.sampled_from(["documented", "observed"]), retries=st.integers(0, 3))
def test_every_fault_of_a_plan_fires_whatever_the_script_returns(data: st.DataObject, rules: str, retries: int) -> None:
    chosen = JobSettings(rules=rules, max_retries=retries)  # type: ignore[arg-type]
    faults = data.draw(fault_plans(MINI_BATCHES, settings=chosen, kinds=FAULT_KINDS))
    run(faults, chosen, results=data.draw(st.sampled_from([0, 1, 5])))


def test_plans_have_every_kind_but_a_failing_init_and_every_attempt_and_mini_batch() -> None:
    plans = drawn(fault_plans(MINI_BATCHES, settings=JobSettings(max_retries=2)), 200)
    faults = [fault for plan in plans for fault in plan]
    assert {fault.kind for fault in faults} == set(DEFAULT_KINDS)
    assert {fault.mini_batch for fault in faults} == {0, 1, 2}
    assert {fault.attempt for fault in faults} == {1, 2, 3}
    assert {str(fault.payload) for fault in faults if fault.kind == "returns"} == {"None", "[]", "text"}
    assert any(
        {fault.attempt for fault in plan if fault.mini_batch == 0 and fault.kind == "raises"} == {1, 2, 3}
        for plan in plans
    )


def test_init_fails_only_where_it_is_asked_for_and_leaves_a_worker() -> None:
    plans = drawn(fault_plans(1, kinds=["init_raises"]), 30)
    assert {tuple(fault.worker for fault in plan) for plan in plans} == {(), (0,), (0, 1)}


@pytest.mark.parametrize("max_faults", [0, 1, 4])
def test_a_plan_has_no_more_faults_than_asked_for(max_faults: int) -> None:
    plans = drawn(fault_plans(MINI_BATCHES, kinds=FAULT_KINDS, max_faults=max_faults), 100)
    assert max(map(len, plans)) == max_faults
    for plan in plans:
        assert Counter((fault.mini_batch, fault.attempt, fault.worker) for fault in plan).total() == len(plan)


def test_a_return_of_nothing_is_the_last_attempt_under_the_observed_rules_alone() -> None:
    def later_faults(rules: str) -> int:
        chosen = JobSettings(rules=rules)  # type: ignore[arg-type]
        plans = drawn(fault_plans(1, settings=chosen, kinds=["returns"]), 100)
        return sum(
            one.payload == [] and one.attempt == other.attempt - 1
            for plan in plans
            for one in plan
            for other in plan
            if one.attempt is not None and other.attempt is not None
        )

    assert later_faults("observed") == 0
    assert later_faults("documented") > 0


def test_faults_that_leave_the_outcome_to_the_script_are_the_last_of_their_mini_batch() -> None:
    for plan in drawn(fault_plans(1, kinds=["raises", "drops", "delivers_twice"]), 100):
        kinds = [fault.kind for fault in plan]
        assert not {"drops", "delivers_twice"} & set(kinds[:-1])


def test_plans_shrink_to_no_fault_and_to_the_first_mini_batch() -> None:
    assert smallest(fault_plans(5), lambda plan: True) == ()
    plan = smallest(fault_plans(5), lambda plan: any(fault.kind == "crashes" for fault in plan))
    assert plan == (Fault.crashes(mini_batch=0, attempt=1),)


def test_every_plan_is_built_again_from_its_repr() -> None:
    for plan in drawn(fault_plans(MINI_BATCHES, kinds=FAULT_KINDS), 100):
        assert eval(repr(plan), {"Fault": Fault}) == plan


def test_the_value_of_one_plan_is_not_that_of_another() -> None:
    values = [
        fault.payload
        for plan in drawn(fault_plans(1, kinds=["returns"]), 50)
        for fault in plan
        if isinstance(fault.payload, list)
    ]
    assert len({id(value) for value in values}) == len(values) > 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mini_batches": 0}, r"mini_batches=0: must be a whole number of 1 or more"),
        ({"mini_batches": 1, "max_faults": -1}, r"max_faults=-1: must be a whole number of 0 or more"),
        ({"mini_batches": 1, "kinds": ["rises"]}, r"kinds: 'rises' is not one of its names. Did you mean 'raises'\?"),
        ({"mini_batches": 1, "kinds": []}, r"kinds=\[\]: must be a list or tuple of names. Allowed: raises, times_out"),
        ({"mini_batches": 1, "kinds": "raises"}, r"kinds='raises': must be a list or tuple of names"),
        ({"mini_batches": 1, "settings": {"max_retries": 1}}, r"settings=\{'max_retries': 1\}: give a JobSettings"),
    ],
)
def test_a_wrong_argument_is_refused_at_once(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        fault_plans(**arguments)  # type: ignore[arg-type]
