"""Rules: two presets, every field alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pytest_parallelrun.emulator.errors import SettingsError
from pytest_parallelrun.emulator.rules import CHOICES, PRESETS, Rules


def test_rules_without_arguments_are_the_documented_preset() -> None:
    assert Rules() == Rules.documented() == Rules.preset("documented")


def test_observed_preset_takes_the_second_value_of_every_rule() -> None:
    assert dataclasses.asdict(Rules.observed()) == {name: values[1] for name, values in CHOICES.items()}


def test_documented_preset_takes_the_first_value_of_every_rule() -> None:
    assert dataclasses.asdict(Rules.documented()) == {name: values[0] for name, values in CHOICES.items()}


def test_every_field_has_its_allowed_values_listed() -> None:
    assert [field.name for field in dataclasses.fields(Rules)] == list(CHOICES)


def test_every_preset_can_be_made_by_its_name() -> None:
    assert [Rules.preset(name).name for name in PRESETS] == list(PRESETS)


def test_unknown_preset_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SettingsError, match=r"rules='observd' is not a preset\. Did you mean 'observed'\?"):
        Rules.preset("observd")


@pytest.mark.parametrize("rule", CHOICES)
def test_a_value_that_a_rule_does_not_have_is_refused_with_what_it_has(rule: str) -> None:
    wrong: dict[str, Any] = {rule: "zzz"}
    with pytest.raises(SettingsError) as raised:
        Rules(**wrong)
    assert f"rule {rule}='zzz'" in str(raised.value)
    assert all(value in str(raised.value) for value in CHOICES[rule])


def test_a_misspelt_value_is_refused_with_the_nearest_one() -> None:
    wrong: dict[str, Any] = {"short_return": "item_only"}
    with pytest.raises(SettingsError, match="Did you mean 'items_only'"):
        Rules(**wrong)


def test_name_of_a_mixture_lists_what_differs_from_the_documented_preset() -> None:
    mixture = Rules(short_return="items_only", failed_unit="partition")
    assert mixture.name == "documented, but short_return=items_only, failed_unit=partition"


def test_rules_are_hashable_and_immutable() -> None:
    assert len({Rules(), Rules.documented(), Rules.observed()}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        Rules().short_return = "items_only"  # type: ignore[misc]
