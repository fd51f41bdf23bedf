"""Checks bank account numbers (IBAN) in payment orders, with the logger and the folders of EntryScript."""

from __future__ import annotations

import re
from pathlib import Path

from azureml_user.parallel_run import EntryScript

IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")


def init() -> None:
    logger = EntryScript().logger
    logger.info("%s starts in %s", EntryScript().agent_name, EntryScript().working_dir)


def valid(iban: str) -> bool:
    plain = iban.replace(" ", "")
    digits = "".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])
    return int(digits) % 97 == 1


def run(mini_batch: list[str]) -> list[str]:
    logger = EntryScript().logger
    results = []
    for path in map(Path, mini_batch):
        try:
            found = IBAN.search(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            # The job is submitted with error_threshold=0: a missing result is a failed item.
            logger.error("%s has no result: %s", path, error)
            continue
        verdict = "no number" if found is None else "valid" if valid(found.group()) else "wrong check digits"
        results.append(f"{path.name}: {verdict}")
    logger.info("%d of %d done", len(results), len(mini_batch))
    return results


def shutdown() -> None:
    EntryScript().logger.info("%s ends", EntryScript().agent_name)
