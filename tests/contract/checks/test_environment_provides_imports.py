from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import Write
from tests.contract.conftest import Judge

SCRIPT = """
import numpy
import pandas as pd

def run(mini_batch):
    import sklearn
    return list(mini_batch)
"""
Outcome = Callable[..., tuple[str, str, str]]
CHECK = "environment_provides_imports"
ONLY = ("-k", CHECK, "--parallelrun-environment=conda.yml")


@pytest.fixture
def outcome(judge: Judge, write: Write) -> Outcome:
    """Outcome, message and notes of the check for a script and a conda file."""

    def outcome(script: str, conda: str, *arguments: str, input: str | None = None) -> tuple[str, str, str]:
        write("conda.yml", conda)
        found = judge(script, *ONLY, *arguments, input=input)
        assert found.init_calls == 0
        return found.outcomes[CHECK], found.messages[CHECK], " ".join(found.notes[CHECK])

    return outcome


def conda(*packages: str) -> str:
    return "dependencies:\n" + "".join(f"  - {package}\n" for package in ("pip", *packages))


def test_what_is_listed_or_comes_with_it_is_there(outcome: Outcome) -> None:
    # numpy comes with both.
    assert outcome(SCRIPT, conda("pandas", "scikit-learn")) == ("passed", "", "")


def test_a_package_that_is_not_listed_is_advice_with_what_to_list(outcome: Outcome) -> None:
    result, message, _ = outcome(SCRIPT, conda("pandas"))
    assert result == "advice"
    assert "sklearn, imported by score.py:5, is in no package of it" in message
    assert "fix: list scikit-learn==" in message
    assert "numpy" not in message


def test_what_the_runtime_needs_is_asked_for(outcome: Outcome) -> None:
    script = "from azureml.core import Run\nfrom azureml_user.parallel_run import EntryScript\ndef run(m): return m\n"
    result, message, _ = outcome(script, "dependencies: [pandas]\n")
    assert result == "advice"
    assert "pip is not listed" in message
    assert "azureml.core, imported by score.py:1" in message
    assert "azureml_user" not in message
    assert message.splitlines()[-2] == "fix: list azureml-core, pip"
    assert outcome(script, conda("azureml-core"))[0] == "passed"


def test_a_table_needs_mltable(outcome: Outcome, write: Write) -> None:
    write("table.csv", "a,b\n1,2\n")
    script = "def run(mini_batch): return list(mini_batch['a'])\n"
    assert "mltable is not listed" in outcome(script, conda("pandas"), input="table.csv")[1]
    assert outcome(script, conda("pandas"), input="data")[0] == "passed"


def test_what_may_bring_it_and_is_not_here_makes_it_unknown(outcome: Outcome) -> None:
    result, message, _ = outcome(SCRIPT, conda("pandas", "never-heard-of"))
    assert result == "skipped"
    assert (
        "has sklearn (score.py:5) cannot be determined: it may come with what is listed and not installed here"
        in message
    )
    assert "(never-heard-of)" in message
    result, message, notes = outcome(SCRIPT, "dependencies: [pandas, never-heard-of]\n")
    assert result == "advice"
    assert "sklearn" not in message
    assert "(never-heard-of)" in notes


def test_other_versions_than_those_of_the_gate_are_one_note(outcome: Outcome) -> None:
    listed = conda("python=3.6", "pandas==0.20.3", "numpy>=1.0", "scikit-learn=0.19", "pytz=2011.1")
    result, _, notes = outcome(SCRIPT, listed)
    assert result == "passed"
    assert notes.count("the gate ran with other versions") == 1
    assert all(
        text in notes for text in ("Python 3.", "==3.6.* is listed (conda.yml:3)", "pandas ", "==0.20.3", "==0.19.*")
    )
    assert not any(text in notes for text in ("numpy", "pytz"))


@pytest.mark.parametrize("version", ["{0}", "{0}.*", "{0}.99"])
def test_the_same_major_and_minor_version_is_no_other_one(outcome: Outcome, version: str) -> None:
    import pandas

    pinned = version.format(".".join(pandas.__version__.split(".")[:2]))
    assert outcome("import pandas\ndef run(m): return m\n", conda(f"pandas=={pinned}")) == ("passed", "", "")


def test_it_is_there_only_where_an_environment_is_named(judge: Judge) -> None:
    assert CHECK not in judge("def run(m): return list(m)\n", "-k", "entry_imports").outcomes


JOB = """
type: parallel
name: rate
inputs:
  items: {{type: {kind}}}
input_data: ${{{{inputs.items}}}}
task: {{type: run_function, code: ., entry_script: score.py, environment: {environment}}}
"""


@pytest.mark.parametrize(
    ("environment", "outcome", "message"),
    [
        ("azureml:rating:1", "skipped", "is azureml:rating:1, which is registered with the service: give its conda"),
        ("{conda_file: conda.yml}", "passed", ""),
        ("{conda_file: none.yml}", "advice", "component.yml:6:87: conda_file='none.yml': there is no file 'none.yml'"),
        ("{conda_file: {dependencies: [pip]}}", "advice", "pandas, imported by score.py:1, is in no package of it"),
    ],
)
def test_the_environment_of_a_job_file(
    judge: Judge, write: Write, environment: str, outcome: str, message: str
) -> None:
    write("conda.yml", conda("pandas"))
    write("component.yml", JOB.format(environment=environment, kind="uri_folder"))
    found = judge("import pandas\ndef run(m): return list(m)\n", "-k", CHECK, input=None)
    assert found.outcomes[CHECK] == outcome
    assert message in found.messages[CHECK]


def test_an_option_goes_over_the_job_file(judge: Judge, write: Write) -> None:
    write("requirements.txt", "pandas\n")
    write("component.yml", JOB.format(environment="azureml:rating:1", kind="uri_folder"))
    script = "import pandas\ndef run(m): return list(m)\n"
    found = judge(script, "-k", CHECK, "--parallelrun-environment=requirements.txt", input=None)
    assert found.outcomes[CHECK] == "passed"


def test_an_input_that_is_declared_as_an_mltable_needs_its_reader(judge: Judge, write: Write) -> None:
    write("component.yml", JOB.format(environment="{conda_file: {dependencies: [pip]}}", kind="mltable"))
    assert "mltable is not listed" in judge("def run(m): return list(m)\n", "-k", CHECK, input=None).messages[CHECK]


def test_modules_that_stand_in_for_heavy_ones_are_not_the_scripts_own(
    judge: Judge, write: Write, pytester: pytest.Pytester
) -> None:
    # Nor do they say that the environment has them.
    write("stubs/never_heard_of/__init__.py", "")
    write("code/score.py", "")
    write("conda.yml", conda("pandas"))
    path = pytester.path / "stubs"
    found = judge(
        "import never_heard_of\ndef run(m): return list(m)\n", *ONLY, f"--parallelrun-env=PYTHONPATH={path}",
        input=None, name="code/score.py",
    )  # fmt: skip
    assert "never_heard_of, imported by score.py:1, is in no package of it" in found.messages[CHECK]


def test_an_import_that_fails_here_though_the_environment_lists_it_has_a_command(judge: Judge, write: Write) -> None:
    write("conda.yml", conda("pip:\n    - never-heard-of==1.2.3"))
    found = judge(
        "import never_heard_of\ndef run(m): return list(m)\n",
        "-k", f"entry_imports or {CHECK}", "--parallelrun-environment=conda.yml", input=None,
    )  # fmt: skip
    assert found.outcomes == {"entry_imports": "failed", CHECK: "passed"}
    assert (
        "The environment of the job lists 'never-heard-of==1.2.3' (conda.yml:4), which is not installed here: "
        'pip install "never-heard-of==1.2.3"' in found.messages["entry_imports"]
    )
