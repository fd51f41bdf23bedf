from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.job_environment import JobEnvironment
from pytest_parallelrun.job_files.environment import read_environment_file
from tests.job_files.conftest import ReadStep, Write

CONDA = """
name: rating
channels: [conda-forge]
dependencies:
  - python=3.10
  - pip<22.0
  - pandas=1.5
  - pip:
    - scikit-learn==1.2.2
    - azureml-dataset-runtime[fuse]
"""
LISTED = ["pip<22.0", "pandas==1.5.*", "pip", "scikit-learn==1.2.2", "azureml-dataset-runtime[fuse]"]
COMPONENT = """
type: parallel
name: rate
inputs:
  items: {{type: uri_folder, path: ./data}}
input_data: ${{{{inputs.items}}}}
task:
  type: run_function
  code: ./src
  entry_script: score.py
  environment: {environment}
"""
V1 = """
from azureml.core import Environment
from azureml.core.conda_dependencies import CondaDependencies
from azureml.pipeline.steps import ParallelRunConfig

{environment}
config = ParallelRunConfig(
    source_directory="src", entry_script="score.py", mini_batch_size="5", error_threshold=1,
    output_action="summary_only", environment=env, compute_target="cpu", node_count=2,
)
"""
V2 = """
from pathlib import Path
from azure.ai.ml.entities import Environment
from azure.ai.ml.parallel import RunFunction, parallel_run_function

{environment}
rate = parallel_run_function(
    name="rate",
    inputs=dict(items=Input(type="uri_folder", path="./data")),
    input_data="${{{{inputs.items}}}}",
    mini_batch_size="5",
    task=RunFunction(code="./src", entry_script="score.py", environment=env),
)
"""


def listed(environment: JobEnvironment | None) -> list[str]:
    assert environment is not None
    assert not environment.problems
    assert not environment.unknown
    return [str(package.requirement) for package in environment.packages]


@pytest.fixture
def of_step(step_of: ReadStep, write: Write) -> ReadStep:
    write("envs/conda.yml", CONDA)
    return step_of


@pytest.mark.parametrize(
    "environment",
    [
        "{image: mcr.example.org/base, conda_file: envs/conda.yml}",
        "{image: mcr.example.org/base, conda_file: {dependencies: [python=3.10, pip<22.0, pandas=1.5, "
        "pip: [scikit-learn==1.2.2, 'azureml-dataset-runtime[fuse]']]}}",
        "file:./envs/environment.yml",
        "./envs/environment.yml",
    ],
    ids=["file", "in place", "another file", "its path"],
)
def test_packages_of_a_component(of_step: ReadStep, write: Write, environment: str) -> None:
    write("envs/environment.yml", "image: mcr.example.org/base\nconda_file: conda.yml\n")
    step = of_step("component.yml", COMPONENT.format(environment=environment))
    assert listed(step.environment) == LISTED
    assert step.environment is not None
    assert step.environment.conda
    assert step.environment.python is not None
    assert str(step.environment.python.requirement) == "python==3.10.*"


def test_packages_of_a_deployment(of_step: ReadStep) -> None:
    text = """
    type: model
    name: rating
    endpoint_name: rate
    code_configuration: {code: src, scoring_script: score.py}
    environment: {name: rating, image: mcr.example.org/base, conda_file: envs/conda.yml}
    """
    assert listed(of_step("deployment.yml", text).environment) == LISTED


@pytest.mark.parametrize(
    "environment",
    [
        'env = Environment(image="mcr.example.org/base", conda_file="envs/conda.yml")',
        'env = Environment(image="mcr.example.org/base", conda_file=Path(__file__).parent / "envs" / "conda.yml")',
        'env = client.environments.create_or_update(Environment(name="a", conda_file="envs/conda.yml"))',
    ],
)
def test_packages_of_a_python_file_of_v2(of_step: ReadStep, environment: str) -> None:
    assert listed(of_step("job.py", V2.format(environment=environment)).environment) == LISTED


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ('env = Environment.from_conda_specification(name="a", file_path="envs/conda.yml")', LISTED),
        ('env = Environment.from_conda_specification("a", "envs/conda.yml")', LISTED),
        ('env = Environment("a")\nenv.python.conda_dependencies = CondaDependencies("envs/conda.yml")', LISTED),
        (
            'deps = CondaDependencies.create(conda_packages=["pip==20.2.4"], pip_packages=["pillow", "azureml-core"])\n'
            'env = Environment(name="a")\nenv.python.conda_dependencies = deps\nenv.docker.base_image = "x"',
            ["pip==20.2.4", "pip", "pillow", "azureml-core"],
        ),
        (
            'env = Environment(name="a")\n'
            'env.python.conda_dependencies = CondaDependencies.create(conda_packages=["pandas"])',
            ["pandas", "pip", "azureml-defaults"],
        ),
    ],
    ids=["specification", "by position", "file of dependencies", "created", "created without pip"],
)
def test_packages_of_a_python_file_of_v1(of_step: ReadStep, environment: str, expected: list[str]) -> None:
    assert listed(of_step("job.py", V1.format(environment=environment)).environment) == expected


def test_packages_of_a_requirements_file_of_v1(of_step: ReadStep, write: Write) -> None:
    write("requirements.txt", "pandas\n")
    environment = 'env = Environment.from_pip_requirements(name="a", file_path="requirements.txt")'
    step = of_step("job.py", V1.format(environment=environment))
    assert listed(step.environment) == ["pandas"]
    assert step.environment is not None
    assert not step.environment.conda


def test_packages_of_a_configuration_of_v1_in_yaml(of_step: ReadStep) -> None:
    text = """
    parallel_run_config:
      entry_script: score.py
      source_directory: src
      error_threshold: 1
      output_action: summary_only
      node_count: 2
      environment:
        name: rating
        python:
          condaDependencies: {dependencies: [python=3.8, {pip: [pandas]}]}
    """
    assert listed(of_step("config.yml", text).environment) == ["pip", "pandas"]


UNKNOWN = {
    "azureml:rating:1": "is azureml:rating:1, which is registered with the service",
    "azureml://registries/azureml/environments/rating/versions/3": "which is registered with the service",
    "{image: mcr.example.org/base}": "is the image mcr.example.org/base, whose packages no file here lists",
    "{build: {path: docker}}": "is built by a Dockerfile, whose packages no file here lists",
    "{name: rating}": "names no file of packages",
}


@pytest.mark.parametrize(("environment", "why"), UNKNOWN.items())
def test_packages_that_are_not_in_the_files(of_step: ReadStep, environment: str, why: str) -> None:
    found = of_step("component.yml", COMPONENT.format(environment=environment)).environment
    assert found is not None
    assert why in found.unknown
    assert not found.packages


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ('env = Environment.get(workspace=ws, name="AzureML-Minimal")', "whose value is not in the file"),
        (
            'env = Environment("a")\ndeps = CondaDependencies()\ndeps.add_pip_package("x")\n'
            "env.python.conda_dependencies = deps",
            "one by one",
        ),
        ('env = Environment("a")\nenv.python.conda_dependencies.add_pip_package("x")', "one by one"),
        (
            'env = Environment.from_conda_specification("a", "envs/later.yml")',
            "is made of 'envs/later.yml', which is not there",
        ),
        ('env = Environment.from_conda_specification("a", find())', "has file_path `find()`"),
    ],
    ids=["registered", "added to dependencies", "added to the environment", "not written yet", "an expression"],
)
def test_packages_that_a_python_file_does_not_tell(of_step: ReadStep, environment: str, why: str) -> None:
    found = of_step("job.py", V1.format(environment=environment)).environment
    assert found is not None
    assert why in found.unknown


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        (
            "{conda_file: envs/none.yml}",
            "component.yml:10:29: conda_file='envs/none.yml': there is no file 'envs/none.yml'",
        ),
        ("{conda_file: [pandas]}", "component.yml:10:29: conda_file must be a file or a mapping, and is a list"),
        ("{conda_file: {channels: [x]}}", "component.yml:10:29: a conda file needs 'dependencies', a list of packages"),
        ("{conda_file: {dependencies: pandas}}", "'dependencies' must be a list of packages, and is 'pandas'"),
        ("{conda_file: {dependencies: [pip: pandas]}}", "'pip' must be a list of packages, and is 'pandas'"),
        (
            "{conda_file: {dependencies: [{pipp: [x]}]}}",
            "a dependency must be a text or 'pip: [...]', and is a mapping",
        ),
        ("{conda_file: {dependencies: [3]}}", "a dependency must be a text or 'pip: [...]', and is 3"),
        ("{conda_file: {dependencies: ['pandas==']}}", "'pandas==' is no dependency that conda can read"),
        ("{conda_file: {dependencies: [pip: [pandas=1]]}}", "'pandas=1' is no requirement that pip can read"),
        ("17", "environment must be a name, a file or a mapping, and is 17"),
        ("./envs/none.yml", "environment='./envs/none.yml': there is no file 'envs/none.yml'"),
    ],
)
def test_a_broken_environment_does_not_stop_the_job_from_being_read(
    of_step: ReadStep, environment: str, problem: str
) -> None:
    found = of_step("component.yml", COMPONENT.format(environment=environment)).environment
    assert found is not None
    [text] = found.problems
    assert problem in text


@pytest.mark.parametrize(
    ("dependency", "requirement"),
    [
        ("numpy", "numpy"),
        ("numpy=1.23", "numpy==1.23.*"),
        ("numpy==1.23", "numpy==1.23"),
        ("numpy=1.23.5=py310h53a5b5f_0", "numpy==1.23.5.*"),
        ("numpy==1.23.5=py310h53a5b5f_0", "numpy==1.23.5"),
        ("numpy 1.23.*", "numpy==1.23.*"),
        ("numpy 1.23.5 py310_0", "numpy==1.23.5"),
        ("numpy >=1.20, <2", "numpy<2,>=1.20"),
        ("numpy>= 1.20", "numpy>=1.20"),
        ("numpy=*", "numpy"),
        ("numpy=1.22|1.23", "numpy"),
        ("conda-forge::numpy=1.23", "numpy==1.23.*"),
        ("conda-forge/linux-64::numpy", "numpy"),
        ("numpy[version='>=1.20']", "numpy>=1.20"),
        ("pytorch::pytorch=1.13", "torch==1.13.*"),
        ("py-opencv", "opencv-python"),
        ("PyYAML", "pyyaml"),
        ("librosa", "librosa"),
    ],
)
def test_a_dependency_of_conda_is_a_requirement(write: Write, dependency: str, requirement: str) -> None:
    path = write("conda.yml", f'dependencies:\n  - "{dependency}"\n')
    assert listed(read_environment_file(path, "option")) == [requirement]


@pytest.mark.parametrize("dependency", ["cudatoolkit=11.3", "openssl=1.1.1w", "_libgcc_mutex", "libgcc-ng", "ffmpeg"])
def test_what_brings_no_module_is_no_package(write: Write, dependency: str) -> None:
    environment = read_environment_file(write("conda.yml", f"dependencies: [{dependency}]\n"), "option")
    assert listed(environment) == []
    assert environment.unread == ()


def test_an_archive_of_conda_may_bring_any_module(write: Write) -> None:
    text = "dependencies: ['https://example.org/linux-64/tools-1-0.conda']\n"
    assert read_environment_file(write("conda.yml", text), "option").unread


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.yml", None, "does not exist; give a conda file"),
        ("", None, "is a folder; give a conda file"),
        ("conda.toml", "x", "unknown type of file; give a conda file"),
        ("conda.yml", "a: [", "conda.yml:1:5: this is not valid YAML"),
        ("conda.yml", "", "the file is empty; an environment is a mapping of keys"),
        ("conda.yml", "- pandas\n", "the file holds a list; an environment is a mapping of keys"),
        ("conda.yml", "channels: [x]\n", "conda.yml:1:1: a conda file needs 'dependencies', a list of packages"),
        ("conda.yml", "image: x\nconda_file: conda.yml\n", "a conda file needs 'dependencies', a list of packages"),
        ("conda.yml", "dependencies:\n", "a conda file needs 'dependencies', a list of packages"),
        ("requirements.txt", "pandas=1\n", "requirements.txt:1:1: 'pandas=1' is no requirement that pip can read"),
    ],
)
def test_a_file_that_an_option_names_is_refused_where_it_is_none(
    folder: Path, write: Write, name: str, text: str | None, message: str
) -> None:
    if text is not None:
        write(name, text)
    with pytest.raises(InputError) as caught:
        read_environment_file(folder / name, "--parallelrun-environment=x")
    assert str(caught.value).startswith("--parallelrun-environment=x: ")
    assert message in str(caught.value)
