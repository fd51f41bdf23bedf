from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from pytest_parallelrun.emulator.errors import FaultError
from pytest_parallelrun.emulator.faults import Fault, FaultPlan


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault.raises(ValueError, mini_batch=2, attempt=1), "Fault.raises(ValueError, mini_batch=2, attempt=1)"),
        (Fault.raises(ValueError("x")), "Fault.raises(ValueError('x'))"),
        (Fault.times_out(worker=3), "Fault.times_out(worker=3)"),
        (Fault.crashes(), "Fault.crashes()"),
        (Fault.returns([1], attempt=2), "Fault.returns([1], attempt=2)"),
        (Fault.returns(None), "Fault.returns(None)"),
        (Fault.drops(2, mini_batch=0), "Fault.drops(2, mini_batch=0)"),
        (Fault.delivers_twice(mini_batch=1), "Fault.delivers_twice(mini_batch=1)"),
        (Fault.load_fails(), "Fault.load_fails()"),
        (Fault.init_raises(worker=0), "Fault.init_raises(RuntimeError, worker=0)"),
    ],
)
def test_a_fault_shows_as_the_call_that_makes_it(fault: Fault, text: str) -> None:
    assert repr(fault) == text


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: Fault.crashes(mini_batch=-1), "Fault.crashes(mini_batch=-1): mini_batch must be a whole number of 0"),
        (lambda: Fault.crashes(attempt=0), "attempt must be a whole number of 1 or more"),
        (lambda: Fault.crashes(worker=-1), "worker must be a whole number of 0 or more"),
        (lambda: Fault.crashes(mini_batch=True), "mini_batch must be a whole number"),
    ],
)
def test_an_address_that_no_attempt_can_have_is_refused(make: Callable[[], Fault], part: str) -> None:
    with pytest.raises(FaultError) as caught:
        make()
    assert part in str(caught.value)


@pytest.mark.parametrize("count", [0, -1, True, "2"])
def test_drops_needs_a_count_of_one_or_more(count: object) -> None:
    with pytest.raises(FaultError, match="must be a whole number of 1 or more"):
        Fault.drops(cast("int", count))


@pytest.mark.parametrize("error", ["ValueError", int, None])
def test_what_cannot_be_raised_is_refused(error: object) -> None:
    with pytest.raises(FaultError, match="give an exception or an exception class"):
        Fault.raises(cast("ValueError", error))


def test_a_class_that_is_not_made_from_a_text_is_refused() -> None:
    with pytest.raises(FaultError, match=r"Fault\.raises\(UnicodeDecodeError\): .* give an instance"):
        Fault.raises(UnicodeDecodeError)


def test_an_instance_is_raised_as_it_is() -> None:
    error = KeyError("k")
    assert Fault.raises(error).exception() is error


def test_a_class_is_raised_with_a_text_that_names_the_fault() -> None:
    error = Fault.raises(SystemExit, attempt=1).exception()
    assert isinstance(error, SystemExit)
    assert str(error) == "injected by Fault.raises(SystemExit, attempt=1)"


def test_a_fault_that_raises_nothing_has_no_exception() -> None:
    with pytest.raises(FaultError, match=r"Fault\.crashes\(\) raises nothing"):
        Fault.crashes().exception()


def test_what_is_not_a_fault_is_refused() -> None:
    with pytest.raises(FaultError, match="give Fault objects"):
        FaultPlan([cast("Fault", "raises")])


def test_a_part_of_the_address_that_is_left_out_matches_all() -> None:
    plan = FaultPlan([Fault.crashes(mini_batch=2)])
    assert plan.for_attempt(2, 1, 0) is plan.for_attempt(2, 9, 9)
    assert plan.for_attempt(1, 1, 0) is None


@pytest.mark.parametrize("address", [(0, 2, 3), (1, 1, 3), (1, 2, 0)])
def test_every_given_part_of_the_address_must_match(address: tuple[int, int, int]) -> None:
    plan = FaultPlan([Fault.crashes(mini_batch=1, attempt=2, worker=3)])
    assert plan.for_attempt(*address) is None
    assert plan.for_attempt(1, 2, 3) is not None


def test_the_first_fault_that_matches_is_the_one() -> None:
    first, second = Fault.crashes(), Fault.load_fails(mini_batch=0)
    plan = FaultPlan([first, second])
    assert plan.for_attempt(0, 1, 0) is first
    assert plan.never_fired() == [second]


def test_faults_of_init_and_of_attempts_do_not_meet() -> None:
    init, attempt = Fault.init_raises(worker=1), Fault.crashes()
    plan = FaultPlan([init, attempt])
    assert plan.for_init(0) is None
    assert plan.for_attempt(0, 1, 1) is attempt
    assert plan.never_fired() == [init]
    assert plan.for_init(1) is init
    assert plan.never_fired() == []


def test_a_plan_without_faults_is_false() -> None:
    assert not FaultPlan(())
    assert FaultPlan([Fault.crashes()])


def test_a_fault_is_printed_as_the_call_that_makes_it() -> None:
    class Printer:
        def text(self, text: str) -> None:
            printed.append(text)

    printed: list[str] = []
    Fault.raises(ValueError, mini_batch=2)._repr_pretty_(Printer(), False)
    assert printed == ["Fault.raises(ValueError, mini_batch=2)"]
