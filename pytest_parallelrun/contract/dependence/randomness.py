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
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from types import ModuleType

    from typing_extensions import Self

    from pytest_parallelrun.emulator.probe import Bench


class Generators:
    """A context manager around the life of workers: the generators of their processes, and those that the script makes.

    Where a worker is a process of its own, its generators are read and written there.
    """

    def __enter__(self) -> Self:
        _HERE.know()
        self._fresh: list[bytes] = []
        return self

    def __exit__(self, *exc_info: object) -> None:
        _HERE.forget()
        self._fresh.clear()

    def remember(self, bench: Bench, workers: int = 1) -> None:
        """The workers have just come up: the state of the first is what a fresh one starts from."""
        states = [bench.ask(_remember, worker=worker) for worker in range(workers)]
        self._fresh = cast("list[bytes]", states[0])

    def reset(self, bench: Bench, worker: int = 0) -> None:
        """Puts all generators of a worker back to that state."""
        bench.ask(_write, self._fresh, worker=worker)

    def moved(self, bench: Bench) -> bool:
        """Whether something was drawn since then by the first worker."""
        return self.states(bench) != self._fresh

    def states(self, bench: Bench) -> list[bytes]:
        """The states now, to be compared with those of another moment."""
        return cast("list[bytes]", bench.ask(_states))

    def stir(self, bench: Bench) -> None:
        """Draws from all of them, so that the next draws are others."""
        bench.ask(_stir)


class _Here:
    """The generators of this process: those that are known from before the workers, and those that are watched."""

    def __init__(self) -> None:
        self._known: dict[int, object] = {}
        self.watched: list[_Made] = []

    def know(self) -> None:
        self._known = {id(generator): generator for generator in _made()}

    def forget(self) -> None:
        self._known.clear()
        self.watched.clear()

    def watch(self) -> None:
        own = [_Made(made) for made in _made() if id(made) not in self._known]
        self.watched = []
        for generator in (*_of_the_process(), *own):
            with suppress(Exception):
                generator.read()
                self.watched.append(generator)


_HERE = _Here()


def _remember() -> list[bytes]:
    _HERE.watch()
    return _states()


def _states() -> list[bytes]:
    return [pickle.dumps(generator.read()) for generator in _HERE.watched]


def _write(states: list[bytes]) -> None:
    for generator, state in zip(_HERE.watched, states, strict=False):
        generator.write(pickle.loads(state))


def _stir() -> None:
    for generator in _HERE.watched:
        generator.draw()


class _Made:
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


def _of_the_process() -> Iterator[_Made]:
    yield _Made(random)
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        yield _Made(numpy)
    torch: ModuleType | None = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "default_generator"):
        yield _Made(torch.default_generator)


def _made() -> list[object]:
    """Generator objects that exist, wherever the script keeps them."""
    kinds: tuple[type, ...] = (random.Random,)
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        kinds = (*kinds, numpy.Generator, numpy.RandomState)
    # Not isinstance(): objects may answer for their __class__ with code of their own.
    return [
        thing for thing in gc.get_objects() if issubclass(type(thing), kinds) and type(thing) is not random.SystemRandom
    ]
