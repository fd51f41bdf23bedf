"""Where Hypothesis' mini-batches are run: one worker for hundreds of them, and a memory of what came of each.

What was found for a recipe is remembered: Hypothesis runs a failing example again and again while it shrinks it, and
must find the same each time, though the worker has seen a hundred others in between. A hang is not waited for twice.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cached_property
from itertools import islice, zip_longest
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.entry.entry_under_test import TooManyInitCalls
from pytest_parallelrun.contract.entry.mini_batches import attempt, paths_of
from pytest_parallelrun.contract.entry.preconditions import skip_without_worker
from pytest_parallelrun.contract.phrases import consenting
from pytest_parallelrun.contract.rows.comparison import difference
from pytest_parallelrun.emulator.clock import real_monotonic
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.strategies import Cell, Files, Item, Rows
from pytest_parallelrun.strategies.files import ITEM_KINDS
from pytest_parallelrun.strategies.frames import malformed_kinds

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from pytest_parallelrun.contract.entry.observations import Observations, SampleMiniBatch
    from pytest_parallelrun.contract.finding import Finding
    from pytest_parallelrun.contract.generation.generated_jobs import JobToTry
    from pytest_parallelrun.emulator.events import AttemptEnded, Outcome
    from pytest_parallelrun.emulator.faults import Fault
    from pytest_parallelrun.emulator.probe import ProbeResult, ProbeSession
    from pytest_parallelrun.emulator.result import JobResult
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting import PrebuiltInput
    from pytest_parallelrun.emulator.splitting.model import Partition, Payload
    from pytest_parallelrun.strategies import Sample

    Recipe = Rows | Files

    from pytest_parallelrun.contract.check import Check


MAX_WAITING = 10.0
"""Seconds that one test waits for mini-batches that hang, while it finds the smallest one too."""
MAX_REPLACED = 6
"""Workers that one test starts for those that a mini-batch ended: each costs an init()."""
AFTERWARDS = 80
"""Mini-batches or jobs that one test tries after the first finding, to make it smaller and to explain it."""
LONG_AFTERWARDS = 1.0
"""Seconds in which it may be more."""
DEAREST = 0.05
"""Seconds that a generated mini-batch should take at most, as far as its size decides."""
MAX_JOB_LENGTH = 6
"""Items of a generated job: enough for several mini-batches, few enough for all their retries."""
MIN_ITEMS = 20
"""Items that a generated mini-batch may have, however long they take, while `timeout` allows it."""
MARGIN = 2
"""Times the time that a mini-batch larger than those of the sample should need, in `timeout`."""


class ExampleRunner:
    """The bench of one generated test at a time; it is opened when it is first asked for."""

    def __init__(self, trials: Observations) -> None:
        self.trials = trials
        self._stack = ExitStack()
        self._bench: ProbeSession | None = None
        self._spent = 0.0
        self.close()

    def close(self) -> None:
        """Ends the worker; the next test begins with a fresh one, and remembers nothing."""
        self._bench = None
        self._stack.close()
        self.remembered: dict[object, Finding | None] = {}
        self.hanging: dict[object, Finding] = {}
        """What is known to hang: a part of a recipe -> what was found."""
        self.confirmed = False
        """Whether a fresh worker has shown the failure too: it need not show it again while the case shrinks."""
        self.rows_count = True
        """Whether the rows of the sentinel tell something, which they do not where any mini-batch changes them."""
        self.tried = 0
        """Mini-batches that were made up, or jobs, of this test."""
        self.seen = 0
        """Mini-batches that the worker has got until now."""
        self._afterwards: float | None = None
        self._found_at = 0
        self._waited = 0.0
        self._replaced = 0
        self._no_more_workers: str | None = None

    @property
    def bench(self) -> ProbeSession:
        """The bench, with one worker that stays up."""
        if self._bench is None:
            self._bench = self._stack.enter_context(self.trials.entry.bench(probe=self.trials.probe, reserved=True))
            self._bench.start()
        return self._bench

    @cached_property
    def sample(self) -> Sample | None:
        """The sound items of the sample: those whose mini-batches succeeded. None where there is none."""
        from pytest_parallelrun.strategies import Sample

        entry = self.trials.entry
        if entry.sample is None or not self._sound_items:
            return None
        source = entry.sample if isinstance(entry.sample, str) else list(entry.sample)
        return Sample(source, settings=entry.settings, items=self._sound_items)

    @cached_property
    def enough(self) -> frozenset[Outcome]:
        """Outcomes that a sound mini-batch may have: "short" too, where a script returns nothing and may do so."""
        result = self.trials.baseline.result
        returned = [attempt for attempt in result.attempts if attempt.returned is not None]
        on_purpose = bool(consenting(result)) and all(attempt.returned == 0 for attempt in returned)
        return frozenset({"succeeded", "short"} if returned and on_purpose else {"succeeded"})

    @cached_property
    def _sound_items(self) -> tuple[int, ...]:
        items: set[int] = set()
        last: dict[int, AttemptEnded] = {}
        for ended in self.trials.baseline.result.attempts:
            last[ended.mini_batch.id] = ended
        for ended in last.values():
            if ended.outcome in self.enough:
                first = ended.mini_batch.first_item
                items.update(range(first, first + ended.mini_batch.size))
        return tuple(sorted(items))

    @cached_property
    def most_items(self) -> int:
        """Items of a generated mini-batch, so that it does not take long, and is no larger than `timeout` allows."""
        attempts = [attempt for attempt in self.trials.baseline.result.attempts if attempt.mini_batch.size]
        dearest = max((attempt.running / attempt.mini_batch.size for attempt in attempts), default=0.0)
        size = self.sample.size if self.sample is not None else 1
        if not dearest:
            return size
        in_time = int(self.trials.entry.settings.timeout / MARGIN / dearest)
        largest = max((attempt.mini_batch.size for attempt in attempts if attempt.outcome in self.enough), default=1)
        return min(size, max(MIN_ITEMS, int(DEAREST / dearest)), max(largest, in_time))

    @cached_property
    def sentinel(self) -> tuple[SampleMiniBatch, list[object] | None] | None:
        """A small sound mini-batch and what a fresh worker returns for it, None where only its outcome can count.

        It shows whether another mini-batch spoiled the worker.
        """
        groups = self.trials.groups
        if not groups:
            return None
        smallest = min(groups, key=lambda group: len(group.names))
        repeatable = self.trials.changing is None
        expected = self.trials.forward.rows(smallest) if repeatable else None
        largest = max(groups, key=lambda group: len(group.names))
        for group in (smallest, largest, smallest):
            ended = self.attempt_group(group).ended
            if ended.outcome not in self.enough:
                # It cannot even be run twice: see retry_is_harmless.
                return None
            if group is not smallest or expected is None:
                continue
            if difference(expected, as_rows(ended.value)) is not None:
                # It answers differently anyway: see independent_of_history.
                expected = None
        return smallest, expected

    def attempt(self, payload: Payload, partition: Partition = ()) -> ProbeResult:
        """One attempt at a mini-batch that was made up; each has an id of its own."""
        self.tried += 1
        before = real_monotonic()
        tried = self.bench.attempt(payload, id=self.tried, partition=partition)
        self.seen += 1
        if tried.ended.outcome in ("timeout", "crashed"):
            self.seen = 0
            self._replaced += 1
            self._waited += real_monotonic() - before
        return tried

    def attempt_group(self, group: SampleMiniBatch) -> ProbeResult:
        """One attempt at a mini-batch of the sample, with its own identity."""
        self.seen += 1
        return attempt(self.bench, group)

    def renew(self) -> bool:
        """The next attempt is the first one of a new worker; False where there may be none."""
        if self._replaced >= MAX_REPLACED:
            return False
        self._replaced += 1
        self.bench.renew()
        self.seen = 0
        return True

    def judged(self, recipe: object, judge: Callable[[], Finding | None]) -> Finding | None:
        """What `judge` finds for a recipe, asked once; None where nothing more may be tried."""
        if recipe in self.remembered:
            return self.remembered[recipe]
        if not self.may_go_on():
            return None
        before = real_monotonic()
        try:
            found = judge()
        except TooManyInitCalls as error:
            if not self.remembered:
                raise
            # Hypothesis would take it for another failure of the script, beside the one that used them up.
            self._no_more_workers = str(error)
            found = None
        finally:
            took = real_monotonic() - before
            self._spent += took
        if self._afterwards is not None:
            self._afterwards += took
        elif found is not None:
            self._afterwards = 0.0
            self._found_at = self.tried
        self.remembered[recipe] = found
        return found

    def may_go_on(self) -> bool:
        """Whether another mini-batch may be tried: there is time, and workers may be started."""
        afterwards = self._afterwards or 0.0
        if afterwards > MAX_WAITING or (afterwards > LONG_AFTERWARDS and self.tried - self._found_at > AFTERWARDS):
            return False
        if self._no_more_workers is not None:
            return False
        return self._waited < MAX_WAITING and self._replaced < MAX_REPLACED and not self._budget_is_spent()

    def stopped_by(self) -> str | None:
        """Why generation was cut short, None where it was not."""
        if self._budget_is_spent():
            return (
                f"--parallelrun-budget={self.trials.entry.budget:g}: generation was cut after {self.tried} mini-batches"
            )
        if self._no_more_workers is not None:
            return f"generation was cut after {self.tried} mini-batches: {self._no_more_workers}"
        if self._waited >= MAX_WAITING or self._replaced >= MAX_REPLACED:
            return f"generation was cut after {self._replaced} workers that hung, crashed or were replaced"
        return None

    def _budget_is_spent(self) -> bool:
        budget = self.trials.entry.budget
        return budget is not None and self._spent >= budget

    @cached_property
    def recipes(self) -> SearchStrategy[Recipe]:
        """Mini-batches of the sample, sound ones and odd ones."""
        from pytest_parallelrun.strategies import recipes

        assert self.sample is not None
        return recipes(self.sample, odd=True, max_size=self.most_items)

    @cached_property
    def lone_oddities(self) -> tuple[Recipe, ...]:
        """Those of them that are tried whatever is drawn."""
        assert self.sample is not None
        return lone_oddities(self.sample)

    @cached_property
    def jobs(self) -> SearchStrategy[JobToTry]:
        """Jobs of a few sound items, with faults and thresholds."""
        from pytest_parallelrun.contract.generation.generated_jobs import jobs_to_try

        assert self.sample is not None
        return jobs_to_try(self.sample, self.trials.entry.settings.profile, min(MAX_JOB_LENGTH, self.most_items))

    @cached_property
    def plain_jobs(self) -> tuple[JobToTry, ...]:
        """Those that are tried whatever is drawn."""
        from pytest_parallelrun.contract.generation.generated_jobs import plain_jobs

        assert self.sample is not None
        returned = [attempt.returned or 0 for attempt in self.trials.baseline.result.attempts]
        return plain_jobs(self.sample, self.trials.entry.settings.profile, most_results=max(1, *returned))

    def run(self, input: PrebuiltInput, settings: JobSettings, faults: tuple[Fault, ...]) -> JobResult:
        """Runs a job on the worker."""
        self.tried += 1
        before = real_monotonic()
        calls = self.bench.init_calls
        result = self.bench.run(self.trials.entry.job_of(input, settings, faults))
        if self.bench.init_calls > calls:
            self._replaced += self.bench.init_calls - calls
            self._waited += real_monotonic() - before
        return result

    def partition_of(self, recipe: Recipe) -> Partition:
        """Keys and values that the context tells with a mini-batch of this recipe."""
        assert self.sample is not None
        return self.sample.partition_of(recipe)

    def build(self, recipe: Recipe) -> Payload:
        """The mini-batch of a recipe; files go to a folder that `discard()` removes."""
        assert self.sample is not None
        return recipe.build(self.sample, self.trials.entry.new_folder("generated"))

    def discard(self, payload: Payload) -> None:
        """Removes the files of a mini-batch that showed nothing."""
        for folder in {str(self._folder_of(path)) for path in paths_of(payload)}:
            shutil.rmtree(folder, ignore_errors=True)

    def _folder_of(self, path: str) -> str:
        below = path[len(str(self.trials.entry.folder)) + 1 :]
        first = below.replace("\\", "/").partition("/")[0]
        return str(self.trials.entry.folder / first)


MAX_CELLS_TRIED = 40
"""Of a wide table; each column has its turn before one has a second."""


def lone_oddities(sample: Sample) -> tuple[Files | Rows, ...]:
    """Recipes of mini-batches of the first item that can be it, each odd in one way."""
    # With partitions the item is the first of the smallest one, and the others of it are there too.
    whole = min(sample.partitions.values(), key=len, default=(0,))
    if sample.kind == "files":
        others = tuple(Item(sample.names[number]) for number in whole[1:])
        return tuple(Files((Item(sample.names[whole[0]], kind), *others)) for kind in ITEM_KINDS)
    by_column = zip_longest(*_cells(sample))
    return tuple(
        Rows(whole, (cell,)) for cell in islice((cell for turn in by_column for cell in turn if cell), MAX_CELLS_TRIED)
    )


def _cells(sample: Sample) -> Iterator[list[Cell]]:
    """The odd cells of each column; a label that comes again names the first column that has it."""
    labels = list(sample.frame.columns)
    for place, label in enumerate(labels):
        if labels.index(label) == place and str(label) not in sample.settings.partition_keys:
            yield [Cell(0, label, kind) for kind in malformed_kinds(sample, place)]


def require_valid_items(bench: ExampleRunner, check: Check) -> None:
    __tracebackhide__ = True
    if bench.sample is None:
        check.cannot_decide(
            "no mini-batch of the sample succeeded, so there is nothing sound to make others of; "
            "see test_job_completes and test_no_silent_losses"
        )


def conclude(bench: ExampleRunner, check: Check, judge: Callable[[], Finding | None]) -> None:
    __tracebackhide__ = True
    with skip_without_worker(check):
        found = judge()
    if bench.sample is not None and bench.sample.sampled:
        check.note(f"generated from a part of the sample: {bench.sample.sampled}")
    stopped = bench.stopped_by()
    if stopped is not None:
        check.note(stopped)
        if not bench.tried:
            check.cannot_decide(stopped)
    if found is not None:
        check.fail(found)
