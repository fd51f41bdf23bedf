"""The names of a Python file: their values, by scope, and what functions are given and return."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias, TypeGuard

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
OWN = "self."
CHANGING = ("update", "append", "extend", "insert", "setdefault", "pop", "popitem", "remove", "clear")


@dataclass
class Scope:
    """The assignments of a module or function.

    assignments: all values of a name, by line. function: the one whose scope this is. is_class: the body of a class.
    changed: names whose mapping or list is changed somewhere in the file.
    """

    parameters: set[str] = field(default_factory=set)
    outer: Scope | None = None
    assignments: dict[str, list[tuple[int, ast.expr | None]]] = field(default_factory=dict)
    function: Function | None = None
    is_class: bool = False
    changed: set[str] = field(default_factory=set)

    def value(self, name: str) -> ast.expr | None:
        """The value of a name that is assigned here exactly once."""
        values = self.assignments.get(name, [])
        return values[0][1] if len(values) == 1 else None

    def find(self, name: str) -> tuple[ast.expr | None, Scope, str]:
        """The value of the name, its scope, and why it has no value: "" if it has one."""
        scope = self.home(name)
        if scope is None:
            return None, self, f"'{name}' is not assigned in this file; write a literal"
        if name in scope.parameters:
            return None, scope, f"'{name}' is a parameter of a function; write a literal"
        value = scope.value(name)
        if name in scope.changed and _is_collection(value):
            return None, scope, f"'{name}' is changed after it is assigned; write a literal"
        return value, scope, "" if value is not None else f"'{name}' is not assigned exactly once; write a literal"

    def home(self, name: str) -> Scope | None:
        """The scope that gives the name a value, or has it as a parameter."""
        scope: Scope | None = self
        while scope is not None and name not in scope.parameters and name not in scope.assignments:
            scope = scope.outer
        return scope

    def latest(self, name: str, line: int) -> ast.expr | None:
        """The last value of the name before a line, or any in a surrounding scope."""
        scope = self.home(name)
        if scope is None or name in scope.parameters:
            return None
        values = [value for at, value in scope.assignments[name] if scope is not self or at < line]
        return values[-1] if values else None


class Names:
    """Names of a module: `scope_of` a call, and the dotted name of an expression."""

    def __init__(self, module: ast.Module) -> None:
        self.imported: dict[str, str] = {}
        self.starred: list[str] = []
        self.top = Scope()
        self._scopes: dict[int, Scope] = {}
        self._calls: dict[str, list[ast.Call]] = {}
        self._functions: dict[str, list[Function]] = {}
        self._classes: dict[int, str] = {}
        self._bodies: dict[str, Scope] = {}
        self._own: dict[str, list[tuple[int, ast.expr | None]]] = {}
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                self._calls.setdefault(name, []).append(node)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self._functions.setdefault(node.name, []).append(node)
            elif isinstance(node, ast.ClassDef):
                self._classes.update({id(method): node.name for method in node.body})
        self._fill(module, self.top)
        for node in ast.walk(module):
            for changed in _changed(node):
                home = self.scope_of(node).home(changed)
                if home is not None:
                    home.changed.add(changed)

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
        return None if scope.home(node.id) else node.id

    def attribute(self, name: str, line: int | None = None) -> ast.expr | None:
        """The only value of `self.name` in the file or, given a line, the last one before it."""
        values = self._own.get(name, [])
        if line is not None:
            values = [(at, value) for at, value in values if at < line][-1:] or values[-1:]
        return values[0][1] if len(values) == 1 else None

    def of_class(self, node: ast.Attribute, scope: Scope) -> ast.expr | None:
        """The only value of `Name.constant` in the body of a class of this file."""
        if not isinstance(node.value, ast.Name) or scope.home(node.value.id):
            return None
        body = self._bodies.get(node.value.id)
        return None if body is None else body.value(node.attr)

    def returned(self, call: ast.Call) -> ast.expr | None:
        """The result of a function of this file that is called only here, from its only `return`."""
        functions = self._functions.get(_name_of(call.func), [])
        if len(functions) != 1 or functions[0].decorator_list or self._calls_of(functions[0]) != [call]:
            return None
        returns = [
            node
            for node in ast.walk(functions[0])
            if isinstance(node, ast.Return) and self.scope_of(node).function is functions[0]
        ]
        return returns[0].value if len(returns) == 1 else None

    def argument(self, name: str, scope: Scope) -> tuple[ast.expr, Scope] | None:
        """The value that the only call of a function gives its parameter, otherwise its default."""
        function = scope.function
        if function is None or scope.outer is None:
            return None
        calls = self._calls_of(function)
        if len(calls) > 1:
            return None
        arguments = function.args
        positional = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
        bound = 1 if id(function) in self._classes and positional[:1] in (["self"], ["cls"]) else 0
        for call in calls:
            if any(isinstance(value, ast.Starred) for value in call.args) or any(not one.arg for one in call.keywords):
                return None
            values = {**dict(zip(positional[bound:], call.args, strict=False))}
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

    def _calls_of(self, function: Function) -> list[ast.Call]:
        """The calls of a function; for a method those with its name, and for `__init__()` those of the class."""
        owner = self._classes.get(id(function))
        if owner is None:
            outer = self.scope_of(function)
            return [
                call
                for call in self._calls.get(function.name, [])
                if isinstance(call.func, ast.Name) and self.scope_of(call).home(function.name) is outer
            ]
        name = owner if function.name == "__init__" else function.name
        return [call for call in self._calls.get(name, []) if not self._is_imported(call.func)]

    def _is_imported(self, node: ast.expr) -> bool:
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id in self.imported

    def _fill(self, node: ast.AST, scope: Scope) -> None:
        """Walks statements and records what they assign; a function has its own scope."""
        waiting: list[ast.AST] = list(ast.iter_child_nodes(node))
        while waiting:
            child = waiting.pop(0)
            self._scopes[id(child)] = scope
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                # Methods do not see the names of their class.
                inner = Scope(outer=scope.outer if scope.is_class else scope)
                inner.parameters.update(_parameters(child.args))
                if not isinstance(child, ast.Lambda):
                    inner.function = child
                    scope.assignments.setdefault(child.name, []).append((child.lineno, None))
                    waiting.extend(child.decorator_list)
                self._fill(child, inner)
                continue
            if isinstance(child, ast.ClassDef):
                body = self._bodies[child.name] = Scope(outer=scope, is_class=True)
                self._fill(child, body)
                continue
            if isinstance(child, (ast.Import, ast.ImportFrom)):
                self._import(child)
            for name, value in _assigned(child):
                assignments = self._own if name.startswith(OWN) else scope.assignments
                assignments.setdefault(name.removeprefix(OWN), []).append((getattr(child, "lineno", 0), value))
            waiting.extend(ast.iter_child_nodes(child))

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                # A single dot is the folder of the file, where modules are searched anyway.
                module = "." * (node.level - 1) + (node.module or "")
                if alias.name == "*":
                    self.starred.append(module)
                self.imported[alias.asname or alias.name] = f"{module}.{alias.name}"
            elif alias.asname:
                self.imported[alias.asname] = alias.name
            else:
                first = alias.name.partition(".")[0]
                self.imported[first] = first


def _is_collection(value: ast.expr | None) -> bool:
    called = value.func if isinstance(value, ast.Call) else None
    return isinstance(value, (ast.Dict, ast.List)) or (isinstance(called, ast.Name) and called.id in ("dict", "list"))


def _changed(node: ast.AST) -> Iterator[str]:
    """Names whose mapping or list is changed by a statement or call: `name["a"] = 1`, `name.update(a=1)`."""
    if isinstance(node, (ast.Subscript, ast.Attribute)) and isinstance(node.value, ast.Name):
        is_call = isinstance(node, ast.Attribute) and node.attr in CHANGING
        if is_call or isinstance(node.ctx, (ast.Store, ast.Del)):
            yield node.value.id


def is_own(node: ast.expr) -> TypeGuard[ast.Attribute]:
    """Whether an expression is `self.name`."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"


def _name_of(function: ast.expr) -> str:
    """The name of a called function or method: of `build`, or `self.build`."""
    return function.id if isinstance(function, ast.Name) else function.attr if is_own(function) else ""


def _parameters(arguments: ast.arguments) -> Iterator[str]:
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        yield argument.arg
    for argument_of_many in (arguments.vararg, arguments.kwarg):
        if argument_of_many is not None:
            yield argument_of_many.arg


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """Names that a statement or expression assigns; None if it does not assign the value of one expression."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _targets(target, node.value)
    elif isinstance(node, ast.NamedExpr) or (isinstance(node, ast.AnnAssign) and node.value is not None):
        yield from _targets(node.target, node.value)
    elif isinstance(node, (ast.AugAssign, ast.For, ast.AsyncFor, ast.comprehension)):
        # Twice, since a name that is added to or looped over has no single value.
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
    elif is_own(target):
        yield f"{OWN}{target.attr}", value
    elif isinstance(target, (ast.Tuple, ast.List)):
        for element in target.elts:
            yield from _targets(element, None)
