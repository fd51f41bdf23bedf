from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, Write


@pytest.fixture
def with_model(project: Path, write: Write) -> Path:
    write("models/first/weights.txt", "1")
    write("models/second.txt", "2")
    write(
        "score.py",
        """
        import os
        from azureml.core import Model

        def init():
            global texts
            texts = [os.path.relpath(os.environ["AZUREML_MODEL_DIR"], os.path.dirname(__file__))]
            for name in ("mine", "second.txt"):
                try:
                    texts.append(os.path.relpath(Model.get_model_path(name), os.path.dirname(__file__)))
                except Exception:
                    texts.append("none")

        def run(mini_batch):
            return [" ".join(texts).replace(os.sep, "/") for _ in mini_batch]
        """,
    )
    return project


def seen(project: Path, gate: Run, *arguments: str) -> str:
    gate("--parallelrun-output=out", "--parallelrun-set=output_action=append_row", *arguments)
    (line,) = set((project / "out" / "parallel_run_step.txt").read_text(encoding="utf-8").splitlines())
    return line


def test_the_first_one_is_what_the_variable_names(with_model: Path, gate: Run) -> None:
    assert seen(with_model, gate, "--parallelrun-model=models/first").startswith("models/first ")


def test_the_stand_in_finds_it_by_its_name(with_model: Path, gate: Run) -> None:
    given = ("--parallelrun-model=mine=models/first", "--parallelrun-model=models/second.txt")
    assert seen(with_model, gate, *given) == "models/first models/first models/second.txt"


def test_a_path_may_hold_an_equals_sign(with_model: Path, gate: Run) -> None:
    (with_model / "models" / "first").rename(with_model / "models" / "run=1")
    assert seen(with_model, gate, "--parallelrun-model=models/run=1").startswith("models/run=1 ")


def test_a_named_path_may_hold_an_equals_sign(with_model: Path, gate: Run) -> None:
    (with_model / "models" / "first").rename(with_model / "models" / "run=1")
    assert seen(with_model, gate, "--parallelrun-model=mine=models/run=1") == "models/run=1 models/run=1 none"


def test_an_environment_variable_that_was_given_wins(with_model: Path, gate: Run) -> None:
    folder = str(with_model / "data")
    given = ("--parallelrun-model=models/first", f"--parallelrun-env=AZUREML_MODEL_DIR={folder}")
    assert seen(with_model, gate, *given).startswith("data ")


def test_the_ini_twin_is_used(with_model: Path, pytester: pytest.Pytester, gate: Run) -> None:
    pytester.makeini("[pytest]\nparallelrun_model = mine=models/first")
    assert seen(with_model, gate) == "models/first models/first none"
