"""What a title says, without case and punctuation."""

from __future__ import annotations

import re


def words(title: str) -> set[str]:
    return set(re.findall(r"[a-z]+", title.lower()))
