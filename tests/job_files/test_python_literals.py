from __future__ import annotations

import pytest

from tests.job_files.conftest import ReadStep
from tests.job_files.test_python_sdk import call

HEAD = """
import os
class Limits:
    MOST = 4
    sizes = ["3", "4"]
    def most(self, MOST=5):
        return MOST
LIMITS = {"most": 4, "inner": {"most": 4}}
SIZES = ("3", "4")
FOUR = 4
"""


@pytest.mark.parametrize(
    "expression",
    [
        *["2 + 2", "8 // 2", "2 ** 2", "9 - 5", "2 * 2", "14 % 10", "int('4')", "int(4.2)", "FOUR", "Limits.MOST"],
        *["LIMITS['most']", "LIMITS['inner']['most']", "int('%d' % FOUR)", "int('{}'.format(FOUR))", "int(str(FOUR))"],
    ],
)
def test_what_is_made_of_literals_is_read(step_of: ReadStep, expression: str) -> None:
    assert step_of("job.py", call(head=HEAD, error_threshold=expression)).values["error_threshold"] == 4


@pytest.mark.parametrize(
    "expression",
    [
        *["str(FOUR)", "SIZES[1]", "'{}'.format('4')", "'{n}'.format(n=FOUR)", "'%s' % FOUR", "'%s%s' % ('', 4)"],
        *["''.join(['4', ''])", "Limits.sizes[1]"],
    ],
)
def test_texts_that_are_made_of_literals_are_read(step_of: ReadStep, expression: str) -> None:
    assert step_of("job.py", call(head=HEAD, mini_batch_size=expression)).values["mini_batch_size"] == "4"


@pytest.mark.parametrize(
    "expression",
    [
        *[
            "1 / 0",
            "2 ** 99",
            "10 ** 20 * 10 ** 20",
            "'a' * 9",
            "'%9999999s' % 1",
            "'%s' % (1, 2)",
            "'{:>99999}'.format(1)",
        ],
        *[
            "'{1}'.format(2)",
            "'{0.real}'.format(2)",
            "int('x')",
            "str(unknown)",
            "SIZES[7]",
            "SIZES['a']",
            "LIMITS['x']",
        ],
        *["' '.join(names)", "'%s' % [unknown]", "True + 1 + unknown", "unknown % 3", "(-8) ** 0.5", "'a' - 'b'"],
        *["('a' * 1 + 'b')", "Limits.UNKNOWN", "Limits().MOST", "x if y else z", "int('3', 16)", "'{}'.format(*x)"],
    ],
)
def test_what_is_too_much_or_would_fail_needs_an_option(step_of: ReadStep, expression: str) -> None:
    assert "error_threshold" in step_of("job.py", call(head=HEAD, error_threshold=expression)).unresolved


def test_a_long_text_is_not_made(step_of: ReadStep) -> None:
    head = "A = 'x' * 1\nB = '" + "y" * 9_000 + "'\n"
    assert "mini_batch_size" in step_of("job.py", call(head=head, mini_batch_size="B + B")).unresolved


@pytest.mark.parametrize(
    "code",
    [
        "'.' + os.sep + 'src'",
        "os.path.relpath(os.path.abspath('src'), os.getcwd())",
        "'./{}'.format('src')",
        "'./%s' % 'src'",
    ],
)
def test_paths_that_are_made_of_texts_are_read(step_of: ReadStep, code: str) -> None:
    text = call(head="import os").replace("code='src'", f"code={code}")
    assert step_of("job.py", text).entry.label == "score.py"


@pytest.mark.parametrize(
    "head",
    [
        "E = {'A': '1'}\nE['B'] = '2'\n",
        "E = dict(A='1')\nE.update(B='2')\n",
        "E = {'A': '1'}\ndel E['A']\n",
        "E = {'A': '1'}\ndef more():\n    E['B'] = '2'\n",
    ],
)
def test_a_mapping_that_is_changed_later_needs_an_option(step_of: ReadStep, head: str) -> None:
    step = step_of("job.py", call(head=head, environment_variables="E"))
    assert "'E' is changed after it is assigned" in str(step.unresolved["environment_variables"])
    assert str(step.unresolved["environment_variables"]).endswith("or give --parallelrun-env=NAME=VALUE")


def test_a_mapping_of_another_scope_is_another_one(step_of: ReadStep) -> None:
    head = "E = {'A': '1'}\ndef more():\n    E = {}\n    E['B'] = '2'\n"
    assert step_of("job.py", call(head=head, environment_variables="E")).values["environment_variables"] == {"A": "1"}


def test_a_pipeline_parameter_that_is_no_literal_needs_an_option(step_of: ReadStep) -> None:
    imports = "from azureml.pipeline.core import *\nfrom azureml.pipeline.steps import ParallelRunConfig\n"
    config = (
        "config = ParallelRunConfig(source_directory='src', entry_script='score.py', output_action='summary_only',\n"
        "    environment=env, compute_target=c, error_threshold=1, node_count=PipelineParameter('n', int(x)))\n"
    )
    assert "write its default_value as a literal, or give --parallelrun-set=instance_count" in str(
        step_of("job.py", imports + config).unresolved["instance_count"]
    )
