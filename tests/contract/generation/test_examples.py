"""How many examples are generated, and what is tried in any case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pandas as pd
import pytest

from pytest_parallelrun.contract.generation.examples import EXAMPLES, _edge_cases, settings_of_examples
from pytest_parallelrun.strategies import Cell, Rows, Sample

register: Callable[..., None] = hypothesis.settings.register_profile
of: Callable[[str], Any] = hypothesis.settings.get_profile


@pytest.fixture(autouse=True)
def _profiles() -> Iterator[None]:
    """Profiles belong to the process."""
    before, active = dict(hypothesis.settings._profiles), hypothesis.settings._current_profile or "default"
    yield
    hypothesis.settings._profiles.clear()
    hypothesis.settings._profiles.update(before)
    hypothesis.settings.load_profile(active)


def number_with(profile: str) -> int:
    hypothesis.settings.load_profile(profile)
    chosen = settings_of_examples()
    assert chosen.deadline is None
    return chosen.max_examples


@pytest.mark.parametrize("profile", ["default", "ci"])
def test_a_profile_of_hypothesis_does_not_decide_the_number(profile: str) -> None:
    assert number_with(profile) == EXAMPLES < 100
    assert settings_of_examples().derandomize == (profile == "ci")


def test_options_of_pytest_do_not_make_it_the_users() -> None:
    # What --hypothesis-verbosity and --hypothesis-explain do.
    hypothesis.settings.load_profile("default")
    register("default-with-verbose-verbosity", verbosity=hypothesis.Verbosity.verbose)
    assert number_with("default-with-verbose-verbosity") == EXAMPLES
    assert settings_of_examples().verbosity == hypothesis.Verbosity.verbose
    register("default-with-verbose-verbosity-with-explain-phase", phases=())
    assert number_with("default-with-verbose-verbosity-with-explain-phase") == EXAMPLES


@pytest.mark.parametrize(
    ("name", "values", "number"),
    [
        ("mine", {"max_examples": 7}, 7),
        ("mine", {"max_examples": 100}, 100),
        ("mine", {}, 100),
        ("mine", {"print_blob": True}, 100),
        ("ci", {"max_examples": 3}, 3),
        ("ci", {"derandomize": True}, 100),
        ("default", {"max_examples": 500}, 500),
        ("default", {"deadline": None}, 100),
    ],
)
def test_a_profile_of_the_user_is_honoured(name: str, values: dict[str, Any], number: int) -> None:
    hypothesis.settings.load_profile("default")
    register(name, **values)
    assert number_with(name) == number


def test_a_profile_derived_from_the_users_is_the_users() -> None:
    register("mine", max_examples=7)
    register("mine-with-debug-verbosity", of("mine"), verbosity=hypothesis.Verbosity.debug)
    assert number_with("mine-with-debug-verbosity") == 7


def always_tried(frame: pd.DataFrame, most: int | None = None) -> tuple[Any, ...]:
    sample = Sample(frame)
    return _edge_cases(sample, sample.size if most is None else most)


TABLE = pd.DataFrame({"id": range(9), "value": [0.5, 1.5, 2.5] * 3, "kind": list("aabacbbab")})


def test_every_small_size_is_tried_out_of_order() -> None:
    valid = [recipe for recipe in always_tried(TABLE) if not recipe.odd]
    assert {recipe.size for recipe in valid} == set(range(2, 10))
    for size in range(2, 10):
        assert any(recipe.rows != tuple(sorted(recipe.rows)) for recipe in valid if recipe.size == size)


def test_rows_with_the_commonest_value_are_tried_alone_and_left_out() -> None:
    recipes = always_tried(TABLE)
    assert Rows((0, 1, 3, 7)) in recipes
    assert Rows((2, 4, 5, 6, 8)) in recipes


def test_a_malformed_cell_is_tried_alone_between_others_at_the_ends_and_in_all_rows() -> None:
    with_nan = [recipe for recipe in always_tried(TABLE) if any(cell.column == "value" for cell in recipe.cells)]
    positions = {(recipe.size, *(cell.row for cell in recipe.cells)) for recipe in with_nan if len(recipe.cells) < 3}
    assert {(1, 0), (5, 2), (3, 0, 2)} <= positions
    assert any(len(recipe.cells) == recipe.size == TABLE.shape[0] for recipe in with_nan)


def test_one_row_is_malformed_in_every_column() -> None:
    cells = {recipe.cells for recipe in always_tried(TABLE)}
    assert (Cell(2, "id", "zero"), Cell(2, "value", "nan"), Cell(2, "kind", "null")) in cells


@pytest.mark.parametrize("most", [1, 2, 3, 4])
def test_none_is_larger_than_a_slow_script_allows(most: int) -> None:
    recipes = always_tried(TABLE, most)
    assert {recipe.size for recipe in recipes} <= set(range(1, most + 1))
    assert any(recipe.cells and recipe.size == min(most, 3) for recipe in recipes)


@pytest.mark.parametrize("rows", [1, 2])
def test_small_samples_have_edge_cases_too(rows: int) -> None:
    recipes = always_tried(TABLE.head(rows))
    assert {recipe.size for recipe in recipes if recipe.cells} >= set(range(1, rows + 1))
    for recipe in recipes:
        recipe.build(Sample(TABLE.head(rows)))


def test_a_wide_table_has_a_bounded_number() -> None:
    wide = pd.DataFrame({f"c{number}": [0.5, 1.5, 2.5, 3.5, 4.5, 5.5] for number in range(200)})
    assert len(always_tried(wide)) < 160
