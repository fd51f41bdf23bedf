"""The engines by name; `protocol` defines what an engine is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_parallelrun.emulator.engines.protocol import PersistentEngine
    from pytest_parallelrun.emulator.entry import EntryFile, EntryObject
    from pytest_parallelrun.emulator.faults import FaultPlan
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import Splitter
    from pytest_parallelrun.emulator.worker_plan import WorkerPlan

ENGINES = ("inprocess", "process", "ray")


def check_possible(engine: str, entry: EntryFile | EntryObject, settings: JobSettings) -> None:
    """Refuses what the engine of that name cannot run. EntryScriptError, SettingsError."""
    if engine == "inprocess":
        return
    from pytest_parallelrun.emulator.engines.process import pool

    pool.check_processes_possible(engine, entry, settings)
    if engine == "ray":
        from pytest_parallelrun.emulator.engines.ray import cluster

        cluster.check_ray_possible()


def engine_maker(
    name: str,
) -> Callable[[WorkerPlan, Splitter, JobSettings, FaultPlan], PersistentEngine]:
    if name == "process":
        from pytest_parallelrun.emulator.engines.process.engine import ProcessEngine

        return ProcessEngine
    if name == "ray":
        from pytest_parallelrun.emulator.engines.ray.engine import RayEngine

        return RayEngine
    from pytest_parallelrun.emulator.engines.inprocess import InProcessEngine

    return InProcessEngine
