"""Results of operators and functions on literals, in bounded time and memory."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

Value: TypeAlias = str | int | float

MAX_NUMBER = 10**15
MAX_POWER = 60
MAX_TEXT = 10_000
_PERCENT = re.compile(r"(?:[^%]|%[sd%])*")
_BRACES = re.compile(r"(?:[^{}]|\{\w*\})*")
"""Formats without widths, with which a few letters could produce gigabytes."""

_NUMBERS: dict[type[ast.operator], Callable[[float, float], object]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: lambda left, right: left / right,
    ast.FloorDiv: lambda left, right: left // right,
    ast.Mod: lambda left, right: left % right,
    ast.Pow: lambda left, right: left**right,
}
_CONVERSIONS: dict[str, type[Value]] = {"str": str, "int": int, "float": float}


def computed(operator: ast.operator, left: object, right: object) -> Value | None:
    """`left + right` and similar for numbers, `+` and `%` for strings; otherwise None."""
    if isinstance(left, str):
        if isinstance(operator, ast.Add) and isinstance(right, str):
            return _short(left + right)
        return formatted(left, [right]) if isinstance(operator, ast.Mod) else None
    if not isinstance(left, (int, float)) or not isinstance(right, (int, float)) or type(operator) not in _NUMBERS:
        return None
    if max(abs(left), abs(right)) > MAX_NUMBER or (isinstance(operator, ast.Pow) and abs(right) > MAX_POWER):
        return None
    try:
        made = _NUMBERS[type(operator)](left, right)
    except (ArithmeticError, ValueError):
        return None
    return made if isinstance(made, (int, float)) else None


def formatted(text: str, values: Sequence[object]) -> str | None:
    """`text % values`, only for plain formats."""
    if not _PERCENT.fullmatch(text) or not all(isinstance(value, (str, int, float)) for value in values):
        return None
    try:
        return _short(text % tuple(values))
    except (TypeError, ValueError):
        return None


def filled(text: str, values: Sequence[object], named: Mapping[str, object]) -> str | None:
    """`text.format(*values, **named)`, only for plain formats."""
    if not _BRACES.fullmatch(text) or not all(isinstance(one, (str, int, float)) for one in (*values, *named.values())):
        return None
    try:
        return _short(text.format(*values, **named))
    except (IndexError, KeyError, ValueError):
        return None


def converted(function: str, value: object) -> Value | None:
    """`str(value)`, `int(value)` or `float(value)`; None for any other function, or where it would fail."""
    if function not in _CONVERSIONS or not isinstance(value, (str, int, float)):
        return None
    try:
        return _CONVERSIONS[function](value)
    except (ValueError, OverflowError):
        return None


def _short(text: str) -> str | None:
    return text if len(text) <= MAX_TEXT else None
