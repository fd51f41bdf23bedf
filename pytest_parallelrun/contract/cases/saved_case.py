"""A saved case, replayed in a user's test or by --parallelrun-replay."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.contract.cases.case import FILE, FOLDER_OF_ITEMS, ITEMS, replaced
from pytest_parallelrun.contract.cases.case_reader import copy_items, fault_of, read_case, shown
from pytest_parallelrun.contract.cases.plain_json import from_plain, table_from_plain
from pytest_parallelrun.contract.rows.comparison import difference
from pytest_parallelrun.contract.rows.values import Key
from pytest_parallelrun.emulator.engines.inprocess import InProcessEngine
from pytest_parallelrun.emulator.errors import FaultError, InputError, ParallelRunError
from pytest_parallelrun.emulator.folders import new_job_folder, remove_job_folder
from pytest_parallelrun.emulator.job import ParallelJob
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import MiniBatch, PrebuiltInput

if TYPE_CHECKING:
    from pytest_parallelrun.contract.cases.plain_json import PlainTable
    from pytest_parallelrun.emulator.engines.protocol import Engine, EngineMaker
    from pytest_parallelrun.emulator.entry import StrPath
    from pytest_parallelrun.emulator.faults import FaultPlan
    from pytest_parallelrun.emulator.models import Models
    from pytest_parallelrun.emulator.result import JobResult
    from pytest_parallelrun.emulator.splitting.model import InputKind, Partition, Payload, Splitter
    from pytest_parallelrun.emulator.worker_plan import WorkerPlan

MAX_TIMEOUT = 259200
"""Seconds: the maximum on the service, and enough for a debugger."""

_HARMFUL = ("wrong_type", "timeout", "crashed")


class SavedCase:
    """Mini-batches that showed a finding, in the order in which one worker gets them.

    entry: node id of the script, and check: name of the check that found it. finding: its first line.
    """

    def __init__(self, folder: StrPath) -> None:
        self.folder = Path(os.path.abspath(folder))
        self._content = read_case(self.folder)
        self.entry = str(self._content.get("entry"))
        self.check = str(self._content.get("check"))
        self.finding = str(self._content.get("finding"))
        self.kind = cast("InputKind", self._content["kind"])
        self._items: weakref.WeakKeyDictionary[JobResult, str] = weakref.WeakKeyDictionary()
        self._build()

    def _build(self) -> None:
        """InputError where anything of it cannot be made. (What can is made anew for each run.)"""
        try:
            self._input("")
            self._settings(JobSettings(), suspended=False)
            list(map(fault_of, self._list("faults")))
            from_plain(self._content.get("expected_rows"))
            set(map(from_plain, self._list("ignoring")))
        except ParallelRunError as error:
            raise InputError(f"'{self.folder / FILE}': {error}") from error
        except Exception as error:
            # Whatever pandas raises at dtypes and values that nobody has thought of.
            raise InputError(
                f"'{self.folder / FILE}' is malformed: {type(error).__name__}: {shown(str(error))}"
            ) from error

    def run(
        self,
        entry: object,
        *,
        settings: JobSettings | None = None,
        program_arguments: str | Sequence[str] = (),
        code: StrPath | None = None,
        models: Models = (),
        make_engine: EngineMaker = InProcessEngine,
        suspended: bool = False,
    ) -> JobResult:
        """Runs the mini-batches on copies of the items, as a job with one worker.

        Settings that the case needs override `settings`, which override those of the run that saved it. Thresholds and
        retries are off unless the case needs them, so that all mini-batches run. suspended: no timeout ends an attempt.
        The other arguments, and ParallelRunError, are those of ParallelJob.
        """
        folder = str(new_job_folder("case-"))
        try:
            copy_items(self.folder, folder)
            job = ParallelJob(
                entry,
                self._input(folder),
                self._settings(settings or JobSettings(), suspended=suspended),
                program_arguments=program_arguments,
                faults=[fault_of(fault) for fault in self._list("faults")],
                code=code,
                models=models,
            )
            result = _run(job, make_engine)
        except BaseException:
            remove_job_folder(folder)
            raise
        # Rows may name the items.
        weakref.finalize(result, remove_job_folder, folder)
        self._items[result] = os.path.join(folder, ITEMS)
        return result

    def problem(self, result: JobResult) -> str:
        """What is still wrong in a result of `run()`, in one sentence; "" if nothing is."""
        if not result.attempts:
            return f"no worker could start: {result.reason}"
        no_harm = self._content["expects"] == "no_harm"
        for attempt in result.attempts:
            wrong = attempt.outcome in _HARMFUL if no_harm else attempt.outcome != "succeeded"
            if wrong and attempt.fault is None:
                names = ", ".join(result.item_names(attempt.mini_batch.id))
                error = "" if attempt.failure is None else f": {attempt.failure.error}"
                return f"mini-batch {attempt.mini_batch.id} ({names}): {attempt.outcome}{error}"
        return self._difference(result)

    def _difference(self, result: JobResult) -> str:
        rows = self._content.get("expected_rows")
        if rows is None:
            return ""
        last = result.mini_batches[-1].id
        attempt = next((a for a in reversed(result.attempts) if a.mini_batch.id == last), None)
        if attempt is None or attempt.returned is None:
            error = "it was not run" if attempt is None or attempt.failure is None else attempt.failure.error
            return f"mini-batch {last} returned nothing where rows are expected: {error}"
        expected = replaced(from_plain(rows), FOLDER_OF_ITEMS, self._items.get(result, FOLDER_OF_ITEMS))
        ignoring = cast("list[Key]", [from_plain(key) for key in self._list("ignoring")])
        differs = difference(cast("list[object]", expected), as_rows(attempt.value), ignoring=ignoring)
        if differs is None:
            return ""
        return f"mini-batch {last} returned {differs[1]} where {differs[0]} is expected"

    def _settings(self, given: JobSettings, *, suspended: bool) -> JobSettings:
        origin = f"saved case {self.folder}"
        of_the_run = JobSettings.from_mapping(self._mapping("settings_of_the_run"), origin)
        needed = JobSettings.from_mapping(self._mapping("settings"), origin)
        chosen = needed.over(given.over(of_the_run))
        chosen = needed.over(chosen.without_thresholds())
        if not self._list("faults") and "max_retries" not in needed.explicit:
            chosen = chosen.replace(max_retries=0)
        if suspended:
            chosen = chosen.replace(timeout=MAX_TIMEOUT)
        return chosen.replace(instance_count=1, max_concurrency_per_instance=1)

    def _input(self, folder: str) -> PrebuiltInput:
        payloads: list[Payload] = []
        for plain in self._list("mini_batches"):
            if self.kind == "tabular":
                payloads.append(table_from_plain(cast("PlainTable", plain["table"])))
            elif self.kind == "records":
                payloads.append(cast("Payload", from_plain(plain["records"])))
            else:
                names = cast("list[str]", plain["items"])
                payloads.append([os.path.join(folder, ITEMS, *name.split("/")) for name in names])
        identities = cast("list[tuple[int, int]]", self._list("identities"))
        saved = cast("list[list[tuple[str, str]]]", self._list("partitions"))
        partitions = [tuple((key, value) for key, value in partition) for partition in saved]
        if len({index for index, _ in identities}) < len(payloads):
            return PrebuiltInput(payloads, kind=self.kind, partitions=partitions)
        return _Identified(payloads, self.kind, identities, partitions)

    def _list(self, name: str) -> list[Mapping[str, object]]:
        return cast("list[Mapping[str, object]]", self._content.get(name) or [])

    def _mapping(self, name: str) -> Mapping[str, object]:
        return cast("Mapping[str, object]", self._content.get(name) or {})


class ReplayRequest(NamedTuple):
    """A case to be replayed. `debugging`: no timeout runs, and what the script raises leaves the test."""

    case: SavedCase
    debugging: bool


def _run(job: ParallelJob, make_engine: EngineMaker) -> JobResult:
    plans: list[FaultPlan] = []

    def remember(plan: WorkerPlan, splitter: Splitter, settings: JobSettings, faults: FaultPlan) -> Engine:
        plans.append(faults)
        return make_engine(plan, splitter, settings, faults)

    try:
        return job.run_on(remember)
    except FaultError:
        # A fixed script may never reach the attempt of a fault.
        unreached = plans[-1].never_fired()
        job.faults = tuple(fault for fault in job.faults if fault not in unreached)
        return job.run_on(remember)


class _Identified(PrebuiltInput):
    """Mini-batches that keep their index and first row, since rows may contain them."""

    def __init__(
        self,
        payloads: Sequence[Payload],
        kind: InputKind,
        identities: Sequence[tuple[int, int]],
        partitions: Sequence[Partition],
    ) -> None:
        super().__init__(payloads, kind=kind, partitions=partitions)
        self._identities = identities

    def mini_batches(self) -> Iterator[MiniBatch]:
        for batch, (index, first) in zip(super().mini_batches(), self._identities, strict=True):
            yield batch._replace(id=index, first_item=first)


def load_case(folder: StrPath) -> SavedCase:
    """A case that the gate saved. InputError for a folder that is none, or one of another version.

    >>> case = load_case("cases/score/returns_valid_type")  # doctest: +SKIP
    >>> result = case.run("score.py")  # doctest: +SKIP
    >>> assert not case.problem(result), result.explain()  # doctest: +SKIP
    """
    return SavedCase(folder)
