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
            folder = os.environ["AZUREML_MODEL_DIR"]
            texts = ["+".join(sorted(os.listdir(folder)))]
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


def test_the_variable_names_a_folder_that_holds_them_under_their_own_names(with_model: Path, gate: Run) -> None:
    given = ("--parallelrun-model=a=models/first", "--parallelrun-model=models/second.txt")
    assert seen(with_model, gate, *given).startswith("first+second.txt ")


def test_the_stand_in_finds_it_by_its_name(with_model: Path, gate: Run) -> None:
    given = ("--parallelrun-model=mine=models/first", "--parallelrun-model=models/second.txt")
    assert seen(with_model, gate, *given) == "first+second.txt models/first models/second.txt"


def test_a_path_may_hold_an_equals_sign(with_model: Path, gate: Run) -> None:
    (with_model / "models" / "first").rename(with_model / "models" / "run=1")
    assert seen(with_model, gate, "--parallelrun-model=models/run=1").startswith("run=1 ")


def test_a_named_path_may_hold_an_equals_sign(with_model: Path, gate: Run) -> None:
    (with_model / "models" / "first").rename(with_model / "models" / "run=1")
    assert seen(with_model, gate, "--parallelrun-model=mine=models/run=1") == "run=1 models/run=1 none"


def test_an_environment_variable_that_was_given_wins(with_model: Path, gate: Run) -> None:
    folder = str(with_model / "data")
    given = ("--parallelrun-model=models/first", f"--parallelrun-env=AZUREML_MODEL_DIR={folder}")
    assert seen(with_model, gate, *given).startswith("item_1.txt+")


def test_the_ini_twin_is_used(with_model: Path, pytester: pytest.Pytester, gate: Run) -> None:
    pytester.makeini("[pytest]\nparallelrun_model = mine=models/first")
    assert seen(with_model, gate) == "first models/first none"


def test_a_name_that_is_a_path_ends_the_run(with_model: Path, gate: Run) -> None:
    result = gate("--parallelrun-model=mine/first.txt=models/first")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*'mine/first.txt' is a path, not the name of a model*"])
