"""Whether random numbers decide on results, or what no script draws: which thread ends first, the order of a set."""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.dependence.randomness import Generators
from pytest_parallelrun.contract.entry.observations import answer_of

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.observations import Group, Trials
    from pytest_parallelrun.contract.rows.comparison import Changing

_DRAWING = ("random", "rng", "secrets", "uuid", "tempfile", "faker", "shuffle", "torch", "tensorflow", "keras", "jax")
"""Parts of names in the code of a script that may draw from a generator made on the way, which nobody can watch."""
_CLOCKS = {"time", "time_ns", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "times"}
_TELLING = _CLOCKS | {"datetime", "now", "utcnow", "getpid", "get_ident", "current_thread", "psutil"}
"""Names of what is another value in every run, though nothing is wrong with it."""


def is_drawn(trials: Trials, group: Group) -> bool:
    """Whether random numbers decide on the answer, from a generator of the process or of the script.

    A run() that seeds the generator itself draws the same numbers for whatever comes first.
    """
    answers, states = [], []
    fresh: list[bytes] = []
    for stirred in (False, True):
        trials.restore()
        with Generators() as generators, trials.entry.bench(probe=trials.probe) as bench:
            bench.start()
            generators.remember(bench)
            fresh = fresh or generators.states(bench)
            if stirred:
                generators.stir(bench)
            answers.append(answer_of(trials.attempt(bench, group).ended))
            states.append(generators.states(bench))
        if states[0] == fresh:
            return False
    # Of those that run() drew from, one that ends in the same state wherever it began was seeded by run().
    drawn = [number for number, state in enumerate(states[0]) if state != fresh[number]]
    seeded = any(states[0][number] == states[1][number] for number in drawn if number < len(states[1]))
    return seeded or trials.unlike(*answers) is not None


def changes_undrawn(trials: Trials) -> bool:
    """Whether two identical runs differ though nothing in the script is seen to draw random numbers. Asked once."""
    changing = trials.changing
    if changing is None or changing.harmless or _fails_at_times(trials):
        return False
    return trials.remember("undrawn", lambda: not _names_what_changes(trials, changing) and not _draws(trials))


def _fails_at_times(trials: Trials) -> bool:
    """Whether one of the two runs failed: what is outside of the script may do that."""
    both = [(trials.forward.rows(group), trials.again.rows(group)) for group in trials.asked]
    return any((first is None) != (second is None) for first, second in both)


def _draws(trials: Trials) -> bool:
    """Whether a generator that can be watched is drawn from for the mini-batches of the sample."""
    trials.restore()
    with Generators() as generators, trials.entry.bench(probe=trials.probe) as bench:
        bench.start()
        # The second time those are watched as well that the first calls of run() have made or imported.
        for _ in range(2):
            generators.remember(bench)
            for group in trials.asked:
                trials.attempt(bench, group)
            if generators.moved(bench):
                return True
    return False


def _names_what_changes(trials: Trials, changing: Changing) -> bool:
    """Whether code of the script, or of modules beside it, speaks of random numbers; True where it cannot be read.

    So does code that asks for the time or its process, unless the same values came to other rows.
    """
    # Imported here: it is needed for results that change, and for no others.
    from modulefinder import ModuleFinder

    entry = trials.entry.entry
    finder = ModuleFinder([str(entry.code_root)])
    try:
        finder.run_script(str(entry.path))
    except Exception:
        return True
    code = [getattr(module, "__code__", None) for module in finder.modules.values()]
    names = {name.lower() for part in code if isinstance(part, CodeType) for name in _names(part)}
    if not changing.swapped and not names.isdisjoint(_TELLING):
        return True
    return any(word in name for name in names for word in _DRAWING)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
        elif isinstance(constant, str) and constant.isidentifier():
            # What importlib and getattr() are given.
            yield constant
