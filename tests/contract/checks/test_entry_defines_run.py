from __future__ import annotations

import pytest

from tests.contract.conftest import Judge
from tests.contract.first_checks import by_the_first_checks


@pytest.fixture
def judge(judge: Judge) -> Judge:
    return by_the_first_checks(judge)


FLAWED = {
    "no run": ("def score(mini_batch): return list(mini_batch)\n", "defines no run(mini_batch)"),
    "a run that is no function": ("run = 5\n", "has a run that is int"),
    "a run without parameters": ("def run(): return []\n", "run() cannot be called as the service does"),
    "a run with three": (
        "def run(mini_batch, context, model): return list(mini_batch)\n",
        "run(mini_batch, context, model) cannot be called as the service does: it calls run(mini_batch)",
    ),
    "a run with a keyword": ("def run(*, mini_batch): return list(mini_batch)\n", "cannot be called as the service"),
    "an async run": ("async def run(mini_batch): return list(mini_batch)\n", "run() is async"),
    "a generator": ("def run(mini_batch):\n    for p in mini_batch: yield p\n", "run() is a generator"),
    "an init that wants something": (
        "def init(model): pass\ndef run(mini_batch): return list(mini_batch)\n",
        "init(model) cannot be called as the service does: it calls init()",
    ),
    "a shutdown that wants something": (
        "def run(mini_batch): return list(mini_batch)\ndef shutdown(code): pass\n",
        "shutdown(code) cannot be called as the service does: it calls shutdown()",
    ),
}


@pytest.mark.parametrize(("script", "message"), FLAWED.values(), ids=FLAWED)
def test_functions_that_the_service_cannot_call_fail(judge: Judge, script: str, message: str) -> None:
    found = judge(script, input=None)
    # An init() that cannot be called fails in every worker as well.
    assert found.failed - {"init_runs_in_every_worker"} == {"entry_defines_run"}
    assert message in found.messages["entry_defines_run"]


@pytest.mark.parametrize(
    "script",
    [
        "def run(mini_batch): return list(mini_batch)\n",
        "def run(mini_batch, context): return [context.minibatch_index for _ in mini_batch]\n",
        "def run(batch, logger=None): return list(batch)\n",
        "def run(*arguments): return list(arguments[0])\n",
        "run = lambda mini_batch: list(mini_batch)\n",
        "def init(device='cpu'): pass\ndef run(mini_batch): return list(mini_batch)\ndef shutdown(): pass\n",
        "class Scorer:\n    def run(self, mini_batch): return list(mini_batch)\nrun = Scorer().run\n",
        "init = None\ndef run(mini_batch): return list(mini_batch)\n",
    ],
    ids=["plain", "context", "default", "any", "lambda", "all three", "method", "init is None"],
)
def test_functions_that_it_can_call_pass(judge: Judge, script: str) -> None:
    assert judge(script).failed == set()


def test_several_faults_are_told_at_once(judge: Judge) -> None:
    found = judge("def init(a): pass\ndef run(): pass\n", input=None)
    message = found.messages["entry_defines_run"]
    assert "run() cannot be called" in message
    assert "init(a) cannot be called" in message


def test_a_function_that_does_not_tell_its_parameters_is_given_the_benefit_of_the_doubt(judge: Judge) -> None:
    found = judge("run = max\n")
    assert found.outcomes["entry_defines_run"] == "passed"


def test_a_default_that_the_context_takes_the_place_of_is_advice(judge: Judge) -> None:
    found = judge("def run(mini_batch, batch_size=2): return list(mini_batch)\n")
    assert found.failed == set()
    assert found.outcomes["entry_defines_run"] == "advice"
    assert "the default of 'batch_size=2' is never used" in found.messages["entry_defines_run"]


@pytest.mark.parametrize("second", ["context=None", "context", "*, batch_size=2"])
def test_other_second_parameters_are_no_matter_of_advice(judge: Judge, second: str) -> None:
    found = judge(f"def run(mini_batch, {second}): return list(mini_batch)\n")
    assert found.outcomes["entry_defines_run"] == "passed"
