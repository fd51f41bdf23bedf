"""The cause of missing results is named, and a script that is repaired as the finding says passes."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pytest_parallelrun.contract.missing_results import _LAWS
from tests.conftest import Write
from tests.contract.conftest import Judge
from tests.contract.first_checks import by_the_first_checks

CHECK = "returns_one_result_per_item"
FILES = "import json, os\ndef held(path):\n    with open(path) as file:\n        return json.load(file)\n"
TABLE = "import pandas as pd\n"


@dataclass(frozen=True, kw_only=True)
class Flaw:
    """size: of mini-batches, in files or bytes. edits: what the finding says."""

    name: str
    script: str
    size: int = 5
    evidence: str = ""
    which: str = ""
    fix: str
    edits: dict[str, str] = field(default_factory=dict)


OWN_ROWS = "fix: Return in each call the rows of its own items: collect items and rows in lists that run() makes"
ALL_ROWS = "fix: Return one result for every item, an error row for one that could not be scored."
LIST_OF_MODULE, LIST_OF_CALL = "buffer = []\ndef run(batch):\n", "def run(batch):\n    buffer = []\n"
FLAWS = [
    Flaw(
        name="a buffer across calls",
        script=FILES + "buffer = []\ndef run(batch):\n    rows = []\n    for path in batch:\n"
        "        buffer.append(os.path.basename(path))\n        if len(buffer) == 3:\n"
        "            rows.extend(buffer); buffer.clear()\n    return rows\n",
        evidence="The result of p_4.json came with mini-batch 1 (p_6.json, p_7.json, p_8.json, p_9.json): run() keeps",
        which="5 - 3 = 2 missing. No result for: p_4.json, p_5.json.",
        fix=OWN_ROWS,
        edits={LIST_OF_MODULE: LIST_OF_CALL, "    return rows": "    rows.extend(buffer)\n    return rows"},
    ),
    Flaw(
        name="a buffer for shutdown()",
        script=FILES + "buffer = []\ndef run(batch):\n    rows = []\n    buffer.extend(map(os.path.basename, batch))\n"
        "    return rows\ndef shutdown():\n    print(buffer)\n",
        evidence="In a call, run() changes 'buffer', which gains 'p_1.json', 'p_2.json' and 3 more.",
        fix=OWN_ROWS,
        edits={
            LIST_OF_MODULE: LIST_OF_CALL,
            "    return rows": "    rows.extend(buffer)\n    return rows",
            "def shutdown():\n    print(buffer)\n": "",
        },
    ),
    Flaw(
        name="what was seen is left out",
        script=TABLE + "seen = set()\ndef run(batch):\n    rows = []\n    for row in batch.itertuples():\n"
        "        if row.id not in seen: rows.append(row.id)\n        seen.add(row.id)\n    return rows\n",
        size=50,
        evidence="results: run() depends on more than its items.\nIn a call, run() changes 'seen', which gains",
        fix="fix: start with an empty one in each call of run() in place of the global 'seen'",
        edits={"    rows = []": "    rows, seen = [], set()"},
    ),
    Flaw(
        name="results by an id in the files",
        script=FILES + "def run(batch):\n    rows = {}\n    for path in batch:\n        record = held(path)\n"
        "        rows[record['id']] = record['value']\n    return list(rows.items())\n",
        size=9,
        evidence="Items with the same value of 'id' share one result: p_2.json and p_7.json (K2) have one each",
        fix="fix: Give each item a result of its own where the value of 'id' repeats: append rows to a list",
        edits={
            "    rows = {}": "    rows = []",
            "rows[record['id']] = record['value']": "rows.append((record['id'], record['value']))",
            "list(rows.items())": "rows",
        },
    ),
    Flaw(
        name="groups of rows",
        script=TABLE + "def run(batch):\n    return batch.groupby('city', as_index=False)['income'].agg('sum')\n",
        size=1000,
        evidence="Items with the same city share one result: row 1 of t.csv and row 4 of t.csv (Bern) have one each",
        fix="and so do drop_duplicates() and groupby().",
        edits={
            "    return batch.groupby('city', as_index=False)['income'].agg('sum')": "    return batch.assign("
            "income=batch.groupby('city')['income'].transform('sum'))"
        },
    ),
    Flaw(
        name="equal results",
        script=TABLE + "def run(batch):\n    return list({'low' if x < 5 else 'high' for x in batch.income})\n",
        size=1000,
        evidence="Equal results are returned once: row ",
        fix="fix: Return a list with a result for each item, equal ones too, in place of set()",
        edits={"list({": "[", "batch.income})": "batch.income]"},
    ),
    Flaw(
        name="the last chunk",
        script=TABLE + "def run(batch):\n    rows = []\n    for first in range(len(batch) // 2):\n"
        "        rows += batch.income[first * 2 : first * 2 + 2].tolist()\n    return rows\n",
        size=1000,
        evidence="It returns 0, 2, 2, 4, 8 results for 1, 2, 3, 4, 9 items, whichever they are.",
        fix="fix: A loop that works in chunks of 2 leaves out the last one where it is not full.",
        edits={"len(batch) // 2": "-(-len(batch) // 2)"},
    ),
    Flaw(
        name="the last chunk is all that is left",
        script=FILES + "def run(batch):\n    return list(batch[: len(batch) // 4 * 4])\n",
        size=8,
        evidence="results for 1, 3, 4, 5, 7, 8, 9 items, whichever they are.",
        fix="fix: A loop that works in chunks of 4 leaves out the last one where it is not full.",
        edits={"batch[: len(batch) // 4 * 4]": "batch"},
    ),
    Flaw(
        name="it stops at an item",
        script=FILES + "def run(batch):\n    rows = []\n    for path in batch:\n"
        "        if held(path)['value'] == 3: break\n        rows.append(path)\n    return rows\n",
        evidence="p_3.json has no result alone either; the items after it have one without it: run() stops at it.",
        which="5 - 2 = 3 missing. No result for: p_3.json, p_4.json, p_5.json.",
        fix="fix: Go on with the next item there: `continue`, or better an error row, in place of `break`",
        edits={"== 3: break": "== 3: rows.append('ERROR'); continue"},
    ),
    Flaw(
        name="a return inside the loop",
        script=FILES + "def run(batch):\n    rows = []\n    for path in batch:\n        rows.append(path)\n"
        "        return rows\n",
        evidence="It returns 1, 1, 1, 1 results for 1, 2, 5, 9 items, whichever they are.",
        fix="fix: There is one result for the whole mini-batch: look for a `return` inside the loop",
        edits={"        return rows": "    return rows"},
    ),
    Flaw(
        name="an iterator is used up",
        script=TABLE + "def run(batch):\n    rows = (row for row in batch.income)\n    most = max(rows)\n"
        "    return [row / most for row in rows]\n",
        size=1000,
        evidence="'rows' (line 3) is an iterator, which line 4 uses up: line 5 gets nothing from it.",
        fix="fix: Make it a list: rows = list(...).",
        edits={"(row for row in batch.income)": "list(row for row in batch.income)"},
    ),
    Flaw(
        name="rows without a value",
        script=TABLE + "def run(batch):\n    return batch.dropna().reset_index(drop=True)\n",
        size=1000,
        which="9 - 8 = 1 missing. No result for: row 6 of t.csv. It alone has no note.",
        fix=ALL_ROWS,
        edits={"dropna()": "fillna('ERROR')"},
    ),
    Flaw(
        name="a join",
        script=TABLE + "KNOWN = pd.DataFrame({'city': ['Bern', 'Oslo']})\ndef run(batch):\n"
        "    return batch.merge(KNOWN, on='city', how='inner')\n",
        size=1000,
        which="9 - 6 = 3 missing. No result for: row 3 of t.csv, row 6 of t.csv, row 9 of t.csv. They alone have "
        "'Lima' as city.",
        fix=ALL_ROWS,
        edits={"how='inner'": "how='left'"},
    ),
]


@pytest.fixture
def judge(judge: Judge, write: Write) -> Judge:
    for number in range(1, 10):
        write(f"files/p_{number}.json", f'{{"id": "K{number if number != 7 else 2}", "value": {number}}}')
    cities = ("Bern", "Oslo", "Lima")
    rows = [f"C{n if n != 8 else 3},{cities[(n - 1) % 3]},{n},{'' if n == 6 else 'ok'}" for n in range(1, 10)]
    write("t.csv", "\n".join(["id,city,income,note", *rows]) + "\n")
    return by_the_first_checks(judge)


@pytest.mark.parametrize("flaw", FLAWS, ids=lambda flaw: flaw.name)
def test_the_cause_is_named_and_its_repair_passes(judge: Judge, flaw: Flaw) -> None:
    input = "files" if flaw.script.startswith(FILES) else "t.csv"
    size = f"--parallelrun-set=mini_batch_size={flaw.size}"
    message = judge(flaw.script, size, input=input).messages[CHECK]
    for part in (flaw.evidence, flaw.which, flaw.fix):
        assert part in message
    repaired = flaw.script
    for old, new in flaw.edits.items():
        assert old in repaired
        repaired = repaired.replace(old, new)
    assert judge(repaired, size, input=input).failed == set()


@pytest.mark.parametrize(
    ("script", "size"),
    [
        ("import os\ndef run(batch):\n    return [os.path.basename(p) for p in batch if int(p[-6]) % 2]\n", 9),
        ("import os\ndef run(batch):\n    return [p for p in batch if int(p[-6]) not in (4, 8)]\n", 4),
        ("import random\ndef run(batch):\n    return random.sample(batch, random.randint(0, len(batch) - 1))\n", 9),
    ],
    ids=["every other item", "each last item", "at random"],
)
def test_no_pattern_is_claimed_where_items_decide(judge: Judge, script: str, size: int) -> None:
    message = judge(script, f"--parallelrun-set=mini_batch_size={size}", input="files").messages[CHECK]
    assert "whichever they are" not in message
    assert "share one result" not in message
    assert ALL_ROWS in message


def test_laws_are_told_apart_by_the_sizes_that_are_tried() -> None:
    for most in (6, 9, 30):
        sizes = {*range(1, 9), most - 1, most}
        for law in _LAWS:
            for number in (one for one in range(1, most) if law.is_shown_by(one, most)):
                tried = {size for size in {*sizes, number - 1, number, number + 1, 2 * number} if 0 < size <= most}
                counts = {size: law.results(size, number) for size in tried}
                fits = [
                    (one, n)
                    for one in _LAWS
                    for n in range(1, most)
                    if one.is_shown_by(n, most) and one.fits(n, counts)
                ]
                assert fits == [(law, number)]
