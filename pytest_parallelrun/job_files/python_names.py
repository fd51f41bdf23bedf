"""What names of a Python file stand for, without running it: imported things, and constants that are assigned once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

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
        """What the name is assigned, where it was found, and why it has no value: "" where it has one."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.parameters:
                return None, scope, f"'{name}' is a parameter of a function"
            if name in scope.values:
                value = scope.values[name]
                return value, scope, "" if value is not None else f"'{name}' is not assigned exactly once"
            scope = scope.outer
        return None, self, f"'{name}' is not assigned in this file"


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
        value, found_in, why = scope.find(node.id)
        if isinstance(value, (ast.Name, ast.Attribute)) and node.id not in seen:
            return self.dotted(value, found_in, seen | {node.id})
        return node.id if value is None and "not assigned in this file" in why else None

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
    for rest in (arguments.vararg, arguments.kwarg):
        if rest is not None:
            yield rest.arg


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
