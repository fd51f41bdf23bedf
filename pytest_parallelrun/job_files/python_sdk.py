"""Python files that build parallel jobs: parallel_run_function() of v2, ParallelRunConfig() and ParallelRunStep().

They are parsed and never executed.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pytest_parallelrun.emulator.errors import SettingsError
from pytest_parallelrun.emulator.settings import V1_REFUSED_IN_FILE_NAMES
from pytest_parallelrun.job_files.bindings import Binding, BindingError
from pytest_parallelrun.job_files.inputs import InputValue
from pytest_parallelrun.job_files.job_step import JobFile, JobStep, StepReading
from pytest_parallelrun.job_files.keys import CONFIG, CONFIG_STEP, FUNCTION, Key, check_keys
from pytest_parallelrun.job_files.parallel import find_script, read_function
from pytest_parallelrun.job_files.python_reader import Names, Values
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
    entry_text,
    present,
    text_of,
    value_text,
)
from pytest_parallelrun.job_files.yaml_reader import read_text

FUNCTIONS = ("parallel_run_function", "ParallelRunConfig", "ParallelRunStep")
SDK = ("azure", "azureml", *FUNCTIONS)
NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
"""Of a step of v1, which the client checks: azureml-pipeline-core 1.62."""

_N = TypeVar("_N", bound=ast.AST)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call that makes a job. variable: what its value is assigned to."""

    function: str
    table: Table
    unread: list[Opaque]
    variable: str | None
    node: ast.Call

    @property
    def name(self) -> str:
        return entry_text(self.table, "name") or self.variable or f"line {self.table.location.line}"


def read_python(file: Path, other_root: Path | None) -> JobFile:
    """The jobs that a Python file builds."""
    problems = Problems()
    text = read_text(file, problems)
    module = None if text is None else _parse(text, file, problems)
    if module is None:
        return JobFile.none(file, problems)
    try:
        source = _Source(file, module)
        calls = list(source.calls())
        steps = tuple(_steps(calls, source, other_root))
    except RecursionError:
        problems.add(SourceLocation(file), "the file is nested too deep to be read")
        return JobFile.none(file, problems)
    if not calls:
        problems.add(
            SourceLocation(file),
            "this file calls neither parallel_run_function() nor ParallelRunConfig(); --parallelrun-job takes the file "
            "that does",
        )
    problems.extend(source.changes(calls))
    return JobFile(path=file, steps=steps, problems=tuple(problems), files=frozenset({file}), is_job=bool(calls))


def _parse(text: str, file: Path, problems: Problems) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            # Of escapes in the user's texts, say.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        problems.add(
            SourceLocation(file, error.lineno or 1, error.offset or 1), f"this is not valid Python: {error.msg}"
        )
    except (RecursionError, MemoryError, ValueError) as error:
        problems.add(SourceLocation(file), f"this is not valid Python: {str(error) or 'it is nested too deep'}")
    return None


def _steps(calls: list[Call], source: _Source, other_root: Path | None) -> Iterator[StepReading]:
    used: set[SourceLocation] = set()
    for call in calls:
        if call.function == "parallel_run_function":
            table = call.table.with_entries(source.inputs_of(call))
            yield read_function(table, call.name, other_root=other_root, unread=call.unread)
        elif call.function == "ParallelRunStep":
            config = call.table.entries.get("parallel_run_config")
            if isinstance(config, Table):
                used.add(config.location)
            yield read_config(config, call.table, call.name, other_root=other_root, unread=call.unread)
    for call in calls:
        if call.function == "ParallelRunConfig" and call.table.location not in used:
            yield read_config(call.table, None, call.name, other_root=other_root, unread=call.unread)


class _Source:
    """The calls of a module, and what is done with what they return."""

    def __init__(self, file: Path, module: ast.Module) -> None:
        self._module = module
        self._names = Names(module)
        self._values = Values(file, self._names)

    def calls(self) -> Iterator[Call]:
        """Calls that make jobs, in the order of the file."""
        assigned = {
            id(node.value): node.targets[0].id
            for node in ast.walk(self._module)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in self._all(ast.Call):
            scope = self._names.scope_of(node)
            dotted = self._names.dotted(node.func, scope) or ""
            if dotted.rpartition(".")[2] in FUNCTIONS and dotted.partition(".")[0] in SDK:
                table, unread = self._values.keywords(node, scope)
                yield Call(
                    function=dotted.rpartition(".")[2],
                    table=table,
                    unread=unread,
                    variable=assigned.get(id(node)),
                    node=node,
                )

    def inputs_of(self, call: Call) -> Table:
        """`inputs` with the values that the pipeline gives the step, where it is called once and they are literals."""
        uses = [node for node in self._all(ast.Call) if self._comes_from(node.func, node, call)]
        declared = call.table.entries.get("inputs")
        if len(uses) != 1 or not isinstance(declared, Table):
            return Table(call.table.location, {}, {})
        arguments, _ = self._values.keywords(uses[0], self._names.scope_of(uses[0]))
        merged = declared
        for name, node in arguments.entries.items():
            declaration = declared.entries.get(name)
            if isinstance(declaration, Table) and isinstance(node, Table):
                node = replace(declaration.with_entries(node), location=node.location)
            elif not isinstance(node, (Table, Scalar)):
                continue
            merged = merged.with_entries(Table(merged.location, {name: node}, {name: arguments.keys[name]}))
        return Table(call.table.location, {"inputs": merged}, {"inputs": declared.location})

    def changes(self, calls: list[Call]) -> Iterator[Problem]:
        """Settings that are changed after the call, which nobody would look for in it."""
        for node in self._all(ast.Attribute):
            if not isinstance(node.ctx, ast.Store) and node.attr != "set_resources":
                continue
            setting = node.attr == "set_resources" or (node.attr in FUNCTION and _sets(FUNCTION[node.attr]))
            if setting and any(self._belongs_to(node.value, node, call) for call in calls):
                yield Problem(
                    self._values.location(node),
                    f"`{ast.unparse(node)}` changes the job after the call that makes it, and is not read: give the "
                    f"value to {calls[0].function}() itself",
                )

    def _belongs_to(self, node: ast.expr, at: ast.AST, call: Call) -> bool:
        """Whether a name stands for what the call returns, or for a step that was made of it."""
        value = self._value_of(node, at)
        return self._comes_from(node, at, call) or (
            isinstance(value, ast.Call) and self._comes_from(value.func, value, call)
        )

    def _comes_from(self, node: ast.expr, at: ast.AST, call: Call) -> bool:
        return self._value_of(node, at) is call.node

    def _value_of(self, node: ast.expr, at: ast.AST) -> ast.expr | None:
        return self._names.scope_of(at).find(node.id)[0] if isinstance(node, ast.Name) else None

    def _all(self, kind: type[_N]) -> list[_N]:
        nodes = [node for node in ast.walk(self._module) if isinstance(node, kind)]
        return sorted(nodes, key=lambda node: (node.lineno, node.col_offset))  # type: ignore[attr-defined]


def _sets(key: Key) -> bool:
    return key.setting is not None or key.below is not None


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
    optional = CONFIG if unread else ()
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
        not_emulated=tuple(read.not_emulated),
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
    if "output" not in step.entries and str(read.values.get("output_action", "")).lower() == "append_row":
        problems.add(step.location, "ParallelRunStep() needs the key 'output', since output_action is append_row")


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
