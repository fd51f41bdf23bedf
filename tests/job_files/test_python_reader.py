from __future__ import annotations

from pathlib import Path

import pytest

from tests.job_files.conftest import ReadStep, Write
from tests.job_files.test_python_sdk import call

SETTINGS = """
import os
from other import RETRIES
LIMIT = 4
NODES = int(os.environ["NODES"])
SIZE = "3"
MORE = dict(error_threshold=LIMIT, retry_settings={"max_retries": RETRIES})
DATA = os.path.join(os.path.dirname(__file__), "data")
SIZE_IN = {"a": "4"}
"""


@pytest.fixture
def settings(write: Write) -> None:
    write("settings.py", SETTINGS)
    write("other.py", "RETRIES = 6\nfrom settings import LIMIT\n")
    write("package/__init__.py", "LIMIT = 5\n")
    write("package/parts.py", "LIMIT = 6\n")
    write("broken.py", "LIMIT = (\n")


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("imports", "expression", "value"),
    [
        ("from settings import LIMIT", "LIMIT", 4),
        ("from settings import LIMIT as most", "most", 4),
        ("import settings", "settings.LIMIT", 4),
        ("import settings as s", "s.LIMIT", 4),
        ("from settings import *", "LIMIT", 4),
        ("from .settings import LIMIT", "LIMIT", 4),
        ("from other import LIMIT", "LIMIT", 4),
        ("from package import LIMIT", "LIMIT", 5),
        ("from package import parts", "parts.LIMIT", 6),
        ("import package.parts", "package.parts.LIMIT", 6),
        ("from settings import LIMIT\nlimit = LIMIT", "limit", 4),
    ],
)
def test_constants_of_modules_beside_the_file_are_read(
    step_of: ReadStep, imports: str, expression: str, value: int
) -> None:
    step = step_of("job.py", call(head=imports, error_threshold=expression))
    assert step.values["error_threshold"] == value


@pytest.mark.usefixtures("settings")
def test_a_mapping_of_another_module_has_its_lines_as_origin(step_of: ReadStep, folder: Path) -> None:
    inputs = "dict(files=Input(type='uri_folder', path=settings.DATA))"
    text = call(head="import settings", inputs=inputs).replace("\n)", "\n    **settings.MORE,\n)")
    step = step_of("job.py", text)
    assert (step.values["error_threshold"], step.values["max_retries"]) == (4, 6)
    assert step.origins["max_retries"] == "settings.py:6"
    assert step.sample({}) == (str(folder / "data"),)


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("imports", "expression"),
    [
        ("from settings import NODES", "NODES"),
        ("from settings import MISSING", "MISSING"),
        ("import settings", "settings.MISSING"),
        ("from broken import LIMIT", "LIMIT"),
        ("from elsewhere import LIMIT", "LIMIT"),
        ("from ..settings import LIMIT", "LIMIT"),
        ("import os", "os.LIMIT"),
    ],
)
def test_what_cannot_be_read_of_a_module_needs_an_option(step_of: ReadStep, imports: str, expression: str) -> None:
    step = step_of("job.py", call(head=imports, instance_count=expression))
    assert str(step.unresolved["instance_count"]).endswith("or give --parallelrun-set=instance_count=VALUE")


def test_modules_that_import_each_other_end(step_of: ReadStep, write: Write) -> None:
    write("a.py", "from b import LIMIT\n")
    write("b.py", "from a import LIMIT\n")
    assert "error_threshold" in step_of("job.py", call(head="from a import LIMIT", error_threshold="LIMIT")).unresolved
