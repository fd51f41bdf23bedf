"""The names and expressions of a Python file, read without running it.

`Names` tells what a name stands for, `Values` makes nodes of expressions; what is no literal becomes an Opaque that
says so.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from pytest_parallelrun.job_files.notebook import SourceText
from pytest_parallelrun.job_files.tree import Listing, Node, Opaque, Scalar, SourceLocation, Table, text_of

LITERAL = "write a literal, or a constant that is assigned once in this file"
MAX_SHOWN_LENGTH = 60
MAX_STEPS = 20_000
"""Expressions that are looked at: constants may name each other many times over."""

RECORDS: dict[str, dict[str, str]] = {
    "dict": {},
    "Input": {},
    "Output": {},
    "RunFunction": {"type": "run_function"},
    "ParallelTask": {},
    "RetrySettings": {},
    "BatchRetrySettings": {},
    "JobResourceConfiguration": {},
    "ResourceConfiguration": {},
    "ParallelRunConfig": {},
    "CodeConfiguration": {},
    "Model": {},
    "ModelBatchDeploymentSettings": {},
    "Environment": {},
    "CondaDependencies": {},
}
"""Calls that are read as the mapping of their keywords, with what they add. SDK reference of azure.ai.ml."""


METHODS = (
    "Environment.from_conda_specification",
    "Environment.from_pip_requirements",
    "CondaDependencies.create",
)
"""Methods of classes that are read alike. SDK reference of azureml.core (v1)."""

POSITIONS = {
    "CodeConfiguration": ("code", "scoring_script"),
    "PipelineParameter": ("name", "default_value"),
    "Environment": ("name",),
    "Environment.from_conda_specification": ("name", "file_path"),
    "Environment.from_pip_requirements": ("name", "file_path"),
    "CondaDependencies": ("conda_dependencies_file_path",),
}
"""Names of arguments that are given by position."""
PATHS = ("Path", "PurePath", "PosixPath", "PurePosixPath", "join", "abspath", "realpath", "normpath", "fspath", "str")
PATH_METHODS = ("joinpath", "resolve", "absolute", "as_posix", "expanduser", "__str__")
CREATED = ("create_or_update", "begin_create_or_update")
"""Methods of the client that return what they are given."""

# Enumerations of the SDK, by class: SDK reference of azure.ai.ml.constants.
ENUMERATIONS: dict[str, dict[str, str]] = {
    "AssetTypes": {
        "URI_FILE": "uri_file",
        "URI_FOLDER": "uri_folder",
        "MLTABLE": "mltable",
        "CUSTOM_MODEL": "custom_model",
        "MLFLOW_MODEL": "mlflow_model",
        "TRITON_MODEL": "triton_model",
    },
    "InputOutputModes": {
        "MOUNT": "mount",
        "DOWNLOAD": "download",
        "UPLOAD": "upload",
        "RO_MOUNT": "ro_mount",
        "RW_MOUNT": "rw_mount",
        "EVAL_MOUNT": "eval_mount",
        "EVAL_DOWNLOAD": "eval_download",
        "DIRECT": "direct",
    },
    "ParallelTaskType": {"RUN_FUNCTION": "run_function", "FUNCTION": "function", "MODEL": "model"},
    "LoggingLevel": {"DEBUG": "DEBUG", "INFO": "INFO", "WARN": "WARNING", "WARNING": "WARNING"},
    "BatchDeploymentOutputAction": {"APPEND_ROW": "append_row", "SUMMARY_ONLY": "summary_only"},
    # Of the standard library, as `logging_level=logging.getLevelName(...)` is none; its names are numbers.
}


@dataclass
class Scope:
    """The assignments of a module or function.

    values: what a name is assigned; None where that is not one thing. assignments: all that it is assigned, by line.
    function: the one whose scope this is.
    """

    values: dict[str, ast.expr | None] = field(default_factory=dict)
    parameters: set[str] = field(default_factory=set)
    outer: Scope | None = None
    assignments: dict[str, list[tuple[int, ast.expr | None]]] = field(default_factory=dict)
    function: ast.FunctionDef | ast.AsyncFunctionDef | None = None

    def find(self, name: str) -> tuple[ast.expr | None, Scope, str]:
        """What the name is assigned, the scope that says so, and why it has no value: "" where it has one."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.parameters:
                return None, scope, f"'{name}' is a parameter of a function"
            if name in scope.values:
                value = scope.values[name]
                return value, scope, "" if value is not None else f"'{name}' is not assigned exactly once"
            scope = scope.outer
        return None, self, f"'{name}' is not assigned in this file"

    def home(self, name: str) -> Scope | None:
        """The scope that gives the name a value."""
        scope: Scope | None = self
        while scope is not None and name not in scope.parameters and name not in scope.values:
            scope = scope.outer
        return scope

    def latest(self, name: str, line: int) -> ast.expr | None:
        """What the name was assigned last before a line, or at all where that was in a scope around."""
        scope = self.home(name)
        if scope is None or name in scope.parameters:
            return None
        values = [value for at, value in scope.assignments[name] if scope is not self or at < line]
        return values[-1] if values else None

    def has(self, name: str) -> bool:
        """Whether the name is assigned here or outside, or a parameter."""
        here = name in self.parameters or name in self.values
        return here or (self.outer is not None and self.outer.has(name))


class Names:
    """Names of a module: `scope_of` a call, and the dotted name that an expression stands for."""

    def __init__(self, module: ast.Module) -> None:
        self.imported: dict[str, str] = {}
        self.top = Scope()
        self._scopes: dict[int, Scope] = {}
        self._calls: dict[str, list[ast.Call]] = {}
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                self._calls.setdefault(node.func.id, []).append(node)
        self._fill(module, self.top)

    def scope_of(self, node: ast.AST) -> Scope:
        return self._scopes.get(id(node), self.top)

    def dotted(self, node: ast.expr, scope: Scope, seen: frozenset[str] = frozenset()) -> str | None:
        """`p.parallel_run_function` -> "azure.ai.ml.parallel.parallel_run_function", if p was imported as that."""
        if isinstance(node, ast.Attribute):
            start = self.dotted(node.value, scope, seen)
            return None if start is None else f"{start}.{node.attr}"
        if not isinstance(node, ast.Name):
            return None
        if node.id in self.imported:
            return self.imported[node.id]
        value, home, _ = scope.find(node.id)
        if isinstance(value, (ast.Name, ast.Attribute)) and node.id not in seen:
            return self.dotted(value, home, seen | {node.id})
        return None if scope.has(node.id) else node.id

    def argument(self, name: str, scope: Scope) -> tuple[ast.expr, Scope] | None:
        """What the one call of a function gives its parameter, else the default of that."""
        function = scope.function
        if function is None or scope.outer is None:
            return None
        calls = [
            call
            for call in self._calls.get(function.name, [])
            if self.scope_of(call).home(function.name) is scope.outer
        ]
        if len(calls) > 1:
            return None
        arguments = function.args
        positional = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
        for call in calls:
            if any(isinstance(value, ast.Starred) for value in call.args) or any(not one.arg for one in call.keywords):
                return None
            values = {**dict(zip(positional, call.args, strict=False))}
            values.update({keyword.arg: keyword.value for keyword in call.keywords if keyword.arg})
            if name in values:
                return values[name], self.scope_of(call)
        count = len(arguments.defaults)
        defaults: dict[str, ast.expr | None] = dict(
            zip(positional[len(positional) - count :], arguments.defaults, strict=True)
        )
        defaults.update(zip((one.arg for one in arguments.kwonlyargs), arguments.kw_defaults, strict=True))
        default = defaults.get(name)
        if default is None or (isinstance(default, ast.Constant) and default.value is None):
            return None
        return default, scope.outer

    def _fill(self, node: ast.AST, scope: Scope) -> None:
        """Walks statements and notes what they assign; a function is a scope of its own."""
        waiting: list[ast.AST] = list(ast.iter_child_nodes(node))
        while waiting:
            child = waiting.pop(0)
            self._scopes[id(child)] = scope
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                inner = Scope(outer=scope)
                inner.parameters.update(_parameters(child.args))
                if not isinstance(child, ast.Lambda):
                    inner.function = child
                    self._assign(scope, child.name, None, child.lineno)
                    waiting.extend(child.decorator_list)
                self._fill(child, inner)
                continue
            if isinstance(child, (ast.Import, ast.ImportFrom)):
                self._import(child)
            for name, value in _assigned(child):
                self._assign(scope, name, value, getattr(child, "lineno", 0))
            waiting.extend(ast.iter_child_nodes(child))

    def _assign(self, scope: Scope, name: str, value: ast.expr | None, line: int) -> None:
        scope.assignments.setdefault(name, []).append((line, value))
        scope.values[name] = None if name in scope.values else value

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                self.imported[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}"
            elif alias.asname:
                self.imported[alias.asname] = alias.name
            else:
                first = alias.name.partition(".")[0]
                self.imported[first] = first


def _parameters(arguments: ast.arguments) -> Iterator[str]:
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        yield argument.arg
    for argument_of_many in (arguments.vararg, arguments.kwarg):
        if argument_of_many is not None:
            yield argument_of_many.arg


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """Names that a statement or expression gives a value to; None where that is no expression of one value."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _targets(target, node.value)
    elif isinstance(node, ast.NamedExpr) or (isinstance(node, ast.AnnAssign) and node.value is not None):
        yield from _targets(node.target, node.value)
    elif isinstance(node, (ast.AugAssign, ast.For, ast.AsyncFor, ast.comprehension)):
        # Twice, since what is added to or looped over has no single value.
        for name, _ in _targets(node.target, None):
            yield name, None
            yield name, None
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield from _targets(node.optional_vars, None)
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name, None


def _targets(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, ast.expr | None]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, (ast.Tuple, ast.List)):
        for element in target.elts:
            yield from _targets(element, None)


class Values:
    """Evaluates expressions of one module."""

    def __init__(self, source: SourceText, names: Names) -> None:
        self._source = source
        self._names = names
        self._steps = 0
        self._open: set[int] = set()

    def location(self, node: ast.expr | ast.keyword) -> SourceLocation:
        return self._source.location(node.lineno, node.col_offset + 1)

    def node(self, node: ast.expr, scope: Scope) -> Node:
        """The value of an expression."""
        self._steps += 1
        if id(node) in self._open:
            return self._opaque(node, "it is made of itself")
        if self._steps > MAX_STEPS:
            return self._opaque(node, "the file is too intricate")
        self._open.add(id(node))
        try:
            return self._evaluate(node, scope)
        finally:
            self._open.discard(id(node))

    def keywords(self, call: ast.Call, scope: Scope, positions: Sequence[str] = ()) -> tuple[Table, list[Opaque]]:
        """The keywords of a call, and what of its arguments cannot be read: `**expression`, positional ones.

        positions: names of arguments that are given by position.
        """
        table = Table(self.location(call), {}, {})
        unread = [self._opaque(argument, "give it by its name") for argument in call.args[len(positions) :]]
        for name, argument in zip(positions, call.args, strict=False):
            location = self.location(argument)
            table = table.with_entries(Table(table.location, {name: self.node(argument, scope)}, {name: location}))
        for keyword in call.keywords:
            value = self.node(keyword.value, scope)
            if keyword.arg is not None:
                table = table.with_entries(
                    Table(table.location, {keyword.arg: value}, {keyword.arg: self.location(keyword)})
                )
            elif isinstance(value, Table):
                table = table.with_entries(value)
            else:
                unread.append(self._opaque(keyword.value, LITERAL, stars=True))
        return table, unread

    def _evaluate(self, node: ast.expr, scope: Scope) -> Node:
        location = self.location(node)
        if isinstance(node, ast.Constant):
            return Scalar(location, node.value)
        if isinstance(node, ast.Name):
            value, home, why = scope.find(node.id)
            if value is None and node.id in home.parameters:
                argument = self._names.argument(node.id, home)
                if argument is not None:
                    value, home = argument
            if node.id == "__file__" and not scope.has(node.id):
                return Scalar(location, os.path.abspath(self._source.file))
            if value is None:
                return self._opaque(node, why)
            return _moved(self.node(value, home), location, node.id)
        if isinstance(node, ast.Dict):
            return self._dict(node, scope)
        if isinstance(node, (ast.List, ast.Tuple)):
            return Listing(location, [self.node(element, scope) for element in node.elts])
        if isinstance(node, ast.Attribute):
            member = self._member(node, scope)
            if member is None and node.attr in ("parent", "name"):
                owner = self.node(node.value, scope)
                if isinstance(owner, Scalar) and isinstance(owner.value, str):
                    path = os.path.dirname(owner.value) if node.attr == "parent" else os.path.basename(owner.value)
                    return Scalar(location, path or ".")
            return self._opaque(node, LITERAL) if member is None else Scalar(location, member)
        if isinstance(node, ast.Call):
            return self._call(node, scope)
        if isinstance(node, ast.Subscript):
            return self._ancestor(node, scope)
        if isinstance(node, ast.JoinedStr):
            return self._joined(node, scope)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            operand = self.node(node.operand, scope)
            if isinstance(operand, Scalar) and type(operand.value) in (int, float):
                return Scalar(location, -operand.value)  # type: ignore[operator]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            return self._joined_path(node, (node.left, node.right), scope)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self.node(node.left, scope), self.node(node.right, scope)
            if isinstance(left, Scalar) and isinstance(right, Scalar) and type(left.value) is type(right.value) is str:
                return Scalar(location, left.value + right.value)
            if isinstance(left, Listing) and isinstance(right, Listing):
                return Listing(location, [*left.items, *right.items])
        return self._opaque(node, LITERAL)

    def _dict(self, node: ast.Dict, scope: Scope) -> Node:
        table = Table(self.location(node), {}, {})
        for key, value in zip(node.keys, node.values, strict=True):
            content = self.node(value, scope)
            if key is None:
                if not isinstance(content, Table):
                    return self._opaque(value, LITERAL, stars=True)
                table = table.with_entries(content)
                continue
            name = self.node(key, scope)
            if not isinstance(name, Scalar) or not isinstance(name.value, str):
                return self._opaque(key, LITERAL)
            table = table.with_entries(Table(table.location, {name.value: content}, {name.value: self.location(key)}))
        return table

    def _call(self, node: ast.Call, scope: Scope) -> Node:
        dotted = self._names.dotted(node.func, scope) or ""
        name = dotted.rpartition(".")[2]
        if name == "PipelineParameter":
            default = self.keywords(node, scope, POSITIONS[name])[0].entries.get("default_value")
            if isinstance(default, Scalar):
                return default
            return self._opaque(node, "its default_value is no literal")
        path = self._path(node, dotted, scope)
        if path is not None:
            return path
        if isinstance(node.func, ast.Attribute) and node.func.attr in CREATED and len(node.args) == 1:
            return self.node(node.args[0], scope)
        method = ".".join(dotted.split(".")[-2:])
        name = method if method in METHODS else name
        if name not in RECORDS and name not in METHODS:
            return replace(self._opaque(node, LITERAL), input_name=self._input_name(node, scope))
        table, unread = self.keywords(node, scope, POSITIONS.get(name, ()))
        if unread:
            return unread[0]
        added = {key: Scalar(table.location, value) for key, value in RECORDS.get(name, {}).items()}
        return Table(table.location, added, dict.fromkeys(added, table.location)).with_entries(table)

    def _path(self, node: ast.Call, dotted: str, scope: Scope) -> Node | None:
        """The path that a call of pathlib or os makes; None for any other call."""
        function = dotted.removeprefix("pathlib.").removeprefix("os.path.").removeprefix("os.")
        if function in ("Path.cwd", "getcwd"):
            return Scalar(self.location(node), os.path.dirname(os.path.abspath(self._source.file)))
        if function in PATHS and node.args and not node.keywords:
            return self._joined_path(node, node.args, scope)
        if function == "dirname" and len(node.args) == 1:
            inner = self._joined_path(node, node.args, scope)
            return Scalar(inner.location, os.path.dirname(str(inner.value))) if isinstance(inner, Scalar) else inner
        if isinstance(node.func, ast.Attribute) and node.func.attr in PATH_METHODS and not dotted:
            return self._joined_path(node, (node.func.value, *node.args), scope)
        return None

    def _ancestor(self, node: ast.Subscript, scope: Scope) -> Node:
        """`path.parents[1]`."""
        number = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if not isinstance(node.value, ast.Attribute) or node.value.attr != "parents" or not isinstance(number, int):
            return self._opaque(node, LITERAL)
        path = self.node(node.value.value, scope)
        if not isinstance(path, Scalar) or not isinstance(path.value, str) or not 0 <= number < 20:
            return self._opaque(node, LITERAL)
        text = path.value
        for _ in range(number + 1):
            text = os.path.dirname(text)
        return Scalar(self.location(node), text or ".")

    def _joined_path(self, node: ast.expr, parts: Sequence[ast.expr], scope: Scope) -> Node:
        texts: list[str] = []
        for part in parts:
            value = self.node(part, scope)
            if not isinstance(value, Scalar) or not isinstance(value.value, str):
                return self._opaque(node, value.why if isinstance(value, Opaque) else LITERAL)
            texts.append(value.value)
        return Scalar(self.location(node), os.path.join(*texts))

    def _input_name(self, call: ast.Call, scope: Scope) -> str | None:
        """The name in `data.as_named_input("name").as_mount()`."""
        function: ast.expr = call.func
        if isinstance(function, ast.Name) and function.id == "DatasetConsumptionConfig":
            table, _ = self.keywords(call, scope, ("name",))
            return text_of(table.entries.get("name"))
        while isinstance(function, ast.Attribute):
            if function.attr == "as_named_input" and call.args:
                return text_of(self.node(call.args[0], scope))
            if not isinstance(function.value, ast.Call):
                return None
            call, function = function.value, function.value.func
        return None

    def _joined(self, node: ast.JoinedStr, scope: Scope) -> Node:
        text = ""
        for part in node.values:
            plain = isinstance(part, ast.FormattedValue) and part.format_spec is None and part.conversion == -1
            value = self.node(part.value if isinstance(part, ast.FormattedValue) and plain else part, scope)
            if not isinstance(value, Scalar) or not isinstance(value.value, (str, int, float)):
                return self._opaque(node, value.why if isinstance(value, Opaque) else LITERAL)
            text += str(value.value)
        return Scalar(self.location(node), text)

    def _member(self, node: ast.Attribute, scope: Scope) -> str | None:
        """The text of `AssetTypes.MLTABLE`; that of `.value` of an enumeration too."""
        dotted = self._names.dotted(node, scope)
        if dotted is None:
            return None
        owner, _, member = dotted.removesuffix(".value").rpartition(".")
        return ENUMERATIONS.get(owner.rpartition(".")[2], {}).get(member)

    def _opaque(self, node: ast.expr, why: str, *, stars: bool = False) -> Opaque:
        text = ("**" if stars else "") + ast.unparse(node)
        if len(text) > MAX_SHOWN_LENGTH:
            text = text[: MAX_SHOWN_LENGTH - 4] + " ..."
        return Opaque(self.location(node), " ".join(text.split()), why)


def _moved(node: Node, location: SourceLocation, name: str) -> Node:
    """A constant with the location that uses it: a mistake in it is told where it is used, but for mappings."""
    if isinstance(node, Scalar):
        return Scalar(location, node.value)
    return replace(node, location=location, text=name) if isinstance(node, Opaque) else node
