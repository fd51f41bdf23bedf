from __future__ import annotations

import os

import pytest

from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.splitting.partitions import named_levels, values_by_path


def name(*parts: str) -> str:
    return os.path.join(*parts)


def test_folders_key_value_are_named_levels_and_the_file_is_none() -> None:
    assert named_levels(name("Store=1000", "plain", "Brand=a=b", "x=1.csv")) == {"Store": "1000", "Brand": "a=b"}


def test_keys_are_found_at_whatever_level_they_stand_and_in_their_own_order() -> None:
    names = [name("Store=1", "Brand=a", "x.csv"), name("Store=2", "deep", "Brand=", "y.csv")]
    assert values_by_path(names, ["Brand", "Store"], "data") == [("a", "1"), ("", "2")]
    assert values_by_path(names, ["Store"], "data") == [("1",), ("2",)]


def test_plain_levels_are_named_by_the_keys_from_the_first_on() -> None:
    names = [name("1000", "dominicks", "2026", "x.csv"), name("1001", "tropicana", "y.csv")]
    assert values_by_path(names, ["Store", "Brand"], "data") == [("1000", "dominicks"), ("1001", "tropicana")]


def test_a_key_that_does_not_exist_is_refused_with_the_nearest_and_with_all_that_do() -> None:
    names = [name("Store=1", "Brand=a", "x.csv")]
    with pytest.raises(InputError) as caught:
        values_by_path(names, ["Sotre"], "data")
    assert str(caught.value) == (
        "partition_keys: there is no 'Sotre', a folder 'Sotre=...' in the input 'data'. Did you mean 'Store'? "
        "The keys there are: Store, Brand."
    )
    with pytest.raises(InputError, match=r"\.\.\.' in the input 'data'\. The keys there are: Store, Brand\.$"):
        values_by_path(names, ["week"], "data")


def test_a_file_outside_of_the_named_folders_is_refused_by_its_name() -> None:
    names = [name("Store=1", "x.csv"), "_SUCCESS"]
    with pytest.raises(InputError, match=r"'_SUCCESS' in the input 'data' lies in no folder 'Store=\.\.\.'"):
        values_by_path(names, ["Store"], "data")


def test_a_file_that_does_not_lie_deep_enough_is_refused_by_its_name() -> None:
    with pytest.raises(InputError, match=r"the first 2 folder level\(s\) of the input 'data', and '.*x\.csv' lies 1 d"):
        values_by_path([name("1000", "x.csv")], ["Store", "Brand"], "data")
