"""Python files that build parallel jobs: parallel_run_function() of v2, ParallelRunConfig() and ParallelRunStep().

They are parsed and never executed.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pytest_parallelrun.emulator.errors import SettingsError
from pytest_parallelrun.emulator.settings import V1_REFUSED_IN_FILE_NAMES
from pytest_parallelrun.job_files.bindings import Binding, BindingError
from pytest_parallelrun.job_files.inputs import InputValue
from pytest_parallelrun.job_files.job_step import JobFile, JobStep, StepReading
from pytest_parallelrun.job_files.keys import CONFIG, CONFIG_STEP, FUNCTION, Key, check_keys, problem
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
)
from pytest_parallelrun.job_files.yaml_reader import read_text

FUNCTIONS = ("parallel_run_function", "ParallelRunConfig", "ParallelRunStep")
_N = TypeVar("_N", bound=ast.AST)
SDK = ("azure", "azureml", *FUNCTIONS)


@dataclass(frozen=True)
class Call:
    """A call that makes a job. variable: what its value is assigned to."""

    function: str
    table: Table
    unread: list[Opaque]
    variable: str | None
    node: ast.Call

    @property
    def name(self) -> str:
        return entry_text(self.table, "name") or self.variable or f"line {self.table.place.line}"


def read_python(file: Path, other_root: Path | None) -> JobFile:
    """The jobs that a Python file builds."""
    findings = Problems()
    files = frozenset({file})
    text = read_text(file, findings)
    module = None if text is None else _parse(text, file, findings)
    if module is None:
        return JobFile(file, findings=tuple(findings.found), files=files, is_job=False)
    try:
        source = _Source(file, module)
        calls = list(source.calls())
        steps = tuple(_steps(calls, source, other_root))
    except RecursionError:
        findings.add(SourceLocation(file), "the file is nested too deep to be read")
        return JobFile(file, findings=tuple(findings.found), files=files, is_job=False)
    if not calls:
        findings.add(
            SourceLocation(file),
            "this file calls neither parallel_run_function() nor ParallelRunConfig(); --parallelrun-job takes the file "
            "that does",
        )
    findings.found.extend(source.changes(calls))
    return JobFile(file, steps, tuple(findings.found), files=files, is_job=bool(calls))


def _parse(text: str, file: Path, findings: Problems) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            # Of escapes in the user's texts, say.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        findings.add(
            SourceLocation(file, error.lineno or 1, error.offset or 1), f"this is not valid Python: {error.msg}"
        )
    except (RecursionError, MemoryError, ValueError) as error:
        findings.add(SourceLocation(file), f"this is not valid Python: {str(error) or 'it is nested too deep'}")
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
                used.add(config.place)
            yield read_config(config, call.table, call.name, other_root=other_root, unread=call.unread)
    for call in calls:
        if call.function == "ParallelRunConfig" and call.table.place not in used:
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
                yield Call(dotted.rpartition(".")[2], table, unread, assigned.get(id(node)), node)

    def inputs_of(self, call: Call) -> Table:
        """`inputs` with the values that the pipeline gives the step, where it is called once and they are literals."""
        uses = [node for node in self._all(ast.Call) if self._comes_from(node.func, node, call)]
        declared = call.table.entries.get("inputs")
        if len(uses) != 1 or not isinstance(declared, Table):
            return Table(call.table.place, {}, {})
        given, _ = self._values.keywords(uses[0], self._names.scope_of(uses[0]))
        merged = declared
        for name, node in given.entries.items():
            own = merged.entries.get(name)
            if isinstance(own, Table) and isinstance(node, Table):
                node = Table(node.place, {**own.entries, **node.entries}, {**own.keys, **node.keys})
            elif not isinstance(node, (Table, Scalar)):
                continue
            merged = merged.with_entries(Table(merged.place, {name: node}, {name: given.keys[name]}))
        return Table(call.table.place, {"inputs": merged}, {"inputs": declared.place})

    def changes(self, calls: list[Call]) -> Iterator[Problem]:
        """Settings that are changed after the call, which nobody would look for in it."""
        for node in self._all(ast.Attribute):
            if not isinstance(node.ctx, ast.Store) and node.attr != "set_resources":
                continue
            setting = node.attr == "set_resources" or (node.attr in FUNCTION and _sets(FUNCTION[node.attr]))
            if setting and any(self._belongs_to(node.value, node, call) for call in calls):
                yield Problem(
                    self._values.place(node),
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
        found = [node for node in ast.walk(self._module) if isinstance(node, kind)]
        return sorted(found, key=lambda node: (node.lineno, node.col_offset))  # type: ignore[attr-defined]


def _sets(key: Key) -> bool:
    return key.setting is not None or key.below is not None


NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
"""Of a step of v1, which the client checks: azureml-pipeline-core 1.62."""


def read_config(
    config: Node | None, step: Table | None, name: str, *, other_root: Path | None, unread: Sequence[Opaque]
) -> StepReading:
    """A ParallelRunStep() with its config, or a config alone. unread: arguments that are no literals."""
    findings = Problems()
    for argument in unread:
        findings.add(argument.place, f"`{argument.text}` cannot be read: {argument.why}")
    if step is not None:
        check_keys(step, CONFIG_STEP, findings, what="ParallelRunStep()", optional=tuple(CONFIG_STEP) if unread else ())
    if not isinstance(config, Table):
        if config is not None:
            findings.add(config.place, f"parallel_run_config must be ParallelRunConfig(...), and is {problem(config)}")
        return StepReading(name, None, None, tuple(findings.found))
    check_keys(config, CONFIG, findings, what="ParallelRunConfig()", optional=tuple(CONFIG) if unread else ())

    names = ("source_directory", "entry_script")
    # Without it the client takes the folder that it runs in.
    source = config.entries.get("source_directory", Scalar(config.place, "."))
    entry = find_script(source, config.entries.get("entry_script"), findings, names=names, other_root=other_root)

    read = Read()
    read.put("profile", "v1", config.place)
    read_settings(config, CONFIG, _no_binding, findings, read)
    _check_together(config, findings, read)
    arguments, place = _arguments(None if step is None else step.entries.get("arguments"), findings, read)
    inputs = {} if step is None else _inputs(step.entries.get("inputs"))
    if step is not None:
        for key in ("side_inputs", "allow_reuse"):
            if key in step.entries:
                read.not_emulated.append(f"{key} ({step.keys[key].origin})")
        _check_output(step, read, findings)
        _check_name(step.entries.get("name"), findings)
    if findings or entry is None:
        return StepReading(name, None if entry is None else entry.path, None, tuple(findings.found))
    made = JobStep(
        name=name,
        place=config.place if step is None else step.place,
        profile="v1",
        entry=entry,
        values=read.values,
        origins=read.origins,
        arguments=arguments,
        arguments_place=place,
        inputs=inputs,
        split=tuple(inputs),
        unresolved=read.unresolved,
        not_emulated=tuple(read.not_emulated),
    )
    return StepReading(name, entry.path, made, ())


def _no_binding(binding: Binding, place: SourceLocation) -> InputValue:
    raise BindingError(f"{binding.text} is of v2, and means nothing to ParallelRunConfig()")


def _check_together(config: Table, findings: Problems, read: Read) -> None:
    check_exclusive(config, findings)
    file_name = str(read.values.get("append_row_file_name", ""))
    refused = [sign for sign in file_name if sign in V1_REFUSED_IN_FILE_NAMES]
    if refused:
        findings.add(
            read.places["append_row_file_name"],
            f"append_row_file_name={file_name!r} holds {refused[0]!r}; v1 refuses {' '.join(V1_REFUSED_IN_FILE_NAMES)}",
        )


def _check_output(step: Table, read: Read, findings: Problems) -> None:
    """The client asks for an output unless nothing is appended."""
    if "output" not in step.entries and str(read.values.get("output_action", "")).lower() == "append_row":
        findings.add(step.place, "ParallelRunStep() needs the key 'output', since output_action is append_row")


def _check_name(node: Node | None, findings: Problems) -> None:
    name = text_of(node)
    if node is not None and name is not None and not (3 <= len(name) <= 32 and NAME.fullmatch(name)):
        findings.add(
            node.place,
            f"name={name!r}: a ParallelRunStep() is named by 3 to 32 small letters, digits and '-', the first one a "
            "letter and the last one no '-'",
        )


def _arguments(node: Node | None, findings: Problems, read: Read) -> tuple[tuple[str, ...], SourceLocation | None]:
    """The list of program arguments; numbers are texts to a command line."""
    node = present(node)
    if node is None:
        return (), None
    if not isinstance(node, Listing):
        if isinstance(node, Opaque):
            read.unresolved["program_arguments"] = _unreadable("arguments", node)
        else:
            findings.add(node.place, f"arguments must be a list, and is {problem(node)}")
        return (), node.place
    texts: list[str] = []
    for item in node.items:
        if isinstance(item, Scalar) and isinstance(item.value, (str, int, float)):
            texts.append(str(item.value))
        elif isinstance(item, Opaque):
            read.unresolved.setdefault("program_arguments", _unreadable("an argument", item))
        else:
            findings.add(item.place, f"an argument must be a text or a number, and is {problem(item)}")
    if "program_arguments" not in read.unresolved:
        try:
            check_arguments(texts, "v1")
        except SettingsError as error:
            findings.add(node.place, str(error))
    return tuple(texts), node.place


def _unreadable(what: str, node: Opaque) -> Problem:
    return Problem(
        node.place, f"{what} is the expression `{node.text}`: {node.why}, or give all with --parallelrun-args=ARGUMENTS"
    )


def _inputs(node: Node | None) -> dict[str, InputValue]:
    """The inputs, named as `as_named_input("name")` does, else input_0, input_1: they are data sets of the service."""
    items = node.items if isinstance(node, Listing) else [] if node is None else [node]
    inputs: dict[str, InputValue] = {}
    for number, item in enumerate(items):
        name = (item.input_name if isinstance(item, Opaque) else None) or text_of(item) or f"input_{number}"
        what = item.text if isinstance(item, Opaque) else problem(item)
        inputs[name] = InputValue(name, item.place, why=f"is `{what}`, a data set of the service")
    return inputs
