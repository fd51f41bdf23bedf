from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pytest_parallelrun.contract.environment.imports import Import
from pytest_parallelrun.contract.environment.packages import InstalledPackages, Packages, listed_elsewhere
from pytest_parallelrun.emulator.job_environment import JobEnvironment, ListedPackage
from tests.contract.environment.distributions import install

Make = Callable[..., Packages]


def listing(*requirements: str) -> tuple[ListedPackage, ...]:
    return tuple(ListedPackage(Requirement(text), f"conda.yml:{line}") for line, text in enumerate(requirements, 1))


def of(name: str, module: str = "") -> Import:
    return Import(name, module or name, Path("score.py"), 1)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Packages of an environment where just some made-up distributions are installed."""
    monkeypatch.setattr(sys, "path", [str(install(tmp_path / "installed"))])

    def make(*requirements: str, unread: Sequence[str] = (), python: str = "") -> Packages:
        listed = ListedPackage(Requirement(python), "conda.yml:9") if python else None
        environment = JobEnvironment(
            origin="job.yml:3", packages=listing(*requirements), unread=tuple(unread), python=listed
        )
        return Packages(environment, InstalledPackages())

    return make


@pytest.mark.parametrize(
    ("requirements", "module", "answer"),
    [
        (["rating-tools"], "rating", "provided"),
        (["Rating_Tools==2.0"], "rating", "provided"),
        (["rating-tools"], "store", "provided"),
        (["rating-tools"], "gpu_rating", "missing"),
        (["rating-tools[gpu]"], "gpu_rating", "provided"),
        (["rating-tools"], "other_rating", "missing"),
        (["rating-tools"], "nowhere", "missing"),
        (["azure-first"], "azure.first", "provided"),
        (["azure-first"], "azure.second", "missing"),
        (["azure-first"], "azure.third", "missing"),
        (['other-rating; sys_platform == "win32"'], "other_rating", "missing"),
        (['other-rating; sys_platform == "linux"'], "other_rating", "provided"),
    ],
)
def test_packages_that_are_installed_here_bring_what_they_bring_here(
    make: Make, requirements: list[str], module: str, answer: str
) -> None:
    assert make(*requirements).provides(of(module)) == answer


@pytest.mark.parametrize(
    ("requirement", "module"),
    [
        ("not-here", "not_here"),
        ("opencv-python-headless", "cv2"),
        ("scikit-learn", "sklearn.svm"),
        ("Pillow", "PIL"),
        ("pyyaml", "yaml"),
        ("tensorflow-cpu", "tensorflow.keras"),
        ("azureml-core", "azureml.core"),
        ("azureml-mlflow", "azureml.mlflow"),
        ("azure-storage-blob", "azure.storage.blob"),
        ("google-cloud-storage", "google.cloud.storage"),
    ],
)
def test_a_listed_package_that_is_not_here_is_known_by_its_names(make: Make, requirement: str, module: str) -> None:
    assert make(requirement).provides(of(module)) == "provided"


def test_one_of_which_nothing_is_known_may_bring_anything(make: Make) -> None:
    packages = make("rating-tools", "never-heard-of")
    assert packages.provides(of("rating")) == "provided"
    assert packages.provides(of("numpy")) == "unknown"
    assert list(packages.open_sources) == ["never-heard-of"]
    assert make("rating-tools", unread=["-e . (requirements.txt:1)"]).provides(of("numpy")) == "unknown"


def test_one_of_which_something_is_known_brings_no_more(make: Make) -> None:
    packages = make("azureml-core", "azureml-dataset-runtime[fuse]", "mltable", "torch")
    assert packages.provides(of("numpy")) == "unknown"
    assert packages.provides(of("sklearn")) == "missing"
    assert packages.provides(of("pandas")) == "missing"
    assert make("azureml-dataset-runtime[fuse,pandas]").provides(of("pandas")) == "unknown"


def test_only_packages_of_azure_bring_those_of_azure(make: Make) -> None:
    assert make("never-heard-of").provides(of("azureml.core")) == "missing"
    assert make("azureml-train-automl").provides(of("azureml.core")) == "unknown"
    assert make("azureml-defaults").provides(of("azureml.core")) == "unknown"


def test_markers_are_those_of_the_python_of_the_environment(make: Make) -> None:
    assert "old-only" not in make("small-store").names
    assert "old-only" in make("small-store", python="python==3.8.*").names
    assert "win-only" not in make("small-store").names


def test_a_module_that_is_not_here_and_listed_has_a_command(make: Make) -> None:
    environment = JobEnvironment(
        origin="job.yml:3", packages=listing("rating-tools", 'scikit-learn==1.2.2; python_version < "4"')
    )
    assert 'pip install "scikit-learn==1.2.2"' in listed_elsewhere("sklearn", environment)
    assert "(conda.yml:2)" in listed_elsewhere("sklearn", environment)
    assert listed_elsewhere("numpy", environment) == ""
    assert listed_elsewhere("rating", environment) == ""
    assert listed_elsewhere("sklearn", None) == ""
