"""Random generators that a script uses, to distinguish random values from kept state.

If init() seeds a generator, two identical runs agree, although every value depends on those before it. Reset to its
state after init(), it gives every mini-batch the numbers of a fresh worker.
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
    """A context manager around workers: the generators of their processes, and those that the script creates.

    If a worker is a separate process, its generators are read and written there.
    """

    def __enter__(self) -> Self:
        _PROCESS.note_existing()
        self._fresh: list[bytes] = []
        return self

    def __exit__(self, *exc_info: object) -> None:
        _PROCESS.forget()
        self._fresh.clear()

    def remember(self, session: ProbeSession, workers: int = 1) -> None:
        """The workers have just started: the state of the first one is that of a fresh worker."""
        states = [session.call_in_worker(_remember, worker=worker) for worker in range(workers)]
        self._fresh = cast("list[bytes]", states[0])

    def reset(self, session: ProbeSession, worker: int = 0) -> None:
        """Resets all generators of a worker to that state."""
        session.call_in_worker(_write, self._fresh, worker=worker)

    def moved(self, session: ProbeSession) -> bool:
        """Whether the first worker has used a generator since then."""
        return self.states(session) != self._fresh

    def states(self, session: ProbeSession) -> list[bytes]:
        """The current states, for comparison."""
        return cast("list[bytes]", session.call_in_worker(_states))

    def stir(self, session: ProbeSession) -> None:
        """Advances all of them, so that the next values differ."""
        session.call_in_worker(_stir)


class _ProcessGenerators:
    """Generators of this process: those from before the workers, and the watched ones."""

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
    """Existing generator objects, wherever the script keeps them."""
    kinds: tuple[type, ...] = (random.Random,)
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        kinds = (*kinds, numpy.Generator, numpy.RandomState)
    # Not isinstance(): objects may run code for their __class__.
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
"""Parts of names in code that may use a temporary generator, which cannot be watched."""
_CLOCK_NAMES = {"time", "time_ns", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "times"}
_CHANGING_NAMES = _CLOCK_NAMES | {"datetime", "now", "utcnow", "getpid", "get_ident", "current_thread", "psutil"}
"""Names of values that legitimately differ in every run."""


def is_drawn(observations: Observations, mini_batch: SampleMiniBatch) -> bool:
    """Whether random numbers of the process or the script affect the answer.

    A run() that seeds the generator itself gets the same numbers whatever came before.
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
    # A generator that ends in the same state from any start was seeded by run().
    drawn = [number for number, state in enumerate(states[0]) if state != fresh[number]]
    seeded = any(states[0][number] == states[1][number] for number in drawn if number < len(states[1]))
    return seeded or observations.first_difference(*answers) is not None


def changes_undrawn(observations: Observations) -> bool:
    """Whether two identical runs differ although the script is not seen to use random numbers; determined once."""
    nondeterministic = observations.nondeterministic
    if nondeterministic is None or nondeterministic.harmless or _fails_at_times(observations):
        return False
    return observations.remember(
        "undrawn", lambda: not _names_what_changes(observations, nondeterministic) and not _draws(observations)
    )


def _fails_at_times(observations: Observations) -> bool:
    """Whether one of the two runs failed, possibly for an external reason."""
    both = [
        (observations.backward.rows(mini_batch), observations.again.rows(mini_batch))
        for mini_batch in observations.asked
    ]
    return any((first is None) != (second is None) for first, second in both)


def _draws(observations: Observations) -> bool:
    """Whether a watched generator is used for the mini-batches of the sample."""
    observations.restore()
    with Generators() as generators, observations.entry.session(probe_limit=observations.probe_limit) as session:
        session.start()
        # The second time, generators created or imported by the first calls of run() are watched too.
        for _ in range(2):
            generators.remember(session)
            for mini_batch in observations.asked:
                observations.attempt(session, mini_batch)
            if generators.moved(session):
                return True
    return False


def _names_what_changes(observations: Observations, nondeterministic: NondeterministicValues) -> bool:
    """Whether code of the script or its modules mentions random numbers; True if it cannot be read.

    Code that uses the time or the process id counts too, unless the same values are in other rows.
    """
    # Imported here: only needed if results change.
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
            # Arguments of importlib and getattr().
            yield constant
