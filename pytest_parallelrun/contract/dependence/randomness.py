"""Generators of random numbers that a script draws from, to tell what is drawn from what is kept.

A generator that init() seeded once makes two identical runs agree, while every draw depends on those before it. Put
back as init() left it, it gives every mini-batch the numbers that it would have got on a fresh worker.
"""

from __future__ import annotations

import gc
import pickle
import random
import sys
from collections.abc import Iterator
from contextlib import suppress
from types import CodeType
from typing import TYPE_CHECKING, cast

from pytest_parallelrun.contract.entry.mini_batches import answer_of

if TYPE_CHECKING:
    from types import ModuleType

    from typing_extensions import Self

    from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.contract.rows.comparison import NondeterministicValues
    from pytest_parallelrun.emulator.probe import ProbeSession


class Generators:
    """A context manager around the life of workers: the generators of their processes, and those that the script makes.

    Where a worker is a process of its own, its generators are read and written there.
    """

    def __enter__(self) -> Self:
        _PROCESS.note_existing()
        self._fresh: list[bytes] = []
        return self

    def __exit__(self, *exc_info: object) -> None:
        _PROCESS.forget()
        self._fresh.clear()

    def remember(self, session: ProbeSession, workers: int = 1) -> None:
        """The workers have just come up: the state of the first is what a fresh one starts from."""
        states = [session.call_in_worker(_remember, worker=worker) for worker in range(workers)]
        self._fresh = cast("list[bytes]", states[0])

    def reset(self, session: ProbeSession, worker: int = 0) -> None:
        """Puts all generators of a worker back to that state."""
        session.call_in_worker(_write, self._fresh, worker=worker)

    def moved(self, session: ProbeSession) -> bool:
        """Whether something was drawn since then by the first worker."""
        return self.states(session) != self._fresh

    def states(self, session: ProbeSession) -> list[bytes]:
        """The states now, to be compared with those of another moment."""
        return cast("list[bytes]", session.call_in_worker(_states))

    def stir(self, session: ProbeSession) -> None:
        """Draws from all of them, so that the next draws are others."""
        session.call_in_worker(_stir)


class _ProcessGenerators:
    """Those of this process: the ones that existed before the workers, and the ones that are watched."""

    def __init__(self) -> None:
        self._existing: dict[int, object] = {}
        self.watched: list[_Generator] = []

    def note_existing(self) -> None:
        self._existing = {id(generator): generator for generator in _generator_objects()}

    def forget(self) -> None:
        self._existing.clear()
        self.watched.clear()

    def watch(self) -> None:
        objects = [_Generator(found) for found in _generator_objects() if id(found) not in self._existing]
        self.watched = []
        for generator in (*_module_generators(), *objects):
            with suppress(Exception):
                generator.read()
                self.watched.append(generator)


_PROCESS = _ProcessGenerators()


def _remember() -> list[bytes]:
    _PROCESS.watch()
    return _states()


def _states() -> list[bytes]:
    return [pickle.dumps(generator.read()) for generator in _PROCESS.watched]


def _write(states: list[bytes]) -> None:
    for generator, state in zip(_PROCESS.watched, states, strict=False):
        generator.write(pickle.loads(state))


def _stir() -> None:
    for generator in _PROCESS.watched:
        generator.draw()


class _Generator:
    """A generator object: random.Random, numpy's or torch's, or the module that hides one."""

    def __init__(self, generator: object) -> None:
        self._generator = generator

    def read(self) -> object:
        generator = self._generator
        for name in ("getstate", "get_state"):
            if hasattr(generator, name):
                return getattr(generator, name)()
        # A numpy.random.Generator keeps its state below.
        return generator.bit_generator.state  # type: ignore[attr-defined]

    def write(self, state: object) -> None:
        generator = self._generator
        for name in ("setstate", "set_state"):
            if hasattr(generator, name):
                getattr(generator, name)(state)
                return
        generator.bit_generator.state = state  # type: ignore[attr-defined]

    def draw(self) -> None:
        if hasattr(self._generator, "random"):
            self._generator.random()
        elif hasattr(self._generator, "seed"):
            self._generator.seed()


def _module_generators() -> Iterator[_Generator]:
    yield _Generator(random)
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        yield _Generator(numpy)
    torch: ModuleType | None = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "default_generator"):
        yield _Generator(torch.default_generator)


def _generator_objects() -> list[object]:
    """Generator objects that exist, wherever the script keeps them."""
    kinds: tuple[type, ...] = (random.Random,)
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        kinds = (*kinds, numpy.Generator, numpy.RandomState)
    # Not isinstance(): objects may answer for their __class__ with code of their own.
    objects = (item for item in gc.get_objects() if issubclass(type(item), kinds))
    return [item for item in objects if type(item) is not random.SystemRandom]


_RANDOM_NAMES = (
    "random",
    "rng",
    "secrets",
    "uuid",
    "tempfile",
    "faker",
    "shuffle",
    "torch",
    "tensorflow",
    "keras",
    "jax",
)
"""Parts of names in the code of a script that may draw from a generator made on the way, which nobody can watch."""
_CLOCK_NAMES = {"time", "time_ns", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "times"}
_CHANGING_NAMES = _CLOCK_NAMES | {"datetime", "now", "utcnow", "getpid", "get_ident", "current_thread", "psutil"}
"""Names of what is another value in every run, though nothing is wrong with it."""


def is_drawn(observations: Observations, mini_batch: SampleMiniBatch) -> bool:
    """Whether random numbers decide on the answer, from a generator of the process or of the script.

    A run() that seeds the generator itself draws the same numbers for whatever comes first.
    """
    answers, states = [], []
    fresh: list[bytes] = []
    for stirred in (False, True):
        observations.restore()
        with Generators() as generators, observations.entry.session(probe_limit=observations.probe_limit) as session:
            session.start()
            generators.remember(session)
            fresh = fresh or generators.states(session)
            if stirred:
                generators.stir(session)
            answers.append(answer_of(observations.attempt(session, mini_batch).ended))
            states.append(generators.states(session))
        if states[0] == fresh:
            return False
    # Of those that run() drew from, one that ends in the same state wherever it began was seeded by run().
    drawn = [number for number, state in enumerate(states[0]) if state != fresh[number]]
    seeded = any(states[0][number] == states[1][number] for number in drawn if number < len(states[1]))
    return seeded or observations.first_difference(*answers) is not None


def changes_undrawn(observations: Observations) -> bool:
    """Whether two identical runs differ though nothing in the script is seen to draw random numbers. Asked once."""
    nondeterministic = observations.nondeterministic
    if nondeterministic is None or nondeterministic.harmless or _fails_at_times(observations):
        return False
    return observations.remember(
        "undrawn", lambda: not _names_what_changes(observations, nondeterministic) and not _draws(observations)
    )


def _fails_at_times(observations: Observations) -> bool:
    """Whether one of the two runs failed: what is outside of the script may do that."""
    both = [
        (observations.backward.rows(mini_batch), observations.again.rows(mini_batch))
        for mini_batch in observations.asked
    ]
    return any((first is None) != (second is None) for first, second in both)


def _draws(observations: Observations) -> bool:
    """Whether a generator that can be watched is drawn from for the mini-batches of the sample."""
    observations.restore()
    with Generators() as generators, observations.entry.session(probe_limit=observations.probe_limit) as session:
        session.start()
        # The second time those are watched as well that the first calls of run() have made or imported.
        for _ in range(2):
            generators.remember(session)
            for mini_batch in observations.asked:
                observations.attempt(session, mini_batch)
            if generators.moved(session):
                return True
    return False


def _names_what_changes(observations: Observations, nondeterministic: NondeterministicValues) -> bool:
    """Whether code of the script, or of modules beside it, speaks of random numbers; True where it cannot be read.

    So does code that asks for the time or its process, unless the same values came to other rows.
    """
    # Imported here: it is needed for results that change, and for no others.
    from modulefinder import ModuleFinder

    entry = observations.entry.entry
    finder = ModuleFinder([str(entry.code_root)])
    try:
        finder.run_script(str(entry.path))
    except Exception:
        return True
    code = [getattr(module, "__code__", None) for module in finder.modules.values()]
    names = {name.lower() for part in code if isinstance(part, CodeType) for name in _names_in(part)}
    if not nondeterministic.swapped and not names.isdisjoint(_CHANGING_NAMES):
        return True
    return any(word in name for name in names for word in _RANDOM_NAMES)


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)
        elif isinstance(constant, str) and constant.isidentifier():
            # What importlib and getattr() are given.
            yield constant
