"""Values of a job file -> values of JobSettings, each validated and with its origin."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from pytest_parallelrun.emulator.arguments import ORIGIN, parse_program_arguments
from pytest_parallelrun.emulator.setting_table import Profile, resolve_setting
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.job_files.bindings import BINDING, Binding, BindingError, bindings_in, whole_binding
from pytest_parallelrun.job_files.inputs import InputValue
from pytest_parallelrun.job_files.job_step import ReadSettings
from pytest_parallelrun.job_files.keys import WHOLE, Key, deciding_below
from pytest_parallelrun.job_files.tree import STARS, Listing, Node, Opaque, Problems, Scalar, SourceLocation, Table

ALL_NODES = -1
"""An instance_count that the client accepts and sends, for all nodes of the cluster."""

LookUp = Callable[[Binding, SourceLocation], InputValue]
"""The input of a binding; BindingError if there is none."""


def check_arguments(arguments: Sequence[str], profile: Profile) -> None:
    """SettingsError for program arguments that the runtime would refuse; unresolved bindings are ignored."""
    parsed = parse_program_arguments(arguments, profile=profile)
    known = {name: value for name, value in parsed.settings.items() if not BINDING.search(value)}
    JobSettings.from_mapping(known, ORIGIN)


def read_settings(
    table: Table, keys: Mapping[str, Key], look_up: LookUp, problems: Problems, read: ReadSettings
) -> None:
    """Reads all keys that set something, here and below, into `read`."""
    for name, node in table.entries.items():
        key = keys.get(name)
        if name == STARS and isinstance(node, Opaque):
            _stars_unread(node, read)
        if key is None or table.get(name) is None:
            continue
        if key.below is not None and isinstance(node, Table):
            read_settings(node, key.below, look_up, problems, read)
        elif key.below is not None and isinstance(node, Opaque):
            _mapping_unread(name, node, deciding_below(key.below), read)
        elif key.setting is not None:
            _read_one(name, key, node, look_up, problems, read)
        elif key.named:
            read.not_emulated.append(f"{name} ({table.keys[name].origin})")


def note_size_without_effect(table: Table, read: ReadSettings) -> None:
    """A mini-batch size next to partition keys, which v2 accepts and does not use."""
    if _size_and_keys(table):
        size, keys = table.keys["mini_batch_size"], table.keys["partition_keys"]
        read.notes["mini_batch_size"] = (
            f"mini_batch_size ({size.origin}) has no effect beside partition_keys (line {keys.line}): a mini-batch is "
            "a partition, whatever its size"
        )


def check_exclusive(table: Table, problems: Problems) -> None:
    """Reports a mini-batch size next to partition keys, which v1 refuses, whatever else is wrong with either."""
    if _size_and_keys(table):
        problems.add(
            table.keys["mini_batch_size"],
            f"mini_batch_size and partition_keys (line {table.keys['partition_keys'].line}) exclude each other: with "
            "partition_keys a mini-batch is a partition, whatever its size. Remove one",
        )


def _size_and_keys(table: Table) -> bool:
    return all(table.get(name) for name in ("mini_batch_size", "partition_keys"))


def _mapping_unread(name: str, node: Opaque, settings: Sequence[str], read: ReadSettings) -> None:
    """A mapping that is not a literal leaves all its settings unresolved."""
    options = " and ".join(f"--parallelrun-set={setting}=VALUE" for setting in settings)
    for setting in settings:
        read.leave(setting, node.location, f"{name} is {node.described}, or give {options}")


def _stars_unread(node: Opaque, read: ReadSettings) -> None:
    """`**expression` leaves all other settings unresolved."""
    message = f"`{node.text}` cannot be read: {node.why}, or give what it sets with --parallelrun-set=NAME=VALUE"
    read.leave(STARS, node.location, message)
    read.notes[STARS] = (
        f"`{node.text}` ({node.location.origin}) is not read: of what it sets, only what --parallelrun-set gives counts"
    )


def _option(setting: str) -> str:
    if setting == "environment_variables":
        return "--parallelrun-env=NAME=VALUE"
    return f"--parallelrun-set={setting}=VALUE"


def _read_one(name: str, key: Key, node: Node, look_up: LookUp, problems: Problems, read: ReadSettings) -> None:
    assert key.setting is not None
    setting, kind = resolve_setting(key.setting)
    bound = _bound(name, setting, node, look_up, problems, read)
    if bound is None:
        return
    node = bound
    if isinstance(node, Opaque):
        read.leave(setting, node.location, f"{name} is {node.described}, or give {_option(setting)}")
        return
    raw = _plain(name, setting, node, look_up, problems, read)
    if raw is None:
        return
    if key.setting == "instance_count" and _is_whole(raw) and int(str(raw)) == ALL_NODES:
        # No value: a check must not take it for a choice of one instance.
        read.notes[setting] = (
            f"instance_count: {ALL_NODES} ({node.location.origin}) stands for all nodes of the cluster, and is gated "
            "as one instance; --parallelrun-set=instance_count=N gates another number"
        )
        return
    read.notes.pop(setting, None)
    try:
        if key.type in ("text", "word") and not isinstance(raw, str):
            written = "true" if raw is True else "false" if raw is False else raw
            hint = f": put it in quotes, '{written}'" if isinstance(node, Scalar) else ""
            problems.add(node.location, f"{name} must be a text, and is {node.kind}{hint}")
            return
        if key.type == WHOLE and not _is_whole(raw):
            # Before the type, which would accept fractions of a second.
            raise ValueError(kind.allowed if not isinstance(raw, float) else "a whole number")
        if key.type == "list" and not isinstance(raw, list):
            raise ValueError("a list of names")
        if key.type == "word" and kind.parse(raw) != raw:
            raise ValueError(f"spelled {kind.parse(raw)!r} here")
        kind.parse(raw)
    except ValueError as error:
        value = "" if setting == "environment_variables" else f"={raw!r}"
        problems.add(node.location, f"{name}{value}: must be {error}")
        return
    if _is_whole(raw) and key.type == WHOLE:
        raw = int(str(raw))
    read.put(key.setting, raw, node.location)


def _is_whole(raw: object) -> bool:
    if isinstance(raw, str):
        return raw.strip().lstrip("+-").isdigit()
    return isinstance(raw, int) and not isinstance(raw, bool)


def _bound(name: str, setting: str, node: Node, look_up: LookUp, problems: Problems, read: ReadSettings) -> Node | None:
    """The value of a binding, at the location of the binding; any other node unchanged; None if it fails."""
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        return node
    try:
        binding = whole_binding(node.value)
        if binding is None:
            return node
        value = look_up(binding, node.location)
    except BindingError as error:
        problems.add(node.location, f"{name}: {error}")
        return None
    if value.literal is None:
        message = f"{name} is {binding.text}, whose value is not in the file: give {_option(setting)}"
        read.leave(setting, node.location, message)
        return None
    return Scalar(node.location, value.literal)


def _plain(name: str, setting: str, node: Node, look_up: LookUp, problems: Problems, read: ReadSettings) -> object:
    """A native value; None, with a problem, if parts of it are not literals.

    A variable whose value is an expression is left out and unresolved on its own.
    """
    if isinstance(node, Scalar):
        if isinstance(node.value, (str, int, float)):
            return node.value
        problems.add(node.location, f"{name} is a value of the type {type(node.value).__name__}: put it in quotes")
        return None
    if isinstance(node, Listing):
        for item in node.items:
            if isinstance(item, Opaque):
                read.leave(setting, item.location, f"{name} holds {item.described}, or give {_option(setting)}")
                return None
        items = [_part(name, item, look_up, problems) for item in node.items]
        return None if None in items else items
    if isinstance(node, Table):
        known = {key: item for key, item in node.entries.items() if not isinstance(item, Opaque)}
        for key, item in node.entries.items():
            if isinstance(item, Opaque):
                message = f"{name}.{key} is {item.kind}, whose value is not in the file"
                read.leave(f"{setting}.{key}", item.location, f"{message}: give --parallelrun-env={key}=VALUE")
        parts = {key: _part(f"{name}.{key}", item, look_up, problems) for key, item in known.items()}
        return None if None in parts.values() else parts
    return None


def _part(name: str, node: Node, look_up: LookUp, problems: Problems) -> str | None:
    """A string in a list or mapping, with its bound value."""
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        shown = (
            ""
            if name.startswith("environment_variables") and isinstance(node, Scalar)
            else f", and is {node.described}"
        )
        problems.add(node.location, f"{name} must be a text{shown or ': put it in quotes'}")
        return None
    text = node.value
    try:
        for binding in bindings_in(text):
            value = look_up(binding, node.location)
            if value.literal is None and value.path is None:
                problems.add(node.location, f"{name} needs {binding.text}, whose value is not in the file")
                return None
    except BindingError as error:
        problems.add(node.location, f"{name}: {error}")
        return None

    def fill(match: re.Match[str]) -> str:
        value = look_up(bindings_in(match[0])[0], node.location)
        return str(value.literal if value.path is None else value.path)

    return BINDING.sub(fill, text)
