"""Which items of a sample: any subset in any order.

Hypothesis needs microseconds for every choice, so items are not drawn one by one. A few are the bytes of one draw,
which shrinks by leaving any of them out; many are a window, which shrinks by getting shorter.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

MAX_EDGE_CASES = 3
FEW, ALL = 7, 9
"""Of ten subsets seven are bytes and mostly small, two have any size, one the largest."""
WIDTH = 2
MAX_NUMBERS = 256**WIDTH
"""The number of an item is two bytes."""
ORDERS = 2**16


def item_numbers(
    items: int, partitions: Collection[tuple[int, ...]], min_size: int, max_size: int | None
) -> SearchStrategy[list[int]]:
    """The items of a mini-batch: those of one partition if there are any, otherwise any of them."""
    most = items if max_size is None else min(max_size, items)
    return one_of_partitions(partitions, most) if partitions else subsets(items, min_size, most)


def subsets(items: int, min_size: int, max_size: int) -> SearchStrategy[list[int]]:
    """Distinct numbers from 0, below `items`, in any order; `max_size` is at most `items`."""
    from hypothesis import strategies as st

    ways = st.integers(0, ALL)
    few = st.binary(min_size=min_size * WIDTH, max_size=max_size * WIDTH)
    lengths, longest = st.integers(min_size, max_size), st.integers(max_size, max_size)
    starts, orders = st.integers(0, items - 1), st.integers(0, ORDERS - 1)

    @st.composite
    def drawn(draw: DrawFn) -> list[int]:
        way = draw(ways)
        if way < FEW:
            return numbers_from(draw(few), items, min_size)
        # The length comes first: Hypothesis lowers it while it raises the start.
        length = draw(lengths if way < ALL else longest)
        return window(items, draw(starts), length, draw(orders))

    return drawn()


def one_of_partitions(partitions: Collection[tuple[int, ...]], most: int) -> SearchStrategy[list[int]]:
    """The numbers of all items of one partition, in their order; those of up to `most` items, or the smallest one."""
    from hypothesis import strategies as st

    fitting = [items for items in partitions if len(items) <= most] or [min(partitions, key=len)]
    return st.sampled_from(fitting).map(list)


def numbers_from(data: bytes, items: int, min_size: int) -> list[int]:
    """The bytes are the numbers of items, each used once; if these are too few, the first others follow."""
    values = [high << 8 | low for high, low in zip(data[::2], data[1::2], strict=False)]
    numbers = dict.fromkeys([value % items for value in values])
    for number in range(items):
        if len(numbers) >= min_size:
            break
        numbers.setdefault(number)
    return list(numbers)


def window(items: int, start: int, length: int, order: int) -> list[int]:
    """A number of consecutive items from a start on, cyclically; order 0 is their own, others are any."""
    numbers = list(range(items))
    if order:
        random.Random(order).shuffle(numbers)
    return (numbers + numbers)[start : start + length]


def add_duplicate(numbers: list[int], position: int, max_size: int | None) -> None:
    """Repeats the item at that position; if there is no room, instead of the last one."""
    if max_size is None or len(numbers) < max_size:
        numbers.append(numbers[position])
    elif len(numbers) > 1:
        numbers[-1] = numbers[position % (len(numbers) - 1)]
