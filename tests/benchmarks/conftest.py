"""What the benchmarks share: the input of 2,000 mini-batches, a trivial entry script, and the type of a fixture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

MINI_BATCHES = 2_000
FILES_EACH = 10

SCRIPT = "def run(mini_batch):\n    return list(mini_batch)\n"


@pytest.fixture(scope="session")
def input_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of all mini-batches."""
    folder = tmp_path_factory.mktemp("input")
    for number in range(MINI_BATCHES * FILES_EACH):
        (folder / f"{number:05}.txt").touch()
    return folder


@pytest.fixture(scope="session")
def mini_batches(input_folder: Path) -> list[list[str]]:
    """The same mini-batches as the emulator makes of the folder, for what it is compared with."""
    paths = sorted(str(path) for path in input_folder.iterdir())
    return [paths[start : start + FILES_EACH] for start in range(0, len(paths), FILES_EACH)]


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The entry script: it does next to nothing, so that what is measured is all around it."""
    path = tmp_path_factory.mktemp("script") / "score.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def run() -> Callable[[list[str]], list[str]]:
    """What that script runs, as a plain function."""
    namespace: dict[str, Callable[[list[str]], list[str]]] = {}
    exec(compile(SCRIPT, "score.py", "exec"), namespace)
    return namespace["run"]
