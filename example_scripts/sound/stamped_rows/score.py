"""Rates the password policies of accounts; each row has an id of its own, and says when and by whom it was made."""

from __future__ import annotations

import datetime
import json
import uuid
from pathlib import Path

from azureml_user.parallel_run import EntryScript


def rating(policy: dict[str, object]) -> int:
    return sum([int(str(policy["length"])) >= 12, bool(policy["symbols"]), bool(policy["second_factor"])])


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        row: dict[str, object] = {
            "id": str(uuid.uuid4()),
            "scored_at": datetime.datetime.now(datetime.timezone.utc).isoformat(),
            "scored_by": EntryScript().agent_name,
            "file": path.name,
        }
        try:
            row["rating"] = rating(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, LookupError, TypeError) as error:
            row["error"] = repr(error)
        results.append(json.dumps(row))
    return results
