"""JobStep: one entry of a job definition, whatever it was written in, with the origin of every value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_parallelrun.emulator.entry import EntryFile
from pytest_parallelrun.emulator.setting_table import Profile
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.job_files.bindings import Binding, outside_options, split_arguments, without_missing_options
from pytest_parallelrun.job_files.inputs import (
    ALONE,
    InputValue,
    OutputValue,
    StepContext,
    TypedInput,
    look_up,
    typed_input,
)
from pytest_parallelrun.job_files.tree import JobFileError, Problem, Problems, SourceLocation


@dataclass(frozen=True, kw_only=True)
class JobStep:
    """One entry script with what its job definition says about it.

    values: by setting or v1 name, as JobSettings takes them. origins: file and line, by setting.
    arguments: the text of the program arguments, or the list of them in v1. split: the inputs that make
    mini-batches. unresolved: by setting, the finding that holds unless the setting is given elsewhere.
    not_emulated: keys that have no effect here, each with its line. model: a local one of a batch deployment.
    """

    name: str
    place: SourceLocation
    profile: Profile
    entry: EntryFile
    values: Mapping[str, object]
    origins: Mapping[str, str]
    arguments: str | Sequence[str] = ()
    arguments_place: SourceLocation | None = None
    inputs: Mapping[str, InputValue] = field(default_factory=dict)
    outputs: Mapping[str, OutputValue] = field(default_factory=dict)
    around: StepContext = ALONE
    split: tuple[str, ...] = ()
    unresolved: Mapping[str, Problem] = field(default_factory=dict)
    not_emulated: tuple[str, ...] = ()
    model: Path | None = None

    def settings(self) -> JobSettings:
        """The settings of the definition alone. SettingsError where two of them exclude each other."""
        return JobSettings.from_mapping(self.values, self.place.origin)

    def known_inputs(self) -> frozenset[str]:
        """Names that --parallelrun-input may give a value."""
        return frozenset(self.inputs) | frozenset(self.around.inputs)

    def takes_value(self, name: str) -> bool:
        """Whether the input is a number, text or truth value, and not data."""
        value = self.inputs.get(name) or self.around.inputs.get(name)
        return value is not None and value.is_value

    def sample(self, given: Mapping[str, str]) -> tuple[str, ...]:
        """Paths of the inputs that make mini-batches; () unless all are known. given: by name, over the file's own."""
        paths = [given.get(name) or self.inputs[name].path for name in self.split]
        return tuple(path for path in paths if path) if all(paths) else ()

    def sample_origin(self, given: Mapping[str, str]) -> str | None:
        """Where the definition has the paths of `sample()`; None where an option gives them."""
        places = [self.inputs[name].place for name in self.split if name not in given]
        return places[0].origin if places else None

    def typed_sample(self, given: Mapping[str, str], paths: Sequence[str], *, row_mode: bool) -> TypedInput:
        """What the type of the input that is split says of its sample.

        given: by name, over the file's own. paths: of an option without a name, over both. Of v2 alone: in v1 it is a
        data set of the service, and in batch each call has a type.
        """
        if self.profile != "v2" or not self.split:
            return TypedInput()
        [name] = self.split
        value = self.inputs[name]
        sample = list(paths) or ([given[name]] if name in given else None)
        if sample is None and value.path is None:
            return TypedInput()
        return typed_input(value, sample, row_mode=row_mode)

    def missing_sample(self, given: Mapping[str, str]) -> str | None:
        """Why there is no sample, and the option that would give it; None where there is one."""
        for name in self.split:
            value = self.inputs[name]
            if name not in given and value.path is None:
                why = f" {value.why}" if value.why else " is no path"
                at = value.place.origin
                return f"the input '{name}' ({at}){why}; give a sample with --parallelrun-input={name}=PATH"
        return None if self.split else "the job definition names no input; give one with --parallelrun-input=PATH"

    def program_arguments(self, given: Mapping[str, str]) -> tuple[str, ...]:
        """The program arguments, inputs filled in. An output stays `${{outputs.NAME}}`, which a job fills in.

        JobFileError where the value of an input is not known.
        """
        if not isinstance(self.arguments, str):
            return tuple(self.arguments)
        place = self.arguments_place or self.place
        findings = Problems()

        def fill(binding: Binding) -> str:
            if binding.source.endswith("outputs"):
                return self._output(binding)
            value = self._value(binding, given, place)
            if value is None:
                findings.add(place, self._needed(binding, place))
                return ""
            return value

        kept = without_missing_options(self.arguments, lambda binding: self._is_left_out(binding, given, place))
        filled = tuple(split_arguments(kept, fill))
        if findings:
            raise JobFileError(findings.found)
        return filled

    def _value(self, binding: Binding, given: Mapping[str, str], place: SourceLocation) -> str | None:
        if binding.source == "inputs" and binding.name in given:
            return given[binding.name]
        value = look_up(binding, self.inputs, self.around, place)
        if value.name in given and binding.source != "inputs":
            return given[value.name]
        return value.path if value.path is not None else None if value.literal is None else str(value.literal)

    def _output(self, binding: Binding) -> str:
        output = self.outputs.get(binding.name) if binding.source == "outputs" else None
        text = f"${{{{outputs.{binding.name}}}}}"
        return f"{text}/{output.file_name or output.name}" if output is not None and output.is_file else text

    def _is_left_out(self, binding: Binding, given: Mapping[str, str], place: SourceLocation) -> bool:
        if binding.source.endswith("outputs"):
            return False
        value = look_up(binding, self.inputs, self.around, place)
        return value.optional and self._value(binding, given, place) is None and not value.why.startswith("is ")

    def _needed(self, binding: Binding, place: SourceLocation) -> str:
        value = look_up(binding, self.inputs, self.around, place)
        what = "VALUE" if value.is_value else "PATH"
        name = binding.name if binding.source == "inputs" else value.name
        text = (
            f"program arguments need the input '{name}', which {value.why or 'has no value'}: "
            f"give --parallelrun-input={name}={what}, or all of them with --parallelrun-args"
        )
        if value.optional and binding.text in outside_options(str(self.arguments)):
            text += "; or write $[[...]] around what goes with it, since it is optional"
        return text


@dataclass(frozen=True)
class StepReading:
    """One step: itself, or what is wrong with it. script: its entry script, as far as that was found."""

    name: str
    script: Path | None
    step: JobStep | None
    findings: tuple[Problem, ...]


@dataclass(frozen=True)
class JobFile:
    """A job definition.

    steps: those that are parallel jobs. findings: what is wrong outside of them. skipped: sentences on steps
    that may be parallel jobs and cannot be read here. files: all that were read. is_job: whether it is one at all.
    """

    path: Path
    steps: tuple[StepReading, ...] = ()
    findings: tuple[Problem, ...] = ()
    skipped: tuple[str, ...] = ()
    files: frozenset[Path] = frozenset()
    is_job: bool = True
