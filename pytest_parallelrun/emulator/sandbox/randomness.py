"""Random numbers of a worker: a process of the service seeds them from the system, whatever the host has seeded.

Plugins of pytest give each test a fixed seed. If that reached the script, a script that draws at random would look
as if it always returned the same.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def randomness_restored() -> Iterator[None]:
    """Gives the host back the state of `random`, and of numpy.random where that was loaded."""
    before = random.getstate()
    numpy = sys.modules.get("numpy.random")
    numpy_before = None if numpy is None else numpy.get_state()
    try:
        yield
    finally:
        random.setstate(before)
        if numpy is not None:
            numpy.set_state(numpy_before)


def seed_from_system() -> None:
    """Seeds what a new worker process would find seeded from the system."""
    random.seed()
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()
