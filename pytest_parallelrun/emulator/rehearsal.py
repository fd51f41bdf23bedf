"""Brings workers up once each, without a job: for questions about import and init() alone."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.engines import Delivery, engine_maker
from pytest_parallelrun.emulator.events import AttemptEnded, WorkerFailed, WorkerStarted
from pytest_parallelrun.emulator.faults import FaultPlan
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.files import FileSplitter

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines import Observer
    from pytest_parallelrun.emulator.job import ParallelJob
    from pytest_parallelrun.emulator.splitting.model import InputKind


@dataclass(frozen=True)
class Rehearsal:
    """How each worker came up, and the first attempt that worker 0 made afterwards, if one was asked for.

    observed: what the observer told of each worker.
    """

    workers: tuple[WorkerStarted | WorkerFailed, ...]
    attempt: AttemptEnded | None = None
    observed: tuple[object, ...] = ()


def rehearse(
    job: ParallelJob,
    *,
    workers: int = 1,
    runtime_arguments: bool = True,
    init: bool = True,
    first_attempt: bool = False,
    observer: type[Observer] | None = None,
) -> Rehearsal:
    """Starts `workers` workers on one instance, with their import and, if `init`, their init().

    runtime_arguments off: sys.argv holds the user's program arguments alone. first_attempt: worker 0 then runs
    the first mini-batch of the job's input. observer: a class, made and entered in the process of each worker.
    """
    settings = job.settings
    # Without an input its kind shows in the unit of the mini-batch size.
    in_bytes = settings.mini_batch_size is not None and not settings.mini_batch_size_text.isdigit()
    kind: InputKind = "tabular" if in_bytes else "files"
    settings = settings.replace(instance_count=1, max_concurrency_per_instance=workers)
    with tempfile.TemporaryDirectory(prefix="parallelrun-", ignore_cleanup_errors=True) as name:
        folder = Path(os.path.realpath(name))
        splitter = open_input(job.input, settings) if first_attempt else FileSplitter("", [], 1, label="no input")
        output_dir = folder / "output" if settings.output_action == "append_row" else None
        if output_dir is not None:
            output_dir.mkdir()
        plan = job.worker_plan(splitter.kind if first_attempt else kind, folder, output_dir, runtime=runtime_arguments)
        engine = engine_maker(job.engine)(plan, splitter, settings, FaultPlan(()))
        attempt = None
        try:
            engine.open()
            came_up = tuple(engine.bring_up(slot, init=init, observer=observer) for slot in range(workers))
            if first_attempt and engine.is_up(0):
                engine.use(0)
                engine.submit(Delivery(next(splitter.mini_batches()), 1))
                attempt = engine.collect()
        finally:
            engine.stop(normal=False)
    return Rehearsal(came_up, attempt, tuple(engine.observed))
