"""Invoices, and what is usual for their suppliers."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Invoice:
    supplier: str
    currency: str
    amount: float

    @classmethod
    def read(cls, path: Path) -> Invoice:
        """ValueError, KeyError or TypeError where the file is not an invoice."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        amount = float(fields["amount"])
        if not math.isfinite(amount):
            raise ValueError(f"amount {amount} is not a sum of money")
        return cls(fields["supplier"], fields["currency"], amount)


@dataclass(frozen=True)
class Baseline:
    """What is usual for each supplier, in euros, and how much of each currency makes one euro."""

    suppliers: dict[str, dict[str, float]]
    per_euro: dict[str, float]

    @classmethod
    def load(cls, path: Path) -> Baseline:
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def convert(self, invoice: Invoice, currency: str) -> float:
        return invoice.amount / self.per_euro[invoice.currency] * self.per_euro[currency]

    def deviation(self, invoice: Invoice) -> float:
        """Standard deviations of the amount from the supplier's mean; KeyError for an unknown supplier."""
        usual = self.suppliers[invoice.supplier]
        return (self.convert(invoice, "EUR") - usual["mean"]) / usual["standard_deviation"]
