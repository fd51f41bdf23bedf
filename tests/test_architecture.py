"""The structure of the package: which module may import which, how large it may grow, how records are built.

Every import counts, wherever it stands: in a function, under TYPE_CHECKING, relative, or of a package.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import pytest_parallelrun

PACKAGE = "pytest_parallelrun"
ROOT = Path(pytest_parallelrun.__file__).parent
MODULES = [path.relative_to(ROOT).as_posix() for path in sorted(ROOT.rglob("*.py"))]
LENGTHS = {name: len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in MODULES}
STAND_INS = "emulator/service/standins/"
CHECKS = "contract/checks/"
MAX_LINES = 500
MIN_LINES = 60
"""A shorter module has at least two importers, or its content belongs to the only one."""
MAX_POSITIONAL = 4
"""Fields of a record that may be told apart by their position."""

ALLOWED = {
    "emulator": {"emulator"},
    "strategies": {"strategies", "emulator"},
    "job_files": {"job_files", "emulator"},
    "contract": {"contract", "strategies", "emulator"},
    "report": {"report", "contract", "emulator"},
    "forecast": {"forecast", "emulator"},
}
"""Parts of the package that each ring may import; what is not in a folder is ring 3, which may import all."""
BUDGET = {
    "emulator": 16_090,
    "contract": 16_300,
    "job_files": 4_860,
    "report": 2_340,
    "strategies": 1_370,
    "ring 3": 3_270,
    "forecast": 1_310,
}
"""Lines of each ring. What needs more deletes something, or raises the number in a commit that says why."""
TEST_TOOLS = {"pytest", "_pytest", "hypothesis", "pluggy", "xdist", "pytest_timeout"}
HEAVY = {"pandas", "numpy", "hypothesis", "yaml", "pyarrow", "mltable", "plotly", "jinja2"}
SERVICE = {"azureml", "azureml_user", "entry_script"}


@cache
def trees() -> dict[str, ast.Module]:
    """The modules, parsed in the first test that needs them, not by every worker that collects this file."""
    return {name: ast.parse((ROOT / name).read_text(encoding="utf-8")) for name in MODULES}


def ring_of(module: str) -> str:
    return module.partition("/")[0] if "/" in module else "ring 3"


def dotted(module: str) -> str:
    """The name by which a module is imported."""
    parts = (PACKAGE, *module.removesuffix(".py").split("/"))
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


BY_NAME = {dotted(module): module for module in MODULES}


def imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    return (node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)))


def names(node: ast.Import | ast.ImportFrom, module: str) -> Iterator[str]:
    """Dotted names of what a statement in `module` imports: modules, or the module that a name comes from."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    origin = node.module or ""
    if node.level:
        package = dotted(module) if module.endswith("__init__.py") else dotted(module).rpartition(".")[0]
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        origin = ".".join([*above, *([origin] if origin else [])])
    for alias in node.names:
        # What is imported from a package may be a module of it.
        yield f"{origin}.{alias.name}" if f"{origin}.{alias.name}" in BY_NAME else origin


def imported(module: str) -> set[str]:
    return {name for node in imports(trees()[module]) for name in names(node, module)}


def imported_at_once(module: str) -> set[str]:
    """What is imported when the module is: neither in a function nor for a type checker."""
    at_once: set[str] = set()
    waiting: list[ast.stmt] = list(trees()[module].body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting.extend(node.orelse)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            at_once.update(names(node, module))
        else:
            waiting.extend(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt))
    return at_once


def graph() -> dict[str, set[str]]:
    """Each module with those of the package that it imports; a module brings the packages that it lies in."""
    edges: dict[str, set[str]] = {}
    for module in MODULES:
        needed: set[str] = set()
        for name in imported(module):
            parts = name.split(".")
            needed.update(".".join(parts[:end]) for end in range(2, len(parts) + 1))
        inside = {name for name in needed if dotted(module).startswith(f"{name}.")}
        edges[module] = {BY_NAME[name] for name in needed - inside if name in BY_NAME} - {module}
    return edges


def cycles(edges: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The groups of modules each of which imports, over others, all others: Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in edges[node]:
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            start = stack.index(node)
            group = stack[start:]
            del stack[start:]
            if len(group) > 1:
                found.append(sorted(group))

    for node in edges:
        if node not in index:
            visit(node)
    return found


def packages(found: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in found}


def parts(found: set[str]) -> set[str]:
    return {name.split(".")[1] for name in found if name.startswith(f"{PACKAGE}.")}


def records() -> dict[str, int]:
    """Names of NamedTuples and dataclasses of the package, with how many fields each has of its own."""
    counted: dict[str, int] = {}
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and _is_record(node):
                fields = sum(isinstance(part, ast.AnnAssign) for part in node.body)
                counted[node.name] = max(fields, counted.get(node.name, 0))
    return counted


def _is_record(node: ast.ClassDef) -> bool:
    decorators = {ast.unparse(decorator).partition("(")[0] for decorator in node.decorator_list}
    return "dataclass" in decorators or "NamedTuple" in {ast.unparse(base) for base in node.bases}


@pytest.mark.parametrize("ring", ALLOWED)
def test_imports_go_inwards_only(ring: str) -> None:
    wrong = {name: parts(imported(name)) - ALLOWED[ring] for name in MODULES if ring_of(name) == ring}
    assert {name: found for name, found in wrong.items() if found} == {}


def test_no_module_imports_itself_over_others() -> None:
    assert cycles(graph()) == []


def test_cycles_are_seen_in_functions_and_for_type_checkers_and_over_packages() -> None:
    assert cycles({"a": ["b"], "b": ["c"], "c": ["b"], "d": ["d"]}) == [["b", "c"]]
    assert "emulator/engines/inprocess.py" in graph()["emulator/engines/__init__.py"]
    assert "emulator/splitting/__init__.py" in graph()["emulator/job.py"]


@pytest.mark.parametrize("ring", ["emulator", "report", "job_files"])
def test_neither_the_emulator_nor_reports_nor_job_definitions_know_pytest_and_hypothesis(ring: str) -> None:
    assert [name for name in MODULES if ring_of(name) == ring and packages(imported(name)) & TEST_TOOLS] == []


def test_heavy_libraries_are_imported_late() -> None:
    # A check is executed for an entry alone, and these two are tests of Hypothesis.
    driven = {
        f"{CHECKS}handles_generated_mini_batches.py": {"hypothesis"},
        f"{CHECKS}behaves_under_error_thresholds.py": {"hypothesis"},
    }
    heavy = {name: packages(imported_at_once(name)) & HEAVY for name in MODULES}
    assert {name: found for name, found in heavy.items() if found} == driven


def test_all_that_is_printed_goes_through_the_functions_that_make_it_harmless() -> None:
    printing = {"write_line", "line", "write", "UsageError", "fail", "exit", "_print"}
    harmless = {"printable", "printable_line", "usage_error"}
    # Its own numbers; commands to CI systems, which escape what is in them; a text that is made where the finding is;
    # pages of the package, and lines that `_shown` made; what `_print` encodes; and a finding, which _reporting prints.
    known = {
        ("_progress.py", "f'parallelrun: the checks will take about {seconds:.0f} s ({calls})'"),
        ("_progress.py", "text"),
        ("_progress.py", "f'parallelrun: the checks will take about {seconds:.0f} s ({calls})'"),
        ("_reporting.py", "line"),
        ("_reporting.py", "self._text"),
        ("_show.py", "'\\n'.join((_page(check) for check in checks))"),
        ("_show.py", "'\\n\\n'.join(texts) + '\\n'"),
        ("_show.py", "text.encode(encoding, errors).decode(encoding)"),
    }
    printed = {
        (module, ast.unparse(node.args[0]))
        for module, tree in trees().items()
        if ring_of(module) == "ring 3"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in printing
        and node.args
        and not isinstance(node.args[0], ast.Constant)
        and not (isinstance(node.args[0], ast.Call) and ast.unparse(node.args[0].func) in harmless)
    }
    assert printed == known


def test_what_is_part_of_every_run_imports_no_ring_at_once() -> None:
    always = ("__init__.py", "plugin.py", "_options.py", "_fixtures.py")
    assert [name for name in always if parts(imported_at_once(name)) & ALLOWED.keys()] == []


def test_modules_of_the_service_are_imported_by_stand_ins_alone() -> None:
    importing = [name for name in MODULES if packages(imported(name)) & SERVICE]
    assert [name for name in importing if not name.startswith(STAND_INS)] == []


def test_imports_are_absolute_but_in_stand_ins_which_know_no_other_name_of_theirs() -> None:
    relative = [
        name
        for name, tree in trees().items()
        if any(isinstance(node, ast.ImportFrom) and node.level for node in imports(tree))
    ]
    assert [name for name in relative if not name.startswith(STAND_INS)] == []


def test_modules_of_ring_3_are_private_but_for_the_plugin() -> None:
    assert [name for name in MODULES if ring_of(name) == "ring 3" and not name.startswith("_")] == ["plugin.py"]


def test_no_module_is_long() -> None:
    assert {name: length for name, length in LENGTHS.items() if length > MAX_LINES} == {}


def test_each_ring_keeps_to_its_budget_of_lines() -> None:
    lines: Counter[str] = Counter()
    for name, length in LENGTHS.items():
        lines[ring_of(name)] += length
    assert {ring: number for ring, number in lines.items() if number > BUDGET[ring]} == {}


def test_a_short_module_has_several_importers() -> None:
    importers = Counter(target for targets in graph().values() for target in targets)
    short = {name for name, length in LENGTHS.items() if length < MIN_LINES}
    free = {name for name in short if name.endswith("__init__.py") or name.startswith((STAND_INS, CHECKS))}
    assert [name for name in sorted(short - free) if importers[name] < 2] == []


def test_large_records_are_built_by_name() -> None:
    large = {name for name, fields in records().items() if fields > MAX_POSITIONAL}
    by_position = [
        f"{module}:{node.lineno} {ast.unparse(node.func)}"
        for module, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in large
        and (len(node.args) > MAX_POSITIONAL or any(isinstance(argument, ast.Starred) for argument in node.args))
    ]
    assert by_position == []


def test_large_records_are_not_taken_apart_by_position() -> None:
    taken_apart = [
        f"{module}:{node.lineno}"
        for module, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Tuple)
        and len(target.elts) > MAX_POSITIONAL
        and not isinstance(node.value, (ast.Tuple, ast.GeneratorExp))
    ]
    assert taken_apart == []


def test_every_module_says_what_it_is() -> None:
    assert [name for name, tree in trees().items() if not ast.get_docstring(tree)] == []


def test_every_check_has_its_module_its_page_and_its_tests() -> None:
    from pytest_parallelrun.contract import CHECKS as SPECS

    names_of_checks = {spec.name for spec in SPECS}
    repository = Path(__file__).parents[1]
    modules = {Path(name).stem for name in MODULES if name.startswith(CHECKS)} - {"__init__", "replay"}
    pages = {path.stem for path in (repository / "docs/checks").glob("*.md")} - {"index"}
    tests = {path.stem.removeprefix("test_") for path in (repository / "tests/contract/checks").glob("test_*.py")}
    assert (modules, pages, tests) == (names_of_checks, names_of_checks, names_of_checks)
