"""Whole jobs: an input drawn from the sample, settings that decide what failures mean, and faults that can occur."""

from __future__ import annotations

import copy
import functools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast, get_args

from pytest_parallelrun.emulator.faults import Fault, FaultKind
from pytest_parallelrun.emulator.rules import PRESETS
from pytest_parallelrun.emulator.setting_table import Profile
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.files import FileSplitter
from pytest_parallelrun.strategies.files import Files
from pytest_parallelrun.strategies.frames import Rows
from pytest_parallelrun.strategies.mini_batches import recipes
from pytest_parallelrun.strategies.sample import Printed, Sample, as_sample, check_names, check_whole_number, invalid

if TYPE_CHECKING:
    import pandas as pd
    from hypothesis.strategies import DrawFn, SearchStrategy

    from pytest_parallelrun.emulator.result import JobResult
    from pytest_parallelrun.strategies.sample import SampleSource

MAX_JOB_ITEMS = 20
"""Enough for every way of failing, and cheap to run a hundred times."""
MAX_THRESHOLD = 5
MAX_RETRIES = 3
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


def job_settings(
    *,
    profile: Profile = "v2",
    max_retries: int = MAX_RETRIES,
    mini_batch_size: tuple[int, int] | None = None,
    rules: Sequence[str] = PRESETS,
) -> SearchStrategy[JobSettings]:
    """Settings with any combination of thresholds: switched off, 0, or small; percentages from 0 to 100.

    profile: whose thresholds; "batch" has `error_threshold` alone.
    max_retries: the largest that is drawn, from 0.
    mini_batch_size: smallest and largest, in files or in bytes of a table; None leaves it to its default.
    rules: presets of the rules, "documented" and "observed".

    They shrink to thresholds that are switched off and no retries. All but the size are always set, so that no
    other source of settings changes them.

    >>> job_settings(max_retries=1, rules=["documented"]).example()  # doctest: +SKIP
    JobSettings(rules='documented', error_threshold=2, mini_batch_error_threshold=-1, allowed_failed_percent=100, ...)
    """
    from hypothesis import strategies as st

    check_names("profile", [profile], get_args(Profile))
    check_whole_number("max_retries", max_retries, 0)
    check_names("rules", rules, PRESETS)
    fields: dict[str, SearchStrategy[object]] = {
        "rules": st.sampled_from(list(rules)),
        "error_threshold": st.just(-1) | st.integers(0, MAX_THRESHOLD),
        "max_retries": st.integers(0, max_retries),
    }
    if profile != "batch":
        fields["mini_batch_error_threshold"] = st.just(-1) | st.integers(0, MAX_THRESHOLD)
        fields["allowed_failed_percent"] = st.just(100) | st.integers(0, 100)
    if profile != "v2":
        fields["profile"] = st.just(profile)
    if mini_batch_size is not None:
        fields["mini_batch_size"] = st.integers(*_checked_range(mini_batch_size))
    return st.builds(JobSettings, **fields)


def _checked_range(sizes: object) -> tuple[int, int]:
    if not isinstance(sizes, tuple) or len(sizes) != 2:
        raise invalid(f"mini_batch_size={sizes!r}: give the smallest and the largest one, such as (1, 10).")
    smallest, largest = sizes
    check_whole_number("smallest mini_batch_size", smallest, 1)
    check_whole_number("largest mini_batch_size", largest, smallest)
    return smallest, largest


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


class _EntryFixture(Protocol):
    """The fixture `parallelrun_entry`."""

    def job(self, input: object, *, faults: Sequence[Fault], **settings: object) -> JobResult: ...


@dataclass(frozen=True)
class JobCase(Printed):
    """A job without its entry script.

    recipe: of the whole input, which the job splits by `settings`. faults: all of them happen unless a threshold or the
    script ends the job first.
    """

    sample: Sample
    recipe: Rows | Files
    settings: JobSettings
    faults: tuple[Fault, ...] = ()

    def input(self, folder: str | os.PathLike[str] | None = None) -> pd.DataFrame | str:
        """The input: a DataFrame, a file of JSON lines, or a folder with only the files, which the job sorts.

        Not their paths: to a job, a list of .csv files is a table.
        """
        if isinstance(self.recipe, Rows):
            rows = self.recipe.build(self.sample)
            return self._lines(rows, folder) if isinstance(rows, list) else rows
        root = self.sample.new_folder() if folder is None else os.path.abspath(folder)
        self.recipe.build(self.sample, root)
        return root

    def _lines(self, rows: list[dict[str, object]], folder: str | os.PathLike[str] | None) -> str:
        root = self.sample.new_folder() if folder is None else os.path.abspath(folder)
        path = os.path.join(root, "lines.jsonl")
        with open(path, "w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in rows)
        return path

    def run(self, entry: object) -> JobResult:
        """Runs the job.

        entry: the fixture `parallelrun_entry`, with its other settings, or what ParallelJob accepts: path of a script,
        a module, or any object with run().
        """
        if callable(getattr(entry, "job", None)) and not hasattr(entry, "run"):
            fields = {name: getattr(self.settings, name) for name in self.settings.explicit}
            return cast("_EntryFixture", entry).job(self.input(), faults=self.faults, **fields)
        from pytest_parallelrun.emulator.job import ParallelJob

        return ParallelJob(entry, self.input(), settings=self.settings, faults=self.faults).run()


def jobs(
    sample: Sample | SampleSource,
    *,
    odd: bool = False,
    min_size: int = 1,
    max_size: int | None = MAX_JOB_ITEMS,
    max_retries: int = MAX_RETRIES,
    rules: Sequence[str] = PRESETS,
    kinds: Sequence[FaultKind] = DEFAULT_KINDS,
    max_faults: int = 5,
) -> SearchStrategy[JobCase]:
    """Jobs on inputs made of the sample, to be run with `case.run("score.py")`.

    sample: a Sample, or what Sample() takes; its settings are those of the jobs, but for what is drawn.
    odd, min_size, max_size: those of `recipes()`, here for all items of the job.
    max_retries, rules: those of `job_settings()`; the mini-batch size is anything from one item to all.
    kinds, max_faults: those of `fault_plans()`.

    >>> jobs("data").example()  # doctest: +SKIP
    JobCase(sample=Sample('data'), recipe=Files(items=(Item('a.txt'),)), settings=JobSettings(...), faults=())
    """
    from hypothesis import strategies as st

    sample = as_sample(sample)
    inputs = recipes(sample, odd=odd, min_size=min_size, max_size=max_size)
    settings = job_settings(profile=sample.settings.profile, max_retries=max_retries, rules=rules)
    # Reports wrong arguments now.
    fault_plans(1, kinds=kinds, max_faults=max_faults)
    if sample.partitions:
        raise invalid("jobs() makes no jobs of partitions: take mini_batches(), or a sample without partition_keys.")
    item_size = _bytes_of_a_row(sample.frame) if sample.kind == "tabular" else 1

    @st.composite
    def drawn(draw: DrawFn) -> JobCase:
        recipe = draw(inputs)
        size = draw(st.integers(1, recipe.size)) * item_size
        chosen = draw(settings).over(sample.settings)
        if sample.kind == "records":
            chosen = chosen.replace(mini_batch_rows=size)
        else:
            chosen = chosen.replace(mini_batch_size=size)
        count = _mini_batches(recipe, sample, chosen)
        return JobCase(sample, recipe, chosen, draw_faults(draw, count, chosen, kinds, max_faults))

    return drawn()


def _mini_batches(recipe: Rows | Files, sample: Sample, settings: JobSettings) -> int:
    """The number of mini-batches into which the job splits the input; files need not exist for that."""
    if sample.kind == "records":
        return -(-recipe.size // (settings.mini_batch_rows or 1))
    if isinstance(recipe, Rows):
        rows = cast("pd.DataFrame", recipe.build(sample))
        return sum(1 for _ in open_input(rows, settings).mini_batches())
    names = [target.replace("/", os.sep) for target in recipe.targets]
    size = settings.files_per_mini_batch
    return FileSplitter("", names, size, grouping=settings.rules.file_grouping, label="").total_mini_batches or 0


def _bytes_of_a_row(frame: pd.DataFrame) -> int:
    """The average in a CSV file, as the splitter counts them."""
    # Python 3.10 writes no NUL without an escape character; this one is in no text.
    text = frame.to_csv(header=False, index=False, lineterminator="\n", escapechar="\uffff")
    return max(1, len(text.encode("utf-8", "surrogatepass")) // len(frame))
