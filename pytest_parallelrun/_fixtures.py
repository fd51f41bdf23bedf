"""The fixtures for the generated tests and for users' own tests.

They are part of every pytest run, so what they need is imported on use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_parallelrun._entries import EntryPlan
    from pytest_parallelrun._job_factory import JobFactory
    from pytest_parallelrun.contract.cases.saved_case import ReplayRequest
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.contract.generation.runner import ExampleRunner
    from pytest_parallelrun.contract.golden_file import GoldenRequest
    from pytest_parallelrun.emulator.result import JobResult

MARKER = (
    "parallelrun(entry=None, input=None, program_arguments=(), code=None, models=(), **settings): defaults for the "
    "fixtures of pytest-parallelrun; settings are fields of JobSettings, paths are relative to the test file"
)


@pytest.fixture
def parallelrun(request: pytest.FixtureRequest) -> Callable[..., JobResult]:
    """Run a parallel job: call it with a script, an input and settings; returns a JobResult."""
    from pytest_parallelrun._entries import entries_of
    from pytest_parallelrun._job_factory import JobFactory, running, with_markers

    return running(JobFactory(with_markers(request.node, entries_of(request.config))))


@pytest.fixture(scope="session")
def parallelrun_factory(request: pytest.FixtureRequest) -> JobFactory:
    """Create a ParallelJob and run it with `.run()`; can be used with @given."""
    from pytest_parallelrun._entries import entries_of
    from pytest_parallelrun._job_factory import JobFactory

    return JobFactory(entries_of(request.config))


@pytest.fixture(scope="module")
def parallelrun_entry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> EntryUnderTest:
    """The script under test, run with `.job(input, **settings)`; can be used with @given."""
    from pytest_parallelrun._configuration import configuration_of
    from pytest_parallelrun._job_factory import refuse
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest

    plan: EntryPlan | None = getattr(request, "param", None)
    if plan is None:
        refuse("the fixture parallelrun_entry needs --parallelrun-entry=PATH or @pytest.mark.parallelrun(entry=...).")
    configuration = configuration_of(request.config)
    return EntryUnderTest(
        entry=plan.entry,
        settings=plan.settings,
        arguments=plan.arguments.argv,
        models=plan.models,
        environment=plan.environment,
        splits_mltable=plan.step is not None and plan.step.splits_mltable,
        sample=plan.sample.paths,
        folder=tmp_path_factory.mktemp("parallelrun"),
        engine=configuration.engine,
        budget=configuration.budget,
    )


@pytest.fixture(scope="module")
def parallelrun_baseline(
    request: pytest.FixtureRequest, parallelrun_entry: EntryUnderTest, tmp_path_factory: pytest.TempPathFactory
) -> Baseline | None:
    """The run of the whole sample that the generated tests share; None without a sample."""
    from pytest_parallelrun._collection import entry_module_of
    from pytest_parallelrun._progress import announce, progress_line
    from pytest_parallelrun.contract.entry.baseline import run_baseline
    from pytest_parallelrun.report.files import redact_files

    if parallelrun_entry.sample is None:
        return None
    module = entry_module_of(request.node)
    kept = {} if module is None else {"output": module.plan.output, "logs": module.plan.logs}
    shared = tmp_path_factory.getbasetemp().parent
    for kind, folder in kept.items():
        if folder is not None and not _is_first(request.config, kind, folder, shared):
            kept[kind] = None
    logs = kept.get("logs")
    with progress_line(request.config) as on_progress:
        baseline = run_baseline(parallelrun_entry, output=kept.get("output"), logs=logs, on_progress=on_progress)
    if logs is not None and module is not None:
        redact_files(logs, module.plan.redaction)
    if module is not None:
        announce(request.config, baseline)
    return baseline


def _is_first(config: pytest.Config, kind: str, folder: Path, shared: Path) -> bool:
    """Whether this worker of pytest-xdist keeps its run; `shared` is a folder of all workers."""
    if not hasattr(config, "workerinput"):
        return True
    try:
        (shared / f"parallelrun-{kind}-{folder.name}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


@pytest.fixture(scope="module")
def parallelrun_check(request: pytest.FixtureRequest) -> Check:
    """How a generated test reports what it found."""
    from pytest_parallelrun._configuration import configuration_of
    from pytest_parallelrun.contract.check import Check

    return Check(strict=configuration_of(request.config).strict)


@pytest.fixture(scope="module")
def parallelrun_golden(request: pytest.FixtureRequest) -> GoldenRequest:
    """The accepted output of --parallelrun-golden."""
    from pytest_parallelrun._collection import entry_module_of
    from pytest_parallelrun._job_factory import refuse

    module = entry_module_of(request.node)
    if module is None or module.plan.golden is None:
        refuse("the fixture parallelrun_golden belongs to the test that --parallelrun-golden=DIR generates.")
    return module.plan.golden


@pytest.fixture(scope="module")
def parallelrun_replay(request: pytest.FixtureRequest) -> ReplayRequest:
    """The saved case of --parallelrun-replay."""
    from pytest_parallelrun._check_hooks import debugging
    from pytest_parallelrun._collection import entry_module_of
    from pytest_parallelrun._job_factory import refuse
    from pytest_parallelrun.contract.cases.saved_case import ReplayRequest

    module = entry_module_of(request.node)
    if module is None or module.plan.replay is None:
        refuse("the fixture parallelrun_replay belongs to the test that --parallelrun-replay=DIR generates.")
    return ReplayRequest(module.plan.replay, debugging(request.config))


@pytest.fixture(scope="module")
def parallelrun_observations(
    parallelrun_entry: EntryUnderTest, parallelrun_baseline: Baseline | None
) -> Observations | None:
    """Results of run() for the sample, shared by the generated tests; None without a sample."""
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.contract.entry.questions import QUESTIONS

    return None if parallelrun_baseline is None else Observations(parallelrun_entry, parallelrun_baseline, QUESTIONS)


@pytest.fixture(scope="module")
def parallelrun_examples(parallelrun_observations: Observations | None) -> Iterator[ExampleRunner | None]:
    """A worker for the mini-batches that Hypothesis generates in one test; None without a sample."""
    from pytest_parallelrun.contract.generation.runner import ExampleRunner

    if parallelrun_observations is None:
        yield None
        return
    runner = ExampleRunner(parallelrun_observations)
    yield runner
    runner.close()


def parametrize_entries(metafunc: pytest.Metafunc) -> None:
    """Parametrizes `parallelrun_entry` with the entry of the EntryModule or marker, or with those of the options."""
    if "parallelrun_entry" not in metafunc.fixturenames:
        return
    from pytest_parallelrun._collection import entry_module_of
    from pytest_parallelrun._entries import entries_of
    from pytest_parallelrun._job_factory import refuse, with_markers
    from pytest_parallelrun.emulator.errors import ParallelRunError

    entries = entries_of(metafunc.config)
    module = entry_module_of(metafunc.definition)
    marked = metafunc.definition.get_closest_marker("parallelrun")
    if module is not None:
        plans: Sequence[EntryPlan] = [module.plan]
    elif marked is None:
        plans = entries.plans
    else:
        try:
            plans = with_markers(metafunc.definition, entries).plans
        except ParallelRunError as error:
            refuse(f"@pytest.mark.parallelrun of {metafunc.definition.nodeid}: {error}")
    if not plans:
        return
    # A parameter even if there is only one: Hypothesis keys its database by the test id, and entries must not replay
    # each other's failures.
    ids = [pytest.HIDDEN_PARAM] if len(plans) == 1 else [plan.nodeid for plan in plans]
    metafunc.parametrize("parallelrun_entry", plans, indirect=True, ids=ids, scope="module")
