"""Python files that build parallel jobs: parallel_run_function() of v2, ParallelRunConfig() and ParallelRunStep().

They are parsed and never executed.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pytest_parallelrun.job_files.keys import FUNCTION, Key
from pytest_parallelrun.job_files.parallel import read_function
from pytest_parallelrun.job_files.problems import Finding, Findings, Place
from pytest_parallelrun.job_files.python_names import Names
from pytest_parallelrun.job_files.python_reader import Values
from pytest_parallelrun.job_files.reading import JobFile, StepReading
from pytest_parallelrun.job_files.run_config import read_config
from pytest_parallelrun.job_files.tree import Opaque, Scalar, Table, entry_text
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
    findings = Findings()
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
        findings.add(Place(file), "the file is nested too deep to be read")
        return JobFile(file, findings=tuple(findings.found), files=files, is_job=False)
    if not calls:
        findings.add(
            Place(file),
            "this file calls neither parallel_run_function() nor ParallelRunConfig(); --parallelrun-job takes the file "
            "that does",
        )
    findings.found.extend(source.changes(calls))
    return JobFile(file, steps, tuple(findings.found), files=files, is_job=bool(calls))


def _parse(text: str, file: Path, findings: Findings) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            # Of escapes in the user's texts, say.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        findings.add(Place(file, error.lineno or 1, error.offset or 1), f"this is not valid Python: {error.msg}")
    except (RecursionError, MemoryError, ValueError) as error:
        findings.add(Place(file), f"this is not valid Python: {str(error) or 'it is nested too deep'}")
    return None


def _steps(calls: list[Call], source: _Source, other_root: Path | None) -> Iterator[StepReading]:
    used: set[Place] = set()
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

    def changes(self, calls: list[Call]) -> Iterator[Finding]:
        """Settings that are changed after the call, which nobody would look for in it."""
        for node in self._all(ast.Attribute):
            if not isinstance(node.ctx, ast.Store) and node.attr != "set_resources":
                continue
            setting = node.attr == "set_resources" or (node.attr in FUNCTION and _sets(FUNCTION[node.attr]))
            if setting and any(self._belongs_to(node.value, node, call) for call in calls):
                yield Finding(
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
