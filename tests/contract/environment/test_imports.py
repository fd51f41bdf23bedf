from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_parallelrun.contract.environment.imports import imports_of
from pytest_parallelrun.emulator.entry import EntryFile


def imported(folder: Path, files: Mapping[str, str], script: str = "score.py", python_path: str = "") -> list[str]:
    """Names of the modules that a script needs, of files below a code root."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return [one.module for one in imports_of(EntryFile(folder / script, folder), python_path)]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("import json, pandas.io, numpy as np", ["pandas.io", "numpy"]),
        ("from sklearn.svm import SVC, LinearSVC", ["sklearn.svm", "sklearn.svm"]),
        ("from azure.storage import blob", ["azure.storage"]),
        ("def run(mini_batch):\n    import torch\n", ["torch"]),
        ("class A:\n    import torch\n", ["torch"]),
        ("for i in range(3):\n    import torch\nelse:\n    import cv2", ["torch", "cv2"]),
        ("with open('x'):\n    import torch", ["torch"]),
        ("try:\n    import torch\nfinally:\n    pass", ["torch"]),
        ("try:\n    import torch\nexcept ValueError:\n    import cv2", ["torch", "cv2"]),
        (
            "try:\n    import torch\nexcept ImportError as error:\n    raise RuntimeError('no torch') from error",
            ["torch"],
        ),
        ("try:\n    x = 1\n    import torch\nexcept Exception:\n    print('failed')", ["torch"]),
        ("if DEBUG:\n    import torch", ["torch"]),
        ("from typing import TYPE_CHECKING\nif not TYPE_CHECKING:\n    import torch", ["torch"]),
        ("match x:\n    case 1:\n        import torch", ["torch"]),
    ],
)
def test_what_a_worker_needs(tmp_path: Path, script: str, expected: list[str]) -> None:
    assert imported(tmp_path, {"score.py": script}) == expected


@pytest.mark.parametrize(
    "script",
    [
        "try:\n    import ujson as json\nexcept ImportError:\n    import json",
        "try:\n    import ujson\nexcept ModuleNotFoundError:\n    import simplejson",
        "try:\n    import cupy\nexcept (ImportError, OSError):\n    cupy = None\nelse:\n    import cupyx",
        "try:\n    import cupy\nexcept Exception:\n    cupy = None",
        "try:\n    import cupy\nexcept:\n    cupy = None",
        "from contextlib import suppress\nwith suppress(ImportError):\n    import cupy",
        "import typing\nif typing.TYPE_CHECKING:\n    import torch",
        "if __name__ == '__main__':\n    import matplotlib",
        "import sys\nif sys.version_info < (3, 8):\n    import importlib_metadata",
        "import sys\nif sys.platform == 'win32':\n    import win32api",
        "from importlib.util import find_spec\nif find_spec('cupy'):\n    import cupy",
        "text = 'import torch'",
        "import torch as",
    ],
)
def test_what_a_worker_can_do_without(tmp_path: Path, script: str) -> None:
    assert imported(tmp_path, {"score.py": script}) == []


def test_modules_of_the_script_are_read_and_no_others(tmp_path: Path) -> None:
    files = {
        "src/score.py": "from src.rating import scale\nimport src.rating.store\n",
        "src/rating/__init__.py": "import numpy",
        "src/rating/scale.py": "from . import units\nfrom ..shared import table",
        "src/rating/units.py": "import pint",
        "src/rating/store.py": "import requests",
        "src/shared.py": "import pandas\ntable = 1",
        "src/train.py": "import torch",
        "tests/test_score.py": "import hypothesis",
    }
    assert imported(tmp_path, files, "src/score.py") == ["numpy", "pint", "pandas", "requests"]


def test_a_module_that_imports_itself_over_others_is_read_once(tmp_path: Path) -> None:
    assert imported(tmp_path, {"score.py": "import a", "a.py": "import b, numpy", "b.py": "import a"}) == ["numpy"]


def test_a_relative_import_with_its_fallback_leads_to_the_module(tmp_path: Path) -> None:
    script = "try:\n    from .helpers import f\nexcept ImportError:\n    from helpers import f\n"
    assert imported(tmp_path, {"score.py": script, "helpers.py": "import pint"}) == ["pint"]


def test_a_module_that_a_script_can_do_without_needs_nothing(tmp_path: Path) -> None:
    script = "try:\n    import gpu\nexcept ImportError:\n    gpu = None\n"
    assert imported(tmp_path, {"score.py": script, "gpu.py": "import cupy"}) == []


def test_modules_in_a_folder_that_the_script_puts_on_the_path_are_its_own(tmp_path: Path) -> None:
    script = "import os, sys\nsys.path.append(os.path.join(os.path.dirname(__file__), 'library'))\nimport rating\n"
    assert imported(tmp_path, {"score.py": script, "library/rating.py": "import pint"}) == ["pint"]
    assert imported(tmp_path, {"score.py": "import rating"}) == ["rating"]
    assert imported(tmp_path, {}, python_path=str(tmp_path / "library")) == ["pint"]
    assert imported(tmp_path, {}, python_path="library") == ["pint"]


def test_an_import_has_its_file_and_line(tmp_path: Path) -> None:
    imported(tmp_path, {"score.py": "import helpers", "helpers.py": "\n\nimport pint"})
    [found] = imports_of(EntryFile(tmp_path / "score.py", tmp_path))
    assert (found.origin, found.top) == ("helpers.py:3", "pint")
