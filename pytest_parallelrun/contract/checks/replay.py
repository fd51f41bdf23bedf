"""A saved finding still shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.finding import Finding
from pytest_parallelrun.emulator.engines import engine_maker
from pytest_parallelrun.emulator.engines.inprocess import InProcessEngine

if TYPE_CHECKING:
    from types import TracebackType

    from pytest_parallelrun.contract.cases.saved_case import ReplayRequest
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.emulator.engines.protocol import Engine
    from pytest_parallelrun.emulator.faults import FaultPlan
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import Splitter
    from pytest_parallelrun.emulator.worker_plan import WorkerPlan


def test_replay(parallelrun_entry: EntryUnderTest, parallelrun_replay: ReplayRequest, parallelrun_check: Check) -> None:
    """The mini-batches of the finding no longer show it."""
    __tracebackhide__ = True
    saved, debugging = parallelrun_replay
    entry = parallelrun_entry
    if not f"/{entry.entry.path.as_posix()}".endswith(f"/{saved.entry.lstrip('./')}"):
        parallelrun_check.note(f"the case was saved for {saved.entry}")
    errors: list[BaseException] = []

    def make_engine(plan: WorkerPlan, splitter: Splitter, settings: JobSettings, faults: FaultPlan) -> Engine:
        if not debugging:
            return engine_maker(entry.engine)(plan, splitter, settings, faults)
        # A debugger needs the script in its own process, whatever engine was requested.
        engine = InProcessEngine(plan, splitter, settings, faults)
        engine.on_error = errors.append
        return engine

    result = saved.run(
        entry.entry.path,
        settings=entry.settings,
        program_arguments=entry.arguments,
        code=entry.entry.code_root,
        models=entry.models,
        make_engine=make_engine,
        suspended=debugging,
    )
    entry.init_calls.add(result.init_calls)
    problem = saved.problem(result)
    if not problem:
        parallelrun_check.note(f"fixed: the case that {saved.check} found passes now")
        return
    if errors:
        # Makes a debugger stop where the script failed.
        raise errors[0].with_traceback(_below_the_emulator(errors[0].__traceback__))
    failures = [event.failure for event in result.worker_failures]
    failures += [attempt.failure for attempt in result.attempts if attempt.failure is not None]
    parallelrun_check.fail(
        Finding(
            what=f"{problem}\nThe case was found by {saved.check}: {saved.finding}",
            traceback=next((failure.traceback for failure in failures if failure.traceback), ""),
            counts=result.explain(),
        )
    )


def _below_the_emulator(frames: TracebackType | None) -> TracebackType | None:
    """The frames from the first one of the script."""
    first = frames
    while first is not None and first.tb_frame.f_globals.get("__name__", "").startswith("pytest_parallelrun."):
        first = first.tb_next
    return first or frames
