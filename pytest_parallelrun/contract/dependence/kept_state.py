"""What a script changes between two calls of run(), by name: globals of its modules, and the working folder.

Without it, a reader of "run() depends on earlier mini-batches" would have to search. So a fresh worker process runs one
mini-batch, and its globals are compared before and after.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from inspect import getclosurevars, signature
from io import IOBase
from types import FunctionType, GeneratorType, ModuleType
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.contract.bounds import MAX_KEYS, MAX_SENT
from pytest_parallelrun.contract.entry.init_calls import TooManyInitCalls
from pytest_parallelrun.contract.entry.mini_batches import attempt
from pytest_parallelrun.contract.phrases import items_text
from pytest_parallelrun.emulator.errors import ParallelRunError
from pytest_parallelrun.emulator.probe import WorkerStartError

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations

MAX_TEXT = 60
"""Characters of a value that are shown."""
MAX_SHOWN = 3
"""Changes that a finding names."""
_FOLDER = ""
"""Key of the working folder among the globals: no name is empty."""


class Value(NamedTuple):
    """A global as sent by a worker. kind: its class, "iterator" for any. entries: of a container."""

    kind: str
    text: str
    entries: tuple[str, ...] | None = None


class KeptState(NamedTuple):
    """evidence: what run() changes. fix: what to do about each change. Both "" if nothing was seen.

    grows: whether a container has new entries and lost none.
    """

    evidence: str = ""
    fix: str = ""
    grows: bool = False


def kept_state(observations: Observations, mini_batch: SampleMiniBatch) -> KeptState:
    """What run() of a mini-batch changes in its worker, determined once for all checks."""
    known = observations.recalled("kept state")
    return (
        known
        if isinstance(known, KeptState)
        else observations.remember("kept state", lambda: _ask(observations, mini_batch))
    )


def _ask(observations: Observations, mini_batch: SampleMiniBatch) -> KeptState:
    entry = replace(observations.entry, engine="process")
    root = str(entry.entry.code_root)
    observations.restore()
    with suppress(TooManyInitCalls, WorkerStartError, ParallelRunError, RuntimeError):
        with entry.session(probe_limit=observations.probe_limit) as session:
            before = cast("Mapping[str, Value]", session.call_in_worker(globals_below, root))
            attempt(session, mini_batch)
            after = cast("Mapping[str, Value]", session.call_in_worker(globals_below, root))
            if session.init_calls > 1:
                # The attempt has ended the worker, and another one differs anyway.
                return KeptState()
        return _changes(before, after, observations)
    return KeptState()


def _changes(before: Mapping[str, Value], after: Mapping[str, Value], observations: Observations) -> KeptState:
    changes: dict[str, str] = {}
    grows = False
    for name, now in after.items():
        then = before.get(name)
        if then == now and now.kind != "iterator":
            continue
        what, fix = _change(name, then and _shown(then, observations), _shown(now, observations))
        parameter, _, function = name.partition(" of ")
        if what and function:
            what = what.replace(f"'{name}'", f"the default argument '{parameter}' of {function}")
            fix = (
                f"a default argument is made once, for all calls: write {parameter}=None, and create the object inside "
                f"{function}"
            )
        if what:
            changes[what] = fix
            if then is not None and then.entries is not None:
                grows = grows or set(then.entries) < set(now.entries or ())
    if not changes:
        return KeptState()
    return KeptState(
        f"In a call, run() changes {items_text(tuple(changes), MAX_SHOWN)}.",
        "; ".join(dict.fromkeys(changes.values())),
        grows=grows,
    )


def _shown(value: Value, observations: Observations) -> Value:
    """The value with its texts as shown in findings."""

    def short(text: str) -> str:
        text = observations.shown(text)
        return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."

    entries = None if value.entries is None else tuple(map(short, value.entries))
    return Value(value.kind, short(value.text), entries)


def _change(name: str, then: Value | None, now: Value) -> tuple[str, str]:
    """What happened to a global, as text, and what to do; "" if it does not matter."""
    if name == _FOLDER:
        return (
            f"the working folder (os.chdir()), to '{now.text}'",
            "leave the working folder alone: use absolute paths, os.path.join(folder, name), in place of os.chdir()",
        )
    if now.kind == "iterator":
        if then is not None and then.text == now.text:
            return "", ""
        ended = " to its end" if now.text == "exhausted" else ""
        return (
            f"the iterator '{name}', which it uses up{ended}",
            f"make a list of '{name}' in init(), as in {name} = list(...), or create the iterator inside run(), and "
            "choose from it by the item",
        )
    if then is not None and then.entries is not None and now.entries is not None:
        lost = [entry for entry in then.entries if entry not in now.entries]
        new = [entry for entry in now.entries if entry not in then.entries]
        if lost and not new:
            return (
                f"'{name}', which loses {items_text(tuple(lost), 2)}",
                f"read '{name}' without changing it, as in {name}[key], in place of pop(), popitem(), remove() or del",
            )
        if new and not lost:
            return (
                f"'{name}', which gains {items_text(tuple(new), 2)}",
                f"start with an empty one in each call of run() in place of the global '{name}', or let it hold only "
                "what is the same whatever came before",
            )
    if then is None or then.kind == "NoneType":
        # A value created by the first call and found by later ones: a cached model is meant to be kept.
        return f"'{name}', which becomes {now.text}", f"set '{name}' in init(), or inside run() in each call"
    return f"'{name}', from {then.text} to {now.text}", f"set '{name}' inside run() in each call, or key it by the item"


def globals_below(root: str) -> dict[str, Value]:
    """In a worker: globals of the modules below a folder, and attributes of objects among them."""
    values: dict[str, Value] = {_FOLDER: Value("folder", os.getcwd())}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.startswith(root + os.sep) and "site-packages" not in file:
            for name, function in _functions_of(module):
                with suppress(Exception):
                    held = {**vars(function), **getclosurevars(function).nonlocals}
                    values.update({f"{name}.{key}": _described(value) for key, value in _of(held)})
                    for key, part in signature(function).parameters.items():
                        values[f"{key} of {name}()"] = _described(part.default)
            for name, value in _of(vars(module)):
                values[name] = _described(value)
                if type(value).__module__ == getattr(module, "__name__", None) or isinstance(value, type):
                    attributes = getattr(value, "__dict__", {})
                    values.update({f"{name}.{key}": _described(part) for key, part in _of(attributes)})
    return values


def _functions_of(module: ModuleType) -> Iterator[tuple[str, FunctionType]]:
    """The functions that a module defines, and the methods of its classes."""
    classes = [value for value in vars(module).values() if isinstance(value, type)]
    for namespace in (module, *classes):
        for value in list(vars(namespace).values()):
            if isinstance(value, FunctionType) and value.__module__ == module.__name__:
                yield value.__qualname__, value


def _of(namespace: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in list(namespace.items()):
        if not name.startswith("__") and not isinstance(value, (ModuleType, FunctionType, property, classmethod)):
            yield name, value


def _described(value: object) -> Value:
    if isinstance(value, GeneratorType):
        frame = value.gi_frame
        return Value("iterator", "exhausted" if frame is None else str(frame.f_lasti))
    kind = type(value).__name__
    with suppress(Exception):
        # On its type: a stand-in records attribute access.
        if isinstance(value, IOBase):
            return Value("iterator", str(value.tell()))
        if hasattr(type(value), "__next__"):
            # Its reduced form shows the position without advancing it.
            return Value("iterator", repr(value.__reduce__()))
        if isinstance(value, (dict, set, frozenset, list, tuple)) or kind == "deque":
            entries = tuple(repr(entry)[:MAX_SENT] for entry in list(value)[:MAX_KEYS])  # type: ignore[call-overload]
            return Value(kind, repr(value)[:MAX_SENT], entries)
        if type(value).__repr__ is not object.__repr__:
            return Value(kind, repr(value)[:MAX_SENT])
    return Value(kind, kind)
