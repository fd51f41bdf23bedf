"""What the source of a script says about a failure. It only improves wording: no finding depends on it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.events import ErrorInfo, Frame

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_ITERATORS = ("map", "filter", "zip", "iter", "reversed", "enumerate")
_IN_PLACE = (
    "append",
    "extend",
    "insert",
    "sort",
    "reverse",
    "update",
    "clear",
    "shuffle",
    "to_csv",
    "to_json",
    "print",
)
"""Functions that return None, most of which change their object."""
_REORDERING = ("as_completed", "imap_unordered", "shuffle", "sample", "sort_values", "argsort", "sort", "sorted", "set")
"""Functions that change an order, the likeliest cause of values at other items first."""
_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.SetComp)


@lru_cache(maxsize=64)
def parsed(path: str) -> ast.Module:
    """The script; empty if it cannot be read or parsed."""
    try:
        return ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


def set_under_main_guard(frame: Frame) -> tuple[str, int] | None:
    """A name used in the line that only code below `if __name__ == "__main__":` sets, and the line of that."""
    tree = parsed(frame.file)
    guards = [node for node in tree.body if isinstance(node, ast.If) and _is_main_guard(node.test)]
    if not guards:
        return None
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.lineno == frame.line}
    functions = {node.name: node for node in tree.body if isinstance(node, _Function)}
    started = [functions[name] for name in ("init", "run") if name in functions]
    elsewhere = {name for function in _called(started, functions) for name in _globals_of(function)}
    for guard in guards:
        called = _called([guard], functions)
        names = {*_bound(guard), *(name for node in called for name in _globals_of(node))}
        for name in sorted(used & names - elsewhere):
            return name, guard.lineno
    return None


def changes_folder(path: str) -> int | None:
    """The first line of a script that visibly calls os.chdir()."""
    calls = (node for node in ast.walk(parsed(path)) if isinstance(node, ast.Call))
    return next((call.lineno for call in calls if _name_called(call) == "chdir"), None)


def called_for_no_item(frames: Sequence[Frame]) -> str:
    """The first function on the way through these frames that gets nothing of an item, and the line of its call; or "".

    Its result is used: a call without one may be a pause.
    """
    for caller, called in pairwise(frames):
        tree = parsed(caller.file)
        name = called.function
        if name == "__init__":
            classes = [node for node in ast.walk(parsed(called.file)) if isinstance(node, ast.ClassDef)]
            name = next((each.name for each in classes if _covers(each, called.line)), name)
        functions = [node for node in ast.walk(tree) if isinstance(node, _Function) and node.name == caller.function]
        local = {name for node in functions for name in _bound(node)}
        local.update(node.arg for function in functions for node in ast.walk(function) if isinstance(node, ast.arg))
        pauses = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
        for node in ast.walk(tree):
            if _name_called(node) != name or node in pauses or not _covers(node, caller.line):
                continue
            if local.isdisjoint(each.id for each in ast.walk(node) if isinstance(each, ast.Name)):
                return f"{name}() (line {caller.line})"
    return ""


def _covers(node: ast.AST, line: int) -> bool:
    return isinstance(node, ast.expr | ast.stmt) and node.lineno <= line <= (node.end_lineno or 0)


def run_has_loop(path: str) -> bool:
    """Whether run(), or a function of the module that it calls, loops over items."""
    tree = parsed(path)
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, _Function)}
    if "run" not in functions:
        return True
    return any(
        isinstance(node, _LOOPS) or _name_called(node) in ("map", "apply", "imap")
        for function in _called([functions["run"]], functions)
        for node in ast.walk(function)
    )


def spent_iterator(path: str) -> tuple[str, str]:
    """Evidence and fix if run(), or a function that it calls, goes through an iterator twice; "" if none does."""
    tree = parsed(path)
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, _Function)}
    for function in _called([functions["run"]], functions) if "run" in functions else ():
        for node in ast.walk(function):
            if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
                continue
            maker, name = functions.get(_name_called(node.value)), node.targets[0].id
            yields = maker is not None and any(isinstance(each, (ast.Yield, ast.YieldFrom)) for each in ast.walk(maker))
            stored = [each for each in _bound(function) if each == name]
            if (
                not yields
                and not isinstance(node.value, ast.GeneratorExp)
                and _name_called(node.value) not in _ITERATORS
            ):
                continue
            used = sorted(
                each.lineno
                for parent in ast.walk(function)
                for each in _gone_through(parent)
                if isinstance(each, ast.Name) and each.id == name and each.lineno > node.lineno
            )
            if len(used) > 1 and len(stored) == 1:
                return (
                    f"'{name}' (line {node.lineno}) is an iterator, which line {used[0]} uses up: line {used[1]} gets "
                    "nothing from it.",
                    f"Make it a list: {name} = list(...).",
                )
    return "", ""


def _gone_through(node: ast.AST) -> list[ast.expr]:
    """Expressions that a node goes through to their end, or passes to a function."""
    if isinstance(node, (ast.For, ast.comprehension)):
        return [node.iter]
    if isinstance(node, ast.Call) and _name_called(node) != "next":
        return [each.value if isinstance(each, ast.Starred) else each for each in node.args]
    return []


def reordering_call(path: str) -> str:
    """A sentence on the call of a script that most likely changes the order of values; "" if none is seen."""
    calls = {_name_called(node): node.lineno for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)}
    return next((f" Look at {name}() in line {calls[name]}." for name in _REORDERING if name in calls), "")


def local_of_init(frame: Frame, error: ErrorInfo) -> tuple[str, str, int] | None:
    """A name that the line lacks, as init() sets it without `global`; the function and the line that does."""
    tree = parsed(frame.file)
    functions = {node.name: node for node in tree.body if isinstance(node, _Function)}
    started = _called([functions[name] for name in ("init",) if name in functions], functions)
    undefined = error.type == "NameError"
    if not undefined and "NoneType" not in error.message:
        return None
    # A module often sets it to None, for init() to replace.
    others = [one for one in tree.body if one not in started and (undefined or not ast.unparse(one).endswith("= None"))]
    taken = {name for one in others for name in _bound(one)} | set(_globals_of(tree))
    taken |= {node.arg for one in others for node in ast.walk(one) if isinstance(node, ast.arg)}
    used = {
        node.id
        for one in others
        for node in ast.walk(one)
        if isinstance(node, ast.Name)
        and node.lineno == frame.line
        and (not undefined or repr(node.id) in error.message)
    }
    for function in started:
        for node in _own_nodes(function):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in used - taken:
                return node.id, getattr(function, "name", ""), node.lineno
    return None


def returns_of_none(path: str, name: str = "run") -> list[str]:
    """Where a function of the script visibly ends with None, as phrases."""
    functions = {node.name: node for node in parsed(path).body if isinstance(node, _Function)}
    function = functions.get(name)
    if function is None:
        return []
    nodes = list(_own_nodes(function))
    found = []
    for node in (node for node in nodes if isinstance(node, ast.Return)):
        where = f"`{ast.unparse(node)}` in line {node.lineno}"
        for value in _values_of(node.value, nodes):
            called = _name_called(value)
            if node.value is None:
                found.append(f"the bare {where}")
            elif isinstance(value, ast.Constant) and value.value is None:
                found.append(where if value is node.value else f"{where}, set to None in line {value.lineno}")
            elif called in _IN_PLACE or "inplace" in {word.arg for word in getattr(value, "keywords", ())}:
                found.append(f"{where} ({called}() returns None: call it in a line of its own)")
            elif called in functions and called != name:
                found += returns_of_none(path, called)
    if not _always_ends(function.body):
        found.append(f"the end of {name}() in line {function.end_lineno}, where a `return` is missing")
    return found


def _values_of(value: ast.expr | None, nodes: Sequence[ast.AST]) -> Iterator[ast.AST | None]:
    """The expression, or those that the statements assign to its name."""
    if not isinstance(value, ast.Name):
        yield value
        return
    for node in nodes:
        if isinstance(node, ast.Assign) and value.id in map(ast.unparse, node.targets):
            yield node.value


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes of a function, without those of functions and classes inside it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (_Function, ast.Lambda, ast.ClassDef)):
            yield from _own_nodes(child)


def _always_ends(body: Sequence[ast.stmt]) -> bool:
    """Whether a block never reaches its end, as far as its last statement shows."""
    last = body[-1]
    if isinstance(last, ast.If):
        return bool(last.orelse) and _always_ends(last.body) and _always_ends(last.orelse)
    if isinstance(last, ast.Try):
        blocks = [last.orelse or last.body, *(handler.body for handler in last.handlers)]
        return (bool(last.finalbody) and _always_ends(last.finalbody)) or all(map(_always_ends, blocks))
    if isinstance(last, ast.With):
        return "suppress" not in ast.unparse(last.items[0]) and _always_ends(last.body)
    if isinstance(last, ast.While):
        return isinstance(last.test, ast.Constant)
    return isinstance(last, (ast.Return, ast.Raise, ast.Match))


def _is_main_guard(test: ast.expr) -> bool:
    names = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
    values = {node.value for node in ast.walk(test) if isinstance(node, ast.Constant)}
    return "__name__" in names and "__main__" in values


def _called(roots: Sequence[ast.AST], functions: Mapping[str, _Function]) -> list[ast.AST]:
    """The nodes, and the functions of the module that they call, directly or indirectly."""
    reached: list[ast.AST] = list(roots)
    for node in reached:
        for each in ast.walk(node):
            function = functions.get(_name_called(each))
            if function is not None and function not in reached:
                reached.append(function)
    return reached


def _name_called(node: ast.AST | None) -> str:
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _globals_of(node: ast.AST) -> Iterator[str]:
    """Names that a function declares as global."""
    for each in ast.walk(node):
        if isinstance(each, ast.Global):
            yield from each.names


def _bound(node: ast.AST) -> Iterator[str]:
    """Names that statements bind."""
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            yield each.id
        elif isinstance(each, (ast.Import, ast.ImportFrom)):
            yield from ((alias.asname or alias.name).partition(".")[0] for alias in each.names)
        elif isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield each.name


def parameters_used(frame: Frame) -> str:
    """How the line uses a parameter of its function, such as "mini_batch['price']"; "" if it does not."""
    tree = parsed(frame.file)
    functions = [node for node in ast.walk(tree) if isinstance(node, _Function) and node.name == frame.function]
    names = {argument.arg for function in functions for argument in function.args.args}
    uses = (
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Subscript, ast.Attribute))
        and node.lineno <= frame.line <= (node.end_lineno or 0)
        and isinstance(node.value, ast.Name)
        and node.value.id in names
    )
    return next(uses, "")
