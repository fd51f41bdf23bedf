"""Models of MLflow, and what `autolog()` does to scikit-learn."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest

from pytest_parallelrun import JobSettings, ParallelJob
from tests.emulator._scripts import errors, make_input, run_script, write_files

LOADS = """
import os
from pathlib import Path

import mlflow
import pandas as pd

def init():
    global model
    model = mlflow.pyfunc.load_model(next(Path(os.environ["AZUREML_MODEL_DIR"]).rglob("MLmodel")).parent)

def run(paths):
    return [float(model.predict(pd.DataFrame({"x": [len(path)]}))[0]) for path in paths]
"""

COUNTS_FINDERS = """
import sys
import mlflow

mlflow.autolog(log_models=False)

def run(paths):
    return [sum(type(finder).__name__ == "ImportHookFinder" for finder in sys.meta_path) for _ in paths]
"""

LEARNS = """
import mlflow
from sklearn.linear_model import LinearRegression

def init():
    mlflow.autolog(log_models=False)

def run(paths):
    LinearRegression(fit_intercept=False).fit([[1.0], [2.0]], [2.0, 4.0])
    logged = mlflow.last_active_run().data
    return [(logged.params["fit_intercept"], len(logged.metrics) > 0) for path in paths]
"""


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("engine", ["inprocess", "process"])
def test_a_model_of_mlflow_is_loaded(tmp_path: Path, engine: str) -> None:
    source = "from mlflow.pyfunc import PythonModel\nfrom mlflow.models import set_model\n"
    source += "class Doubles(PythonModel):\n    def predict(self, context, model_input, params=None):\n"
    source += "        return [value * 2 for value in model_input['x']]\nset_model(Doubles())\n"
    code = write_files(tmp_path / "code", {"score.py": LOADS})
    (tmp_path / "doubles.py").write_text(source, encoding="utf-8")
    mlflow.pyfunc.save_model(tmp_path / "model", python_model=str(tmp_path / "doubles.py"), pip_requirements=[])
    data = make_input(tmp_path)
    result = ParallelJob(code / "score.py", data, JobSettings(), engine=engine, models=[tmp_path / "model"]).run()
    assert errors(result) == []
    assert sorted(result.rows) == [2.0 * len(str(path)) for path in sorted(data.iterdir())]  # type: ignore[type-var]


def test_what_is_fitted_is_logged_and_the_host_keeps_its_packages(tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression

    before = LinearRegression.fit
    code = write_files(tmp_path / "code", {"score.py": LEARNS})
    settings = JobSettings(max_concurrency_per_instance=2, max_retries=0)
    result = ParallelJob(code / "score.py", make_input(tmp_path, 3), settings).run()
    assert errors(result) == []
    assert result.rows == [("False", True)] * 3
    assert LinearRegression.fit is before
    assert mlflow.active_run() is None


def test_autolog_of_many_workers_adds_one_finder(tmp_path: Path) -> None:
    for job in ("first", "second"):
        folder = tmp_path / job
        folder.mkdir()
        result = run_script(folder, COUNTS_FINDERS, files=4, max_concurrency_per_instance=4)
        assert result.rows == [1] * 4
