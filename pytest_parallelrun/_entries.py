"""The entries of a run, each with its sample, settings and arguments: computed once."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_parallelrun._configuration import RunConfiguration, configuration_of, usage_errors
from pytest_parallelrun._options import OptionValue, absolute_path, command_line_values, usage_error
from pytest_parallelrun._targets import Target, find_targets
from pytest_parallelrun.emulator.arguments import ProgramArguments, apply_program_arguments, parse_program_arguments
from pytest_parallelrun.emulator.engines import check_possible
from pytest_parallelrun.emulator.entry import EntryFile
from pytest_parallelrun.emulator.errors import InputError, SettingsError, did_you_mean
from pytest_parallelrun.emulator.models import find_models
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.input_paths import REMOTE, locate
from pytest_parallelrun.job_files.inputs import TypedInput
from pytest_parallelrun.job_files.job_step import JobStep, ResolvedStep
from pytest_parallelrun.report.sanitize import Redaction

if TYPE_CHECKING:
    from pytest_parallelrun.contract.cases.saved_case import SavedCase
    from pytest_parallelrun.contract.golden_file import GoldenRequest
    from pytest_parallelrun.emulator.job_environment import JobEnvironment
    from pytest_parallelrun.emulator.splitting.model import Splitter
    from pytest_parallelrun.forecast.request import ForecastRequest

InputPaths = str | tuple[str, ...]
"""A path, possibly of a folder or table, or files in a list."""

_NAMED = re.compile(r"([A-Za-z_]\w*)=(.+)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class SampleInput:
    """A sample input. origin: where it was written. missing: why there is none, and the option that provides one."""

    paths: InputPaths | None = None
    origin: str = ""
    missing: str = "give one with --parallelrun-input=PATH"

    def __str__(self) -> str:
        if self.paths is None:
            return "none"
        return self.paths if isinstance(self.paths, str) else ", ".join(self.paths)

    @property
    def all_paths(self) -> tuple[str, ...]:
        return (self.paths,) if isinstance(self.paths, str) else self.paths or ()

    @property
    def source(self) -> str | list[str] | None:
        """As a ParallelJob takes it."""
        return list(self.paths) if isinstance(self.paths, tuple) else self.paths

    def open(self, settings: JobSettings) -> Splitter | None:
        return None if self.source is None else open_input(self.source, settings)

    @property
    def no_input(self) -> str:
        return f"there is no sample input: {self.missing}"


@dataclass(frozen=True, kw_only=True)
class EntryPlan:
    """An entry to check. `origins`: where each setting was set.

    replay: the saved case to run instead of the checks.
    """

    target: Target
    sample: SampleInput
    settings: JobSettings
    origins: Mapping[str, str]
    arguments: ProgramArguments
    models: Mapping[str, Path]
    environment: JobEnvironment | None
    output: Path | None
    logs: Path | None
    notes: tuple[str, ...]
    golden: GoldenRequest | None
    replay: SavedCase | None

    @property
    def entry(self) -> EntryFile:
        return self.target.entry

    @property
    def nodeid(self) -> str:
        return self.target.nodeid

    @property
    def step(self) -> JobStep | None:
        return self.target.step

    @cached_property
    def redaction(self) -> Redaction:
        return Redaction(self.settings.environment_variables, self.arguments.argv)

    def step_text(self) -> str | None:
        return None if self.step is None else f"{self.step.name} ({self.step.location.origin})"

    def all_notes(self) -> Iterator[str]:
        """What plan and reports say about the job file: sentences, and keys without effect."""
        yield from self.notes
        if self.step is not None and self.step.not_emulated:
            yield f"not emulated: {', '.join(self.step.not_emulated)}"


@dataclass(frozen=True, kw_only=True)
class RunEntries:
    """The entries of a run; none if only the fixtures are used.

    sample, named_inputs: of the options, the latter for inputs of a job definition. named_paths: None where all entries
    are part of the run, else the files and folders of which one must lead to them.
    """

    configuration: RunConfiguration
    targets: tuple[Target, ...]
    sample: SampleInput
    named_inputs: Mapping[str, str]
    named_paths: frozenset[str] | None = None

    @cached_property
    def gated(self) -> tuple[EntryPlan, ...]:
        """The plans of the entries that are part of the run; fixtures have all."""
        return tuple(plan for plan in self.plans if self._leads_to(plan.entry.path))

    def _leads_to(self, script: Path) -> bool:
        if self.named_paths is None:
            return True
        ways = (os.path.realpath(path) for path in (script, *script.parents))
        return not self.named_paths.isdisjoint(ways)

    @cached_property
    def plans(self) -> tuple[EntryPlan, ...]:
        """One for each target. ParallelRunError for wrong arguments, models or scripts."""
        self._check_named_inputs()
        models = find_models(self.configuration.models)
        return tuple(self._plan(target, models) for target in self.targets)

    def _plan(self, target: Target, models: Mapping[str, Path]) -> EntryPlan:
        step, settings = target.step, self.configuration.settings
        arguments, named = self.configuration.program_arguments, self._named_for(step)
        if step is None:
            parsed = parse_program_arguments(arguments, profile=settings.profile)
            given = apply_program_arguments(settings, parsed)
            job = ResolvedStep(given, given, parsed, TypedInput())
        else:
            # A replay has mini-batches of its own.
            paths = () if self.configuration.replay is not None else self.sample.all_paths or None
            job = step.resolve(settings, arguments, named, paths)
            if not models and step.model is not None:
                models = find_models([str(step.model)])
        origins = self._origins_of(step, job.given.explicit - settings.explicit)
        if job.typed.as_files is not None:
            origins.setdefault("input_type", job.typed.as_files.origin)
        # Those on settings that are overridden no longer hold.
        notes = [] if step is None else [note for name, note in step.notes.items() if name not in job.given.explicit]
        golden, argv = self.configuration.golden, job.arguments.argv
        name = step.name if step is not None and target.shares_script else ""
        return EntryPlan(
            target=target,
            sample=self._sample_of(step, named),
            settings=job.settings,
            origins=origins,
            arguments=job.arguments,
            models=models,
            environment=self.configuration.environment or (None if step is None else step.environment),
            output=self._folder_of(target, self.configuration.output),
            logs=self._folder_of(target, self.configuration.logs),
            notes=(*target.notes, *notes, *job.typed.notes),
            golden=None if golden is None else golden.request(target.entry.path, name, job.settings, argv, models),
            replay=self.configuration.replay,
        )

    def _origins_of(self, step: JobStep | None, from_arguments: frozenset[str]) -> dict[str, str]:
        of_step, of_options = {} if step is None else step.origins, self.configuration.origins
        origins = {**of_step, **dict.fromkeys(from_arguments, "program arguments"), **of_options}
        variables = "environment_variables"
        if variables in of_step and variables in of_options:
            # They are merged one by one.
            origins[variables] = f"{of_options[variables]} over {of_step[variables]}"
        return origins

    def _folder_of(self, target: Target, folder: Path | None) -> Path | None:
        """With several entries, each gets a folder below."""
        return folder / target.folder_name if folder and len(self.targets) > 1 else folder

    def _named_for(self, step: JobStep | None) -> dict[str, str]:
        """Values of the step's inputs; a path without a name is the input that is split."""
        named = dict(self.named_inputs)
        if step is not None and len(step.split) == 1 and isinstance(self.sample.paths, str):
            named.setdefault(step.split[0], self.sample.paths)
        return named

    def _sample_of(self, step: JobStep | None, named: Mapping[str, str]) -> SampleInput:
        if self.configuration.replay is not None:
            return SampleInput()
        if self.sample.paths is not None or step is None:
            return self.sample
        paths = step.sample(named)
        if not paths:
            return SampleInput(missing=str(step.missing_sample(named)))
        return SampleInput(
            paths=_one_or_all(paths), origin=step.sample_origin(named) or self.configuration.input_origin
        )

    def _check_named_inputs(self) -> None:
        """SettingsError for a name that no step of the job files has."""
        known = {name for target in self.targets if target.step for name in target.step.known_inputs()}
        for name, value in self.named_inputs.items():
            if name not in known:
                hint = did_you_mean(name, known) if known else "It has none."
                raise SettingsError(
                    f"{self.configuration.input_origin}={name}={value}: the job definition has no input '{name}'. "
                    f"{hint}"
                )


_ENTRIES = pytest.StashKey[RunEntries]()


def entries_of(config: pytest.Config) -> RunEntries:
    """The entries of the run, resolved when first needed.

    UsageError for a wrong value, with its origin and what is allowed.
    """
    if _ENTRIES not in config.stash:
        configuration = configuration_of(config)
        with usage_errors():
            targets = find_targets(configuration, config.rootpath)
            named, paths = _read_inputs(configuration.inputs, targets)
            sample = SampleInput(paths=_one_or_all(paths), origin=configuration.input_origin)
            entries = RunEntries(
                configuration=configuration,
                targets=targets,
                sample=sample,
                named_inputs=named,
                named_paths=_named_paths(config),
            )
            plans = entries.gated
            # Workers of pytest-xdist start after the controller has looked at these.
            if not hasattr(config, "workerinput"):
                for plan in plans:
                    check_possible(configuration.engine, plan.entry, plan.settings)
                _check_samples(entries)
                if configuration.golden is not None:
                    requests = {plan.nodeid: plan.golden for plan in plans if plan.golden is not None}
                    inputs = {path for plan in plans for path in plan.sample.all_paths}
                    configuration.golden.check(requests, inputs)
        config.stash[_ENTRIES] = entries
    return config.stash[_ENTRIES]


def _named_paths(config: pytest.Config) -> frozenset[str] | None:
    """What the command line names to be run; None where that is nothing, or an entry.

    Entries of the ini file are like `testpaths`: who names a test wants that alone.
    """
    if any(command_line_values(config, name) for name in ("entry", "job", "replay")):
        return None
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        return None
    options = [*config.getini("addopts"), *shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))]
    folder = config.invocation_params.dir
    named = (os.path.join(folder, argument.partition("::")[0]) for argument in config.args if argument not in options)
    return frozenset(map(os.path.realpath, named)) or None


def _read_inputs(items: Sequence[OptionValue], targets: Sequence[Target]) -> tuple[dict[str, str], tuple[str, ...]]:
    """NAME=VALUE by name, which only a job file uses, and the other paths."""
    named: dict[str, str] = {}
    paths: list[str] = []
    steps = [target.step for target in targets if target.step is not None]
    for item in items:
        match = _NAMED.fullmatch(item.value)
        if match is None or not steps or os.path.exists(absolute_path(item)):
            paths.append(_input_path(item))
        elif any(step.takes_value(match[1]) for step in steps):
            named[match[1]] = match[2]
        else:
            named[match[1]] = _input_path(replace(item, value=match[2]))
    return named, tuple(paths)


def _one_or_all(paths: tuple[str, ...]) -> InputPaths | None:
    return paths[0] if len(paths) == 1 else paths or None


def _input_path(item: OptionValue) -> str:
    return item.value if REMOTE.match(item.value) else str(absolute_path(item))


def _check_samples(entries: RunEntries) -> None:
    """Opens the inputs of all entries, so that a wrong one ends the run at once instead of failing each test."""
    if not entries.targets:
        _check_sample(entries.sample, entries.configuration.settings, entries.configuration.origins)
    checked: list[tuple[object, JobSettings]] = []
    for plan in entries.gated:
        # Often all have the same.
        if (plan.sample.paths, plan.settings) not in checked:
            checked.append((plan.sample.paths, plan.settings))
            _check_sample(plan.sample, plan.settings, plan.origins, entries.configuration.forecast)


def _check_sample(
    sample: SampleInput, settings: JobSettings, origins: Mapping[str, str], forecast: ForecastRequest | None = None
) -> None:
    """UsageError for an input that cannot be opened. origins: of the settings."""
    try:
        if isinstance(sample.paths, tuple):
            # Paths in a list are normally checked only when their mini-batch is loaded.
            for path in sample.paths:
                locate(path, os.getcwd(), must_exist=True)
        splitter = sample.open(settings)
    except SettingsError as error:
        # Alone the unit of its size can be wrong for an input.
        raise usage_error(f"{origins.get('mini_batch_size', 'settings')}: {error}") from None
    except InputError as error:
        raise usage_error(f"{sample.origin}: {error}") from None
    if forecast is not None and splitter is not None:
        with usage_errors():
            forecast.check_kind(splitter.kind)
