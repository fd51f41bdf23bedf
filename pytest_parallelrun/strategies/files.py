"""Mini-batches of files: recipes, the data they build, and how they are drawn."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from pytest_parallelrun.emulator.errors import did_you_mean
from pytest_parallelrun.strategies.sample import Printed, invalid
from pytest_parallelrun.strategies.subsets import MAX_EDGE_CASES, add_duplicate, item_numbers

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from pytest_parallelrun.strategies.sample import Sample

ItemKind = Literal[
    "empty", "header_only", "truncated", "bom", "bytes", "zeros", "wrong_extension", "spaces", "quotes", "non_ascii"
]
ITEM_KINDS: tuple[ItemKind, ...] = get_args(ItemKind)

_CHANGED = ("empty", "header_only", "truncated", "bom", "bytes", "zeros")
"""Those whose content is not that of the file."""
BOM = b"\xef\xbb\xbf"
MIN_BYTES = 64
# Windows has no double quotes in names.
_ADDED_TO_NAME = {
    "spaces": " with  spaces",
    "quotes": "'s 'copy'" if os.name == "nt" else '\'s "copy"',
    "non_ascii": "_äß_日本",
}


@dataclass(frozen=True, repr=False)
class Item:
    """A file of the sample, unchanged or malformed.

    name: one of the sample's names, such as "sub/b.txt". kind: None, or one of ITEM_KINDS: "empty": no bytes;
    "header_only": its first line; "truncated": its first half; "bom": a UTF-8 byte order mark before its content;
    "bytes": random bytes, the same for the same name; "zeros": null bytes, like a half uploaded file;
    "wrong_extension": ".dat" instead of its own; "spaces", "quotes", "non_ascii": such characters in its name, whose
    extension stays.
    """

    name: str
    kind: ItemKind | None = None

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in ITEM_KINDS:
            raise invalid(f"{self}: there is no such kind of item. {did_you_mean(str(self.kind), ITEM_KINDS)}")

    @property
    def target(self) -> str:
        """Relative name of the copy, if no other item has it."""
        if self.kind == "wrong_extension":
            stem, extension = os.path.splitext(self.name)
            return stem + (".bin" if extension.lower() == ".dat" else ".dat")
        return _with_suffix(self.name, _ADDED_TO_NAME.get(self.kind or "", ""))

    def write(self, source: str, target: str, content: bytes | None) -> None:
        """Creates the copy. content: of the source, if it is known. An unreadable file becomes something unreadable."""
        if content is not None:
            with open(target, "wb") as stream:
                stream.write(self._changed(content))
            return
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            with contextlib.suppress(OSError):
                if isinstance(error, PermissionError):
                    # A link would let a script change the permissions of the user's file.
                    open(target, "xb").close()
                    os.chmod(target, 0)
                else:
                    os.symlink(source, target)
            return
        if self.kind in _CHANGED:
            with open(target, "r+b") as stream:
                changed = self._changed(stream.read())
                stream.seek(0)
                stream.truncate()
                stream.write(changed)

    def _changed(self, content: bytes) -> bytes:
        if self.kind == "header_only":
            return content[: content.find(b"\n") + 1] or content
        if self.kind == "truncated":
            return content[: len(content) // 2]
        if self.kind == "bom":
            return BOM + content
        if self.kind == "bytes":
            return random.Random(self.name).randbytes(max(len(content), MIN_BYTES))
        if self.kind == "zeros":
            return bytes(max(len(content), MIN_BYTES))
        return b"" if self.kind == "empty" else content

    def __repr__(self) -> str:
        return f"Item({self.name!r})" if self.kind is None else f"Item({self.name!r}, {self.kind!r})"


@dataclass(frozen=True)
class Files(Printed):
    """A recipe of a mini-batch of files.

    items: in the order of the mini-batch. A repeated item is a copy under another name: the service never passes a path
    twice.
    """

    items: tuple[Item, ...]

    @property
    def size(self) -> int:
        return len(self.items)

    @property
    def odd(self) -> bool:
        """Whether a file is repeated or malformed."""
        return len({item.name for item in self.items}) < len(self.items) or any(item.kind for item in self.items)

    @property
    def targets(self) -> tuple[str, ...]:
        """Relative names of the copies, all different, unchanged for unchanged items."""
        taken: dict[str, int] = {}
        for position, item in enumerate(self.items):
            if item.target == item.name:
                taken.setdefault(_folded(item.name), position)
        targets = []
        for position, item in enumerate(self.items):
            target, number = item.target, 1
            while taken.setdefault(_folded(target), position) != position:
                number += 1
                target = _with_suffix(item.target, f" ({number})")
            targets.append(target)
        return tuple(targets)

    def first_item(self, sample: Sample) -> int:
        return sample.names.index(self.items[0].name)

    def build(self, sample: Sample, folder: str | os.PathLike[str] | None = None) -> list[str]:
        """Absolute paths of copies below `folder`, which keep their relative names.

        Without a folder they go into a fresh one, which lasts as long as Python, inside an example of Hypothesis as
        long as that. InvalidArgument: an item that the sample does not have.
        """
        if not self.items:
            raise invalid(f"{self}: a mini-batch has at least one item.")
        sources = [(sample.path_of(item.name), sample.content_of(item.name)) for item in self.items]
        root = sample.new_folder() if folder is None else os.path.abspath(folder)
        paths = [os.path.join(root, *target.split("/")) for target in self.targets]
        for folder in dict.fromkeys(map(os.path.dirname, paths)):
            os.makedirs(folder, exist_ok=True)
        for item, (source, content), path in zip(self.items, sources, paths, strict=True):
            item.write(source, path, content)
        return paths


def files(sample: Sample, *, odd: bool, min_size: int, max_size: int | None) -> SearchStrategy[Files]:
    """Recipes for a sample of files; the arguments are those of `recipes()`, already validated."""
    from hypothesis import strategies as st

    names = sample.names
    numbers = item_numbers(sample.size, sample.partitions.values(), min_size, max_size)
    edge_cases = st.lists(st.sampled_from([None, *ITEM_KINDS]), max_size=MAX_EDGE_CASES)

    @st.composite
    def drawn(draw: DrawFn) -> Files:
        chosen = draw(numbers)
        kinds: dict[int, ItemKind] = {}
        for kind in draw(edge_cases) if odd else ():
            position = draw(st.integers(0, len(chosen) - 1))
            if kind is None:
                add_duplicate(chosen, position, max_size)
            else:
                kinds.setdefault(position, kind)
        return Files(tuple(Item(names[number], kinds.get(position)) for position, number in enumerate(chosen)))

    return drawn()


def _with_suffix(name: str, suffix: str) -> str:
    stem, extension = os.path.splitext(name)
    return stem + suffix + extension


def _folded(name: str) -> str:
    """Names that are equal on some file system."""
    return name.casefold()
