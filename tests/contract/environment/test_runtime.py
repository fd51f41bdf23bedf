from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pytest_parallelrun.contract.environment.imports import Import
from pytest_parallelrun.contract.environment.packages import InstalledPackages, Packages
from pytest_parallelrun.contract.environment.runtime import needs_of
from pytest_parallelrun.emulator.job_environment import JobEnvironment, ListedPackage
from pytest_parallelrun.emulator.setting_table import Profile
from tests.contract.environment.distributions import install

Needs = Callable[..., list[str]]


@pytest.fixture
def needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Needs:
    """What an environment is to list, as "package: answer"."""
    monkeypatch.setattr(sys, "path", [str(install(tmp_path / "installed"))])

    def needs(
        *requirements: str,
        imports: str = "",
        conda: bool = False,
        python: str = "",
        profile: Profile = "v2",
        reads_tables: bool = False,
    ) -> list[str]:
        packages = tuple(ListedPackage(Requirement(text), "conda.yml:1") for text in requirements)
        listed = ListedPackage(Requirement(python), "conda.yml:2") if python else None
        environment = JobEnvironment(origin="job.yml:1", packages=packages, conda=conda, python=listed)
        found = [Import(name, name, Path("score.py"), 1) for name in imports.split()]
        made = Packages(environment, InstalledPackages())
        return [
            f"{need.listed_as}: {need.answer}" for need in needs_of(made, found, profile, reads_tables=reads_tables)
        ]

    return needs


def test_conda_must_be_asked_for_pip(needs: Needs) -> None:
    assert needs("rating-tools", conda=True) == ["pip: missing"]
    assert needs("rating-tools", "never-heard-of", conda=True) == ["pip: missing"]
    assert needs("rating-tools", "pip", conda=True) == []
    assert needs("rating-tools") == []


def test_tables_need_their_reader(needs: Needs) -> None:
    assert needs("rating-tools", reads_tables=True) == ["mltable: missing"]
    assert needs("rating-tools", reads_tables=True, profile="batch") == ["mltable: missing"]
    assert needs("rating-tools", reads_tables=True, profile="v1") == ["azureml-dataset-runtime: missing"]
    assert needs("mltable", reads_tables=True) == []
    assert needs("azureml-dataset-runtime[fuse]", reads_tables=True, profile="v1") == []
    assert needs("azureml-defaults", reads_tables=True, profile="v1") == ["azureml-dataset-runtime: unknown"]


@pytest.mark.parametrize("imports", ["pkg_resources", "loads_resources"])
@pytest.mark.parametrize(
    ("requirement", "python", "lacks"),
    [
        ("", "", True),
        ("setuptools", "", True),
        ("setuptools>=60", "", True),
        ("setuptools==82.0.1", "", True),
        ("setuptools==90.*", "", True),
        ("setuptools<82", "", False),
        ("setuptools<=81.0.0", "", False),
        ("setuptools==65.5.1", "", False),
        ("setuptools~=80.1", "", False),
        ("", "python==3.8.*", False),
        ("", "python<3.9", False),
        ("", "python==3.10.*", True),
        ("", "python>=3.7", True),
    ],
)
def test_pkg_resources_needs_an_old_setuptools(
    needs: Needs, imports: str, requirement: str, python: str, *, lacks: bool
) -> None:
    listed = ["loads-resources", *([requirement] if requirement else [])]
    assert needs(*listed, imports=imports, python=python) == (["setuptools<82: missing"] if lacks else [])


def test_nobody_needs_pkg_resources_who_does_not_import_it(needs: Needs) -> None:
    assert needs("loads-resources", "rating-tools", imports="rating") == []
