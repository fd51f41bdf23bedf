"""Arguments of strategies are checked when the strategy is made, not when it is first drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.errors import did_you_mean

if TYPE_CHECKING:
    from hypothesis.errors import InvalidArgument


def invalid(message: str) -> InvalidArgument:
    """Hypothesis' error of a wrong argument, to be raised."""
    from hypothesis.errors import InvalidArgument

    return InvalidArgument(message)


def check_whole_number(name: str, value: object, lowest: int, highest: int | None = None) -> None:
    if type(value) is not int or value < lowest or (highest is not None and value > highest):
        allowed = f"of {lowest} or more" if highest is None else f"from {lowest} to {highest}"
        raise invalid(f"{name}={value!r}: must be a whole number {allowed}.")


def check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise invalid(f"{name}={value!r}: must be True or False.")


def check_names(name: str, values: object, allowed: Iterable[str]) -> None:
    """At least one of the allowed names, in a list or tuple."""
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise invalid(f"{name}={values!r}: must be a list or tuple of names. Allowed: {', '.join(allowed)}.")
    for value in values:
        if value not in allowed:
            raise invalid(f"{name}: {value!r} is not one of its names. {did_you_mean(str(value), allowed)}")


def check_sizes(min_size: object, max_size: object, items: int, *, duplicates: bool) -> None:
    """Sizes of a mini-batch that can be made of so many items."""
    check_whole_number("min_size", min_size, 1)
    if max_size is not None:
        check_whole_number("max_size", max_size, 1)
    if isinstance(max_size, int) and isinstance(min_size, int) and min_size > max_size:
        raise invalid(f"min_size={min_size} is more than max_size={max_size}.")
    if isinstance(min_size, int) and min_size > items:
        more = " Duplicates of odd mini-batches come on top of it." if duplicates else ""
        raise invalid(f"min_size={min_size}: the sample has {items} item(s), and none is drawn twice.{more}")
