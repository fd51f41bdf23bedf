"""A finding that a gap of the stand-ins could explain says so first."""

from __future__ import annotations

import os

import pytest

from tests.conftest import Write
from tests.contract.conftest import Judge

SWALLOWS = """
import os
from azureml.core import Run
def run(mini_batch):
    run, done = Run.get_context(), []
    for path in mini_batch:
        try:
            CALL
            done.append(os.path.basename(path))
        except Exception as error:
            print("skipped", error)
    return done
"""
FIRST = "The azureml stand-ins lack azureml.core.run.Run.submit_child, which the script uses. "


def test_child_runs_are_covered(judge: Judge) -> None:
    call = "child = run.child_run(name=path); child.log('size', os.path.getsize(path)); child.complete()"
    assert judge(SWALLOWS.replace("CALL", call)).failed == set()


@pytest.mark.parametrize("engine", ["inprocess", "process"])
def test_what_is_not_covered_comes_first_though_the_script_hides_it(judge: Judge, engine: str) -> None:
    judged = judge(SWALLOWS.replace("CALL", "run.submit_child(path)"), f"--parallelrun-engine={engine}")
    assert judged.failed
    for name in judged.failed:
        assert judged.messages[name].startswith(FIRST)
    message = judged.messages["returns_one_result_per_item"]
    assert "That may be the cause of what follows, and not the script:\nrun() returned fewer results" in message
    assert "fix: Install the real package and give --parallelrun-set azureml=installed" in message


def test_advice_on_what_failed_comes_after_it_too(judge: Judge) -> None:
    judged = judge(SWALLOWS.replace("CALL", "run.submit_child(path)"), "--parallelrun-set=error_threshold=-1")
    assert judged.outcomes["returns_one_result_per_item"] == "advice"
    assert judged.messages["returns_one_result_per_item"].startswith(FIRST)


def test_several_are_named_once_each_and_the_rest_is_counted(judge: Judge) -> None:
    calls = "[getattr(run, f'gap_{number}', None) for number in range(5)]; 1 / 0"
    message = judge(SWALLOWS.replace("CALL", calls)).messages["returns_one_result_per_item"]
    assert ", azureml.core.run.Run.gap_2 and 2 more, which the script uses." in message
    assert message.count("Install the real package") == 1


def test_a_model_that_nobody_gave_comes_first(judge: Judge) -> None:
    call = "from azureml.core import Model; Model.get_model_path('risk')"
    message = judge(SWALLOWS.replace("CALL", call)).messages["returns_one_result_per_item"]
    assert message.startswith("The azureml stand-ins lack the model 'risk', which the script uses.")
    assert "fix: Give --parallelrun-model risk=PATH." in message


def test_a_path_for_the_name_of_a_model_is_the_fault_of_the_script(judge: Judge, write: Write) -> None:
    write("models/risk/model.cb", "3")
    script = """
import os
from azureml.core.model import Model
def init():
    global factor
    factor = float(open(PATH).read())
def run(mini_batch):
    return [f"{os.path.basename(path)} {factor}" for path in mini_batch]
"""
    given = "--parallelrun-model=risk=models/risk"
    judged = judge(script.replace("PATH", "Model.get_model_path('risk/model.cb')"), given)
    message = judged.messages["init_runs_in_every_worker"]
    assert message.startswith("init() fails: ")
    told = 'os.path.join(Model.get_model_path("risk"), "model.cb")'
    assert f"Use {told}." in message
    assert "--parallelrun-model risk" not in message
    # Who follows it has a script that works.
    assert judge(script.replace("PATH", told), given).failed == set()


def test_advice_on_a_sound_job_is_left_as_it_is(judge: Judge) -> None:
    judged = judge(
        "from azureml.core import Run\nhasattr(Run, 'gap')\ndef run(mini_batch): return ['same'] * len(mini_batch)",
        "--parallelrun-set=output_action=append_row",
    )
    assert judged.outcomes["rows_name_their_item"] == "advice"
    assert judged.messages["rows_name_their_item"].startswith("In the appended output")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.parametrize("engine", ["inprocess", "process"])
def test_what_a_forked_child_meets_and_hides_comes_first_too(judge: Judge, engine: str) -> None:
    call = """child = os.fork()
            if not child:
                try:
                    run.submit_child(path)
                except Exception:
                    os._exit(1)
            assert not os.waitpid(child, 0)[1]"""
    judged = judge(
        SWALLOWS.replace("CALL", call), f"--parallelrun-engine={engine}", "-k", "one_result or job_completes"
    )
    assert judged.messages["returns_one_result_per_item"].startswith(FIRST)
