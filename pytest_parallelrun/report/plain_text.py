"""Texts that a script or a file name may have made, as they can be shown without harm."""

from __future__ import annotations

import re

# Control characters, which a terminal obeys; surrogates, which no encoding has; marks that turn the direction of
# writing, with which a name looks like another one.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""The text with what cannot be seen written out, such as `\x1b`; line breaks and tabs stay."""
    return _UNSEEN.sub(lambda match: match.group().encode("unicode-escape").decode("ascii"), text.replace("\r\n", "\n"))


def in_one_line(text: str) -> str:
    """The same without line breaks, for a cell or a heading."""
    return " ".join(visible(text).split())


def first_line(text: str) -> str:
    """What a finding says first."""
    return text.partition("\n")[0]


def count_of(number: int, noun: str) -> str:
    """Such as "1 check" or "23 checks"."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"
