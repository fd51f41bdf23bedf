"""The expressions of a Python file, read without running it.

`Values` turns them into nodes; anything that is not a literal becomes an Opaque that says so. Operators and
functions are applied to literals in bounded time and memory.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from pytest_parallelrun.job_files.inputs import COMPONENT_MODES, DATA_TYPES, local_path
from pytest_parallelrun.job_files.notebook import SourceText, parse_source, read_source
from pytest_parallelrun.job_files.python_names import Names, Scope, is_own
from pytest_parallelrun.job_files.run_config import config_of, is_config_file
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

LITERAL = "write a literal, or a constant that is assigned once in this file"
MAX_SHOWN_LENGTH = 60
MAX_STEPS = 20_000
"""Expressions that are read: constants may refer to each other many times."""
MAX_MODULES = 50
MAX_CHAIN = 20
"""Calls in `a().b().c()`, and folders above a path."""
OUTPUTS = ("PipelineData", "OutputFileDatasetConfig", "OutputTabularDatasetConfig", "HDFSOutputDatasetConfig")
"""Outputs of a step of v1."""
LOAD_CONFIG = "ParallelRunConfig.load_yaml"

OF_SETTINGS = (
    *("RetrySettings", "BatchRetrySettings", "JobResourceConfiguration", "ResourceConfiguration"),
    *("ParallelRunConfig", "ModelBatchDeploymentSettings", "RunFunction", "ParallelTask", "CodeConfiguration"),
)
"""Calls whose parts can be given by options, so that they are useful even if one part cannot be read."""
METHODS = ("Environment.from_conda_specification", "Environment.from_pip_requirements", "CondaDependencies.create")
"""Methods of classes. SDK reference of azureml.core (v1)."""
RECORDS = ("dict", "Input", "Output", "Model", "Environment", "CondaDependencies", *OF_SETTINGS, *METHODS)
"""Calls that are read as the mapping of their keywords. SDK reference of azure.ai.ml."""

POSITIONS = {
    "CodeConfiguration": ("code", "scoring_script"),
    "PipelineParameter": ("name", "default_value"),
    "Environment": ("name",),
    "Environment.from_conda_specification": ("name", "file_path"),
    "Environment.from_pip_requirements": ("name", "file_path"),
    "CondaDependencies": ("conda_dependencies_file_path",),
}
"""Names of positional arguments."""
PATHS = ("Path", "PurePath", "PosixPath", "PurePosixPath", "join", "abspath", "realpath", "normpath", "fspath", "str")
PATH_METHODS = ("joinpath", "resolve", "absolute", "as_posix", "expanduser", "__str__")
CREATED = ("create_or_update", "begin_create_or_update")
"""Methods of the client that return their argument."""

ENUMERATIONS = {
    "AssetTypes": DATA_TYPES,
    "InputOutputModes": ("upload", *COMPONENT_MODES),
    "ParallelTaskType": ("run_function", "function", "model"),
    "BatchDeploymentOutputAction": ("append_row", "summary_only"),
}
"""Enumerations of the SDK, by class; a member is its value in capitals. SDK reference of azure.ai.ml.constants."""
LOGGING_LEVELS = {"DEBUG": "DEBUG", "INFO": "INFO", "WARN": "WARNING", "WARNING": "WARNING"}

Value: TypeAlias = str | int | float

MAX_NUMBER = 10**15
MAX_POWER = 60
MAX_TEXT = 10_000
_PERCENT = re.compile(r"(?:[^%]|%[sd%])*")
_BRACES = re.compile(r"(?:[^{}]|\{\w*\})*")
"""Formats without widths, with which a few letters could produce gigabytes."""

_NUMBERS: dict[type[ast.operator], Callable[[float, float], object]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: lambda left, right: left / right,
    ast.FloorDiv: lambda left, right: left // right,
    ast.Mod: lambda left, right: left % right,
    ast.Pow: lambda left, right: left**right,
}
_CONVERSIONS: dict[str, type[Value]] = {"str": str, "int": int, "float": float}


class Values:
    """Evaluates expressions of one module."""

    def __init__(self, source: SourceText, names: Names, modules: Modules) -> None:
        self._source = source
        self._names = names
        self._modules = modules
        self._steps = 0
        self._open: set[int] = set()

    def location(self, node: ast.expr | ast.keyword) -> SourceLocation:
        return self._source.location(node.lineno, node.col_offset + 1)

    def node(self, node: ast.expr, scope: Scope) -> Node:
        self._steps += 1
        if id(node) in self._open:
            return self._opaque(node, "it is made of itself; write a literal")
        if self._steps > MAX_STEPS:
            return self._opaque(node, "the file is too intricate; write a literal")
        self._open.add(id(node))
        try:
            return self._evaluate(node, scope)
        finally:
            self._open.discard(id(node))

    def keywords(self, call: ast.Call, scope: Scope, positions: Sequence[str] = ()) -> tuple[Table, list[Opaque]]:
        """The keywords of a call, and the positional arguments without a name.

        positions: names of positional arguments. `**expression` that cannot be read has the name STARS.
        """
        table = Table(self.location(call), {}, {})
        unread = [self._opaque(argument, "give it by its name") for argument in call.args[len(positions) :]]
        for name, argument in zip(positions, call.args, strict=False):
            table = table.with_entry(name, self.node(argument, scope), self.location(argument))
        for keyword in call.keywords:
            value = self.node(keyword.value, scope)
            if keyword.arg is not None:
                table = table.with_entry(keyword.arg, value, self.location(keyword))
            elif isinstance(value, Table):
                table = table.with_entries(value)
            else:
                stars = self._opaque(keyword.value, LITERAL, stars=True)
                table = table.with_entry(STARS, stars, stars.location)
        return table, unread

    def _evaluate(self, node: ast.expr, scope: Scope) -> Node:
        location = self.location(node)
        if isinstance(node, ast.Constant):
            return Scalar(location, node.value)
        if isinstance(node, ast.Name):
            value, home, why = scope.find(node.id)
            if value is None and node.id in home.parameters:
                value, home = self._names.argument(node.id, home) or (None, home)
            if node.id == "__file__" and not scope.home(node.id):
                return Scalar(location, os.path.abspath(self._source.file))
            if value is None:
                imported = None if scope.home(node.id) else self._imported(node.id)
                return self._opaque(node, why) if imported is None else _moved(imported, location, node.id)
            return _moved(self.node(value, home), location, node.id)
        if isinstance(node, ast.Dict):
            return self._dict(node, scope)
        if isinstance(node, (ast.List, ast.Tuple)):
            return Listing(location, [self.node(element, scope) for element in node.elts])
        if isinstance(node, ast.Attribute):
            member = self._member(node, scope)
            value = self._names.attribute(node.attr) if is_own(node) else self._names.of_class(node, scope)
            if value is not None:
                return _moved(self.node(value, self._names.scope_of(value)), location, ast.unparse(node))
            imported = self._modules.constant(self._names.dotted(node, scope) or "")
            if imported is not None:
                return _moved(imported, location, ast.unparse(node))
            if member is None and node.attr in ("parent", "name"):
                path = text_of(self.node(node.value, scope))
                if path is not None:
                    part = os.path.dirname(path) if node.attr == "parent" else os.path.basename(path)
                    return Scalar(location, part or ".")
            return self._opaque(node, LITERAL) if member is None else Scalar(location, member)
        if isinstance(node, ast.Call):
            return self._call(node, scope)
        if isinstance(node, ast.Subscript):
            return self._item(node, scope)
        if isinstance(node, ast.JoinedStr):
            return self._joined(node, scope)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            operand = self.node(node.operand, scope)
            if isinstance(operand, Scalar) and type(operand.value) in (int, float):
                return Scalar(location, -operand.value)  # type: ignore[operator]
        if isinstance(node, ast.BinOp):
            return self._computed(node, scope)
        return self._opaque(node, LITERAL)

    def constant(self, name: str) -> Node | None:
        """The value of a name in the module, or its import; None if there are several."""
        value, home, _ = self._names.top.find(name)
        return self._imported(name) if value is None else self.node(value, home)

    def _imported(self, name: str) -> Node | None:
        """The value of a name imported from a module next to this file."""
        sources = [self._names.imported.get(name, ""), *(f"{module}.{name}" for module in self._names.starred)]
        return next((node for node in map(self._modules.constant, sources) if node is not None), None)

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
            table = table.with_entry(name.value, content, self.location(key))
        return table

    def _call(self, node: ast.Call, scope: Scope) -> Node:
        dotted = self._names.dotted(node.func, scope) or ""
        name = dotted.rpartition(".")[2]
        if name == "PipelineParameter":
            default = self.keywords(node, scope, POSITIONS[name])[0].entries.get("default_value")
            if isinstance(default, Scalar):
                return default
            return self._opaque(node, "write its default_value as a literal")
        path_or_text = self._path(node, dotted, scope) or self._text_made(node, scope)
        if path_or_text is not None:
            return path_or_text
        if isinstance(node.func, ast.Attribute) and node.func.attr in CREATED and len(node.args) == 1:
            return self.node(node.args[0], scope)
        method = ".".join(dotted.split(".")[-2:])
        name = method if method in METHODS else name
        if dotted.endswith(LOAD_CONFIG):
            return self._loaded_config(node, scope)
        returned = self._names.returned(node)
        if returned is not None:
            return self.node(returned, self._names.scope_of(returned))
        if name not in RECORDS:
            return self._data(node, scope, LITERAL)
        table, unread = self.keywords(node, scope, POSITIONS.get(name, ()))
        stars = table.entries.get(STARS)
        if unread or (stars is not None and name not in OF_SETTINGS):
            return unread[0] if unread else stars or table
        if name == "RunFunction" and "type" not in table.entries:
            return table.with_entry("type", Scalar(table.location, "run_function"), table.location)
        return table

    def _loaded_config(self, node: ast.Call, scope: Scope) -> Node:
        """The mapping in the file of `ParallelRunConfig.load_yaml(workspace, path)`."""
        source = self.keywords(node, scope, ("workspace", "path"))[0].entries.get("path")
        text = text_of(source)
        if source is None or not text:
            return self._opaque(node, source.why if isinstance(source, Opaque) else LITERAL)
        file, problems = Path(local_path(text, source.location)), Problems()
        table = read_yaml(file, problems)
        if table is None:
            return self._opaque(node, "; ".join(map(str, problems)))
        if not is_config_file(table):
            return self._opaque(node, f"'{shown(file)}' has no 'parallel_run_config'")
        config = config_of(table, source.location.file.parent)
        return replace(config, location=self.location(node))

    def _path(self, node: ast.Call, dotted: str, scope: Scope) -> Node | None:
        """The path of a call of pathlib or os; None for any other call."""
        function = dotted.removeprefix("pathlib.").removeprefix("os.path.").removeprefix("os.")
        if function in ("Path.cwd", "getcwd"):
            return Scalar(self.location(node), os.path.dirname(os.path.abspath(self._source.file)))
        if function in PATHS and node.args and not node.keywords:
            made = self._joined_path(node, node.args, scope)
            return None if function == "str" and isinstance(made, Opaque) else made
        if function == "relpath" and node.args:
            made = self._joined_path(node, node.args[:1], scope)
            folder = os.path.dirname(os.path.abspath(self._source.file))
            text = text_of(made)
            return made if text is None else Scalar(made.location, os.path.relpath(os.path.join(folder, text), folder))
        if function == "dirname" and len(node.args) == 1:
            inner = self._joined_path(node, node.args, scope)
            return Scalar(inner.location, os.path.dirname(str(inner.value))) if isinstance(inner, Scalar) else inner
        if isinstance(node.func, ast.Attribute) and node.func.attr in PATH_METHODS and not dotted:
            return self._joined_path(node, (node.func.value, *node.args), scope)
        return None

    def _computed(self, node: ast.BinOp, scope: Scope) -> Node:
        left, right = self.node(node.left, scope), self.node(node.right, scope)
        made: object = None
        if isinstance(left, Listing) and isinstance(right, Listing) and isinstance(node.op, ast.Add):
            return Listing(self.location(node), [*left.items, *right.items])
        if isinstance(node.op, ast.Div) and text_of(left) is not None:
            return self._joined_path(node, (node.left, node.right), scope)
        if isinstance(left, Scalar) and isinstance(right, Scalar):
            made = _computed_literal(node.op, left.value, right.value)
        elif isinstance(left, Scalar) and isinstance(left.value, str) and isinstance(right, Listing):
            made = _formatted(left.value, [item.value if isinstance(item, Scalar) else None for item in right.items])
        why = next((side.why for side in (left, right) if isinstance(side, Opaque)), LITERAL)
        return self._opaque(node, why) if made is None else Scalar(self.location(node), made)

    def _text_made(self, node: ast.Call, scope: Scope) -> Node | None:
        """`"a {}".format(b)`, `" ".join([a, b])`, `str(a)` and `int(a)`, of literals; None for any other call."""
        values = [self.node(argument, scope) for argument in node.args]
        plain = [value.value if isinstance(value, Scalar) else None for value in values]
        made: object = None
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("format", "join"):
            text = text_of(self.node(node.func.value, scope))
            table, _ = self.keywords(node, scope, [""] * len(node.args))
            named = {name: one.value for name, one in table.entries.items() if name and isinstance(one, Scalar)}
            if text is not None and node.func.attr == "format":
                made = _filled(text, plain, named)
            elif text is not None and len(values) == 1 and isinstance(values[0], Listing):
                parts = [text_of(item) for item in values[0].items]
                made = text.join(part for part in parts if part is not None) if None not in parts else None
        elif isinstance(node.func, ast.Name) and len(plain) == 1 and not scope.home(node.func.id):
            made = _converted(node.func.id, plain[0])
        return None if made is None else Scalar(self.location(node), made)

    def _item(self, node: ast.Subscript, scope: Scope) -> Node:
        """`mapping["key"]`, `items[0]` and `path.parents[1]`."""
        key, location = self.node(node.slice, scope), self.location(node)
        number = key.value if isinstance(key, Scalar) and isinstance(key.value, int) else -1
        if isinstance(node.value, ast.Attribute) and node.value.attr == "parents":
            path = text_of(self.node(node.value.value, scope))
            if path is None or not 0 <= number < MAX_CHAIN:
                return self._opaque(node, LITERAL)
            for _ in range(number + 1):
                path = os.path.dirname(path)
            return Scalar(location, path or ".")
        owner = self.node(node.value, scope)
        if isinstance(owner, Table) and text_of(key) in owner.entries:
            return _moved(owner.entries[str(text_of(key))], location, ast.unparse(node))
        if isinstance(owner, Listing) and 0 <= number < len(owner.items):
            return _moved(owner.items[number], location, ast.unparse(node))
        return self._opaque(node, LITERAL)

    def _joined_path(self, node: ast.expr, parts: Sequence[ast.expr], scope: Scope) -> Node:
        texts: list[str] = []
        for part in parts:
            value = self.node(part, scope)
            text = text_of(value)
            if text is None:
                return self._opaque(node, value.why if isinstance(value, Opaque) else LITERAL)
            texts.append(text)
        return Scalar(self.location(node), os.path.join(*texts))

    def _data(self, call: ast.Call, scope: Scope, why: str) -> Opaque:
        """A call that is no literal, with the name of the data in `data.as_named_input("name").as_mount()` or of the
        output in `PipelineData("name").as_dataset()`, of v1.
        """
        opaque, function = self._opaque(call, why), call.func
        for _ in range(MAX_CHAIN):
            name = (self._names.dotted(function, scope) or "").rpartition(".")[2]
            named = self.keywords(call, scope, ("name",))[0].entries.get("name")
            if name in OUTPUTS:
                return replace(opaque, output_name=text_of(named) or "output")
            if name == "DatasetConsumptionConfig":
                return replace(opaque, input_name=text_of(named))
            if not isinstance(function, ast.Attribute):
                break
            if function.attr == "as_named_input" and call.args:
                return replace(opaque, input_name=text_of(self.node(call.args[0], scope)))
            owner: ast.expr | None = function.value
            if isinstance(owner, ast.Name):
                owner, scope, _ = scope.find(owner.id)
            if not isinstance(owner, ast.Call):
                break
            call, function = owner, owner.func
        return opaque

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
        if dotted in ("os.sep", "os.path.sep"):
            return "/"
        owner, _, member = dotted.removesuffix(".value").rpartition(".")
        owner = owner.rpartition(".")[2]
        if owner == "LoggingLevel":
            return LOGGING_LEVELS.get(member)
        return member.lower() if member.isupper() and member.lower() in ENUMERATIONS.get(owner, ()) else None

    def _opaque(self, node: ast.expr, why: str, *, stars: bool = False) -> Opaque:
        text = ("**" if stars else "") + ast.unparse(node)
        if len(text) > MAX_SHOWN_LENGTH:
            text = text[: MAX_SHOWN_LENGTH - 4] + " ..."
        return Opaque(self.location(node), " ".join(text.split()), why)


class Modules:
    """The modules next to a file, for the constants that it imports; each is parsed once, and not run."""

    def __init__(self, file: Path) -> None:
        self._folders = dict.fromkeys((file.absolute().parent, Path.cwd()))
        self._values: dict[Path, Values | None] = {}
        self._open: set[str] = set()

    def constant(self, dotted: str) -> Node | None:
        """The value of `module.NAME`; None if there is no such module or constant."""
        *parts, name = dotted.split(".")
        if dotted in self._open:
            return None
        self._open.add(dotted)
        try:
            return self._constant(parts, name)
        finally:
            self._open.discard(dotted)

    def _constant(self, parts: Sequence[str], name: str) -> Node | None:
        for folder in self._folders if all(parts) and parts else ():
            module = folder.joinpath(*parts)
            for file in (module.with_suffix(".py"), module / "__init__.py"):
                values = self._values_of(file)
                if values is not None:
                    return values.constant(name)
        return None

    def _values_of(self, file: Path) -> Values | None:
        if file not in self._values and file.is_file() and len(self._values) < MAX_MODULES:
            problems = Problems()
            source = read_source(file, problems)
            module = None if source is None else parse_source(source, problems)
            self._values[file] = None if source is None or module is None else Values(source, Names(module), self)
        return self._values.get(file)


def _moved(node: Node, location: SourceLocation, name: str) -> Node:
    """A constant with the location that uses it, where mistakes in it are reported, except for mappings."""
    if isinstance(node, Scalar):
        return Scalar(location, node.value)
    return replace(node, location=location, text=name) if isinstance(node, Opaque) else node


def _computed_literal(operator: ast.operator, left: object, right: object) -> Value | None:
    """`left + right` and similar for numbers, `+` and `%` for strings; otherwise None."""
    if isinstance(left, str):
        if isinstance(operator, ast.Add) and isinstance(right, str):
            return _short(left + right)
        return _formatted(left, [right]) if isinstance(operator, ast.Mod) else None
    if not isinstance(left, (int, float)) or not isinstance(right, (int, float)) or type(operator) not in _NUMBERS:
        return None
    if max(abs(left), abs(right)) > MAX_NUMBER or (isinstance(operator, ast.Pow) and abs(right) > MAX_POWER):
        return None
    try:
        made = _NUMBERS[type(operator)](left, right)
    except (ArithmeticError, ValueError):
        return None
    return made if isinstance(made, (int, float)) else None


def _formatted(text: str, values: Sequence[object]) -> str | None:
    """`text % values`, only for plain formats."""
    if not _PERCENT.fullmatch(text) or not all(isinstance(value, (str, int, float)) for value in values):
        return None
    try:
        return _short(text % tuple(values))
    except (TypeError, ValueError):
        return None


def _filled(text: str, values: Sequence[object], named: Mapping[str, object]) -> str | None:
    """`text.format(*values, **named)`, only for plain formats."""
    if not _BRACES.fullmatch(text) or not all(isinstance(one, (str, int, float)) for one in (*values, *named.values())):
        return None
    try:
        return _short(text.format(*values, **named))
    except (IndexError, KeyError, ValueError):
        return None


def _converted(function: str, value: object) -> Value | None:
    """`str(value)`, `int(value)` or `float(value)`; None for any other function, or where it would fail."""
    if function not in _CONVERSIONS or not isinstance(value, (str, int, float)):
        return None
    try:
        return _CONVERSIONS[function](value)
    except (ValueError, OverflowError):
        return None


def _short(text: str) -> str | None:
    return text if len(text) <= MAX_TEXT else None
