"""A YAML file -> a tree of nodes, in bounded time and memory.

Nodes are composed, not constructed: aliases stay shared, so that a short file cannot expand to gigabytes, and every
value keeps its line and column.
"""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.errors import special_file
from pytest_parallelrun.emulator.guarded_yaml import MAX_FILE_BYTES, MAX_NODES, compose
from pytest_parallelrun.job_files.tree import Listing, Node, Problems, Scalar, SourceLocation, Table

if TYPE_CHECKING:
    import yaml

_PLAIN = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_MERGE = "tag:yaml.org,2002:merge"
_VALUE = "tag:yaml.org,2002:value"


def read_text(file: Path, problems: Problems, limit: int = MAX_FILE_BYTES) -> str | None:
    """The text of a file; None, with a problem, if it is unreadable, too large, or not UTF-8."""
    location = SourceLocation(file)
    if kind := special_file(file):
        problems.add(location, f"this is {kind}, not a file")
        return None
    try:
        if is_too_large(file.stat().st_size, file, problems, limit):
            return None
        data = file.read_bytes()
    except OSError as error:
        problems.add(location, f"the file cannot be read: {error.strerror}")
        return None
    try:
        # PowerShell writes UTF-16 with a byte order mark (`pip freeze > requirements.txt`); pip and YAML accept it.
        return data.decode("utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - before.rfind(b"\n")
        problems.add(
            SourceLocation(file, line, column),
            f"byte 0x{data[error.start]:02x} is not UTF-8: save the file in that encoding",
        )
        return None


def is_too_large(size: int, file: Path, problems: Problems, limit: int = MAX_FILE_BYTES) -> bool:
    """Whether a file of this size is too large, which is a problem."""
    if size > limit:
        problems.add(
            SourceLocation(file),
            f"the file has {size:,} bytes, a job definition at most {limit:,}: keep the job alone in a file",
        )
    return size > limit


def read_yaml(file: Path, problems: Problems, *, noun: str = "a job definition") -> Table | None:
    """The mapping in a file; None, with a problem, if it is not YAML, or not one mapping.

    noun: the kind of file.
    """
    text = read_text(file, problems)
    return None if text is None else parse_yaml(text, file, problems, noun=noun)


def parse_yaml(text: str, file: Path, problems: Problems, *, noun: str = "a job definition") -> Table | None:
    """The same for a text that was already read."""
    import yaml

    try:
        roots = compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        location = SourceLocation(file) if mark is None else SourceLocation(file, mark.line + 1, mark.column + 1)
        problems.add(location, f"this is not valid YAML: {_problem(error)}")
        return None
    except yaml.YAMLError as error:
        problems.add(SourceLocation(file), f"this is not valid YAML: {' '.join(str(error).split())}")
        return None
    if len(roots) > 1:
        mark = roots[1].start_mark
        problems.add(
            SourceLocation(file, mark.line + 1, mark.column + 1),
            f"the file has {len(roots)} documents, separated by '---'; {noun} is one",
        )
        return None
    if not roots:
        problems.add(SourceLocation(file), f"the file is empty; {noun} is a mapping of keys")
        return None
    before = len(problems)
    root = _Tree(file, problems).node(roots[0])
    if len(problems) > before:
        return None
    if not isinstance(root, Table):
        content = "a list" if isinstance(root, Listing) else "a single value"
        problems.add(root.location, f"the file holds {content}; {noun} is a mapping of keys")
        return None
    return root


def _problem(error: yaml.MarkedYAMLError) -> str:
    problem = " ".join(part for part in (error.context, error.problem) if part)
    if "'\\t'" in problem:
        return f"{problem}; indent with spaces, not with tabs"
    return problem


class _Tree:
    """Turns nodes of PyYAML into those of this package, each once."""

    def __init__(self, file: Path, problems: Problems) -> None:
        import yaml

        self._yaml = yaml
        self._constructor = yaml.SafeLoader("")
        self._file = file
        self._problems = problems
        self._made: dict[int, Node] = {}
        self._open: set[int] = set()
        self._merged = 0

    def node(self, node: yaml.Node) -> Node:
        key = id(node)
        if key in self._made:
            return self._made[key]
        if key in self._open:
            self._problems.add(
                self._location(node), "this value contains itself, by an alias (*name) inside of its anchor"
            )
            return Scalar(self._location(node), None)
        self._open.add(key)
        try:
            made = self._make(node)
        finally:
            self._open.discard(key)
        self._made[key] = made
        return made

    def _make(self, node: yaml.Node) -> Node:
        if not isinstance(node, self._yaml.ScalarNode) and node.tag not in _PLAIN:
            return self._refuse_tag(node)
        if isinstance(node, self._yaml.MappingNode):
            return self._table(node)
        if isinstance(node, self._yaml.SequenceNode):
            return Listing(self._location(node), [self.node(item) for item in node.value])
        return self._scalar(node)

    def _scalar(self, node: yaml.Node) -> Scalar:
        location = self._location(node)
        try:
            value: object = self._constructor.construct_object(node)
        except self._yaml.constructor.ConstructorError:
            return self._refuse_tag(node)
        except ValueError as error:
            self._problems.add(location, f"this is not valid YAML: {error}")
            value = None
        return Scalar(location, value)

    def _refuse_tag(self, node: yaml.Node) -> Scalar:
        location = self._location(node)
        self._problems.add(location, f"the tag {node.tag} is not allowed: a job definition holds plain values")
        return Scalar(location, None)

    def _table(self, node: yaml.MappingNode) -> Table:
        entries: dict[str, Node] = {}
        keys: dict[str, SourceLocation] = {}
        below: list[Table] = []
        for key_node, value_node in node.value:
            location = self._location(key_node)
            if key_node.tag == _MERGE:
                below.extend(self._merged_tables(value_node))
                continue
            key = key_node.value if key_node.tag == _VALUE else self._key(key_node)
            if not isinstance(key, str):
                self._problems.add(location, "a key must be a text: put it in quotes")
                continue
            if key in entries:
                self._problems.add(location, f"the key '{key}' is there already, in line {keys[key].line}: remove one")
                continue
            entries[key] = self.node(value_node)
            keys[key] = location
        for table in below:
            self._merged += len(table.entries)
            if self._merged > MAX_NODES:
                self._problems.add(self._location(node), f"merged mappings (<<) have more than {MAX_NODES} values")
                break
            for name, value in table.entries.items():
                entries.setdefault(name, value)
                keys.setdefault(name, table.keys[name])
        return Table(self._location(node), entries, keys)

    def _merged_tables(self, node: yaml.Node) -> list[Table]:
        merged = self.node(node)
        tables = list(merged.items) if isinstance(merged, Listing) else [merged]
        if not all(isinstance(table, Table) for table in tables):
            self._problems.add(self._location(node), "'<<' takes a mapping, or a list of them")
        return [table for table in tables if isinstance(table, Table)]

    def _key(self, node: yaml.Node) -> object:
        return self._scalar(node).value if isinstance(node, self._yaml.ScalarNode) else None

    def _location(self, node: yaml.Node) -> SourceLocation:
        return SourceLocation(self._file, node.start_mark.line + 1, node.start_mark.column + 1)
