"""A parallel job of v2: a component, a step of a pipeline, or a call of parallel_run_function(), all as one mapping.

`find_script()` is that of the other kinds of jobs as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_parallelrun.emulator.entry import EntryFile, find_entry
from pytest_parallelrun.emulator.errors import EntryScriptError, SettingsError, did_you_mean
from pytest_parallelrun.emulator.splitting.input_paths import REMOTE
from pytest_parallelrun.job_files.bindings import Binding, BindingError, bindings_in, split_arguments, whole_binding
from pytest_parallelrun.job_files.environment import read_environment
from pytest_parallelrun.job_files.inputs import (
    ALONE,
    InputValue,
    OutputValue,
    StepContext,
    filled_inputs,
    local_path,
    look_up,
    read_inputs,
    read_outputs,
    refused_type,
)
from pytest_parallelrun.job_files.job_step import JobStep, StepReading
from pytest_parallelrun.job_files.keys import COMPONENT, FUNCTION, PARALLEL, STEP, Key, check_keys
from pytest_parallelrun.job_files.settings import Read, check_arguments, note_size_without_effect, read_settings
from pytest_parallelrun.job_files.tree import (
    Listing,
    Node,
    Opaque,
    Problem,
    Problems,
    Scalar,
    SourceLocation,
    Table,
    entry_text,
    present,
    text_of,
    value_text,
)

TASK_TYPES = ("run_function", "function", "model")
MODULE = re.compile(r"(?!.*\.py$)[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
"""An entry script as the name of a module. Source: specification of the batch_score component."""
CODE = ("task.code", "source_directory", "code_configuration.code")
SCRIPT_ALONE = " (the script alone is gated with --parallelrun-entry=PATH)"
FALSY_IN_A_STEP = ("mini_batch_error_threshold",)
"""Keys whose 0 in a step the client takes for "not set" where the component has a value (azure-ai-ml 1.35)."""


def read_component(table: Table, name: str, *, other_root: Path | None) -> StepReading:
    """A file with `type: parallel`."""
    problems = Problems()
    dropped: dict[str, str] = {}
    check_keys(table, COMPONENT, problems, owner="a parallel component", dropped=dropped)
    inputs = read_inputs(table.entries.get("inputs"), ALONE, problems)
    outputs = read_outputs(table.entries.get("outputs"), ALONE, problems)
    parts = _Parts(name=name, table=table, inputs=inputs, outputs=outputs, keys=PARALLEL, dropped=dropped)
    return _read(parts, problems, other_root)


def read_function(table: Table, name: str, *, other_root: Path | None, unread: Sequence[Opaque]) -> StepReading:
    """A call of parallel_run_function(). unread: arguments of it that are no literals."""
    problems = Problems()
    dropped: dict[str, str] = {}
    check_keys(table, FUNCTION, problems, owner="parallel_run_function()", unread=unread, dropped=dropped)
    if isinstance(table.entries.get("task"), Opaque):
        task = table.entries["task"]
        problems.add(task.location, f"task must be RunFunction(...), and is {value_text(task)}")
    inputs = read_inputs(table.entries.get("inputs"), ALONE, problems)
    outputs = read_outputs(table.entries.get("outputs"), ALONE, problems)
    parts = _Parts(name=name, table=table, inputs=inputs, outputs=outputs, keys=FUNCTION, dropped=dropped)
    return _read(parts, problems, other_root)


def read_step(
    table: Table, component: Table | None, name: str, context: StepContext, *, other_root: Path | None
) -> StepReading:
    """A step of a pipeline. component: what its `component` refers to, None where the step has all itself."""
    problems = Problems()
    dropped: dict[str, str] = {}
    inputs = read_inputs(table.entries.get("inputs"), context, problems)
    outputs = read_outputs(table.entries.get("outputs"), context, problems)
    if component is None:
        check_keys(table, STEP, problems, owner=f"the parallel step '{name}'", dropped=dropped)
        parts = _Parts(
            name=name, table=table, inputs=inputs, outputs=outputs, keys=STEP, context=context, dropped=dropped
        )
        return _read(parts, problems, other_root)
    optional = ("task", "input_data")
    check_keys(table, STEP, problems, owner=f"the parallel step '{name}'", optional=optional, dropped=dropped)
    check_keys(component, PARALLEL, problems, owner="a parallel component", dropped=dropped)
    component = component.without(*(key for key in component.entries if key not in PARALLEL))
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
    declared = read_inputs(component.entries.get("inputs"), ALONE, problems)
    inputs = filled_inputs(declared, inputs, str(component.location.origin), problems)
    outputs = {
        **read_outputs(component.entries.get("outputs"), ALONE, problems),
        **_typed_outputs(outputs, table.entries.get("outputs"), component, problems),
    }
    merged = replace(
        component.with_entries(table.without("inputs", "outputs", "component", "type")), location=table.location
    )
    parts = _Parts(name=name, table=merged, inputs=inputs, outputs=outputs, keys=STEP, context=context, dropped=dropped)
    return _read(parts, problems, other_root)


def _typed_outputs(
    outputs: Mapping[str, OutputValue], node: Node | None, component: Table, problems: Problems
) -> dict[str, OutputValue]:
    """The outputs that a step gives in `node`; they have the types of the component's where they say none."""
    declared = read_outputs(component.entries.get("outputs"), ALONE, Problems())
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
    """A parallel job put together: `table` has its keys without regard to where they come from.

    dropped: sentences on keys that the client drops.
    """

    name: str
    table: Table
    inputs: Mapping[str, InputValue]
    outputs: Mapping[str, OutputValue]
    keys: Mapping[str, Key]
    dropped: Mapping[str, str]
    context: StepContext = ALONE

    def look_up(self, binding: Binding, location: SourceLocation) -> InputValue:
        if binding.source.endswith("outputs"):
            raise BindingError(f"{binding.text} is an output, and has no value before the job has run")
        return look_up(binding, self.inputs, self.context, location)

    def literal(self, binding: Binding, location: SourceLocation) -> str:
        """The value of an input that has one in the file, else the binding as it is."""
        if binding.source.endswith("outputs"):
            return binding.text
        value = self.look_up(binding, location).literal
        return binding.text if value is None else str(value)


def _read(parts: _Parts, problems: Problems, other_root: Path | None) -> StepReading:
    table = parts.table
    task = table.entries.get("task")
    task = task if isinstance(task, Table) else Table(table.location, {}, {})
    task_type = entry_text(task, "type")
    if task_type is not None and task_type.lower() not in TASK_TYPES:
        problems.add(
            task.entries["type"].location, f"there is no task type '{task_type}'. {did_you_mean(task_type, TASK_TYPES)}"
        )
    names = ("task.code", "task.entry_script")
    code, script = task.entries.get("code"), task.entries.get("entry_script")
    entry = find_script(code, script, problems, names=names, other_root=other_root)

    read = Read()
    read.put("profile", "v2", table.location)
    read_settings(table, parts.keys, parts.look_up, problems, read)
    note_size_without_effect(table, read)
    _append_row_to(task.entries.get("append_row_to"), parts, problems, read)
    split = _split_input(table.entries.get("input_data"), parts, problems)
    for name in split:
        refused = refused_type(parts.inputs[name])
        if refused is not None:
            read.unresolved["mini_batch_rows"] = refused
    arguments, location = _arguments(task.entries.get("program_arguments"), parts, problems, read)
    if problems or entry is None:
        return StepReading.failed(parts.name, entry, problems)
    step = JobStep(
        name=parts.name,
        location=table.location,
        profile="v2",
        entry=entry,
        values=read.values,
        origins=read.origins,
        arguments=arguments,
        arguments_location=location,
        inputs=parts.inputs,
        outputs=parts.outputs,
        context=parts.context,
        split=split,
        unresolved=read.unresolved,
        notes={**parts.dropped, **read.notes},
        not_emulated=tuple(read.not_emulated),
        environment=read_environment(task.entries.get("environment")),
    )
    return StepReading(parts.name, entry.path, step)


def _append_row_to(node: Node | None, parts: _Parts, problems: Problems, read: Read) -> None:
    """What is appended goes to an output: then it has the file name of that, where it has one."""
    node = present(node)
    if node is None:
        return
    try:
        binding = whole_binding(text_of(node) or "")
    except BindingError as error:
        problems.add(node.location, f"append_row_to: {error}")
        return
    if binding is None or not binding.source.endswith("outputs"):
        problems.add(node.location, f"append_row_to must be ${{{{outputs.NAME}}}}, and is {value_text(node)}")
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


def _split_input(node: Node | None, parts: _Parts, problems: Problems) -> tuple[str, ...]:
    node = present(node)
    if node is None:
        return ()
    try:
        binding = whole_binding(text_of(node) or "")
        if binding is None or binding.source != "inputs":
            problems.add(node.location, f"input_data must be ${{{{inputs.NAME}}}}, and is {value_text(node)}")
            return ()
        value = parts.look_up(binding, node.location)
    except BindingError as error:
        problems.add(node.location, f"input_data: {error}")
        return ()
    if value.is_value:
        problems.add(node.location, f"input_data={binding.text} is a {value.type or 'value'}; it must be data")
    return (binding.name,)


def _arguments(
    node: Node | None, parts: _Parts, problems: Problems, read: Read
) -> tuple[str | tuple[str, ...], SourceLocation | None]:
    """The text of the program arguments, checked as far as that can be done without the values of inputs."""
    node = present(node)
    if node is None:
        return (), None
    if isinstance(node, Opaque):
        message = f"program_arguments is the expression `{node.text}`: {node.why}, or give --parallelrun-args=ARGUMENTS"
        read.unresolved["program_arguments"] = Problem(node.location, message)
        return (), node.location
    text = text_of(node)
    if text is None:
        hint = "write them as one text" if isinstance(node, Listing) else "put them in quotes"
        problems.add(node.location, f"program_arguments must be a text, and is {value_text(node)}: {hint}")
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


def find_script(
    code: Node | None, script: Node | None, problems: Problems, *, names: tuple[str, str], other_root: Path | None
) -> EntryFile | None:
    """The script of a definition; None, with problems, where it is not there, and for what is missing altogether.

    names: of the two keys. other_root: a code root that is given otherwise, over that of the file.
    """
    script_text = _text(script, names[1], problems)
    code_text = _text(code, names[0], problems) if other_root is None else ""
    if script is None or not script_text or code_text is None:
        return None
    if other_root is not None:
        root = other_root
    elif code is None:
        return None
    elif REMOTE.match(code_text) or code_text.startswith(("git+", "git@")):
        problems.add(
            code.location, f"{names[0]}={code_text!r} is not on this machine: give a copy with --parallelrun-code=DIR"
        )
        return None
    else:
        root = Path(local_path(code_text, code.location))
        if not root.is_dir():
            reason = "is a file; give its folder" if root.is_file() else f"is no folder (looked for '{root}')"
            hint = "; write it with forward slashes" if "\\" in code_text and not root.exists() else ""
            problems.add(code.location, f"{names[0]}={code_text!r} {reason}{hint}")
            return None
    path = _script_path(root, script_text)
    try:
        entry = find_entry(path, root)
    except EntryScriptError as error:
        problems.add(script.location, f"{names[1]}={script_text!r}: {error}")
        return None
    assert isinstance(entry, EntryFile)
    return entry


def _script_path(root: Path, script: str) -> Path:
    """The file of a script that is written as a path, or as a dotted module without `.py`."""
    # Both slashes are those of folders to the runtime, which makes a dotted name of the path.
    path = root / script.replace("\\", "/")
    if (path.exists() and not path.is_dir()) or not MODULE.fullmatch(script):
        return path
    module = root.joinpath(*script.split(".")).with_suffix(".py")
    return path if path.is_dir() and not module.is_file() else module


def _text(node: Node | None, name: str, problems: Problems) -> str | None:
    """The text of a key; "" where it is not there, None with a problem where it is something else."""
    node = present(node)
    if node is None:
        return ""
    text = text_of(node)
    if text is None or not text.strip():
        hint = ""
        if isinstance(node, Opaque):
            hint = " (a code root can be given with --parallelrun-code=DIR)" if name in CODE else SCRIPT_ALONE
        problems.add(node.location, f"{name} must be a path, and is {value_text(node)}{hint}")
        return None
    return text.strip()
