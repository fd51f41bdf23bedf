"""The calls of a Python file that make jobs, and what the file does with their results."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_parallelrun.job_files.environment import ADDED
from pytest_parallelrun.job_files.inputs import DATA_TYPES, local_path
from pytest_parallelrun.job_files.keys import METADATA
from pytest_parallelrun.job_files.notebook import SourceText
from pytest_parallelrun.job_files.python_names import Names, Scope, is_own
from pytest_parallelrun.job_files.python_reader import LOAD_CONFIG, Modules, Values
from pytest_parallelrun.job_files.tree import (
    STARS,
    Listing,
    Node,
    Opaque,
    Problems,
    Scalar,
    SourceLocation,
    Table,
    shown,
    text_of,
)
from pytest_parallelrun.job_files.yaml_reader import read_yaml

DEPLOYMENTS = ("ModelBatchDeployment", "BatchDeployment")
FUNCTIONS = ("parallel_run_function", "ParallelRunConfig", "ParallelRunStep", *DEPLOYMENTS)
LOADERS = ("load_component", "load_job", "load_batch_deployment")
"""Functions of the SDK that load a YAML file."""
SOURCES = ("source", "path", "yaml_file")
"""Names of their argument, now and in earlier versions."""
SDK = ("azure", "azureml", *FUNCTIONS)
UNCHANGED = (*METADATA, "outputs", "type", "component")
"""Attributes whose later assignment does not affect a run here."""

ADDING = ("add_pip_package", "add_conda_package", "add_tensorflow_pip_package", "add_tensorflow_conda_package")
"""Methods of CondaDependencies of v1."""


@dataclass(frozen=True, kw_only=True)
class JobCall:
    """A call that makes a job. unread: arguments that are not literals. variable: the name of its result."""

    function: str
    table: Table
    unread: Sequence[Opaque] = ()
    variable: str | None
    node: ast.Call

    @property
    def name(self) -> str:
        return self.table.text("name") or self.variable or f"line {self.table.location.line}"


@dataclass(frozen=True, kw_only=True)
class Change:
    """An assignment to a job after its call. path: of the attributes. base: the call."""

    path: tuple[str, ...]
    value: Node
    location: SourceLocation
    base: ast.Call


class PythonSource:
    """The calls of a module, and what happens to their results.

    problems, skipped, files: see JobFile; found by `calls()`.
    """

    def __init__(self, source: SourceText, module: ast.Module) -> None:
        self._module = module
        self._names = Names(module)
        self._values = Values(source, self._names, Modules(source.file))
        self._parents = {id(child): node for node in ast.walk(module) for child in ast.iter_child_nodes(node)}
        calls = (node for node in ast.walk(module) if isinstance(node, ast.Call))
        self._calls = sorted(calls, key=lambda node: (node.lineno, node.col_offset))
        self._changes = list(self._all_changes())
        self.problems = Problems()
        self.skipped: list[str] = []
        self.files = {source.file}

    def calls(self) -> Iterator[JobCall]:
        """Calls that make jobs, in the order of the file."""
        for node in self._calls:
            variable = self._variable_of(node)
            scope = self._names.scope_of(node)
            dotted = self._names.dotted(node.func, scope) or ""
            function = dotted.rpartition(".")[2]
            if function in LOADERS and not scope.home(function):
                yield from self._loaded(node, scope, function, variable)
            elif dotted.endswith(LOAD_CONFIG):
                made = self._values.node(node, scope)
                if isinstance(made, Table):
                    yield JobCall(function="ParallelRunConfig", table=made, variable=variable, node=node)
                else:
                    self._skip(node, LOAD_CONFIG, made.described)
            elif function in FUNCTIONS and dotted.partition(".")[0] in SDK:
                table, unread = self._values.keywords(node, scope)
                yield JobCall(function=function, table=table, unread=unread, variable=variable, node=node)

    def _loaded(self, node: ast.Call, scope: Scope, function: str, variable: str | None) -> Iterator[JobCall]:
        """`load_component("file.yml")` and similar, if that is a local file."""
        arguments, _ = self._values.keywords(node, scope, ("source",))
        source = next((arguments.entries[name] for name in SOURCES if name in arguments.entries), None)
        text = text_of(source)
        if source is None or not text:
            no_source = "its arguments cannot be read" if STARS in arguments.entries else "it is not given a file"
            self._skip(node, function, no_source if source is None else f"its file is {source.described}")
            return
        file = Path(local_path(text, source.location))
        if not file.is_file():
            self._skip(node, function, f"there is no file '{shown(file)}'")
            return
        table = read_yaml(file, self.problems)
        if table is not None:
            self.files.add(file)
            table = self._overridden(table, arguments.entries.get("params_override"))
            yield JobCall(function=function, table=table, variable=variable, node=node)

    def _overridden(self, table: Table, node: Node | None) -> Table:
        """A file with the changes of `params_override`: a list of mappings with dotted keys."""
        for item in node.items if isinstance(node, Listing) else [] if node is None else [node]:
            if not isinstance(item, Table):
                self.problems.add(item.location, f"params_override cannot be read: it is {item.described}")
                continue
            for key, value in item.entries.items():
                table = _with_change(table, tuple(key.split(".")), value, item.keys[key])
        return table

    def _skip(self, node: ast.Call, function: str, why: str) -> None:
        self.skipped.append(
            f"{function}() ({self._values.location(node).origin}) is not read: {why}. If that is a parallel job, give "
            "its file with --parallelrun-job=FILE"
        )

    def changed(self, call: JobCall) -> Table:
        """The keywords of a call with later changes to its result and its environment."""
        table = self._apply(call.table, call.node)
        environment = table.entries.get("environment")
        if isinstance(environment, Table):
            table = table.with_entry("environment", self._changed_inside(environment), table.keys["environment"])
        return table

    def _changed_inside(self, table: Table) -> Table:
        """A mapping created by a call, with changes to it and to those inside."""
        for change in self._changes:
            if self._values.location(change.base) == table.location:
                table = _with_change(table, change.path, change.value, change.location)
        for name, node in table.entries.items():
            if isinstance(node, Table):
                table = table.with_entry(name, self._changed_inside(node), table.keys[name])
        return table

    def nodes_of(self, call: JobCall) -> Iterator[tuple[str, Table]]:
        """The steps that a pipeline makes from one call of parallel_run_function(), by name.

        Each step is a separate entry only if its later settings differ from those of the others.
        """
        table = self.changed(call)
        uses = [node for node in self._calls if self._made_by(node.func, node) is call.node]
        if len(uses) == 1:
            yield call.name, self._apply(self._with_inputs(table, uses[0]), uses[0])
        elif not any(change.base is use for change in self._changes for use in uses):
            yield call.name, table
        else:
            for use in uses:
                location = self._values.location(use)
                own = self._apply(self._with_inputs(table, use), use)
                yield self._variable_of(use) or f"{call.name} line {location.line}", replace(own, location=location)

    def _variable_of(self, use: ast.Call) -> str | None:
        parent = self._parents.get(id(use))
        target = parent.targets[0] if isinstance(parent, ast.Assign) else None
        return target.id if isinstance(target, ast.Name) else None

    def _with_inputs(self, table: Table, use: ast.Call) -> Table:
        """`inputs` with the literal values that the pipeline gives the step."""
        declared = table.entries.get("inputs")
        if not isinstance(declared, Table):
            return table
        given, _ = self._values.keywords(use, self._names.scope_of(use), tuple(declared.entries))
        merged = declared
        for name, node in given.entries.items():
            merged = _with_input(merged, name, node, given.keys[name])
        return table.with_entry("inputs", merged, declared.location)

    def _apply(self, table: Table, base: ast.Call) -> Table:
        for change in self._changes:
            if change.base is base:
                table = _with_change(table, change.path, change.value, change.location)
        return table

    def _all_changes(self) -> Iterator[Change]:
        for node in ast.walk(self._module):
            if isinstance(node, ast.Assign):
                pairs = [(target, node.value) for target in node.targets]
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                pairs = [(node.target, node.value)]
            elif isinstance(node, ast.AugAssign):
                pairs = [(node.target, ast.copy_location(ast.BinOp(node.target, node.op, node.value), node))]
            elif isinstance(node, ast.Call):
                yield from self._changes_by_call(node)
                continue
            else:
                continue
            for target, value in pairs:
                root, path = _path(target)
                base = self._made_by(root, node) if path else None
                if base is not None:
                    made = self._values.node(value, self._names.scope_of(node))
                    yield from self._change(path, made, target, node, base)

    def _changes_by_call(self, node: ast.Call) -> Iterator[Change]:
        """`node.set_resources(...)`, `node.environment_variables.update(...)` and `setattr(node, "name", value)`."""
        scope = self._names.scope_of(node)
        if isinstance(node.func, ast.Name) and node.func.id == "setattr" and len(node.args) == 3:
            name = self._values.node(node.args[1], scope)
            base = self._made_by(node.args[0], node)
            if base is not None and isinstance(name, Scalar):
                made = self._values.node(node.args[2], scope)
                yield from self._change((str(name.value),), made, node, node, base)
            return
        root, path = _path(node.func)
        base = self._made_by(root, node) if path and path[-1] in ("set_resources", "update", *ADDING) else None
        if base is None:
            return
        if path[-1] in ADDING:
            added = self._values.location(node)
            yield Change(path=(*path[:-1], ADDED), value=Scalar(added, True), location=added, base=base)
            return
        table, unread = self._values.keywords(node, scope)
        if path[-1] == "update" and node.args:
            values = self._values.node(node.args[0], scope)
            if not isinstance(values, Table):
                yield from self._change(path[:-1], unread[0], node, node, base)
                return
            table = values.with_entries(table)
        inside = ("resources",) if path == ("set_resources",) else path[:-1]
        for key, value in table.entries.items():
            yield from self._change((*inside, key), value, node, node, base)

    def _change(
        self, path: tuple[str, ...], value: Node, target: ast.expr, statement: ast.AST, base: ast.Call
    ) -> Iterator[Change]:
        if path and path[0] not in UNCHANGED and (path[0] != "inputs" or len(path) > 1):
            if not self._conditions(statement) <= self._conditions(base):
                source = " ".join(ast.unparse(statement).split())
                value = Opaque(self._values.location(target), source, "it is set under a condition; set it always")
            yield Change(path=path, value=value, location=self._values.location(target), base=base)

    def _conditions(self, node: ast.AST) -> set[int]:
        """The statements around a node that decide whether it runs, within its function."""
        found: set[int] = set()
        parent = self._parents.get(id(node))
        while parent is not None and not isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef)):
            main = isinstance(parent, ast.If) and "__name__" in ast.dump(parent.test)
            if isinstance(parent, (ast.If, ast.For, ast.While, ast.Match, ast.ExceptHandler)) and not main:
                found.add(id(parent))
            parent = self._parents.get(id(parent))
        return found

    def _made_by(self, node: ast.expr, at: ast.AST, depth: int = 0) -> ast.Call | None:
        """The call that created the value of a name, through other names and parameters."""
        if isinstance(node, ast.Call):
            value = self._names.returned(node)
            return node if value is None or depth > 20 else self._made_by(value, value, depth + 1)
        if is_own(node) and depth <= 20:
            value = self._names.attribute(node.attr, getattr(at, "lineno", 0))
            return None if value is None else self._made_by(value, value, depth + 1)
        if not isinstance(node, ast.Name) or depth > 20:
            return None
        scope = self._names.scope_of(at)
        home = scope.home(node.id)
        if home is not None and node.id in home.parameters:
            argument = self._names.argument(node.id, home)
            return None if argument is None else self._made_by(argument[0], argument[0], depth + 1)
        value = scope.latest(node.id, getattr(at, "lineno", 0))
        return None if value is None else self._made_by(value, value, depth + 1)


def _path(target: ast.expr) -> tuple[ast.expr, tuple[str, ...]]:
    """`node.a.b`, `self.node.a.b` or `node.a["b"]` -> node or self.node, and ("a", "b")."""
    names: Sequence[str] = ()
    while True:
        if isinstance(target, ast.Attribute) and not is_own(target):
            names, target = (target.attr, *names), target.value
        elif (
            isinstance(target, ast.Subscript)
            and isinstance(target.slice, ast.Constant)
            and isinstance(target.slice.value, str)
        ):
            names, target = (target.slice.value, *names), target.value
        else:
            return target, tuple(names)


def _with_input(inputs: Table, name: str, node: Node, key: SourceLocation) -> Table:
    """The declared inputs with what a call gives for one of them."""
    declaration = inputs.entries.get(name)
    if isinstance(declaration, Table) and declaration.type in DATA_TYPES and text_of(node) is not None:
        # A string is a path if data are declared.
        node = Table(node.location, {"path": node}, {"path": key})
    if isinstance(declaration, Table) and isinstance(node, Table):
        return inputs.with_entry(name, replace(declaration.with_entries(node), location=node.location), key)
    return inputs.with_entry(name, node, key) if isinstance(node, (Table, Scalar)) else inputs


def _with_change(table: Table, path: tuple[str, ...], value: Node, location: SourceLocation) -> Table:
    name, *below = path
    present = table.entries.get(name)
    if not below:
        # A number at the root overrides that in `resources`.
        return table.without(name).with_entry(name, value, location)
    if isinstance(present, Opaque):
        # Its value is unknown before and after the change.
        return table
    inner = present if isinstance(present, Table) else Table(location, {}, {})
    if name == "inputs" and len(below) == 1:
        return table.with_entry(name, _with_input(inner, below[0], value, location), location)
    made = _with_change(inner, tuple(below), value, location)
    if name == "resources":
        table = table.without(*below)
    return table.with_entry(name, made, table.keys.get(name, location))
