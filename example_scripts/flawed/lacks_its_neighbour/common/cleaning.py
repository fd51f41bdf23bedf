"""Cleaning of texts that people typed."""

from __future__ import annotations


def clean(text: str) -> str:
    return " ".join(text.replace(",", ";").split())
