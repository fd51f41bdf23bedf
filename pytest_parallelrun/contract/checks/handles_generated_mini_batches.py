"""Mini-batches that Hypothesis makes of the sample: sound ones fail, odd ones hang, crash or spoil others."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hypothesis import event, given, settings
from hypothesis import strategies as st

from pytest_parallelrun.contract.generation.generated_mini_batches import judge_mini_batch, judge_whole
from pytest_parallelrun.contract.generation.runner import conclude, require_valid_items

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.generation.runner import ExampleRunner


@settings(deadline=None)
@given(data=st.data())
def test_handles_generated_mini_batches(
    parallelrun_examples: ExampleRunner, parallelrun_check: Check, data: st.DataObject
) -> None:
    """Sound mini-batches of any size and order succeed; odd ones do no harm."""
    __tracebackhide__ = True
    bench = parallelrun_examples
    require_valid_items(bench, parallelrun_check)
    # What became of these is remembered: only the first example tries them.
    conclude(bench, parallelrun_check, partial(judge_whole, bench))
    for lone in bench.lone_oddities:
        conclude(bench, parallelrun_check, partial(judge_mini_batch, bench, lone))
    recipe = data.draw(bench.recipes, label="mini-batch")
    event("odd" if recipe.odd else "sound")
    conclude(bench, parallelrun_check, lambda: judge_mini_batch(bench, recipe))
