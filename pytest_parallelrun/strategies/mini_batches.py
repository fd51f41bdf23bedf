"""Strategies for mini-batches: they draw recipes and build data from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.strategies.files import Files, files
from pytest_parallelrun.strategies.frames import Rows, rows
from pytest_parallelrun.strategies.sample import Sample, as_sample, check_flag, check_sizes

if TYPE_CHECKING:
    import pandas as pd
    from hypothesis.strategies import SearchStrategy

    from pytest_parallelrun.strategies.sample import SampleSource


def recipes(
    sample: Sample | SampleSource, *, odd: bool = False, min_size: int = 1, max_size: int | None = None
) -> SearchStrategy[Rows | Files]:
    """Recipes of mini-batches: `Rows` for a table or JSON lines, `Files` for files, to be built by `recipe.build()`.

    sample: a Sample, or what Sample() takes.
    odd: whether some are odd, in up to three ways; most of them are then. Sound ones are any items of the sample in
        any order, each of them once.
    min_size, max_size: number of items; by default one to all of the sample, and duplicates in odd ones.

    With partition_keys in the settings of the sample, each is one whole partition, and in odd ones something in it is
    odd; min_size is not looked at then.

    They shrink to the first item of the sample, and nothing odd.

    >>> recipes("data", odd=True).example()  # doctest: +SKIP
    Files(items=(Item('b.txt'), Item('a.txt', 'empty')))
    """
    sample = as_sample(sample)
    check_flag("odd", odd)
    check_sizes(min_size, max_size, sample.size, duplicates=odd)
    make = files if sample.kind == "files" else rows
    return make(sample, odd=odd, min_size=min_size, max_size=max_size)


def mini_batches(
    sample: Sample | SampleSource, *, odd: bool = False, min_size: int = 1, max_size: int | None = None
) -> SearchStrategy[pd.DataFrame | list[str] | list[dict[str, object]]]:
    """Mini-batches as run() gets them: a DataFrame, a list of dicts, or a list of paths of copies that last as long as
    the example.

    The arguments are those of `recipes()`. A failing one is printed as a call that makes it again, such as
    `Sample('data').mini_batch(Files(items=(Item('a.txt'),)))`.
    """
    from hypothesis import strategies as st

    sample = as_sample(sample)
    return st.builds(sample.mini_batch, recipes(sample, odd=odd, min_size=min_size, max_size=max_size))
