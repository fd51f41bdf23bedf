"""YAML that somebody else wrote, read in bounded time and memory: a file of a few lines can stand for gigabytes.

Nodes are composed first, with limits on their number and depth. `read_guarded` makes values of them where these are
few as well: each alias counts with all that it stands for. Everything that reads YAML of users goes through here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.errors import InputError

if TYPE_CHECKING:
    import yaml

MAX_FILE_BYTES = 512 * 1024
"""Bytes; PyYAML takes about a second for it. Job definitions have a few kilobytes."""
MAX_NODES = 20_000
MAX_DEPTH = 60
MAX_DIGITS = 1_000
"""Characters of a number; of numbers to the base 60 (1:30:00), PyYAML takes minutes for a long one."""

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def compose(text: str) -> list[yaml.Node]:
    """The documents of a text, aliases shared. yaml.YAMLError where it is none, or too deep or too large."""
    import yaml

    class Loader(yaml.SafeLoader):
        nodes = 0
        depth = 0

        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            self.nodes += 1
            if self.nodes > MAX_NODES:
                raise yaml.composer.ComposerError(None, None, f"there are more than {MAX_NODES} values", mark)
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise yaml.composer.ComposerError(None, None, f"it is nested more than {MAX_DEPTH} levels deep", mark)
            try:
                node: yaml.Node | None = super().compose_node(parent, index)
            finally:
                self.depth -= 1
            if node is not None and node.tag in _NUMBERS and len(node.value) > MAX_DIGITS:
                raise yaml.composer.ComposerError(None, None, f"a number has more than {MAX_DIGITS} digits", mark)
            return node

    loader = Loader(text)
    try:
        roots: list[yaml.Node] = []
        while loader.check_node():
            node = loader.get_node()
            if node is not None and len(roots) < 2:
                roots.append(node)
        # What stands between two '---' may be nothing.
        return [node for node in roots if not (isinstance(node, yaml.ScalarNode) and not node.value and len(roots) > 1)]
    finally:
        loader.dispose()


def read_guarded(path: Path, named: str) -> object:
    """The values of the one document in a file; None where it is empty. InputError, which begins with `named`."""
    import yaml

    problem = "cannot be read: "
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{named} {problem}it has {path.stat().st_size:,} bytes. Allowed: {MAX_FILE_BYTES:,}.")
        roots = compose(path.read_text(encoding="utf-8-sig"))
        if not roots:
            return None
        if len(roots) > 1:
            raise InputError(f"{named} {problem}it has more than one document.")
        if _expanded(roots[0], {}) > MAX_NODES:
            raise InputError(f"{named} {problem}its aliases (*name) stand for more than {MAX_NODES} values.")
        constructor = yaml.SafeLoader("")
        value: object = constructor.construct_document(roots[0])
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = getattr(error, "problem", None) or " ".join(str(error).split())
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" in line {mark.line + 1}"
        raise InputError(f"{named} {problem}{reason}{where}.") from error
    return value


def _expanded(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for; of one that contains itself, more than any limit."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MAX_NODES + 1
    children = node.value if isinstance(node.value, list) else []
    flat = [child for entry in children for child in (entry if isinstance(entry, tuple) else (entry,))]
    known[id(node)] = 1 + sum(_expanded(child, known) for child in flat)
    return known[id(node)]
