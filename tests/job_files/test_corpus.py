from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pytest_parallelrun.job_files.job_file import read_job_file
from pytest_parallelrun.job_files.keys import COMPONENT, METADATA, NEW_DEPLOYMENT, OLD_DEPLOYMENT, STEP, Key
from pytest_parallelrun.job_files.tree import Problems, Table
from pytest_parallelrun.job_files.yaml_reader import read_yaml
from tests.job_files.conftest import all_problems
from tests.job_files.refusals import CORPUS

FILES = sorted(file for file in CORPUS.iterdir() if file.suffix in (".yml", ".py"))


def names_of(keys: Mapping[str, Key], above: str = "") -> Iterator[str]:
    for name, key in keys.items():
        if name not in METADATA:
            yield f"{above}{name}"
            yield from names_of(key.below or {}, f"{above}{name}.")


def used_in(table: Table, above: str = "") -> Iterator[str]:
    for name, node in table.entries.items():
        yield f"{above}{name}"
        if isinstance(node, Table):
            yield from used_in(node, f"{above}{name}.")


def used(pattern: str) -> set[str]:
    """Keys of the files, those of a step without the `jobs.NAME` above."""
    found: set[str] = set()
    for file in CORPUS.glob(pattern):
        table = read_yaml(file, Problems())
        assert table is not None
        names = set(used_in(table))
        found |= names | {name.split(".", 2)[2] for name in names if name.startswith("jobs.") and name.count(".") > 1}
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_file_is_valid(file: Path) -> None:
    assert not all_problems(read_job_file(file))


@pytest.mark.parametrize(
    ("keys", "pattern"),
    [
        (COMPONENT, "[cp]*_*.yml"),
        (STEP, "[cp]*_*.yml"),
        (OLD_DEPLOYMENT, "deployment_*.yml"),
        (NEW_DEPLOYMENT, "deployment_*.yml"),
    ],
    ids=["component", "step", "deployment", "deployment with a type"],
)
def test_the_files_use_every_key_that_says_something_of_a_run(keys: Mapping[str, Key], pattern: str) -> None:
    assert len(FILES) >= 15
    unused = set(names_of(keys)) - used(pattern)
    # What is said of machines has no effect here, and is looked at in one kind of file.
    assert {name for name in unused if not name.startswith("resources.") or keys is STEP} == set()
