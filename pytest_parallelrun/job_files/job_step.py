"""JobStep: one entry of a job file of any kind, with the origin of every value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_parallelrun.emulator.arguments import ProgramArguments, apply_program_arguments, parse_program_arguments
from pytest_parallelrun.emulator.entry import EntryFile
from pytest_parallelrun.emulator.job_environment import JobEnvironment
from pytest_parallelrun.emulator.setting_table import Profile, resolve_setting
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.job_files.bindings import (
    Binding,
    outside_options,
    split_arguments,
    whole_binding,
    without_missing_options,
)
from pytest_parallelrun.job_files.inputs import (
    ALONE,
    InputValue,
    OutputValue,
    StepContext,
    TypedInput,
    look_up,
    typed_input,
)
from pytest_parallelrun.job_files.tree import STARS, JobFileError, Problem, Problems, SourceLocation


@dataclass(frozen=True, kw_only=True)
class ReadSettings:
    """What a job file sets, filled as it is read.

    values: by setting or v1 name, as JobSettings takes them. origins: file and line, by setting. unresolved: by
    setting, the problem that holds unless it is given elsewhere; `environment_variables.NAME` for one variable. notes:
    sentences by the setting that they are about, or by a key that the client drops. not_emulated: keys without effect
    here, each with its line.
    """

    values: dict[str, object] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    locations: dict[str, SourceLocation] = field(default_factory=dict)
    unresolved: dict[str, Problem] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    not_emulated: list[str] = field(default_factory=list)

    def put(self, name: str, value: object, location: SourceLocation) -> None:
        """Adds a value by the name of its setting, or its v1 name."""
        setting, _ = resolve_setting(name)
        self.values[name] = value
        self.origins[setting] = location.origin
        self.locations[setting] = location

    def leave(self, setting: str, location: SourceLocation, message: str) -> None:
        """Adds a problem that holds unless the setting is given elsewhere."""
        self.unresolved[setting] = Problem(location, message)


@dataclass(frozen=True, kw_only=True)
class JobStep(ReadSettings):
    """One entry script with what its job file says about it.

    Its methods take `options`: values of --parallelrun-input by the name of the input, which override those of the job
    file.

    arguments: the text of the program arguments, or the list of them in v1. split: the inputs that make mini-batches.
    model: a local one of a batch deployment.
    """

    name: str
    location: SourceLocation
    profile: Profile
    entry: EntryFile
    arguments: str | Sequence[str] = ()
    arguments_location: SourceLocation | None = None
    inputs: Mapping[str, InputValue] = field(default_factory=dict)
    outputs: Mapping[str, OutputValue] = field(default_factory=dict)
    context: StepContext = ALONE
    split: tuple[str, ...] = ()
    model: Path | None = None
    environment: JobEnvironment | None = None

    def settings(self) -> JobSettings:
        """The settings of the job file. SettingsError if two of them exclude each other."""
        return JobSettings.from_mapping(self.values, self.location.origin)

    def resolve(
        self,
        settings: JobSettings,
        program_arguments: str | Sequence[str],
        options: Mapping[str, str],
        sample: Sequence[str] | None,
    ) -> ResolvedStep:
        """The job of this step, with what overrides it. JobFileError if something is still missing or wrong.

        sample: paths that are split; () if what is split has no paths, such as a DataFrame; None for those of the step.
        """
        of_step, problems = self.settings(), list[Problem]()
        try:
            if not program_arguments and "program_arguments" not in self.unresolved:
                program_arguments = self.program_arguments(options)
        except JobFileError as error:
            problems += error.problems
        arguments = parse_program_arguments(program_arguments, profile=settings.over(of_step).profile)
        given = apply_program_arguments(settings, arguments)
        known = {*given.explicit, *(f"environment_variables.{name}" for name in given.environment_variables)}
        known.update(("program_arguments",) if program_arguments else ())
        known.update(("input_data",) if sample is not None else ())
        known.update((STARS,) if settings.explicit else ())
        problems += [problem for name, problem in self.unresolved.items() if name not in known]
        typed, both = TypedInput(), given.over(of_step)
        if both.profile == "v2" and (sample is None or sample):
            typed = self.typed_sample(options, sample or (), row_mode=both.mini_batch_rows is not None)
        if problems := [*problems, *typed.problems]:
            raise JobFileError(problems)
        if typed.as_files is not None:
            both = given.over(of_step.replace(input_type="uri_folder"))
        return ResolvedStep(given, both, arguments, typed)

    def known_inputs(self) -> frozenset[str]:
        """Names that --parallelrun-input may set."""
        return frozenset(self.inputs) | frozenset(self.context.inputs)

    def takes_value(self, name: str) -> bool:
        """Whether the input is a number, string or boolean, not data."""
        value = self.inputs.get(name) or self.context.inputs.get(name)
        return value is not None and value.is_value

    @property
    def splits_mltable(self) -> bool:
        return any(self.inputs[name].type == "mltable" for name in self.split)

    def sample(self, options: Mapping[str, str]) -> tuple[str, ...]:
        """Paths of the inputs that make mini-batches; () unless all are known."""
        paths = [options.get(name) or self.inputs[name].path for name in self.split]
        return tuple(path for path in paths if path) if all(paths) else ()

    def without_path(self, options: Mapping[str, str]) -> Iterator[str]:
        """The inputs that make mini-batches and have no path."""
        return (name for name in self.split if name not in options and self.inputs[name].path is None)

    def sample_origin(self, options: Mapping[str, str]) -> str | None:
        """Where the job file has the paths of `sample()`; None if an option gives them."""
        origins = (self.inputs[name].location.origin for name in self.split if name not in options)
        return next(origins, None)

    def typed_sample(self, options: Mapping[str, str], paths: Sequence[str], *, row_mode: bool) -> TypedInput:
        """What the type of the input that is split means for its sample.

        paths: of an option without a name, which overrides all. Only for v2: in v1 it is a data set of the service, and
        in batch each call has a type.
        """
        if self.profile != "v2" or not self.split:
            return TypedInput()
        [name] = self.split
        value = self.inputs[name]
        sample = list(paths) or ([options[name]] if name in options else None)
        if sample is None and value.path is None:
            return TypedInput()
        return typed_input(value, sample, row_mode=row_mode)

    def missing_sample(self, options: Mapping[str, str]) -> str | None:
        """Why there is no sample, and the option that provides one; None if there is one."""
        for name in self.without_path(options):
            value = self.inputs[name]
            why, at = value.why or "is no path", value.location.origin
            return f"the input '{name}' ({at}) {why}; give a sample with --parallelrun-input={name}=PATH"
        return None if self.split else "the job definition names no input; give one with --parallelrun-input=PATH"

    def program_arguments(self, options: Mapping[str, str]) -> tuple[str, ...]:
        """The program arguments with their inputs. An output stays `${{outputs.NAME}}`, which a job fills in.

        JobFileError if the value of an input is unknown.
        """
        location, problems = self.arguments_location or self.location, Problems()

        def fill(binding: Binding) -> str:
            if binding.source.endswith("outputs"):
                return self._output(binding)
            value = self._value(binding, options)
            if value is None:
                problems.add(location, self._needed(binding))
            return value or ""

        if isinstance(self.arguments, str):
            kept = without_missing_options(self.arguments, lambda binding: self._is_left_out(binding, options))
            filled = tuple(split_arguments(kept, fill))
        else:
            bound = ((text, whole_binding(text) if "inputs." in text else None) for text in self.arguments)
            filled = tuple(text if binding is None else fill(binding) for text, binding in bound)
        if problems:
            raise JobFileError(problems)
        return filled

    def _look_up(self, binding: Binding) -> InputValue:
        return look_up(binding, self.inputs, self.context, self.arguments_location or self.location)

    def _value(self, binding: Binding, options: Mapping[str, str]) -> str | None:
        if binding.source == "inputs" and binding.name in options:
            return options[binding.name]
        value = self._look_up(binding)
        if value.name in options and binding.source != "inputs":
            return options[value.name]
        return value.path if value.path is not None else None if value.literal is None else str(value.literal)

    def _output(self, binding: Binding) -> str:
        output = self.outputs.get(binding.name) if binding.source == "outputs" else None
        text = f"${{{{outputs.{binding.name}}}}}"
        return f"{text}/{output.file_name or output.name}" if output is not None and output.is_file else text

    def _is_left_out(self, binding: Binding, options: Mapping[str, str]) -> bool:
        if binding.source.endswith("outputs"):
            return False
        value = self._look_up(binding)
        return value.optional and self._value(binding, options) is None and not value.elsewhere

    def _needed(self, binding: Binding) -> str:
        value = self._look_up(binding)
        placeholder = "VALUE" if value.is_value else "PATH"
        name = binding.name if binding.source == "inputs" else value.name
        text = (
            f"program arguments need the input '{name}', which {value.why or 'has no value'}: "
            f"give --parallelrun-input={name}={placeholder}, or all of them with --parallelrun-args"
        )
        if value.optional and binding.text in outside_options(str(self.arguments)):
            text += "; or write $[[...]] around what goes with it, since it is optional"
        return text


@dataclass(frozen=True)
class ResolvedStep:
    """given: settings that override those of the step, also from program arguments. settings: all of them."""

    given: JobSettings
    settings: JobSettings
    arguments: ProgramArguments
    typed: TypedInput


@dataclass(frozen=True)
class StepReading:
    """One step or its problems. script: its entry script, if it was found."""

    name: str
    script: Path | None
    step: JobStep | None
    problems: tuple[Problem, ...] = ()

    @classmethod
    def failed(cls, name: str, entry: EntryFile | None, problems: Problems) -> StepReading:
        return cls(name, None if entry is None else entry.path, None, tuple(problems))


@dataclass(frozen=True, kw_only=True)
class JobFile:
    """A job file.

    steps: parallel jobs. problems: outside of them. skipped: sentences on steps that may be parallel jobs and cannot be
    read here. files: all that were read. is_job: whether it is a job file at all.
    """

    path: Path
    steps: tuple[StepReading, ...] = ()
    problems: tuple[Problem, ...] = ()
    skipped: tuple[str, ...] = ()
    files: frozenset[Path] = frozenset()
    is_job: bool = True

    @classmethod
    def none(cls, path: Path, problems: Problems) -> JobFile:
        """A file that is not a job file."""
        return cls(path=path, problems=tuple(problems), files=frozenset({path}), is_job=False)
