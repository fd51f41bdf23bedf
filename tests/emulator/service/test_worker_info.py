from __future__ import annotations

import copy
import pickle

import pytest

from pytest_parallelrun.emulator.service.worker_info import MiniBatchContext, mini_batch_context


def make() -> MiniBatchContext:
    return MiniBatchContext(minibatch_index=4, global_row_index_lower_bound=40, partition_key_value={"Store": "1000"})


def test_the_context_has_the_five_attributes_of_the_service() -> None:
    context = make()
    assert context.minibatch_index == 4
    assert context.global_row_index_lower_bound == 40
    assert context.partition_key_value == {"Store": "1000"}
    assert context.dataset is None
    assert context.retry_count == 0


def test_a_retry_is_counted() -> None:
    assert [mini_batch_context(0, 0, (), attempt).retry_count for attempt in (1, 2)] == [0, 1]


def test_without_partition_keys_there_is_no_partition_key_value() -> None:
    context = MiniBatchContext(minibatch_index=0, global_row_index_lower_bound=0)
    assert context.partition_key_value is None


@pytest.mark.parametrize("name", ["minibatch_index", "partition_key_value", "mine"])
def test_the_context_cannot_be_changed(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(make(), name, 1)


def test_another_attribute_says_which_exist() -> None:
    with pytest.raises(AttributeError) as caught:
        make().input_paths  # noqa: B018
    assert str(caught.value) == (
        "the context of a mini-batch has no attribute 'input_paths'. "
        "It has: dataset, global_row_index_lower_bound, minibatch_index, partition_key_value, retry_count."
    )


def test_the_context_can_be_copied_and_sent_to_another_process() -> None:
    assert copy.deepcopy(make()) == make()
    assert pickle.loads(pickle.dumps(make())) == make()
