"""The script in a worker: imported by its dotted name, and the functions that it defines.

A worker process imports this module before the script: its own imports delay the first result.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


class FileMiniBatch(list):  # type: ignore[type-arg]
    """The argument of run() for files: a list of paths with the id of its mini-batch.

    Source: a component that Microsoft ships names its files by task_id.
    """

    def __init__(self, paths: list[str], task_id: int) -> None:
        super().__init__(paths)
        self.task_id = task_id


class EntryFunctions:
    """The functions that the emulator calls. `takes_context`: run() has a second positional parameter."""

    __slots__ = ("init", "run", "shutdown", "takes_context")

    def __init__(
        self,
        run: Callable[..., object],
        init: Callable[[], object] | None,
        shutdown: Callable[[], object] | None,
        takes_context: bool,
    ) -> None:
        self.run = run
        self.init = init
        self.shutdown = shutdown
        self.takes_context = takes_context


def import_script(name: str, path: str, label: str) -> ModuleType:
    """Imports the script under its dotted name. label: its name in messages. Raises whatever the import raises."""
    if name.partition(".")[0] in sys.stdlib_module_names:
        raise ImportError(
            f"a worker that imports '{name}' gets the standard library's module of that name, "
            f"not {label}: rename the script."
        )
    __import__(name)
    module = sys.modules[name]
    file = getattr(module, "__file__", None)
    if file is None or not os.path.samefile(file, path):
        raise ImportError(
            f"a worker that imports '{name}' gets {file or 'a package without a file'}, not {path}: rename the script."
        )
    return module


def functions_of(target: object) -> EntryFunctions:
    """run(), init() and shutdown() of a module or object; AttributeError without run()."""
    run = getattr(target, "run", None)
    if not callable(run):
        kind = "script" if isinstance(target, type(sys)) else "object"
        problem = "defines no run(mini_batch)" if run is None else f"has a run that is {type(run).__name__}"
        raise AttributeError(f"the entry {kind} {problem}; the service calls run(mini_batch).")
    init = getattr(target, "init", None)
    shutdown = getattr(target, "shutdown", None)
    return EntryFunctions(
        run,
        init if callable(init) else None,
        shutdown if callable(shutdown) else None,
        takes_context(run),
    )


def takes_context(run: Callable[..., object]) -> bool:
    """Whether run() takes the context too: parameters are matched by position, the names are free."""
    if type(run) is type(takes_context) and not run.__dict__:
        # Like the signature; importing `inspect` takes half as long as starting an interpreter.
        return run.__code__.co_argcount >= 2
    import inspect

    try:
        parameters = inspect.signature(run).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in positional for parameter in parameters) >= 2
