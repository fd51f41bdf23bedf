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
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from typing_extensions import Self


class Generators:
    """A context manager around the life of workers: those of the process, and those that the script makes in it."""

    def __enter__(self) -> Self:
        self._known = {id(generator): generator for generator in _made()}
        self._fresh: list[tuple[_Made, object]] = []
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._known.clear()
        self._fresh.clear()

    def remember(self) -> None:
        """A worker has just come up: this is the state that a fresh one starts from."""
        own = [_Made(made) for made in _made() if id(made) not in self._known]
        self._fresh = []
        for generator in (*_of_the_process(), *own):
            with suppress(Exception):
                self._fresh.append((generator, generator.read()))

    def reset(self) -> None:
        """Puts all of them back to that state."""
        for generator, state in self._fresh:
            generator.write(state)

    def moved(self) -> bool:
        """Whether something was drawn since then."""
        return self.states() != [pickle.dumps(state) for _, state in self._fresh]

    def states(self) -> list[bytes]:
        """The states now, to be compared with those of another moment."""
        return [pickle.dumps(generator.read()) for generator, _ in self._fresh]

    def stir(self) -> None:
        """Draws from all of them, so that the next draws are others."""
        for generator, _ in self._fresh:
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
