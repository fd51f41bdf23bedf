"""Inputs and outputs of a step: their values, which of them exist, and what their types mean."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_parallelrun.emulator.errors import did_you_mean
from pytest_parallelrun.emulator.setting_types import FILE_NAME
from pytest_parallelrun.emulator.splitting.input_paths import MLTABLE, REMOTE, ROW_MODE
from pytest_parallelrun.job_files.bindings import Binding, BindingError, whole_binding
from pytest_parallelrun.job_files.tree import Node, Opaque, Problem, Problems, Scalar, SourceLocation, Table, text_of

VALUE_TYPES = ("string", "number", "integer", "boolean")
DATA_TYPES = ("uri_folder", "uri_file", "mltable", "custom_model", "mlflow_model", "triton_model", "path")
FOLDER = "uri_folder"
INPUT_KEYS = (
    *("type", "path", "mode", "optional", "default", "description", "min", "max", "enum", "datastore"),
    *("path_on_compute", "value", "name", "version", "tags", "properties", "intellectual_property"),
)
MODES = ("ro_mount", "rw_mount", "download", "direct")
TABLE_MODES = (*MODES, "eval_mount", "eval_download")
COMPONENT_MODES = (*TABLE_MODES, "mount")
OUTPUT_MODES = ("rw_mount", "upload", "mount", "direct")
OUTPUT_KEYS = ("type", "path", "mode", "name", "version", "description", "early_available", "is_control")


@dataclass(frozen=True, kw_only=True)
class InputValue:
    """An input of a step or pipeline.

    literal: its value if it is not data. path: a local path, absolute. why: if neither exists, what the file has
    instead ("is azureml:data@latest"). elsewhere: whether that is a value for the service. type: as written, at
    type_location.
    """

    name: str
    location: SourceLocation
    literal: str | int | float | bool | None = None
    path: str | None = None
    why: str = ""
    elsewhere: bool = False
    optional: bool = False
    type: str | None = None
    type_location: SourceLocation | None = None

    @property
    def is_value(self) -> bool:
        """Whether it is a number, string or boolean, not data."""
        return self.literal is not None or self.type in VALUE_TYPES


@dataclass(frozen=True)
class OutputValue:
    """An output. file_name: of a `uri_file`, if the job file names one."""

    name: str
    is_file: bool = False
    file_name: str | None = None


@dataclass(frozen=True)
class StepContext:
    """What a step sees of its pipeline, by name. `exists` is False without a pipeline."""

    inputs: Mapping[str, InputValue]
    outputs: Mapping[str, OutputValue]
    exists: bool = True


ALONE = StepContext({}, {}, exists=False)


def read_inputs(node: Node | None, context: StepContext, problems: Problems) -> dict[str, InputValue]:
    return {name: _input(name, value, context, problems) for name, value in _entries(node, "inputs", problems)}


def filled_inputs(
    declared: Mapping[str, InputValue], values: Mapping[str, InputValue], component: str, problems: Problems
) -> dict[str, InputValue]:
    """The inputs of a component with the values that a step gives them."""
    merged = dict(declared)
    for name, value in values.items():
        if name not in declared:
            hint = did_you_mean(name, declared) if declared else "It has no inputs."
            problems.add(value.location, f"the component {component} has no input '{name}'. {hint}")
            continue
        input = declared[name]
        if input.type in DATA_TYPES and isinstance(value.literal, str):
            # A string is a path if the component wants data.
            value = replace(_at(value, value.literal), literal=None)
        merged[name] = _typed_by(input, replace(value, optional=input.optional))
    return merged


def _typed_by(other: InputValue, value: InputValue) -> InputValue:
    """The input with the type of another one if it has none itself."""
    return value if value.type else replace(value, type=other.type, type_location=other.type_location)


def read_outputs(node: Node | None, context: StepContext, problems: Problems) -> dict[str, OutputValue]:
    """The outputs that a mapping declares."""
    return {name: _output(name, value, context, problems) for name, value in _entries(node, "outputs", problems)}


def look_up(
    binding: Binding, inputs: Mapping[str, InputValue], context: StepContext, location: SourceLocation
) -> InputValue:
    """The input of a binding. BindingError for an unknown name."""
    if binding.source == "parent.jobs":
        why = f"is {binding.text}, which another job of the pipeline makes"
        return InputValue(name=binding.name.partition(".")[0], location=location, why=why, elsewhere=True)
    known = inputs if binding.source == "inputs" else context.inputs
    if binding.source == "parent.inputs" and not context.exists:
        why = f"is {binding.text}, and no pipeline is around it"
        return InputValue(name=binding.name, location=location, why=why, elsewhere=True)
    if binding.name not in known:
        where = "the step" if binding.source == "inputs" else "the pipeline"
        hint = did_you_mean(binding.name, known) if known else "It has no inputs."
        raise BindingError(f"{binding.text}: {where} has no input '{binding.name}'. {hint}")
    return known[binding.name]


def _entries(node: Node | None, key: str, problems: Problems) -> list[tuple[str, Node]]:
    if node is None:
        return []
    if isinstance(node, Table):
        return list(node.entries.items())
    problems.add(node.location, f"'{key}' must be a mapping of names, and is {node.kind}")
    return []


def _input(name: str, node: Node, context: StepContext, problems: Problems) -> InputValue:
    start = InputValue(name=name, location=node.location)
    if isinstance(node, Scalar):
        return _from_scalar(start, node.value, context, problems)
    if isinstance(node, Opaque):
        return replace(start, why=f"is `{node.text}`: {node.why}", elsewhere=True)
    if not isinstance(node, Table):
        problems.add(node.location, f"the input '{name}' is {node.kind}; it must be a value, or a mapping with a type")
        return start
    for key in node.entries:
        if key not in INPUT_KEYS:
            problems.add(node.keys[key], f"there is no key '{key}' in an input. {did_you_mean(key, INPUT_KEYS)}")
    written = _type(node, problems)
    if written not in VALUE_TYPES:
        # The client accepts more in a declaration than in a value.
        of_step = MODES if written not in ("mltable", None) else TABLE_MODES
        _check_mode(node, of_step if context.exists else COMPONENT_MODES, problems, owner=f"input '{name}'")
    start = replace(start, type=written, type_location=node.entries["type"].location if written else None)
    optional = node.entries.get("optional")
    start = replace(start, optional=isinstance(optional, Scalar) and str(optional.value).lower() == "true")
    path = node.get("path")
    if path is not None:
        start = replace(start, location=path.location)
        if isinstance(path, Opaque):
            return replace(start, why=f"has the path `{path.text}`: {path.why}")
        text = text_of(path)
        if text is None:
            problems.add(path.location, f"the path of the input '{name}' must be a text, and is {path.kind}")
            return start
        return _bound(start, text, context, problems) or _at(start, text)
    default = node.entries.get("default", node.entries.get("value"))
    if isinstance(default, Scalar) and default.value is not None:
        return _from_scalar(replace(start, location=default.location), default.value, context, problems)
    return replace(start, why="has no value in the file" if start.is_value else "has no path in the file")


def _from_scalar(start: InputValue, value: object, context: StepContext, problems: Problems) -> InputValue:
    if isinstance(value, str):
        bound = _bound(start, value, context, problems)
        return bound if bound is not None else replace(start, literal=value)
    if isinstance(value, (bool, int, float)):
        return replace(start, literal=value)
    return replace(start, why="has no value in the file")


def _bound(start: InputValue, text: str, context: StepContext, problems: Problems) -> InputValue | None:
    """The value of a text that is one binding; None for any other text."""
    try:
        binding = whole_binding(text)
        if binding is None:
            return None
        source = look_up(binding, {}, context, start.location)
    except BindingError as error:
        problems.add(start.location, str(error))
        return start
    typed = _typed_by(source, start)
    return replace(source, name=start.name, optional=start.optional, type=typed.type, type_location=typed.type_location)


def _at(start: InputValue, text: str) -> InputValue:
    """The input at a path, relative to the folder of its file."""
    if REMOTE.match(text):
        return replace(start, why=f"is {text}, which is not on this machine", elsewhere=True)
    return replace(start, path=local_path(text, start.location))


def local_path(text: str, location: SourceLocation) -> str:
    """An absolute path from one in a job file."""
    relative = re.sub(r"^file:(//)?", "", text)
    return os.path.abspath(os.path.join(location.file.parent, os.path.expanduser(relative)))


def _type(node: Table, problems: Problems) -> str | None:
    type_node = node.entries.get("type")
    type_text = text_of(type_node)
    known = (*VALUE_TYPES, *DATA_TYPES)
    if type_text is not None and type_text.lower() not in known:
        problems.add(node.entries["type"].location, f"there is no type '{type_text}'. {did_you_mean(type_text, known)}")
    return None if type_text is None else type_text.lower()


def _check_mode(node: Table, allowed: Sequence[str], problems: Problems, *, owner: str) -> None:
    """The mode of data has no effect here; values that the client refuses are reported all the same."""
    mode = node.get("mode")
    text = text_of(mode)
    if mode is None or isinstance(mode, Opaque) or (text is not None and "${{" in text):
        return
    if text is None or text.lower() not in allowed:
        shown = mode.kind if text is None else repr(text)
        problems.add(mode.location, f"{owner}: there is no mode {shown}. {did_you_mean(text or '', allowed)}")


def _output(name: str, node: Node, context: StepContext, problems: Problems) -> OutputValue:
    text = text_of(node)
    if text is not None:
        try:
            binding = whole_binding(text)
        except BindingError as error:
            problems.add(node.location, str(error))
            return OutputValue(name)
        if binding is not None and binding.name in context.outputs:
            return replace(context.outputs[binding.name], name=name)
    if not isinstance(node, Table):
        return OutputValue(name)
    for key in node.entries:
        if key not in OUTPUT_KEYS:
            problems.add(node.keys[key], f"there is no key '{key}' in an output. {did_you_mean(key, OUTPUT_KEYS)}")
    _check_mode(node, OUTPUT_MODES, problems, owner=f"output '{name}'")
    if (_type(node, problems) or "") != "uri_file":
        return OutputValue(name)
    last = Path((node.text("path") or "").replace("\\", "/")).name
    try:
        file_name = FILE_NAME.parse(last) if "${{" not in last else None
    except ValueError:
        file_name = None
    return OutputValue(name, is_file=True, file_name=file_name)


@dataclass(frozen=True)
class TypedInput:
    """What a type means for a sample.

    as_files: where it says that run() gets paths, whatever the files contain; None if nothing says so. problems: what
    the service would refuse, or not find. notes: what happens here if its meaning is unknown.
    """

    as_files: SourceLocation | None = None
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def refused_type(value: InputValue) -> Problem | None:
    """The problem of an input of a type that is split only in row mode."""
    if value.type != "uri_file":
        return None
    return Problem(
        value.type_location or value.location,
        f"the input '{value.name}' is a uri_file, which the service does not split: Input format UriFile is not "
        f"supported. Write type: {FOLDER} with the folder of the file to pass paths, type: mltable with the folder of "
        f"an MLTable file to pass a table, or add the program arguments {ROW_MODE!r} to pass lines of JSON",
    )


def typed_input(value: InputValue, sample: Sequence[str] | None, *, row_mode: bool) -> TypedInput:
    """What the type of an input means for its sample.

    sample: paths of an option, which replace other data; None for the path in the file itself, which the service uses
    too. row_mode: JSON lines are passed.
    """
    if sample is None:
        message = _wrong_path(value)
        if message:
            return TypedInput(problems=(Problem(value.location, message),))
    paths = [value.path or ""] if sample is None else list(sample)
    described = [path for path in paths if os.path.isfile(os.path.join(path, MLTABLE))]
    location = value.type_location or value.location
    kind = value.type or FOLDER
    where = f"the input '{value.name}' is {'an' if kind.startswith('m') else 'a'} {kind} ({location.origin})"
    if row_mode:
        return TypedInput()
    if value.type == FOLDER or (value.type is None and sample is None):
        note = f"{where}: run() gets paths of files, that of the {MLTABLE} file too; with type: mltable it is read"
        return TypedInput(as_files=location, notes=(note,) if described else ())
    if value.type == "mltable" and not described:
        note = f"{where}, and the sample has no {MLTABLE} file: the sample alone decides what run() gets"
        return TypedInput(notes=(note,))
    if value.type not in ("mltable", None):
        note = f"{where}, which no document lists for input_data: the sample alone decides what run() gets"
        return TypedInput(notes=(note,))
    return TypedInput()


def _wrong_path(value: InputValue) -> str | None:
    """What is wrong with the path of a file for its type; a missing path is reported when it is opened."""
    path, kind = value.path, value.type
    assert path is not None
    if glob.has_magic(path) and not os.path.lexists(path):
        return f"the input '{value.name}' is a pattern, and a job takes no patterns: give the folder of the files"
    if kind == "mltable":
        if os.path.isfile(path):
            hint = "give its folder" if os.path.basename(path) == MLTABLE else _described(path)
            return f"the input '{value.name}' is an mltable, and its path is a file: {hint}"
        if os.path.isdir(path) and not os.path.isfile(os.path.join(path, MLTABLE)):
            return (
                f"the input '{value.name}' is an mltable, and its folder has no file named {MLTABLE}: add one, or "
                f"write type: {FOLDER} to pass paths of files"
            )
    elif kind in (FOLDER, None) and os.path.isfile(path):
        type_text = f"is a {FOLDER}" if kind else f"has no type, and so is a {FOLDER}"
        hint = f"give its folder to pass paths of files; to pass a table, {_described(path)}"
        return f"the input '{value.name}' {type_text}, and its path is a file: {hint}"
    elif kind == "uri_file" and os.path.isdir(path):
        return f"the input '{value.name}' is a uri_file, and its path is a folder: give the file, or type: {FOLDER}"
    return None


def _described(path: str) -> str:
    return f"put '{os.path.basename(path)}' into a folder with an {MLTABLE} file, and give that with type: mltable"
