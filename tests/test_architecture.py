"""The rings of the package: imports go inwards only. What is imported inside functions counts as well."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_parallelrun

PACKAGE = "pytest_parallelrun"
ROOT = Path(pytest_parallelrun.__file__).parent
MODULES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(ROOT.rglob("*.py"))
}
STAND_INS = "emulator/service/standins/"
MAX_LINES = 500

ALLOWED = {
    "emulator": {"emulator"},
    "report": {"report", "contract", "emulator"},
    "job_files": {"job_files", "emulator"},
    "strategies": {"strategies", "emulator"},
    "contract": {"contract", "strategies", "emulator"},
}
"""Parts of the package that each ring may import; what is not in a folder is ring 3, which may import all."""
TEST_TOOLS = {"pytest", "_pytest", "hypothesis", "pluggy", "xdist", "pytest_timeout"}
HEAVY = {"pandas", "numpy", "hypothesis", "yaml", "pyarrow", "mltable", "zstandard", "plotly", "jinja2"}
SERVICE = {"azureml", "azureml_user", "entry_script"}


def part_of(module: str) -> str:
    return module.partition("/")[0] if "/" in module else "ring 3"


def imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    return (node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)))


def names(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Dotted names of the modules that a statement imports; none where it stays inside its own package."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif node.module == PACKAGE:
        # What is imported from the package itself is a module of it.
        yield from (f"{PACKAGE}.{alias.name}" for alias in node.names)
    elif node.module is not None and not node.level:
        yield node.module


def imported(module: str) -> set[str]:
    return {name for node in imports(MODULES[module]) for name in names(node)}


def imported_at_once(module: str) -> set[str]:
    """What is imported when the module is: neither in a function nor for a type checker."""
    found: set[str] = set()
    waiting: list[ast.stmt] = list(MODULES[module].body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting.extend(node.orelse)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found.update(names(node))
        else:
            waiting.extend(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt))
    return found


def packages(found: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in found}


def parts(found: set[str]) -> set[str]:
    return {name.split(".")[1] for name in found if name.startswith(f"{PACKAGE}.")}


@pytest.mark.parametrize("ring", ALLOWED)
def test_imports_go_inwards_only(ring: str) -> None:
    wrong = {name: parts(imported(name)) - ALLOWED[ring] for name in MODULES if part_of(name) == ring}
    assert {name: found for name, found in wrong.items() if found} == {}


@pytest.mark.parametrize("ring", ["emulator", "report", "job_files"])
def test_neither_the_emulator_nor_reports_nor_job_definitions_know_pytest_and_hypothesis(ring: str) -> None:
    assert [name for name in MODULES if part_of(name) == ring and packages(imported(name)) & TEST_TOOLS] == []


def test_heavy_libraries_are_imported_late() -> None:
    # The module of a check is executed for an entry alone, and these are tests of Hypothesis.
    generated = ("behaves_under_error_thresholds", "handles_generated_mini_batches")
    driven = {f"contract/checks/{check}.py": {"hypothesis"} for check in generated}
    heavy = {name: packages(imported_at_once(name)) & HEAVY for name in MODULES}
    assert {name: found for name, found in heavy.items() if found} == driven


def test_what_is_part_of_every_run_imports_no_ring_at_once() -> None:
    always = ("__init__.py", "plugin.py", "_options.py", "_fixtures.py")
    assert [name for name in always if parts(imported_at_once(name)) & ALLOWED.keys()] == []


def test_modules_of_the_service_are_imported_by_stand_ins_alone() -> None:
    importing = [name for name in MODULES if packages(imported(name)) & SERVICE]
    assert [name for name in importing if not name.startswith(STAND_INS)] == []


def test_imports_are_absolute_but_in_stand_ins_which_know_no_other_name_of_theirs() -> None:
    relative = [
        name
        for name, tree in MODULES.items()
        if any(isinstance(node, ast.ImportFrom) and node.level for node in imports(tree))
    ]
    assert [name for name in relative if not name.startswith(STAND_INS)] == []


def test_modules_of_ring_3_are_private_but_for_the_plugin() -> None:
    assert [name for name in MODULES if part_of(name) == "ring 3" and not name.startswith("_")] == ["plugin.py"]


def test_no_module_is_long() -> None:
    lengths = {name: len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in MODULES}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_every_module_says_what_it_is() -> None:
    assert [name for name, tree in MODULES.items() if not ast.get_docstring(tree)] == []
