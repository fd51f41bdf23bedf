"""A script that looks for its model one folder off is shown where it lies."""

from __future__ import annotations

import pytest

from tests.conftest import Write
from tests.contract.conftest import Judge

RUN = """
def run(mini_batch):
    return [f"{os.path.basename(path)} {weight}" for path in mini_batch]
"""
FOLDER = 'os.environ["AZUREML_MODEL_DIR"]'


def script(init: str) -> str:
    return f"import glob, json, os\ndef init():\n    global weight\n    folder = {FOLDER}\n    {init}\n{RUN}"


GIVEN = ("--parallelrun-model=risk=models/risk model", "--parallelrun-set=profile=batch")


@pytest.fixture(autouse=True)
def model(write: Write) -> None:
    write("models/risk model/weights.json", "7")


@pytest.mark.parametrize(
    "init",
    [
        'weight = json.load(open(os.path.join(folder, "risk model", "weights.json")))',
        'weight = json.load(open(glob.glob(folder + "/*/*.json")[0]))',
    ],
)
def test_a_model_below_its_own_name_passes(judge: Judge, init: str) -> None:
    assert judge(script(init), *GIVEN).failed == set()


@pytest.mark.parametrize(
    "init",
    [
        'weight = json.load(open(os.path.join(folder, "weights.json")))',
        'weight = json.load(open(os.path.join(folder, "risk", "weights.json")))',
        'weight = json.load(open(glob.glob(folder + "/*.json")[0]))',
        "weight = json.load(open(folder))",
        'raise RuntimeError(f"cannot load {folder}/weights.json")',
    ],
)
def test_a_script_that_looks_elsewhere_is_shown_the_tree(judge: Judge, init: str) -> None:
    judged = judge(script(init), *GIVEN)
    message = judged.messages["init_runs_in_every_worker"]
    assert "$AZUREML_MODEL_DIR holds:\n    risk model/\n      weights.json" in message
    looked_for_a_file = "folder, " in init
    join = 'Use os.path.join(os.environ["AZUREML_MODEL_DIR"], "risk model", "weights.json").'
    assert (join in message) == looked_for_a_file


def test_who_hides_that_the_model_is_elsewhere_is_shown_the_tree(judge: Judge) -> None:
    hides = 'try: weight = json.load(open(os.path.join(folder, "weights.json")))\n    except Exception: weight = 1'
    judged = judge(script(hides), *GIVEN)
    assert judged.failed == {"reports_failures"}
    message = judged.messages["reports_failures"]
    assert "AZUREML_MODEL_DIR/weights.json', which does not exist; init() ignores the error" in message
    assert "$AZUREML_MODEL_DIR holds:\n    risk model/\n      weights.json" in message


def test_a_file_that_may_be_missing_beside_the_model_passes(judge: Judge) -> None:
    optional = (
        'path = os.path.join(folder, "labels.json")\n'
        "    weight = json.load(open(path)) if os.path.exists(path) else 1\n"
        '    json.load(open(os.path.join(folder, "risk model", "weights.json")))'
    )
    assert judge(script(optional), *GIVEN).failed == set()


def test_an_import_that_fails_has_nothing_to_do_with_the_model(judge: Judge) -> None:
    judged = judge("import no_such_package\n" + script("weight = 1"), *GIVEN)
    assert "holds:" not in judged.messages["entry_imports"]


def test_a_folder_that_the_user_names_is_shown_too(judge: Judge) -> None:
    judged = judge(
        script('weight = json.load(open(os.path.join(folder, "weights.json")))'),
        "--parallelrun-env=AZUREML_MODEL_DIR=models",
    )
    assert "$AZUREML_MODEL_DIR holds:\n    risk model/" in judged.messages["init_runs_in_every_worker"]


def test_without_a_model_the_option_is_named(judge: Judge) -> None:
    reads = script("").replace(FOLDER, 'os.path.join(os.environ.get("AZUREML_MODEL_DIR"), "x")')
    assert "--parallelrun-model=PATH" in judge(reads).messages["init_runs_in_every_worker"]
