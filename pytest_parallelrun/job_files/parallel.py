"""A parallel job of v2: a component, a step of a pipeline, or a call of parallel_run_function(), all as one mapping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_parallelrun.emulator.errors import SettingsError, did_you_mean
from pytest_parallelrun.job_files.bindings import (
    BINDING,
    Binding,
    BindingError,
    bindings_in,
    split_arguments,
    whole_binding,
)
from pytest_parallelrun.job_files.environment import read_environment
from pytest_parallelrun.job_files.inputs import (
    ALONE,
    InputValue,
    OutputValue,
    StepContext,
    filled_inputs,
    look_up,
    read_inputs,
    read_outputs,
    refused_type,
)
from pytest_parallelrun.job_files.job_step import JobStep, ReadSettings, StepReading
from pytest_parallelrun.job_files.keys import COMPONENT, FUNCTION, PARALLEL, STEP, Key, check_keys
from pytest_parallelrun.job_files.script import GivenCode, check_found, find_script
from pytest_parallelrun.job_files.settings import check_arguments, note_size_without_effect, read_settings
from pytest_parallelrun.job_files.tree import Listing, Node, Opaque, Problems, Scalar, SourceLocation, Table, text_of

TASK_TYPES = ("run_function", "function", "model")
FALSY_IN_A_STEP = ("mini_batch_error_threshold",)
"""Keys whose 0 in a step the client takes for "not set" if the component has a value (azure-ai-ml 1.35)."""


def read_component(table: Table, name: str, *, given: GivenCode) -> StepReading:
    """A file with `type: parallel`."""
    problems = Problems()
    dropped: dict[str, str] = {}
    check_keys(table, COMPONENT, problems, owner="a parallel component", dropped=dropped)
    inputs = read_inputs(table.get("inputs"), ALONE, problems)
    outputs = read_outputs(table.get("outputs"), ALONE, problems)
    parts = _Parts(name=name, table=table, inputs=inputs, outputs=outputs, keys=PARALLEL, dropped=dropped)
    return _read(parts, problems, given)


def read_function(table: Table, name: str, *, given: GivenCode, unread: Sequence[Opaque]) -> StepReading:
    """A call of parallel_run_function(). unread: arguments that are not literals."""
    problems = Problems()
    dropped: dict[str, str] = {}
    check_keys(table, FUNCTION, problems, owner="parallel_run_function()", unread=unread, dropped=dropped)
    task = table.entries.get("task")
    if isinstance(task, Opaque):
        dropped["task"] = (
            f"task is the expression `{task.text}` ({task.location.origin}), and is not read: give the script's "
            "arguments with --parallelrun-args, and --parallelrun-set=output_action=append_row where it appends"
        )
    names = _bound_names(table)
    node = table.get("inputs")
    if isinstance(node, Opaque):
        why = f"is among the inputs `{node.text}`, which cannot be read"
        inputs = {one: InputValue(name=one, location=node.location, why=why) for one in names["inputs"]}
    else:
        inputs = read_inputs(node, ALONE, problems)
    node = table.get("outputs")
    known = isinstance(node, Opaque)
    outputs = {one: OutputValue(one) for one in names["outputs"]} if known else read_outputs(node, ALONE, problems)
    parts = _Parts(name=name, table=table, inputs=inputs, outputs=outputs, keys=FUNCTION, dropped=dropped)
    return _read(parts, problems, given)


def _bound_names(table: Table) -> dict[str, list[str]]:
    """The names of inputs and outputs that the call binds, used if they cannot be read."""
    task = table.entries.get("task")
    parts = task.entries if isinstance(task, Table) else {}
    nodes = (table.entries.get("input_data"), parts.get("program_arguments"), parts.get("append_row_to"))
    names: dict[str, list[str]] = {"inputs": [], "outputs": []}
    for match in (match for node in nodes for match in BINDING.finditer(text_of(node) or "")):
        source, _, name = match[1].strip().partition(".")
        names.setdefault(source, []).append(name)
    return names


def read_step(
    table: Table, component: Table | None, name: str, context: StepContext, *, given: GivenCode
) -> StepReading:
    """A step of a pipeline. component: that of its `component`, None if the step has everything itself."""
    problems = Problems()
    dropped: dict[str, str] = {}
    inputs = read_inputs(table.get("inputs"), context, problems)
    outputs = read_outputs(table.get("outputs"), context, problems)
    optional = () if component is None else ("task", "input_data")
    check_keys(table, STEP, problems, owner=f"the parallel step '{name}'", optional=optional, dropped=dropped)
    if component is not None:
        check_keys(component, PARALLEL, problems, owner="a parallel component", dropped=dropped)
        component = component.without(*(key for key in component.entries if key not in PARALLEL))
        _check_falsy(table, component, problems)
        declared = read_inputs(component.get("inputs"), ALONE, problems)
        inputs = filled_inputs(declared, inputs, str(component.location.origin), problems)
        outputs = {
            **read_outputs(component.get("outputs"), ALONE, problems),
            **_typed_outputs(outputs, table.entries.get("outputs"), component, problems),
        }
        own = table.without("inputs", "outputs", "component", "type")
        table = replace(component.with_entries(own), location=table.location)
    parts = _Parts(name=name, table=table, inputs=inputs, outputs=outputs, keys=STEP, context=context, dropped=dropped)
    return _read(parts, problems, given)


def _check_falsy(table: Table, component: Table, problems: Problems) -> None:
    for key in FALSY_IN_A_STEP:
        value, default = table.entries.get(key), component.entries.get(key)
        if not isinstance(value, Scalar) or value.value != 0 or not isinstance(default, Scalar):
            continue
        if default.value not in (None, 0):
            problems.add(
                value.location,
                f"{key}=0 does not hold: the client takes 0 in a step for 'not set', and sends the component's "
                f"{default.value} ({default.location.origin}). Set it there",
            )


def _typed_outputs(
    outputs: Mapping[str, OutputValue], node: Node | None, component: Table, problems: Problems
) -> dict[str, OutputValue]:
    """The outputs of a step in `node`, with the types of the component's by default."""
    declared = read_outputs(component.get("outputs"), ALONE, Problems())
    typed = {}
    for name, output in outputs.items():
        if name not in declared:
            assert isinstance(node, Table)
            hint = did_you_mean(name, declared) if declared else "It has no outputs."
            at = component.location.origin
            problems.add(node.keys[name], f"the component {at} has no output '{name}'. {hint}")
            continue
        typed_output = declared[name]
        file_name = output.file_name or typed_output.file_name
        typed[name] = output if output.is_file else replace(typed_output, file_name=file_name)
    return typed


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """A complete parallel job: `table` has its keys, wherever they come from.

    dropped: sentences on keys that the client drops.
    """

    name: str
    table: Table
    inputs: Mapping[str, InputValue]
    outputs: Mapping[str, OutputValue]
    keys: Mapping[str, Key]
    dropped: dict[str, str]
    context: StepContext = ALONE

    def look_up(self, binding: Binding, location: SourceLocation) -> InputValue:
        if binding.source.endswith("outputs"):
            raise BindingError(f"{binding.text} is an output, and has no value before the job has run")
        return look_up(binding, self.inputs, self.context, location)

    def literal(self, binding: Binding, location: SourceLocation) -> str:
        """The value of an input with one in the file, otherwise the binding itself."""
        if binding.source.endswith("outputs"):
            return binding.text
        value = self.look_up(binding, location).literal
        return binding.text if value is None else str(value)


def _read(parts: _Parts, problems: Problems, given: GivenCode) -> StepReading:
    table = parts.table
    task = table.entries.get("task")
    task = task if isinstance(task, Table) else Table(table.location, {}, {})
    task_type = task.text("type")
    if task_type is not None and task_type.lower() not in TASK_TYPES:
        problems.add(
            task.entries["type"].location, f"there is no task type '{task_type}'. {did_you_mean(task_type, TASK_TYPES)}"
        )
    names = ("task.code", "task.entry_script")
    code, script = task.entries.get("code"), task.entries.get("entry_script")
    entry = find_script(code, script, problems, names=names, given=given)

    read = ReadSettings(notes=parts.dropped)
    read.put("profile", "v2", table.location)
    read_settings(table, parts.keys, parts.look_up, problems, read)
    note_size_without_effect(table, read)
    _append_row_to(task.get("append_row_to"), parts, problems, read)
    split = _split_input(table.get("input_data"), parts, problems, read)
    for name in split:
        refused = refused_type(parts.inputs[name])
        if refused is not None:
            read.unresolved["mini_batch_rows"] = refused
    arguments, location = _arguments(task.get("program_arguments"), parts, problems, read)
    check_found(entry, table.location, problems)
    if problems or entry is None:
        return StepReading.failed(parts.name, entry, problems)
    step = JobStep(
        name=parts.name,
        location=table.location,
        profile="v2",
        entry=entry,
        **vars(read),
        arguments=arguments,
        arguments_location=location,
        inputs=parts.inputs,
        outputs=parts.outputs,
        context=parts.context,
        split=split,
        environment=read_environment(task.get("environment")),
    )
    return StepReading(parts.name, entry.path, step)


def _append_row_to(node: Node | None, parts: _Parts, problems: Problems, read: ReadSettings) -> None:
    """Appended results go to an output and have its file name, if it has one."""
    if node is None:
        return
    try:
        binding = whole_binding(text_of(node) or "")
    except BindingError as error:
        problems.add(node.location, f"append_row_to: {error}")
        return
    if binding is None or not binding.source.endswith("outputs"):
        problems.add(node.location, f"append_row_to must be ${{{{outputs.NAME}}}}, and is {node.described}")
        return
    known = parts.outputs if binding.source == "outputs" else parts.context.outputs
    if binding.name not in known:
        hint = did_you_mean(binding.name, known) if known else "It has none."
        problems.add(node.location, f"append_row_to={binding.text}: there is no output '{binding.name}'. {hint}")
        return
    read.put("output_action", "append_row", node.location)
    file_name = known[binding.name].file_name
    if file_name is not None:
        read.put("append_row_file_name", file_name, node.location)


def _split_input(node: Node | None, parts: _Parts, problems: Problems, read: ReadSettings) -> tuple[str, ...]:
    if node is None:
        return ()
    if isinstance(node, Opaque):
        message = f"input_data is {node.described}, or give a sample with --parallelrun-input=PATH"
        read.leave("input_data", node.location, message)
        return ()
    try:
        binding = whole_binding(text_of(node) or "")
        if binding is None or binding.source != "inputs":
            problems.add(node.location, f"input_data must be ${{{{inputs.NAME}}}}, and is {node.described}")
            return ()
        value = parts.look_up(binding, node.location)
    except BindingError as error:
        problems.add(node.location, f"input_data: {error}")
        return ()
    if value.is_value:
        problems.add(node.location, f"input_data={binding.text} is a {value.type or 'value'}; it must be data")
    return (binding.name,)


def _arguments(
    node: Node | None, parts: _Parts, problems: Problems, read: ReadSettings
) -> tuple[str | tuple[str, ...], SourceLocation | None]:
    """The text of the program arguments, validated as far as possible without the values of inputs."""
    if node is None:
        return (), None
    if isinstance(node, Opaque):
        message = f"program_arguments is {node.described}, or give --parallelrun-args=ARGUMENTS"
        read.leave("program_arguments", node.location, message)
        return (), node.location
    text = text_of(node)
    if text is None:
        hint = "write them as one text" if isinstance(node, Listing) else "put them in quotes"
        problems.add(node.location, f"program_arguments must be a text, and is {node.described}: {hint}")
        return (), node.location
    try:
        for binding in bindings_in(text):
            if binding.source == "outputs" and binding.name not in parts.outputs:
                hint = did_you_mean(binding.name, parts.outputs) if parts.outputs else "It has no outputs."
                raise BindingError(f"{binding.text}: the step has no output '{binding.name}'. {hint}")
            if not binding.source.endswith("outputs"):
                parts.look_up(binding, node.location)
        bare = text.replace("$[[", " ").replace("]]", " ")
        check_arguments(list(split_arguments(bare, lambda binding: parts.literal(binding, node.location))), "v2")
    except (BindingError, SettingsError) as error:
        problems.add(node.location, str(error))
    except ValueError as error:
        problems.add(node.location, f"program_arguments: {str(error).lower()}; quote them as for a POSIX shell")
    return text, node.location
