"""Each known cause is named by one finding, and a script that is repaired exactly as that says passes.

The scripts are those of example_scripts/flawed, whose own gate is in .ci/gate_examples.py.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_parallelrun.contract.generation import examples
from tests.conftest import Run
from tests.light import FEW, all_edge_cases
from tests.report.schema import read_valid

FLAWED = Path(__file__).parents[2] / "example_scripts" / "flawed"


@dataclass(frozen=True, kw_only=True)
class Repair:
    """first: how the finding begins. advice: what of its `fix` was followed. edits: of the script, by the old text.

    options: in place of those with the same beginning. needs: a package without which it cannot be tried.
    """

    name: str
    check: str
    outcome: str = "failed"
    first: str
    advice: str
    edits: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    needs: str = "pytest"


REPAIRS = [
    Repair(
        name="raises_for_every_file",
        check="no_silent_losses",
        first="run() raises for every mini-batch: KeyError: 'bias'\nwhere: run(), mini-batch 0 (order_1.json)",
        advice="correct line 23 of score.py, in run()",
        edits={"weights['bias']": "weights['offset']"},
    ),
    Repair(
        name="relies_on_main_guard",
        check="no_silent_losses",
        first="run() raises for every mini-batch: TypeError: 'NoneType' object is not subscriptable",
        advice="'rates' is set below `if __name__ == \"__main__\":` (line 29) alone, which no worker runs",
        edits={"def load_rates()": "def init()", "    load_rates()": "    init()"},
    ),
    Repair(
        name="byte_order_mark",
        check="no_silent_losses",
        first="run() raises for every mini-batch: json.decoder.JSONDecodeError: Unexpected UTF-8 BOM",
        advice='Open it with encoding="utf-8-sig"',
        edits={'encoding="utf-8"': 'encoding="utf-8-sig"'},
    ),
    Repair(
        name="table_script_given_a_folder",
        check="no_silent_losses",
        first="run() raises for every mini-batch: TypeError: list indices must be integers or slices, not str\n"
        "run() got a list of paths (shop_1.csv), and expects a DataFrame: with that it succeeds.",
        advice="give the files of the table themselves, --parallelrun-input=",
        options={"--parallelrun-input": "data/*.csv"},
    ),
    Repair(
        name="table_script_given_a_folder",
        check="no_silent_losses",
        first="run() raises for every mini-batch: TypeError: list indices",
        advice="Or read the paths in run(), as in pd.concat(pd.read_csv(path) for path in mini_batch)",
        edits={"    total =": "    mini_batch = pd.concat(pd.read_csv(path) for path in mini_batch)\n    total ="},
    ),
    Repair(
        name="path_script_given_a_table",
        check="no_silent_losses",
        first="run() raises for every mini-batch: FileNotFoundError: [Errno 2] No such file or directory: 'sale'\n"
        "run() got a DataFrame (rows 1-6 of shop_1.csv, with the columns sale, price, pieces), and expects a list of "
        "paths: with that it succeeds.",
        advice="--parallelrun-set=input_type=uri_folder",
        options={"--parallelrun-set": "input_type=uri_folder"},
    ),
    Repair(
        name="lacks_its_neighbour",
        check="entry_imports",
        first="A worker cannot import the entry script: ModuleNotFoundError: No module named 'cleaning'",
        advice="Copy it there: nothing else is uploaded with the script.",
        edits={"copy": "common/cleaning.py"},
    ),
    Repair(
        name="misspelt_submodule",
        check="entry_imports",
        first="A worker cannot import the entry script: ModuleNotFoundError: No module named 'email.util'",
        advice="'email', which is installed, has no module 'util'. Did you mean utils?",
        edits={"from email.util import": "from email.utils import"},
    ),
    Repair(
        name="opens_model_by_its_name",
        check="init_runs_in_every_worker",
        first="init() fails: FileNotFoundError: [Errno 2] No such file or directory: 'words.json'",
        advice='Use os.path.join(os.path.dirname(__file__), "words.json")',
        edits={'open("words.json"': 'open(os.path.join(os.path.dirname(__file__), "words.json")'},
    ),
    Repair(
        name="changes_working_folder",
        check="independent_of_history",
        first="run() depends on earlier mini-batches",
        advice="leave the working folder alone: use absolute paths",
        edits={
            '        if not os.path.isdir("parts"):\n            os.mkdir("parts")\n            os.chdir("parts")\n': ""
        },
    ),
    Repair(
        name="exhausted_iterator",
        check="independent_of_history",
        first="run() depends on earlier mini-batches",
        advice="make a list of 'wanted' in init(), as in wanted = list(...)",
        edits={"(word for word in (": "list((", '"birds"))': '"birds"))'},
    ),
    Repair(
        name="pops_its_configuration",
        check="independent_of_history",
        first="run() depends on earlier mini-batches",
        advice="read 'configuration' without changing it, as in configuration[key]",
        edits={'configuration.pop("longest")': 'configuration["longest"]'},
    ),
    Repair(
        name="drops_the_last_chunk",
        check="returns_one_result_per_item",
        first="run() returned fewer results than it got items",
        advice="Work on what is left after the loop too.",
        edits={"    # The flaw: what is left": "    rows.extend(score(chunk))\n    # The flaw: what is left"},
    ),
    Repair(
        name="returns_an_arrow_table",
        check="returns_valid_type",
        first="run() returned pyarrow.lib.Table.",
        advice="return result.to_pylist()",
        edits={"    return table": "    return table.to_pylist()"},
        needs="pyarrow",
    ),
    Repair(
        name="waits_for_an_answer",
        check="handles_generated_mini_batches",
        first="run() hangs for a malformed mini-batch generated from the sample: run() was interrupted after",
        advice="find the loop or the wait that does not end for such an item, and give it a limit",
        edits={"        with ours, theirs:": "        ours.settimeout(0.1)\n        with ours, theirs:"},
    ),
    Repair(
        name="says_unknown_without_model",
        check="reports_failures",
        first="init() swallows the error and run() continues when 'weights.json', which lies with the code, is missing",
        advice="let init() raise",
        edits={"        logging.warning(": "        raise\n        logging.warning("},
    ),
    Repair(
        name="scores_zero_without_model",
        check="reports_failures",
        first="init() hides that the model cannot be loaded: KeyError: 'AZUREML_MODEL_DIR', which is caught. All rows "
        "have the same result, as in {'id': 'K-101', 'risk': 0.0}.\nwhere: init()",
        advice="let init() raise, so that the job stops with the cause in its log. Then correct what the error names.\n"
        "The service sets AZUREML_MODEL_DIR in batch deployments only; here --parallelrun-model=PATH sets it.",
        edits={"        logging.warning(": "        raise\n        logging.warning("},
        options={"--parallelrun-model": "model"},
    ),
    Repair(
        name="broken_orders_as_zero",
        check="reports_failures",
        outcome="advice",
        first="run() hides that order_1.json cannot be read (its JSON is cut short): it comes back as a result",
        advice="let the exception propagate",
        edits={"        return 0.0": "        raise"},
    ),
    Repair(
        name="writes_beside_its_input",
        check="leaves_input_unchanged",
        first="The script writes files beside its input, and deletes them again: letter_1.lower",
        advice="temporary files to tempfile.TemporaryDirectory()",
        edits={
            "import os\n": "import os\nimport tempfile\n",
            'copy = path.with_suffix(".lower")': "copy = Path(tempfile.mkdtemp(), path.name)",
        },
    ),
    Repair(
        name="appends_whole_masks",
        check="output_round_trips",
        first="The appended file does not hold the data: an array is abbreviated in each of 4 rows, as in",
        advice="write each array to a file of its own below os.environ['AZUREML_BI_OUTPUT_PATH'], and return its name",
        edits={
            "import json\n": "import json\nimport os\n",
            '        results.append(f"{path.name}: {mask}".replace("\\n", " "))': '        name = f"{path.stem}.npy"\n'
            "        np.save(Path(os.environ['AZUREML_BI_OUTPUT_PATH'], name), mask)\n        results.append(name)",
        },
    ),
    Repair(
        name="side_files_under_random_names",
        check="retry_is_harmless",
        outcome="advice",
        first="A mini-batch that is delivered again leaves its files twice, under random names: 'part-",
        advice="name a file after its item or mini-batch, so that a second delivery replaces it",
        edits={"{uuid.uuid4()}": "{Path(mini_batch[0]).stem}"},
    ),
    Repair(
        name="unpacks_into_one_folder",
        check="independent_of_order",
        first="Results depend on the order of mini-batches: when mini-batch 0 comes first, run() returns 2 rows",
        advice="Give the temporary files of each item a new folder: with tempfile.TemporaryDirectory() as folder",
        edits={
            "        with zipfile.ZipFile(path) as archive:\n            archive.extractall(FOLDER)\n"
            "        lines = 0\n        for log in glob.glob(os.path.join(FOLDER, ": "        lines = 0\n"
            "        with tempfile.TemporaryDirectory() as folder:\n"
            "          with zipfile.ZipFile(path) as archive:\n            archive.extractall(folder)\n"
            "          for log in glob.glob(os.path.join(folder, ",
        },
    ),
    Repair(
        name="reads_as_latin_1",
        check="reports_failures",
        first="Text is read in the wrong encoding: rows hold",
        advice='name the encoding that the file has, as in open(path, encoding="utf-8")',
        edits={'encoding="latin-1"': 'encoding="utf-8"'},
    ),
    Repair(
        name="one_bad_file_fails_all",
        check="one_bad_item_costs_one_item",
        outcome="advice",
        first="One bad item fails the job: ",
        advice="or choose error_threshold=3 or more",
        options={"--parallelrun-set": "error_threshold=3"},
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("repair", REPAIRS, ids=lambda repair: f"{repair.name}-{repair.advice[:12]}")
def test_a_script_repaired_as_the_finding_says_passes(
    repair: Repair, pytester: pytest.Pytester, run_pytest: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(repair.needs)
    if repair.check == "handles_generated_mini_batches":
        monkeypatch.setattr(examples, "_edge_cases", all_edge_cases)
    shutil.copytree(FLAWED / repair.name, pytester.path, dirs_exist_ok=True)
    expected = json.loads((pytester.path / "expected.json").read_text(encoding="utf-8"))
    options = [option.replace(f"example_scripts/flawed/{repair.name}/", "") for option in expected["options"]]
    before = _gate(pytester.path, run_pytest, options, "-k", repair.check)
    assert before[repair.check]["outcome"] == repair.outcome
    assert before[repair.check]["message"].startswith(repair.first)
    assert repair.advice in before[repair.check]["message"]
    script = pytester.path / options[0].partition("=")[2]
    for old, new in repair.edits.items():
        if old == "copy":
            shutil.copy(pytester.path / new, script.parent)
            continue
        text = script.read_text(encoding="utf-8")
        assert old in text
        script.write_text(text.replace(old, new), encoding="utf-8")
    options = [option for option in options if option.partition("=")[0] not in repair.options]
    options += [f"{name}={value}" for name, value in repair.options.items()]
    after = _gate(pytester.path, run_pytest, options)
    assert {name for name, check in after.items() if check["outcome"] == "failed"} == set()
    assert after[repair.check]["outcome"] != repair.outcome
    assert after["no_silent_losses"]["outcome"] == after["returns_valid_type"]["outcome"] == "passed"


def _gate(folder: Path, run_pytest: Run, options: list[str], *more: str) -> dict[str, dict[str, str]]:
    run_pytest(*options, f"--hypothesis-profile={FEW}", "--parallelrun-report=gate.json", *more)
    (entry,) = read_valid(folder / "gate.json")["entries"]
    return {check["name"]: check for check in entry["checks"]}
