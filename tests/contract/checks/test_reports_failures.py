from __future__ import annotations

import pytest

from pytest_parallelrun.contract.corruption import injection
from tests.conftest import Write
from tests.contract.conftest import Judge, Judged
from tests.light import FEW

ALL_IN_ONE = "--parallelrun-set=mini_batch_size=3"

LOOP = (
    "import json\nfrom pathlib import Path\nCOUNT = []\n"
    "def run(mini_batch):\n    results = []\n    for path in mini_batch:\n"
)


def judged(judge: Judge, script: str, *arguments: str, input: str = "data") -> Judged:
    return judge(script, *arguments, "-k", "reports_failures", input=input)


def outcome(found: Judged) -> tuple[str, str]:
    return found.outcomes["reports_failures"], found.messages["reports_failures"]


FALLS_THROUGH = """
    def run(mini_batch):
        try:
            return [open(path).read() for path in mini_batch]
        except Exception as error:
            print(error)
"""
GIVES_A_COUNT = """
    import os
    def run(mini_batch):
        results = []
        for path in mini_batch:
            if not os.path.isfile(path):
                return -1
            results.append(os.path.basename(path) + open(path).read())
        return results
"""


def test_a_thread_of_the_script_that_dies_is_no_failure_of_a_strict_test_run(judge: Judge) -> None:
    script = (
        "import threading\nrows = {}\ndef read(p):\n    rows[p] = f'{p}: {len(open(p).read())}'\n"
        "def run(mini_batch):\n    threads = [threading.Thread(target=read, args=(p,)) for p in mini_batch]\n"
        "    for thread in threads: thread.start()\n    for thread in threads: thread.join()\n"
        "    return [rows.pop(p, f'{p}: error') for p in mini_batch]"
    )
    assert set(judge(script, "-W", "error", f"--hypothesis-profile={FEW}").outcomes.values()) <= {"passed", "skipped"}


@pytest.mark.parametrize("script", [FALLS_THROUGH, GIVES_A_COUNT])
def test_an_unreadable_item_that_becomes_a_wrong_type_fails(judge: Judge, script: str, size: int) -> None:
    result, message = outcome(judged(judge, script, f"--parallelrun-set=mini_batch_size={size}"))
    assert result == "failed"
    assert "run() swallows the error when item_1.txt cannot be read (the file is missing): run() returned " in message
    assert "where: run(), mini-batch 0 (item_1.txt, item_2.txt, item_3.txt), attempt 1 of 3" in message
    assert "let the exception propagate" in message


HIDING = {
    "a number": "results.append(f'{Path(path).name}: {size}')",
    "an element": "results.append(size)",
    "a field": "results.append({'file': Path(path).name, 'size': size})",
    "a label": "results.append(Path(path).name + (': long' if size > 2 else ': short'))",
}


@pytest.mark.parametrize("append", HIDING.values(), ids=HIDING)
def test_an_unreadable_item_with_a_result_like_any_other_is_advice(judge: Judge, append: str) -> None:
    script = (
        LOOP + "        try:\n            size = len(open(path).read())\n"
        "        except Exception:\n            size = 0\n"
        f"        {append}\n    return results\n"
    )
    result, message = outcome(judged(judge, script, ALL_IN_ONE))
    assert result == "advice"
    assert message.startswith(
        "run() hides that item_1.txt cannot be read (the file is missing): it comes back as a result"
    )
    assert "3 items in, one of them bad, 3 results out, 0 failed" in message


@pytest.mark.parametrize(("row", "shown"), [("None", "None"), ("''", "''"), ("' '", "' '")])
def test_a_row_that_says_nothing_of_an_unreadable_item_is_advice(judge: Judge, row: str, shown: str) -> None:
    script = (
        LOOP + "        try: results.append(f'{Path(path).name}: {len(open(path).read())}')\n"
        f"        except OSError: results.append({row})\n    return results\n"
    )
    result, message = outcome(judged(judge, script, ALL_IN_ONE))
    assert result == "advice"
    assert f"comes back as a row that says nothing of it, so no threshold counts it: {shown}" in message


def test_a_lost_item_that_the_rows_of_others_hide_is_advice(judge: Judge) -> None:
    script = (
        LOOP + "        try:\n            results += [(Path(path).name, n, open(path).read()) for n in range(5)]\n"
        "        except OSError:\n            pass\n    return results\n"
    )
    result, message = outcome(judged(judge, script, ALL_IN_ONE))
    assert result == "advice"
    assert "it has no row, and no threshold counts it, because 10 rows of other items are enough" in message


def test_a_folder_that_is_taken_for_an_empty_item_is_found(judge: Judge) -> None:
    script = (
        "import os\n" + LOOP + "        text = '' if os.path.isdir(path) else open(path).read()\n"
        "        results.append(f'{Path(path).name}: {len(text)}')\n    return results\n"
    )
    result, message = outcome(judged(judge, script, ALL_IN_ONE))
    assert result == "advice"
    assert "its path is a folder" in message


REPORTING = {
    "raises": "results.append(open(path).read())",
    "leaves out": "\n        try: results.append(open(path).read())\n        except OSError: continue",
    "error text": "\n        try: results.append(path + open(path).read())\n"
    "        except OSError as error: results.append(f'{path}: ERROR {error}')",
    "error row": "\n        try: results.append({'file': path, 'size': len(open(path).read())})\n"
    "        except OSError as error: results.append({'file': path, 'error': str(error)})",
    "null": "\n        try: results.append((path, len(open(path).read())))\n"
    "        except OSError: results.append((path, None))",
    "nan": "\n        try: results.append({'file': path, 'size': len(open(path).read())})\n"
    "        except OSError: results.append({'file': path, 'size': float('nan')})",
    "status": "\n        try: row = {'file': path, 'ok': True, 'size': len(open(path).read())}\n"
    "        except OSError: row = {'file': path, 'ok': False, 'size': 0}\n        results.append(row)",
    "json": "\n        try: row = {'file': path, 'size': len(open(path).read())}\n"
    "        except OSError as error: row = {'file': path, 'failure': repr(error)}\n"
    "        results.append(json.dumps(row))",
    "other words": "\n        try: results.append(f'{Path(path).name}: {len(open(path).read())}')\n"
    "        except OSError: results.append(f'{Path(path).name}: nicht lesbar')",
    "nothing after the name": "\n        try: results.append(f'{Path(path).name},{len(open(path).read())}')\n"
    "        except OSError: results.append(f'{Path(path).name},')",
    "never opens": "results.append(Path(path).name)",
    "never opens, and draws": "import random; results.append(f'{Path(path).name} {random.random()}')",
    "never opens, and counts": "COUNT.append(1); results.append(f'{Path(path).name} {len(COUNT)}')",
}


@pytest.mark.parametrize("body", REPORTING.values(), ids=REPORTING)
def test_failures_that_show_pass(judge: Judge, body: str, size: int) -> None:
    script = LOOP + f"        {body.lstrip()}\n    return results\n"
    found = judged(judge, script, f"--parallelrun-set=mini_batch_size={size}")
    assert outcome(found)[0] == "passed"


def test_an_error_column_of_a_frame_passes(judge: Judge) -> None:
    script = (
        "import pandas as pd\n" + LOOP + "        try: results.append({'file': path, 'size': len(open(path).read())})\n"
        "        except OSError as error: results.append({'file': path, 'error': str(error)})\n"
        "    return pd.DataFrame(results)\n"
    )
    assert outcome(judged(judge, script, ALL_IN_ONE))[0] == "passed"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("os.path.getsize(path)", "Its result depends on the size of the file, not on its content"),
        ("sum(subprocess.run(['cat', path], stdout=-1).stdout)", "Nothing is seen of how the file is read"),
    ],
)
def test_where_no_opening_is_seen_and_rows_depend_on_the_file_it_cannot_be_decided(
    judge: Judge, value: str, reason: str
) -> None:
    script = (
        "import os, subprocess\n" + LOOP + f"        value = {value} if os.path.isfile(path) else 0\n"
        "        results.append(f'{Path(path).name}: {value}')\n    return results\n"
    )
    result, message = outcome(judged(judge, script, ALL_IN_ONE))
    assert result == "skipped"
    assert reason in message


@pytest.mark.parametrize("body", ["return []", "raise ValueError"])
def test_without_a_sound_result_it_cannot_be_decided(judge: Judge, body: str) -> None:
    script = f"def run(mini_batch):\n    {body}\n"
    result, message = outcome(judged(judge, script, "--parallelrun-set=error_threshold=-1"))
    assert result == "skipped"
    direct = "test_no_silent_losses" if "raise" in body else "test_returns_valid_type"
    assert f"see {direct}" in message


LOADS = "import json, os\nfrom pathlib import Path\n"
READS = "    return [f'{Path(p).name}: {len(open(p).read()) * weight}' for p in mini_batch]\n"

HIDDEN_MODELS = {
    "None": (
        "def init():\n    global weight\n    try: weight = json.load(open(WHERE))\n    except Exception: pass\n"
        "def run(mini_batch):\n    try: weight\n    except NameError as e: return print(e)\n" + READS,
        ("init() swallows the error and run() continues when ", " is missing: run() returned None."),
    ),
    "a default": (
        "def init():\n    global weight\n    try: weight = json.load(open(WHERE))\n    except Exception: weight = 0\n"
        "def run(mini_batch):\n" + READS,
        ("init() swallows the error and run() continues when ", " is missing: it returns "),
    ),
    "loaded in run": (
        "def run(mini_batch):\n    try: weight = json.load(open(WHERE))\n    except Exception: weight = 1\n" + READS,
        ("run() swallows the error when ", " is missing: it returns "),
    ),
}


@pytest.mark.parametrize(("script", "messages"), HIDDEN_MODELS.values(), ids=HIDDEN_MODELS)
@pytest.mark.parametrize("place", ["folder", "file", "beside", "argument", "variable"])
def test_a_missing_model_that_is_hidden_fails(
    judge: Judge, write: Write, script: str, messages: tuple[str, str], place: str
) -> None:
    path = write("models/weights.json", "7")
    where, options = {
        "folder": ("Path(os.environ['AZUREML_MODEL_DIR'], 'models/weights.json')", ["--parallelrun-model=models"]),
        "file": ("Path(os.environ['AZUREML_MODEL_DIR'], 'weights.json')", [f"--parallelrun-model=m={path}"]),
        "beside": ("Path(__file__).parent / 'models' / 'weights.json'", []),
        "argument": ("__import__('sys').argv[-1]", [f"--parallelrun-args=--weights {path}"]),
        "variable": (
            "Path(os.environ['AZUREML_MODEL_DIR'], 'weights.json')",
            [f"--parallelrun-env=AZUREML_MODEL_DIR={path.parent}"],
        ),
    }[place]
    result, text = outcome(judged(judge, LOADS + f"WHERE = {where}\n" + script, *options))
    assert result == "failed"
    assert all(message in text for message in messages)


@pytest.mark.parametrize(
    ("name", "option"), [("models/weights.json", "models"), ("weights.json", "models/weights.json")]
)
def test_a_model_that_is_only_asked_for_is_missing_then(judge: Judge, write: Write, name: str, option: str) -> None:
    write("models/weights.json", "7")
    script = (
        f"WHERE = Path(os.environ['AZUREML_MODEL_DIR'], {name!r})\n"
        "def init():\n    global weight\n    weight = json.load(open(WHERE)) if WHERE.exists() else 0\n"
    )
    found = judged(judge, LOADS + script + "def run(mini_batch):\n" + READS, f"--parallelrun-model={option}")
    assert outcome(found)[0] == "failed"


SOUND_LOADING = {
    "raises": "    global weight\n    weight = json.load(open(WHERE))\n",
    "by choice": "    global weight\n    weight = json.load(open(WHERE)) if os.path.exists(WHERE) else 1\n",
    "not found": "    global weight\n    try: weight = json.load(open(WHERE))\n"
    "    except FileNotFoundError: weight = 1\n",
    "unused": "    global weight\n    weight = 2\n    try: json.load(open(WHERE))\n    except OSError: pass\n",
}


@pytest.mark.parametrize("init", SOUND_LOADING.values(), ids=SOUND_LOADING)
def test_a_side_file_that_is_asked_for_or_optional_passes(judge: Judge, write: Write, init: str) -> None:
    write("weights.json", "7")
    script = LOADS + "WHERE = Path(__file__).parent / 'weights.json'\ndef init():\n" + init
    found = judged(judge, script + "def run(mini_batch):\n" + READS)
    assert outcome(found)[0] == "passed"


def test_a_model_that_is_never_opened_passes(judge: Judge, write: Write) -> None:
    write("models/weights.json", "7")
    script = LOADS + "def run(mini_batch):\n    weight = 1\n" + READS
    assert outcome(judged(judge, script, "--parallelrun-model=models"))[0] == "passed"


TABLE = "id,size,note\n1,1.5,a\n2,2.5,b\n3,3.5,c\n4,4.5,d\n"

CELLS = {
    "raises": ("mini_batch.assign(x=mini_batch['size'] * 2.5)", "passed"),
    "leaves out": ("mini_batch[pd.to_numeric(mini_batch['size'], errors='coerce') > 0]", "passed"),
    "null": ("mini_batch[['id']].assign(x=pd.to_numeric(mini_batch['size'], errors='coerce') * 2)", "passed"),
    "zero": ("mini_batch[['id']].assign(x=pd.to_numeric(mini_batch['size'], errors='coerce').fillna(0) * 2)", "advice"),
    "twice": ("mini_batch[['id']].assign(x=mini_batch['size'] * 2)", "advice"),
}


@pytest.mark.parametrize(("value", "expected"), CELLS.values(), ids=CELLS)
def test_a_cell_that_is_no_number(judge: Judge, write: Write, value: str, expected: str) -> None:
    write("table.csv", TABLE)
    script = f"import pandas as pd\ndef run(mini_batch):\n    return {value}\n"
    result, message = outcome(judged(judge, script, input="table.csv"))
    assert result == expected
    if expected == "advice":
        assert "row 1 of table.csv cannot be read (its column 'size' holds the text '?'" in message


def test_columns_that_are_left_out_are_noted(judge: Judge, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(injection, "MAX_CORRUPTED_COLUMNS", 1)
    write("table.csv", TABLE)
    found = judged(
        judge, "def run(mini_batch):\n    return mini_batch.assign(x=mini_batch.id * 2.5)\n", input="table.csv"
    )
    assert found.notes["reports_failures"] == ["put a bad cell into 1 of 2 numeric columns"]


def test_a_cell_that_becomes_none_fails(judge: Judge, write: Write) -> None:
    write("table.csv", TABLE)
    script = (
        "def run(mini_batch):\n    try: return [float(x) * 2 for x in mini_batch['size']]\n"
        "    except ValueError: print('bad')\n"
    )
    result, message = outcome(judged(judge, script, input="table.csv"))
    assert result == "failed"
    assert "run() returned None" in message


@pytest.mark.parametrize("value", ["mini_batch", "mini_batch.note.str.upper().tolist()"])
def test_where_no_number_matters_it_cannot_be_decided(judge: Judge, write: Write, value: str) -> None:
    write("table.csv", TABLE)
    result, message = outcome(judged(judge, f"def run(mini_batch):\n    return {value}\n", input="table.csv"))
    assert result == "skipped"
    assert "no number in the sample is seen to change a result" in message


@pytest.mark.parametrize("field", ["'note': 'long' if size > 2 else None", "'parts': [0] * (len(results) + 1)"])
def test_values_that_some_sound_rows_lack_do_not_make_a_hidden_failure_an_error_row(judge: Judge, field: str) -> None:
    append = f"results.append({{'file': Path(path).name, 'size': size, {field}}})"
    script = f"{LOOP}        try: size = len(open(path).read())\n        except OSError: size = 0\n        {append}\n"
    result, message = outcome(judged(judge, f"{script}    return results", ALL_IN_ONE))
    assert result == "advice"
    assert "comes back as a result like any other" in message


NEVER_FOUND = {
    "given": (["--parallelrun-model=models"], "Path(os.environ['AZUREML_MODEL_DIR'], 'v2', 'weights.json')"),
    "with the code": ([], "Path(__file__).parent / 'artifacts' / 'model.json'"),
    "argument": (["--parallelrun-args=--weights {cwd}/none/weights.json"], "__import__('sys').argv[-1]"),
}


@pytest.mark.parametrize(("options", "where"), NEVER_FOUND.values(), ids=NEVER_FOUND)
def test_a_model_that_is_not_where_the_script_looks_for_it_and_is_hidden_fails(
    judge: Judge, write: Write, options: list[str], where: str
) -> None:
    folder = write("models/weights.json", "7").parent.parent
    init = (
        "def init():\n    global weight\n    try: weight = json.load(open(WHERE))\n    except Exception: weight = 1\n"
    )
    script = f"{LOADS}WHERE = {where}\n{init}def run(mini_batch):\n{READS}"
    result, message = outcome(judged(judge, script, *(option.replace("{cwd}", str(folder)) for option in options)))
    assert result == "failed"
    assert "which does not exist; init() ignores the error" in message


DOES_WITHOUT = {
    "by choice": "    try: return json.load(open(WHERE))\n    except FileNotFoundError: return 1\n",
    "another one": "    try: return json.load(open(WHERE))\n    except Exception: return json.load(open(OTHER))\n",
    "no model": "    try: return json.load(open('limits.json'))\n    except Exception: return 1\n",
}


@pytest.mark.parametrize("load", DOES_WITHOUT.values(), ids=DOES_WITHOUT)
def test_a_model_that_the_script_may_do_without_passes(judge: Judge, write: Write, load: str) -> None:
    write("old_model.json", "7")
    where = "HERE = Path(__file__).parent\nWHERE, OTHER = HERE / 'model.json', HERE / 'old_model.json'\n"
    script = f"{LOADS}{where}def load():\n{load}weight = load()\ndef run(mini_batch):\n{READS}"
    assert outcome(judged(judge, script))[0] == "passed"


NO_MODEL = "class Same:\n    def predict(self, text): return VALUE\n"
PREDICTS = (
    "def run(mini_batch):\n"
    "    return [{'file': Path(p).name, 'score': model.predict(open(p).read())} for p in mini_batch]\n"
)
IN_DIR = "os.path.join(os.environ['AZUREML_MODEL_DIR'], 'model.pkl')"
HERE = "Path(__file__).with_name('model.pkl')"
LOAD = "pickle.load(open(WHERE, 'rb'))"
TRIES = "    try: model = LOAD\n    except Exception: model = Same()\n"

STAND_INS = {
    "no variable": (IN_DIR, TRIES, "0.0", "KeyError: 'AZUREML_MODEL_DIR', which is caught."),
    "no folder": ("os.path.join(os.getenv('AZUREML_MODEL_DIR'), 'm')", TRIES, "-1", "TypeError: expected str, bytes"),
    "working folder": ("'./model.pkl'", TRIES, "None", "No such file or directory: './model.pkl', which is caught."),
    "elsewhere": (
        "'/var/azureml-models/churn/3/clf'",
        "    global model\n    model = Same()\n    with contextlib.suppress(OSError): model = LOAD\n",
        "'stays'",
        "No such file or directory: '/var/azureml-models/churn/3/clf', which is caught.",
    ),
    "no pickle": ("Path(__file__).with_name('broken.pkl')", TRIES, "''", "UnpicklingError: pickle data was truncated"),
    "its name in a message": (
        "'churn.bin'",
        "    def load(path): raise RuntimeError(f'cannot read model {path}')\n"
        "    try: model = load(WHERE)\n    except RuntimeError: model = Same()\n",
        "0.5",
        "RuntimeError: cannot read model churn.bin, which is caught.",
    ),
}


def stand_in(where: str, init: str, value: str, run: str = PREDICTS) -> str:
    init = init.replace("LOAD", LOAD).replace("WHERE", where)
    head = f"import contextlib, json, os, pickle\nfrom pathlib import Path\n{NO_MODEL.replace('VALUE', value)}"
    return f"{head}def init():\n    global model\n{init.replace('    global model', '    pass')}{run}"


@pytest.mark.parametrize(("where", "init", "value", "error"), STAND_INS.values(), ids=STAND_INS)
def test_a_stand_in_for_the_model_fails(
    judge: Judge, write: Write, where: str, init: str, value: str, error: str
) -> None:
    write("broken.pkl", "git-lfs")
    result, message = outcome(judged(judge, stand_in(where, init, value), ALL_IN_ONE))
    assert result == "failed"
    assert message.startswith("init() hides that the model cannot be loaded: ")
    assert error in message
    assert "All rows have the same result, as in {'file': 'item_1.txt', 'score': " in message
    assert "where: init()\n    Traceback (most recent call last)" in message
    assert "fix: let init() raise" in message


def test_a_stand_in_that_run_takes_fails(judge: Judge) -> None:
    lazily = (
        "model = None\ndef loaded():\n    global model\n    if model is None:\n        try: model = LOAD\n"
        "        except Exception: model = Same()\n    return model\n"
    )
    run = lazily.replace("LOAD", LOAD).replace("WHERE", "'model.pkl'") + PREDICTS.replace("model.", "loaded().")
    result, message = outcome(judged(judge, stand_in("", "    pass\n", "0.0", run), ALL_IN_ONE))
    assert result == "failed"
    assert message.startswith("run() hides that the model cannot be loaded: 'model.pkl' does not exist. All rows have")


UNSURE = {
    "asks first": (
        stand_in("'model.pkl'", "    model = LOAD if os.path.exists(WHERE) else Same()\n", "0.0"),
        "'model.pkl' does not exist. All rows have the same result, as in ",
    ),
    "one column": (
        stand_in(IN_DIR, TRIES, "0.0", PREDICTS.replace("'score'", "'size': len(open(p).read()), 'score'")),
        "KeyError: 'AZUREML_MODEL_DIR', which is caught. All rows have the same score, as in ",
    ),
}


@pytest.mark.parametrize(("script", "says"), UNSURE.values(), ids=UNSURE)
def test_what_looks_like_a_stand_in_is_advice(judge: Judge, script: str, says: str) -> None:
    result, message = outcome(judged(judge, script, ALL_IN_ONE))
    assert result == "advice"
    assert f"init() hides that the model cannot be loaded: {says}" in message


OLD = "    try: model = LOAD\n    except OSError: model = json.load(open(Path(__file__).with_name('old_model.json')))\n"
OPTIONAL = TRIES.replace("Exception", "FileNotFoundError")
NO_STAND_INS = {
    "an older model": stand_in(HERE, OLD, "0", PREDICTS.replace("model.predict(open(p).read())", "model['class']")),
    "labels next to it": stand_in(
        "os.path.join(os.getenv('AZUREML_MODEL_DIR', '.'), 'labels.txt')", TRIES.replace(LOAD, "open(WHERE)"), "'low'"
    ),
    "an optional package": stand_in(
        "", "    try: import model_zoo as model\n    except ImportError: model = Same()\n", "1"
    ),
    "a status": stand_in(HERE, OPTIONAL, "'ok'", PREDICTS.replace("'score'", "'status'")),
    "results of each item": stand_in("'x.bin'", TRIES, "len(text)"),
    "no model": stand_in("", "    model = Same()\n", "'low'"),
}


@pytest.mark.parametrize("script", NO_STAND_INS.values(), ids=NO_STAND_INS)
def test_what_is_no_stand_in_passes(judge: Judge, write: Write, script: str) -> None:
    write("old_model.json", '{"class": "low"}')
    found = judged(judge, script, ALL_IN_ONE)
    assert outcome(found)[0] == "passed"


SAY = {
    "error": "f'{Path(p).name}: ERROR {weight!r}'",
    "null": "{'file': Path(p).name, 'score': None, 'error': None}",
    "unknown": "(Path(p).name, 'unknown')",
}


@pytest.mark.parametrize("row", SAY.values(), ids=SAY)
@pytest.mark.parametrize("there", [True, False])
def test_a_missing_model_is_no_error_of_each_item(judge: Judge, write: Write, row: str, there: bool) -> None:
    if there:
        write("weights.json", "7")
    script = (
        f"{LOADS}def init():\n    global weight\n"
        "    try: weight = json.load(open(Path(__file__).with_name('weights.json')))\n"
        "    except FileNotFoundError as error: weight = str(error)\n"
        f"def run(mini_batch):\n    if isinstance(weight, str): return [{row} for p in mini_batch]\n"
        "    return [f'{Path(p).name}: {len(open(p).read()) * weight}' for p in mini_batch]\n"
    )
    result, message = outcome(judged(judge, script, ALL_IN_ONE))
    assert result == "failed"
    how = "all items come back as error rows: " if there else "and all items come back as error rows."
    assert how in message
    assert "fix: let init() raise" in message


def test_labels_that_a_script_can_do_without_pass(judge: Judge, write: Write) -> None:
    write("labels.json", '{"item_1.txt": "one", "item_2.txt": "two", "item_3.txt": "three"}')
    script = (
        f"{LOADS}def init():\n    global labels\n"
        "    try: labels = json.load(open(Path(__file__).with_name('labels.json')))\n"
        "    except FileNotFoundError: labels = {}\n"
        "def run(mini_batch):\n    return [{'file': Path(p).name, 'size': len(open(p).read() + Path(p).name) + "
        "int(Path(p).stem[-1]), 'label': labels.get(Path(p).name)} for p in mini_batch]\n"
    )
    assert outcome(judged(judge, script, ALL_IN_ONE))[0] == "passed"


HIDES_CONTENT = {
    "parsing": (
        "order.json",
        '{"amount": NUMBER, "lines": [1, 2]}',
        "json.loads(text)['amount'] * 2",
        "its JSON is cut short",
    ),
    "prediction": (
        "order.json",
        '{"amount": NUMBER}',
        "text['amount'] / 2",
        "the first number in its JSON is the text '?'",
    ),
    "lines": (
        "log.jsonl",
        '{"v": NUMBER}\n{"v": 2}\n',
        "sum(json.loads(x)['v'] for x in text.splitlines())",
        "cut short",
    ),
    "cells": (
        "part.csv",
        "id,x\na,NUMBER\nb,2.5\n",
        "sum(float(x.split(',')[1]) for x in text.splitlines()[1:])",
        "its row 1 has the text '?' for each number",
    ),
    "xml": (
        "doc.xml",
        "<r><i v='NUMBER'/></r>",
        "float(ElementTree.fromstring(text)[0].get('v'))",
        "its XML is cut short",
    ),
}
SWALLOWS = """
    import json
    from pathlib import Path
    from xml.etree import ElementTree

    def run(mini_batch):
        rows = []
        for path in mini_batch:
            text = Path(path).read_text()
            try:
                score = SCORE
            except ERRORS:
                FALLBACK
            rows.append(f"{Path(path).name}: {score}")
        return rows
"""


def with_files(write: Write, name: str, content: str) -> None:
    for number in range(1, 4):
        write(f"items/{number}_{name}", content.replace("NUMBER", f"{number}.25"))


@pytest.mark.parametrize(("name", "content", "score", "description"), HIDES_CONTENT.values(), ids=HIDES_CONTENT)
def test_broken_content_with_a_result_like_any_other_is_advice(
    judge: Judge, write: Write, name: str, content: str, score: str, description: str
) -> None:
    with_files(write, name, content)
    script = SWALLOWS.replace("SCORE", score).replace("ERRORS", "Exception").replace("FALLBACK", "score = 0.0")
    if "loads" not in score and name.endswith(".json"):
        script = script.replace("Path(path).read_text()", "json.loads(Path(path).read_text())")
    result, message = outcome(judged(judge, script, ALL_IN_ONE, input="items"))
    assert result == "advice"
    assert f"1_{name} cannot be read (" in message
    assert description in message
    assert "comes back as a result like any other" in message


def test_broken_content_that_becomes_none_fails(judge: Judge, write: Write) -> None:
    with_files(write, "order.json", '{"amount": NUMBER}')
    script = SWALLOWS.replace("SCORE", "json.loads(text)").replace("ERRORS", "ValueError").replace("FALLBACK", "return")
    result, message = outcome(judged(judge, script, ALL_IN_ONE, input="items"))
    assert result == "failed"
    assert (
        "run() swallows the error when 1_order.json cannot be read (its JSON is cut short): run() returned None"
        in message
    )


SAYS_SO = {
    "raises": ("json.loads(text)['amount']", "KeyboardInterrupt", "pass"),
    "names it": ("json.loads(text)['amount']", "Exception as error", "score = f'ERROR {error!r}'"),
    "null": ("json.loads(text)['amount']", "Exception", "score = None"),
    "leaves out": ("json.loads(text)['amount']", "Exception", "continue"),
    "counts": ("len(text)", "Exception", "score = 0"),
    "looks for text": ("text.count('amount')", "Exception", "score = 0"),
    "looks at the end": ("'closed' if text.endswith('}') else 'open'", "Exception", "score = 0"),
    "is a flag": ("bool(json.loads(text))", "ValueError", "score = False"),
    "another format": ("json.loads(text)['amount']", "ValueError", "score = len(text)"),
}


@pytest.mark.parametrize(("score", "errors", "fallback"), SAYS_SO.values(), ids=SAYS_SO)
def test_broken_content_that_shows_or_does_not_matter_passes(
    judge: Judge, write: Write, score: str, errors: str, fallback: str
) -> None:
    with_files(write, "order.json", '{"amount": NUMBER, "lines": [1, 2]}')
    script = SWALLOWS.replace("SCORE", score).replace("ERRORS", errors).replace("FALLBACK", fallback)
    assert outcome(judged(judge, script, ALL_IN_ONE, input="items"))[0] == "passed"


WORDS = """
    import os
    def run(mini_batch):
        rows = []
        for path in mini_batch:
            with {open} as file:
                text = file.read(){more}
            rows.append(f"{{os.path.basename(path)}} {{{shown}}}")
        return rows
"""
UTF_8 = 'open(path, encoding="utf-8")'
LATIN_1 = 'open(path, encoding="latin-1")'
COUNT, ASCII = "text.count('größe')", "text.count('ok')"


@pytest.mark.parametrize(
    ("encoding", "opened", "more", "shown", "verdict", "text"),
    [
        ("utf-8", LATIN_1, "", "text", "failed", "rows hold 'grÃ¶Ã\\x9fe', where the file has 'größe'."),
        ("utf-8", 'open(path, "rb")', ".decode('cp1252')", "text", "failed", "rows hold 'grÃ¶ÃŸe', where the"),
        (
            "utf-8",
            LATIN_1,
            "",
            COUNT,
            "advice",
            "returns '1.txt 0'; read as UTF-8, which it is, returns '1.txt 1'",
        ),
        ("utf-8", UTF_8, "", "text", "passed", ""),
        ("utf-8", LATIN_1, "", ASCII, "passed", ""),
        ("latin-1", LATIN_1, "", COUNT, "passed", ""),
        ("latin-1", UTF_8.replace(")", ", errors='replace')"), "", "text", "advice", "as cp1252 it has 'größe'."),
        ("latin-1", UTF_8.replace(")", ", errors='replace')"), "", ASCII, "passed", ""),
    ],
    ids=["wrong words", "bytes", "wrong count", "repaired", "only ascii", "latin-1", "replaced", "not shown"],
)
def test_text_that_is_read_in_the_wrong_encoding(
    judge: Judge, write: Write, encoding: str, opened: str, more: str, shown: str, verdict: str, text: str
) -> None:
    for name in ("1.txt", "2.txt"):
        write(f"texts/{name}", "").write_bytes(f"größe ok {name}\n".encode(encoding))
    found = outcome(judged(judge, WORDS.format(open=opened, more=more, shown=shown), input="texts"))
    assert found[0] == verdict, found
    assert text in found[1]
