"""Total of each order, as CSV or as JSON.

Flawed on purpose: argparse accepts the beginning of an option for the whole. The runtime has an `--output` of its own
in sys.argv, which becomes this script's `--output_format`: the rows come out in a format that nobody chose.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def init() -> None:
    global arguments
    # The flaw: without allow_abbrev=False, "--output /mnt/..." means "--output_format /mnt/...".
    parser = argparse.ArgumentParser()
    parser.add_argument("--output_format", default="json", help="json or csv")
    parser.add_argument("--vat", type=float, default=0.19)
    arguments, _ = parser.parse_known_args()


def row(path: Path) -> dict[str, object]:
    try:
        order = json.loads(path.read_text(encoding="utf-8"))
        net = sum(line["quantity"] * line["price"] for line in order["lines"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        return {"file": path.name, "error": repr(error)}
    return {"file": path.name, "total": round(net * (1 + arguments.vat), 2)}


def run(mini_batch: list[str]) -> list[str]:
    rows = [row(Path(path)) for path in mini_batch]
    if arguments.output_format == "json":
        return [json.dumps(each) for each in rows]
    return [";".join(map(str, each.values())) for each in rows]
