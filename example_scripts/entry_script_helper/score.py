"""Finds invoices with an unusual amount: one JSON invoice in, one line of JSON out.

The details of what was found go to a file of their own for each mini-batch, beside the appended output.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from azureml.core import Model
from azureml_user.parallel_run import EntryScript
from invoices import Baseline, Invoice


def init() -> None:
    global arguments, baseline, details, checked
    arguments = parse_arguments()
    # A job with program arguments is a pipeline step: no AZUREML_MODEL_DIR, the model is asked for by name.
    baseline = Baseline.load(Path(Model.get_model_path("invoice-baseline")) / "baseline.json")
    if arguments.currency not in baseline.per_euro:
        raise ValueError(f"--currency {arguments.currency}: the model knows {', '.join(baseline.per_euro)}")
    # Every worker does this at about the same time, hence exist_ok.
    details = Path(EntryScript().output_dir) / "anomalies"
    details.mkdir(parents=True, exist_ok=True)
    checked = 0


def parse_arguments() -> argparse.Namespace:
    """The script's own arguments; those of the runtime stand beside them in sys.argv."""
    # Without allow_abbrev=False an argument of the runtime could be taken for the beginning of one of these.
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--currency", default="EUR", help="of the amounts in the output")
    parser.add_argument("--threshold", type=float, default=3.0, help="standard deviations from the mean")
    known, _ = parser.parse_known_args()
    return known


def run(mini_batch: list[str], context) -> list[str]:
    global checked
    results, anomalies = [], []
    for path in map(Path, mini_batch):
        try:
            invoice = Invoice.read(path)
            deviation = baseline.deviation(invoice)
        except (OSError, ValueError, LookupError, TypeError):
            # Left out, so that it counts as one failed item: the job is submitted with error_threshold=0.
            EntryScript().logger.exception("%s cannot be checked and has no result", path)
            continue
        row = {
            "file": path.name,
            "amount": round(baseline.convert(invoice, arguments.currency), 2),
            "currency": arguments.currency,
            "anomaly": abs(deviation) > arguments.threshold,
        }
        results.append(json.dumps(row, ensure_ascii=False))
        if row["anomaly"]:
            anomalies.append({**row, "supplier": invoice.supplier, "deviations": round(deviation, 1)})

    # Named after the mini-batch: no other worker writes this file, and a retry replaces it with the same.
    detail = details / f"mini_batch_{context.minibatch_index:06}.json"
    detail.write_text(json.dumps(anomalies, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    checked += len(results)
    return results


def shutdown() -> None:
    EntryScript().logger.info("%s checked %d invoices", EntryScript().agent_name, checked)
