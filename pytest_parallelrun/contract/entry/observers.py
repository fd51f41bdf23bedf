"""Whether the functions of a script can be called as the service calls them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

    from pytest_parallelrun.emulator.worker.script import EntryFunctions


class SeenFunctions:
    """An observer of a worker: a sentence for each thing that is wrong, and a default that shows a mistake."""

    def __init__(self) -> None:
        self._problems: list[str] = []
        self._default: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """There is nothing to put back."""

    def look(self, functions: EntryFunctions) -> None:
        self._problems = problems_of(functions)
        self._default = None if self._problems else _default_of_context(functions)

    def told(self) -> tuple[list[str], str | None]:
        """The problems, and the second parameter of run() with its default, where no context seems to be expected."""
        return self._problems, self._default


def problems_of(functions: EntryFunctions) -> list[str]:
    """A sentence for each function that the service cannot call."""
    problems = [
        *_wrong_parameters("run", functions.run, (1, 2), "run(mini_batch) or run(mini_batch, context)"),
        *(_wrong_parameters("init", functions.init, (0,), "init()") if functions.init else ()),
        *(_wrong_parameters("shutdown", functions.shutdown, (0,), "shutdown()") if functions.shutdown else ()),
    ]
    if inspect.iscoroutinefunction(functions.run):
        problems.append("run() is async: the service does not await it and gets a coroutine. Make it a plain def.")
    elif inspect.isgeneratorfunction(functions.run) or inspect.isasyncgenfunction(functions.run):
        problems.append(
            "run() is a generator (it has a yield): the service gets the generator, not its results. "
            "Collect them in a list and return that."
        )
    return problems


def _default_of_context(functions: EntryFunctions) -> str | None:
    """The second parameter of run() with its default, where that shows that no context is expected."""
    if not functions.takes_context:
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(functions.run).parameters.values()
    second = [parameter for parameter in parameters if parameter.kind in positional][1]
    return None if second.default is inspect.Parameter.empty or second.default is None else str(second)


def _wrong_parameters(name: str, function: object, allowed: tuple[int, ...], shape: str) -> list[str]:
    """A sentence where the function cannot be called with any of the allowed numbers of arguments."""
    try:
        signature = inspect.signature(function)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return []
    for number in allowed:
        try:
            signature.bind(*[None] * number)
        except TypeError:
            continue
        return []
    return [f"{name}{signature} cannot be called as the service does: it calls {shape}."]
