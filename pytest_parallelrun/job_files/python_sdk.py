"""Python files that build parallel jobs: parallel_run_function() of v2, ParallelRunConfig() and ParallelRunStep().

They are parsed and never executed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_parallelrun.emulator.errors import SettingsError
from pytest_parallelrun.emulator.settings import V1_REFUSED_IN_FILE_NAMES
from pytest_parallelrun.job_files.bindings import Binding, BindingError
from pytest_parallelrun.job_files.deployment import read_deployment_call
from pytest_parallelrun.job_files.environment import read_environment
from pytest_parallelrun.job_files.inputs import InputValue
from pytest_parallelrun.job_files.job_step import JobFile, JobStep, StepReading
from pytest_parallelrun.job_files.keys import CONFIG, CONFIG_STEP, check_keys
from pytest_parallelrun.job_files.notebook import parse_source, read_source
from pytest_parallelrun.job_files.parallel import find_script, read_function
from pytest_parallelrun.job_files.python_source import DEPLOYMENTS, JobCall, PythonSource
from pytest_parallelrun.job_files.settings import Read, check_arguments, check_exclusive, read_settings
from pytest_parallelrun.job_files.tree import (
    Listing,
    Node,
    Opaque,
    Problem,
    Problems,
    Scalar,
    SourceLocation,
    Table,
    present,
    text_of,
    value_text,
)

NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
"""Of a step of v1, which the client checks: azureml-pipeline-core 1.62."""


def read_python(file: Path, other_root: Path | None) -> JobFile:
    """The jobs that a Python file builds."""
    problems = Problems()
    text = read_source(file, problems)
    module = None if text is None else parse_source(text, problems)
    if text is None or module is None:
        return JobFile.none(file, problems)
    try:
        source = PythonSource(text, module)
        calls = list(source.calls())
        steps = tuple(_steps(calls, source, other_root))
    except RecursionError:
        problems.add(SourceLocation(file), "the file is nested too deep to be read")
        return JobFile.none(file, problems)
    if not calls:
        problems.add(
            SourceLocation(file),
            "this file calls neither parallel_run_function() nor ParallelRunConfig(), nor does it make a "
            "ModelBatchDeployment(); --parallelrun-job takes the file that does",
        )
    return JobFile(path=file, steps=steps, problems=tuple(problems), files=frozenset({file}), is_job=bool(calls))


def _steps(calls: list[JobCall], source: PythonSource, other_root: Path | None) -> Iterator[StepReading]:
    used: set[SourceLocation] = set()
    changed = {call.table.location: source.changed(call) for call in calls if call.function == "ParallelRunConfig"}
    for call in calls:
        if call.function in ("parallel_run_function", "load_component"):
            for name, table in source.nodes_of(call):
                yield read_function(table, name, other_root=other_root, unread=call.unread)
        elif call.function in DEPLOYMENTS:
            table = source.changed(call)
            yield read_deployment_call(table, call.name, call.function, other_root=other_root, unread=call.unread)
        elif call.function == "ParallelRunStep":
            config = call.table.entries.get("parallel_run_config")
            if isinstance(config, Table):
                used.add(config.location)
                config = changed.get(config.location, config)
            yield read_config(config, call.table, call.name, other_root=other_root, unread=call.unread)
    for call in calls:
        if call.function == "ParallelRunConfig" and call.table.location not in used:
            table = changed[call.table.location]
            yield read_config(table, None, call.name, other_root=other_root, unread=call.unread)


def read_config(
    config: Node | None, step: Table | None, name: str, *, other_root: Path | None, unread: Sequence[Opaque]
) -> StepReading:
    """A ParallelRunStep() with its config, or a config alone. unread: arguments that are no literals."""
    problems = Problems()
    if step is not None:
        check_keys(step, CONFIG_STEP, problems, owner="ParallelRunStep()", unread=unread)
    if not isinstance(config, Table):
        if config is not None:
            problems.add(
                config.location, f"parallel_run_config must be ParallelRunConfig(...), and is {value_text(config)}"
            )
        return StepReading.failed(name, None, problems)
    # In a file for load_yaml() both may be given to that.
    of_file = (
        () if config.location.file.suffix.lower() in (".py", ".pyw", ".ipynb") else ("environment", "compute_target")
    )
    optional = CONFIG if unread else of_file
    check_keys(
        config, CONFIG, problems, owner="ParallelRunConfig()", optional=optional, unread=unread if step is None else ()
    )

    names = ("source_directory", "entry_script")
    # Without it the client takes the folder that it runs in.
    source = config.entries.get("source_directory", Scalar(config.location, "."))
    entry = find_script(source, config.entries.get("entry_script"), problems, names=names, other_root=other_root)

    read = Read()
    read.put("profile", "v1", config.location)
    read_settings(config, CONFIG, _no_binding, problems, read)
    _check_together(config, problems, read)
    arguments, location = _arguments(None if step is None else step.entries.get("arguments"), problems, read)
    inputs = {} if step is None else _inputs(step.entries.get("inputs"))
    if step is not None:
        for key in ("side_inputs", "allow_reuse"):
            if key in step.entries:
                read.not_emulated.append(f"{key} ({step.keys[key].origin})")
        _check_output(step, read, problems)
        _check_name(step.entries.get("name"), problems)
    if problems or entry is None:
        return StepReading.failed(name, entry, problems)
    job_step = JobStep(
        name=name,
        location=config.location if step is None else step.location,
        profile="v1",
        entry=entry,
        values=read.values,
        origins=read.origins,
        arguments=arguments,
        arguments_location=location,
        inputs=inputs,
        split=tuple(inputs),
        unresolved=read.unresolved,
        notes=read.notes,
        not_emulated=tuple(read.not_emulated),
        environment=read_environment(config.entries.get("environment")),
    )
    return StepReading(name, entry.path, job_step)


def _no_binding(binding: Binding, location: SourceLocation) -> InputValue:
    raise BindingError(f"{binding.text} is of v2, and means nothing to ParallelRunConfig()")


def _check_together(config: Table, problems: Problems, read: Read) -> None:
    check_exclusive(config, problems)
    file_name = str(read.values.get("append_row_file_name", ""))
    refused = [sign for sign in file_name if sign in V1_REFUSED_IN_FILE_NAMES]
    if refused:
        problems.add(
            read.locations["append_row_file_name"],
            f"append_row_file_name={file_name!r} holds {refused[0]!r}; v1 refuses {' '.join(V1_REFUSED_IN_FILE_NAMES)}",
        )


def _check_output(step: Table, read: Read, problems: Problems) -> None:
    """The client asks for an output unless nothing is appended."""
    if "output" in step.entries:
        return
    if str(read.values.get("output_action", "")).lower() == "append_row":
        problems.add(step.location, "ParallelRunStep() needs the key 'output', since output_action is append_row")
    else:
        read.put("output_folder", False, step.location)


def _check_name(node: Node | None, problems: Problems) -> None:
    name = text_of(node)
    if node is not None and name is not None and not (3 <= len(name) <= 32 and NAME.fullmatch(name)):
        problems.add(
            node.location,
            f"name={name!r}: a ParallelRunStep() is named by 3 to 32 small letters, digits and '-', the first one a "
            "letter and the last one no '-'",
        )


def _arguments(node: Node | None, problems: Problems, read: Read) -> tuple[tuple[str, ...], SourceLocation | None]:
    """The list of program arguments; numbers are texts to a command line."""
    node = present(node)
    if node is None:
        return (), None
    if not isinstance(node, Listing):
        if isinstance(node, Opaque):
            read.unresolved["program_arguments"] = _unreadable("arguments", node)
        else:
            problems.add(node.location, f"arguments must be a list, and is {value_text(node)}")
        return (), node.location
    texts: list[str] = []
    for item in node.items:
        if isinstance(item, Scalar) and isinstance(item.value, (str, int, float)):
            texts.append(str(item.value))
        elif isinstance(item, Opaque):
            read.unresolved.setdefault("program_arguments", _unreadable("an argument", item))
        else:
            problems.add(item.location, f"an argument must be a text or a number, and is {value_text(item)}")
    if "program_arguments" not in read.unresolved:
        try:
            check_arguments(texts, "v1")
        except SettingsError as error:
            problems.add(node.location, str(error))
    return tuple(texts), node.location


def _unreadable(subject: str, node: Opaque) -> Problem:
    return Problem(
        node.location,
        f"{subject} is the expression `{node.text}`: {node.why}, or give all with --parallelrun-args=ARGUMENTS",
    )


def _inputs(node: Node | None) -> dict[str, InputValue]:
    """The inputs, named as `as_named_input("name")` does, else input_0, input_1: they are data sets of the service."""
    items = node.items if isinstance(node, Listing) else [] if node is None else [node]
    inputs: dict[str, InputValue] = {}
    for number, item in enumerate(items):
        name = (item.input_name if isinstance(item, Opaque) else None) or text_of(item) or f"input_{number}"
        text = item.text if isinstance(item, Opaque) else value_text(item)
        why = f"is `{text}`, a data set of the service"
        inputs[name] = InputValue(name=name, location=item.location, why=why, elsewhere=True)
    return inputs
