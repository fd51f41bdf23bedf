"""Masks what looks like a secret in whatever is printed or written: people paste CI logs."""

from __future__ import annotations

import re

MASK = "***"

_NAME = re.compile(r"key|secret|token|passw|credential|connection.?string|\bpat\b|\bsas\b", re.IGNORECASE)
_SIGNATURE = re.compile(r"((?:^|[?&;\s])(?:sig|AccountKey|SharedAccessKey)=)[^&;\s\"']+", re.IGNORECASE)
_OPTION = re.compile(r"(--?[\w.-]+)([=\s]+)(\S+)")


def masked(name: str, value: str) -> str:
    """The value, or the mask where the name or the value itself looks like a secret."""
    return MASK if _NAME.search(name) else _SIGNATURE.sub(rf"\1{MASK}", value)


def masked_text(text: str) -> str:
    """A line of arguments with the values of secret-looking options masked."""

    def mask(match: re.Match[str]) -> str:
        option, space, value = match.groups()
        return f"{option}{space}{value if value.startswith('--') else masked(option, value)}"

    return _SIGNATURE.sub(rf"\1{MASK}", _OPTION.sub(mask, text))
