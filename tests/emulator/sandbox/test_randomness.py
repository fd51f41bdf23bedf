"""Random numbers: those of the script are seeded from the system, those of the host are left alone."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest

from pytest_parallelrun.emulator.sandbox.process_state import randomness_restored, seed_from_system


def test_the_host_goes_on_where_it_was() -> None:
    random.seed(3)
    np.random.seed(3)
    with randomness_restored():
        seed_from_system()
        random.random()
        np.random.random()
    assert random.random() == random.Random(3).random()
    assert np.random.random() == np.random.RandomState(3).random()


def test_seeds_come_from_the_system() -> None:
    drawn = set()
    with randomness_restored():
        for _ in range(2):
            random.seed(3)
            np.random.seed(3)
            seed_from_system()
            drawn.add((random.random(), np.random.random()))
    first, second = drawn
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_without_numpy_it_is_about_random_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "numpy.random")
    random.seed(3)
    with randomness_restored():
        seed_from_system()
    assert random.random() == random.Random(3).random()
    assert "numpy.random" not in sys.modules


def test_numpy_is_not_loaded_for_it() -> None:
    code = (
        "import sys; from pytest_parallelrun.emulator.sandbox import process_state as r\n"
        "with r.randomness_restored(): r.seed_from_system()\n"
        "assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
