from __future__ import annotations

import pytest

from pytest_parallelrun.contract.checks import rows_name_their_item
from tests.conftest import Write
from tests.contract.conftest import Judge

NAME = "rows_name_their_item"
APPEND = "--parallelrun-set=output_action=append_row"
HEAD = "import json, os\nimport pandas as pd\nfrom pathlib import Path\ndef run(mini_batch):\n"


def judged(judge: Judge, script: str, *arguments: str, input: str = "data") -> tuple[str, str]:
    found = judge(HEAD + script, APPEND, *arguments, "-k", NAME, input=input)
    return found.outcomes[NAME], found.messages[NAME]


@pytest.mark.parametrize(
    "value",
    [
        "[len(open(path).read()) for path in mini_batch]",
        "['positive' for path in mini_batch]",
        "[f'item {n}: ok' for n, path in enumerate(mini_batch)]",
        "pd.DataFrame({'score': [0.5 for path in mini_batch]})",
        "[json.dumps({'score': len(path)}) for path in mini_batch]",
        "pd.DataFrame({'score': 0.5}, index=mini_batch)",
    ],
)
def test_rows_without_their_file_are_advice(judge: Judge, value: str) -> None:
    outcome, message = judged(judge, f"    return {value}\n")
    assert outcome == "advice"
    assert "In the appended output rows do not identify their item: " in message
    assert "of mini-batch 0 (item_1.txt)" in message
    assert "os.path.basename(path)" in message
    assert "order as well" not in message


SHUFFLED = {
    "random.shuffle": "    out = [ROW for path in mini_batch]\n    __import__('random').shuffle(out)\n    return out\n",
    "sample": "    return pd.DataFrame({'row': [ROW for path in mini_batch]}).sample(frac=1)\n",
    "set": "    return list({ROW for path in mini_batch})\n",
    "threads": "    from concurrent import futures\n    def score(path):\n"
    "        __import__('time').sleep(0.02 * ('_1' in path))\n        return ROW\n"
    "    with futures.ThreadPoolExecutor() as pool:\n"
    "        return [f.result() for f in futures.as_completed([pool.submit(score, p) for p in mini_batch])]\n",
}


@pytest.mark.parametrize("script", SHUFFLED.values(), ids=SHUFFLED)
def test_shuffled_rows_without_their_file_are_named_as_such(judge: Judge, write: Write, script: str) -> None:
    for number in range(1, 7):
        write(f"texts/item_{number}.txt", "x" * (100 - 7 * number))
    options = ("--parallelrun-set=mini_batch_size=6", "--parallelrun-set=clock=real")
    outcome, message = judged(judge, script.replace("ROW", "len(open(path).read()) / 8"), *options, input="texts")
    assert outcome == "advice"
    assert "run() changes their order as well, so their position does not identify it either: " in message
    assert "os.path.basename(path), before anything changes their order. At the least keep the order" in message
    named = script.replace("ROW", "(os.path.basename(path), len(open(path).read()) / 8)")
    assert judged(judge, named, *options, input="texts")[0] == "passed"


@pytest.mark.parametrize(
    "value",
    [
        "list(mini_batch)",
        "[os.path.basename(path) for path in mini_batch]",
        "[f'{Path(path).stem}: 1' for path in mini_batch]",
        "[{'file': Path(path), 'score': 1} for path in mini_batch]",
        "[(1, os.path.basename(path)) for path in mini_batch]",
        "[json.dumps({'file': path}) for path in mini_batch]",
        "pd.DataFrame({'file': mini_batch})",
        "[(Path(path).name, n) for path in mini_batch for n in range(3)]",
    ],
)
def test_rows_with_the_name_of_their_file_pass(judge: Judge, value: str) -> None:
    assert judged(judge, f"    return {value}\n")[0] == "passed"


def test_one_row_without_a_name_is_enough(judge: Judge) -> None:
    outcome, message = judged(judge, "    return ['failed' if '_2' in path else path for path in mini_batch]\n")
    assert outcome == "advice"
    assert "'failed', of mini-batch 1 (item_2.txt)" in message


def test_a_name_that_two_files_have_does_not_tell_them_apart(judge: Judge, write: Write) -> None:
    for month in ("january", "february"):
        write(f"months/{month}/data.csv", "x")
    outcome, message = judged(judge, "    return [Path(p).name for p in mini_batch]\n", input="months")
    assert outcome == "advice"
    assert (
        'fix: 2 files are named data.csv: add the folder to each row too, such as "/".join(Path(path).parts[-2:])'
        in (message)
    )
    assert (
        judged(judge, "    return ['/'.join(Path(p).parts[-2:]) for p in mini_batch]\n", input="months")[0] == "passed"
    )
    assert judged(judge, "    return [Path(p).parent.name + Path(p).name for p in mini_batch]\n", input="months")[
        0
    ] == ("passed")


def test_an_id_that_the_file_holds_names_it(judge: Judge, write: Write) -> None:
    for number in (1, 2):
        write(f"invoices/{number}.json", f'{{"id": "INV-{number:04}", "amount": 12.5, "year": 2024}}')
    by_id = "    return [json.load(open(p))['id'] + ' is fine' for p in mini_batch]\n"
    by_year = "    return [json.load(open(p))['year'] for p in mini_batch]\n"
    assert judged(judge, by_id, input="invoices")[0] == "passed"
    assert judged(judge, by_year, input="invoices")[0] == "advice"


def test_a_name_without_all_of_its_extensions_is_enough(judge: Judge, write: Write) -> None:
    for number in (1, 2):
        write(f"scans/scan_{number}.nii.gz", "x")
    assert judged(judge, "    return [Path(p).name.split('.')[0] for p in mini_batch]\n", input="scans")[0] == "passed"


def test_a_row_that_names_an_item_of_another_mini_batch_is_left_to_other_checks(judge: Judge) -> None:
    script = "    rows.extend(mini_batch)\n    return list(rows)\nrows = []\n"
    assert judged(judge, script)[0] == "passed"


def test_names_that_are_no_ascii_are_found(judge: Judge, write: Write) -> None:
    write("names/Größe 'a'.txt", "x")
    for value in ("json.dumps({'file': p})", "{'file': p}", "p"):
        assert judged(judge, f"    return [{value} for p in mini_batch]\n", input="names")[0] == "passed"


TABLE = "id,name,size\n11,ab,1.5\n12,cd,2.5\n13,ef,1.5\n14,gh,4.5\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("mini_batch.assign(score=1)", "passed"),
        ("mini_batch[['id']]", "passed"),
        ("mini_batch[['name']][::-1]", "passed"),
        ("[f'{id}: good' for id in mini_batch.id]", "passed"),
        ("[f'the good {name} it is' for name in mini_batch.name]", "passed"),
        ("[{'key': str(id)} for id in mini_batch.id]", "passed"),
        ("mini_batch[['size']]", "advice"),
        ("(mini_batch['size'] * 2).tolist()", "advice"),
        ("mini_batch[['size']].rank()", "advice"),
        ("['good' for id in mini_batch.id]", "advice"),
    ],
)
def test_rows_of_a_table(judge: Judge, write: Write, value: str, expected: str) -> None:
    write("table.csv", TABLE)
    outcome, message = judged(judge, f"    return {value}\n", input="table.csv")
    assert outcome == expected
    if expected == "advice":
        assert "keep the column 'id' of the input in the output" in message


def test_a_table_without_a_key_cannot_be_judged(judge: Judge, write: Write) -> None:
    write("table.csv", "kind,size\na,1.5\na,2.5\nb,3.5\n")
    outcome, message = judged(judge, "    return (mini_batch['size'] * 2).tolist()\n", input="table.csv")
    assert outcome == "skipped"
    assert "no column of the sample identifies its rows" in message


def test_a_script_that_writes_its_own_files_is_not_asked(judge: Judge) -> None:
    script = "    for p in mini_batch: open(Path(p).name, 'w').write('x')\n    return [1 for p in mini_batch]\n"
    summary = "--parallelrun-set=output_action=summary_only"
    assert judged(judge, script, summary)[0] == "passed"
    # Nor where nothing is to be appended on purpose.
    alike = "    return [1 for p in mini_batch]\n"
    assert judged(judge, alike, summary)[0] == "passed"
    outcome, message = judged(judge, alike)
    assert outcome == "advice"
    assert "In the appended output rows do not identify" in message


@pytest.mark.parametrize("body", ["return []", "raise ValueError"])
def test_without_rows_it_cannot_be_decided(judge: Judge, body: str) -> None:
    assert judged(judge, f"    {body}\n", "--parallelrun-set=error_threshold=-1")[0] == "skipped"


def test_items_that_run_deletes_are_looked_up_all_the_same(judge: Judge) -> None:
    body = "    import os\n    for p in mini_batch: os.remove(p)\n    return [{} for p in mini_batch]\n"
    assert judged(judge, body.format("Path(p).name"))[0] == "passed"
    assert judged(judge, body.format("1"))[0] == "advice"


def test_a_large_mini_batch_is_not_searched_for_rows_in_another_order(
    judge: Judge, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_name_their_item, "MAX_SEARCHED_ROWS", 3)
    write("table.csv", TABLE)
    outcome, message = judged(judge, "    return (mini_batch['size'] * 2).tolist()\n", input="table.csv")
    assert outcome == "skipped"
    assert "mini-batches of more than 3 rows are not searched" in message
    assert judged(judge, "    return mini_batch\n", input="table.csv")[0] == "passed"
