"""Completes orders with the names of products, out of a database that is opened once, read-only."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pandas as pd


def init() -> None:
    global products
    file = Path(os.environ["AZUREML_MODEL_DIR"], "model", "products.db")
    # mode=ro: a missing file is an error, and several workers may read at the same time.
    products = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro&immutable=1", uri=True)


def product(number: object) -> str | None:
    row = products.execute("SELECT name FROM products WHERE number = ?", (str(number),)).fetchone()
    return row[0] if row else None


def run(mini_batch: pd.DataFrame) -> pd.DataFrame:
    return mini_batch[["order", "number"]].assign(product=[product(number) for number in mini_batch["number"]])


def shutdown() -> None:
    products.close()
