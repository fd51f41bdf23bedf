"""The names and expressions of a Python file, read without running it.

`Names` tells what a name stands for, `Values` makes nodes of expressions; what is no literal becomes an Opaque that
says so.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

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
    "ParallelRunConfig": {},
}
"""Calls that are read as the mapping of their keywords, with what they add. SDK reference of azure.ai.ml."""


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
    """The assignments of a module or function. `values`: what a name is assigned; None where that is not one thing."""

    values: dict[str, ast.expr | None] = field(default_factory=dict)
    parameters: set[str] = field(default_factory=set)
    outer: Scope | None = None

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
                    self._assign(scope, child.name, None)
                    waiting.extend(child.decorator_list)
                self._fill(child, inner)
                continue
            if isinstance(child, (ast.Import, ast.ImportFrom)):
                self._import(child)
            for name, value in _assigned(child):
                self._assign(scope, name, value)
            waiting.extend(ast.iter_child_nodes(child))

    def _assign(self, scope: Scope, name: str, value: ast.expr | None) -> None:
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

    def __init__(self, file: Path, names: Names) -> None:
        self._file = file
        self._names = names
        self._steps = 0
        self._open: set[int] = set()

    def location(self, node: ast.expr | ast.keyword) -> SourceLocation:
        return SourceLocation(self._file, node.lineno, node.col_offset + 1)

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

    def keywords(self, call: ast.Call, scope: Scope) -> tuple[Table, list[Opaque]]:
        """The keywords of a call, and what of its arguments cannot be read: `**expression`, positional ones."""
        table = Table(self.location(call), {}, {})
        unread = [self._opaque(argument, "give it by its name") for argument in call.args]
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
            if value is None:
                return self._opaque(node, why)
            return _moved(self.node(value, home), location, node.id)
        if isinstance(node, ast.Dict):
            return self._dict(node, scope)
        if isinstance(node, (ast.List, ast.Tuple)):
            return Listing(location, [self.node(element, scope) for element in node.elts])
        if isinstance(node, ast.Attribute):
            member = self._member(node, scope)
            return self._opaque(node, LITERAL) if member is None else Scalar(location, member)
        if isinstance(node, ast.Call):
            return self._call(node, scope)
        if isinstance(node, ast.JoinedStr):
            return self._joined(node, scope)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            operand = self.node(node.operand, scope)
            if isinstance(operand, Scalar) and type(operand.value) in (int, float):
                return Scalar(location, -operand.value)  # type: ignore[operator]
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
        if name not in RECORDS:
            return replace(self._opaque(node, LITERAL), input_name=self._input_name(node, scope))
        table, unread = self.keywords(node, scope)
        if unread:
            return unread[0]
        added = {key: Scalar(table.location, value) for key, value in RECORDS[name].items()}
        return Table(table.location, added, dict.fromkeys(added, table.location)).with_entries(table)

    def _input_name(self, call: ast.Call, scope: Scope) -> str | None:
        """The name in `data.as_named_input("name").as_mount()`."""
        function: ast.expr = call.func
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
