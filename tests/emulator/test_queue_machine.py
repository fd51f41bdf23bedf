"""A state machine that hands deliveries to workers and lets attempts end in any order and in any way."""

from __future__ import annotations

from typing import cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pytest_parallelrun.emulator.engines.protocol import Engine, Task
from pytest_parallelrun.emulator.event_log import EventLog
from pytest_parallelrun.emulator.events import AttemptEnded, Failure, MiniBatchEnded, Outcome
from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.ledger import Ledger
from pytest_parallelrun.emulator.scheduler import Scheduler
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.files import FileSplitter

FAILED: tuple[Outcome, ...] = ("exception", "timeout", "wrong_type", "crashed", "load_error")


class QueueMachine(RuleBasedStateMachine):
    """Up to three deliveries are out at once, as with an engine of several processes."""

    @initialize(
        items=st.integers(1, 9),
        size=st.integers(1, 3),
        retries=st.integers(0, 2),
        rules=st.sampled_from(["documented", "observed"]),
        items_allowed=st.integers(-1, 4),
        batches_allowed=st.integers(-1, 3),
    )
    def start(self, items: int, size: int, retries: int, rules: str, items_allowed: int, batches_allowed: int) -> None:
        self.settings = JobSettings.from_mapping(
            {
                "mini_batch_size": size,
                "max_retries": retries,
                "rules": rules,
                "error_threshold": items_allowed,
                "mini_batch_error_threshold": batches_allowed,
            }
        )
        splitter = FileSplitter("", [f"f{n}" for n in range(items)], size, label="")
        self.total = -(-items // size)
        self.ledger = Ledger(self.settings, "files", self.total)
        self.events = EventLog()
        no_engine = cast(Engine, None)
        self.scheduler = Scheduler(self.settings, splitter, no_engine, ledger=self.ledger, events=self.events)
        self.sizes = [min(size, items - first) for first in range(0, items, size)]
        self.source = self.scheduler.tasks()
        self.out: list[Task] = []
        self.dry = False
        self.fresh = 0
        self.retries: list[tuple[int, int]] = []
        """The model of the queue: what must come next, once all fresh mini-batches went out."""
        self.last: dict[int, tuple[Outcome, int]] = {}
        self.ended: set[int] = set()
        self.twice: set[tuple[int, int]] = set()

    @property
    def stopped(self) -> bool:
        return self.scheduler.exceeded is not None

    @precondition(lambda self: not self.stopped and len(self.out) < 3)
    @rule()
    def hand_out(self) -> None:
        delivery = next(self.source)
        if self.fresh < self.total:
            assert delivery is not None
            assert (delivery.mini_batch.id, delivery.number) == (self.fresh, 1)
            self.fresh += 1
        elif self.retries:
            assert delivery is not None
            assert (delivery.mini_batch.id, delivery.number) == self.retries.pop(0)
        else:
            assert delivery is None
        if delivery is not None:
            self.out.append(delivery)

    @precondition(lambda self: not self.stopped and self.out)
    @rule(data=st.data(), fate=st.sampled_from(["succeeded", "short", "no_retry", "twice", *FAILED]))
    def attempt_ends(self, data: st.DataObject, fate: str) -> None:
        delivery = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        mini_batch, number = delivery
        size = self.sizes[mini_batch.id]
        address = (mini_batch.id, number)
        fault = failure = returned = None
        outcome: Outcome = "succeeded"
        if fate == "short":
            outcome, returned = "short", data.draw(st.integers(0, size - 1))
        elif fate in FAILED:
            outcome = fate
            failure = Failure("run", "failed")
        elif fate == "no_retry":
            outcome, failure = "exception", Failure("run", "no use", retry=False)
        else:
            returned = size
            fault = Fault.delivers_twice() if fate == "twice" else None
        value = None if returned is None else [mini_batch.id] * returned
        self.scheduler.record(
            AttemptEnded(
                mini_batch=mini_batch,
                number=number,
                worker=0,
                outcome=outcome,
                returned=returned,
                value=value,
                started=0.0,
                loading=0.0,
                running=0.0,
                failure=failure,
                fault=fault,
            )
        )
        if fault is not None and address not in self.twice:
            self.twice.add(address)
            self.retries.append(address)
            return
        self.last[mini_batch.id] = (outcome, returned or 0)
        final = outcome == "succeeded" or (outcome == "short" and self.settings.rules.short_return == "items_only")
        if final or fate == "no_retry" or number > self.settings.max_retries:
            self.ended.add(mini_batch.id)
        else:
            self.retries.append((mini_batch.id, number + 1))

    @precondition(lambda self: self.stopped)
    @rule()
    def nothing_starts_a_stopped_job_again(self) -> None:
        assert self.ledger.exceeded() is not None

    @invariant()
    def counts_are_those_of_the_last_attempts(self) -> None:
        if not hasattr(self, "scheduler"):
            return
        book = self.ledger
        items_only = self.settings.rules.short_return == "items_only"
        ended = [(number, *self.last[number]) for number in self.ended]
        succeeded = sum(returned for _, _, returned in ended)
        failed = sum(outcome != "succeeded" and not (outcome == "short" and items_only) for _, outcome, _ in ended)
        assert book.processed == len(ended) == book.succeeded_mini_batches + book.failed_mini_batches
        assert book.failed_mini_batches == failed
        assert book.succeeded_items == succeeded
        assert book.failed_items == sum(self.sizes[number] for number in self.ended) - succeeded
        ends = [event for event in self.events if isinstance(event, MiniBatchEnded)]
        assert sorted(event.mini_batch.id for event in ends) == sorted(self.ended)

    @invariant()
    def the_job_stops_exactly_when_a_threshold_is_exceeded(self) -> None:
        if not hasattr(self, "scheduler"):
            return
        book, limits = self.ledger, self.settings
        waiting = len({number for number in self.last if number not in self.ended})
        counted = book.failed_mini_batches + (waiting if limits.rules.threshold_check == "pending" else 0)
        too_many = 0 <= limits.error_threshold < book.failed_items
        too_many = too_many or 0 <= limits.mini_batch_error_threshold < counted
        assert self.stopped == too_many

    @invariant()
    def no_mini_batch_is_lost(self) -> None:
        if not hasattr(self, "scheduler") or self.stopped:
            return
        queued = [number for number, _ in self.retries]
        out = [delivery.mini_batch.id for delivery in self.out]
        assert sorted([*self.ended, *queued, *out]) == list(range(self.fresh))


QueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestQueue = QueueMachine.TestCase
