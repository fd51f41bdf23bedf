"""The colours of the page as people see them who lack one kind of cones."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

from pytest_parallelrun.report.figures import (
    FILLS,
    OUTCOMES,
    STARTS,
    STATES,
    ink_on,
    light_of,
    ticks,
)

Matrix = tuple[tuple[float, float, float], ...]

# Machado, Oliveira and Fernandes 2009, "A physiologically-based model for simulation of color vision deficiency",
# severity 1: from linear RGB to linear RGB.
SEEN_BY: dict[str, Matrix] = {
    "everybody else": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopes": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopes": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "tritanopes": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}

OF_STATES = {str(name): colour for name, colour in STATES.items()}
OF_ATTEMPTS = {str(name): colour for name, colour in OUTCOMES.items()} | {"start": STARTS}


def seen(colour: str, matrix: Matrix) -> tuple[float, float, float]:
    """The colour in CIELAB, in which distances are those that people notice."""
    # A channel alone has the light of white in that channel.
    linear = [light_of(f"#{colour[place : place + 2] * 3}") for place in (1, 3, 5)]
    red, green, blue = (min(1.0, max(0.0, sum(a * b for a, b in zip(row, linear, strict=True)))) for row in matrix)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883
    a, b, c = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in (x, y, z))
    return 116 * b - 16, 500 * (a - b), 200 * (b - c)


@pytest.mark.parametrize("who", SEEN_BY)
@pytest.mark.parametrize(("colours", "least"), [(OF_STATES, 25), (OF_ATTEMPTS, 15)], ids=["mini-batches", "attempts"])
def test_no_two_colours_look_alike_to_anybody(colours: dict[str, str], least: int, who: str) -> None:
    alike = [
        (one, other)
        for one, other in combinations(colours, 2)
        if math.dist(seen(colours[one], SEEN_BY[who]), seen(colours[other], SEEN_BY[who])) < least
    ]
    assert alike == []


def test_each_outcome_has_a_pattern_of_its_own() -> None:
    assert len({pattern for _, pattern in FILLS.values()}) == len(FILLS)


@pytest.mark.parametrize("colour", sorted({*STATES.values(), *OUTCOMES.values()}))
def test_a_text_on_a_colour_is_read(colour: str) -> None:
    lights = sorted([light_of(colour), light_of("#ffffff" if ink_on(colour) == "#fff" else "#111111")])
    assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4


@pytest.mark.parametrize(
    ("ends", "options", "expected"),
    [
        ((0, 10), {}, [0, 2, 4, 6, 8, 10]),
        ((0, 0.9), {}, [0, 0.2, 0.4, 0.6, 0.8]),
        ((0, 1.15), {"whole": True}, [0, 1]),
        ((-0.2, 10.2), {"whole": True}, [0, 5, 10]),
        ((0.002, 120), {"logarithmic": True}, [0.01, 0.1, 1, 10, 100]),
        ((1, 1e14), {"logarithmic": True}, [1, 100, 1e4, 1e6, 1e8, 1e10, 1e12, 1e14]),
        ((3, 3), {}, [3]),
    ],
)
def test_an_axis_has_a_few_round_values(
    ends: tuple[float, float], options: dict[str, bool], expected: list[float]
) -> None:
    assert ticks(ends, **options) == pytest.approx(expected)
