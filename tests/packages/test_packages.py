"""Packages that scripts of data science import most, in two workers and two jobs, and then the host as before.

In an environment of their own (`.ci/environments`), since the project needs none of them. Those that are not installed
there are left out, but for the small ones that change the import system.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import locale
import logging
import os
import sys
import warnings
from pathlib import Path

import pytest

from tests.emulator._scripts import make_input, outcomes, run_script, write_files

NEEDED = ("six", "importlib_metadata", "numpy", "pandas", "sklearn", "scipy", "joblib", "pyarrow", "dateutil")
WANTED = (
    *("future", "matplotlib", "PIL", "polars", "xgboost", "lightgbm", "requests", "cloudpickle", "tqdm", "statsmodels"),
    *(
        "seaborn",
        "openpyxl",
        "plotly",
        "setuptools",
        "pkg_resources",
        "torch",
        "mlflow",
        "transformers",
        "cv2",
        "onnxruntime",
    ),
)
PACKAGES = (*NEEDED, *(name for name in WANTED if importlib.util.find_spec(name) is not None))

USES = {
    "six": "from six.moves.urllib.parse import urlparse",
    "importlib_metadata": "import importlib_metadata; assert importlib_metadata.version('pytest') and "
    "len(list(importlib_metadata.distributions(name='pytest'))) == 1",
    "future": "from future import standard_library; standard_library.install_aliases()",
    "matplotlib": "import matplotlib; matplotlib.use('Agg'); import matplotlib.pyplot as p; p.plot([1]); p.close()",
}


def _state() -> dict[str, object]:
    return {
        "meta_path": list(sys.meta_path),
        "path_hooks": list(sys.path_hooks),
        "classes": {str(finder): dict(vars(finder)) for finder in sys.meta_path if isinstance(finder, type)},
        "locale": locale.setlocale(locale.LC_ALL),
        "filters": list(warnings.filters),
        "root": list(logging.root.handlers),
        "cwd": os.getcwd(),
    }


@pytest.mark.parametrize("package", [*PACKAGES, "all"])
@pytest.mark.filterwarnings("ignore:.*(pkg_resources|fork):")
def test_every_worker_and_every_job_finds_it_whole_and_the_host_is_as_before(tmp_path: Path, package: str) -> None:
    names = PACKAGES if package == "all" else (package,)
    uses = [USES.get(name, f"import {name}") for name in names]
    source = "def init():\n" + "".join(f"    {use}\n" for use in uses) + "def run(batch): init(); return batch\n"
    before = _state()
    for job in ("first", "second"):
        folder = tmp_path / job
        folder.mkdir()
        result = run_script(folder, source, files=4, max_concurrency_per_instance=2)
        assert outcomes(result) == ["succeeded"] * 4, result.explain()
        assert _state() == before
        assert importlib.metadata.version("pytest") == pytest.__version__
    from six.moves.urllib.parse import urlparse  # type: ignore[import-untyped]

    assert urlparse("a://b").netloc == "b"
    for name in [name for name in sys.modules if name.partition(".")[0] == "six"]:
        del sys.modules[name]
    sys.meta_path[:] = before["meta_path"]  # type: ignore[call-overload]


def test_pytest_runs_after_a_gate_of_a_script_that_imports_them(pytester: pytest.Pytester) -> None:
    imports = "".join(f"import {name}\n" for name in ("six.moves.queue", "importlib_metadata", "pandas"))
    write_files(
        pytester.path,
        {
            "score.py": f"{imports}def run(batch): return list(batch)\n",
            "test_mine.py": """
                import importlib.metadata
                def test_mine(pytester):
                    assert importlib.metadata.version("pytest")
                    from six.moves.urllib.parse import urlparse
                    pytester.makepyfile(test_inner="def test_inner(): pass")
                    pytester.runpytest_inprocess("-p", "no:parallelrun").assert_outcomes(passed=1)
            """,
        },
    )
    data = make_input(pytester.path)
    result = pytester.runpytest_subprocess(
        "--parallelrun-entry=score.py", f"--parallelrun-input={data}", "--parallelrun-report=gate.json",
        "-p", "pytester", "-W", "error", "-k", "order or history or job_completes or mine", "score.py", "test_mine.py",
    )  # fmt: skip
    report = json.loads((pytester.path / "gate.json").read_text(encoding="utf-8"))
    assert report["entries"][0]["verdict"] == "passed", result.stdout.str()
    result.assert_outcomes(passed=4)
