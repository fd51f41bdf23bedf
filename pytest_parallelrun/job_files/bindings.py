"""Data binding: `${{inputs.x}}` and similar, and `$[[...]]` around optional inputs.

Source: guide to parallel jobs in pipelines; core syntax of the YAML reference of the CLI (v2).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MAX_SHOWN_LENGTH = 80
BINDING = re.compile(r"\$\{\{([^{}]*)\}\}")
# Stops where the next one starts, so that a text with many open ones is scanned once.
_OPTIONAL = re.compile(r"\$\[\[((?:(?!\$\[\[|\]\]).)*)\]\]", re.DOTALL)
_PATH = re.compile(r"[\w-]+(?:\.[\w-]+)+")
_LEFT_OVER = re.compile(r"\$\[\[|\]\]|\$\{\{")


@dataclass(frozen=True)
class Binding:
    """One `${{...}}`: `source` is "inputs", "outputs", "parent.inputs", or the whole path of another job's output."""

    source: str
    name: str
    text: str


class BindingError(ValueError):
    """An invalid binding; the message is a sentence about it."""


def bindings_in(text: str) -> list[Binding]:
    """All bindings of a text, in order. BindingError for an invalid one."""
    bindings = [_read(match) for match in BINDING.finditer(text)]
    if _LEFT_OVER.search(BINDING.sub("", _OPTIONAL.sub(r"\1", text))):
        raise BindingError(
            f"{_brief(text)} has a bracket that is not closed: write ${{{{inputs.NAME}}}} or $[[--name VALUE]]"
        )
    return bindings


def whole_binding(text: str) -> Binding | None:
    """The binding that makes up the whole text, otherwise None. BindingError as above."""
    match = BINDING.fullmatch(text.strip())
    if match is None:
        bindings_in(text)
        return None
    return _read(match)


def _read(match: re.Match[str]) -> Binding:
    path = match[1].strip()
    parts = path.split(".") if _PATH.fullmatch(path) else []
    if len(parts) == 2 and parts[0] in ("inputs", "outputs"):
        return Binding(parts[0], parts[1], match[0])
    if len(parts) == 3 and parts[:2] in (["parent", "inputs"], ["parent", "outputs"]):
        return Binding(".".join(parts[:2]), parts[2], match[0])
    if len(parts) == 5 and parts[:2] == ["parent", "jobs"] and parts[3] in ("outputs", "inputs"):
        return Binding("parent.jobs", ".".join(parts[2:]), match[0])
    raise BindingError(
        f"{_brief(match[0])} leads nowhere: write ${{{{inputs.NAME}}}}, ${{{{outputs.NAME}}}}, "
        "${{parent.inputs.NAME}} or ${{parent.jobs.STEP.outputs.NAME}}"
    )


def without_missing_options(text: str, is_missing: Callable[[Binding], bool]) -> str:
    """The text without those `$[[...]]` that contain a binding to something missing; of the others, the brackets are
    removed.
    """

    def keep(match: re.Match[str]) -> str:
        return "" if any(is_missing(binding) for binding in bindings_in(match[1])) else match[1]

    return _OPTIONAL.sub(keep, text)


def outside_options(text: str) -> str:
    return _OPTIONAL.sub(" ", text)


def split_arguments(text: str, fill: Callable[[Binding], str]) -> Iterator[str]:
    """The arguments of a text, split like a POSIX shell; filled-in values are never split again.

    ValueError for a quote that is not closed.
    """
    compact = BINDING.sub(lambda match: _read(match).text.replace(" ", ""), text)
    for part in shlex.split(compact):
        yield BINDING.sub(lambda match: fill(_read(match)), part)


def _brief(text: str) -> str:
    return repr(text if len(text) <= MAX_SHOWN_LENGTH else f"{text[:MAX_SHOWN_LENGTH]} ...")
