from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

import pytest_parallelrun.strategies
from pytest_parallelrun import Fault, JobSettings, strategies
from pytest_parallelrun.strategies import Cell, Files, Item, JobCase, Rows, Sample, job_settings, jobs
from pytest_parallelrun.strategies.jobs import FAULT_KINDS
from tests.strategies.drawing import drawn, smallest

# Wrong on purpose, which a type checker would see.
ANY: Callable[[object], Any] = lambda value: value  # noqa: E731
SOUND = SimpleNamespace(run=lambda mini_batch: list(range(len(mini_batch))))
PUBLIC = {name: getattr(pytest_parallelrun.strategies, name) for name in pytest_parallelrun.strategies.__all__}


@settings(max_examples=40, deadline=None, database=None)
@given(data=st.data())
def test_every_fault_of_a_drawn_job_fires_for_files(data: st.DataObject, files: Sample) -> None:
    case = data.draw(jobs(files, odd=True, kinds=FAULT_KINDS))
    # It raises a FaultError where a fault cannot fire.
    assert case.run(SOUND).total_items == case.recipe.size


@settings(max_examples=40, deadline=None, database=None)
@given(data=st.data())
def test_every_fault_of_a_drawn_job_fires_for_tables(data: st.DataObject, table: Sample) -> None:
    case = data.draw(jobs(table, odd=True, kinds=FAULT_KINDS))
    result = case.run(SOUND)
    if result.exceeded is None:
        assert sum(mini_batch.size for mini_batch in result.mini_batches) == case.recipe.size


def test_jobs_have_one_mini_batch_or_many_and_end_either_way(files: Sample, table: Sample) -> None:
    for sample in (files, table):
        results = [case.run(SOUND) for case in drawn(jobs(sample), 40)]
        assert {result.status for result in results} == {"Completed", "Failed"}
        assert 1 in {result.total_mini_batches for result in results}
        assert any(result.total_mini_batches > 2 for result in results)
        assert any(result.exceeded for result in results)


def test_files_of_several_folders_make_as_many_mini_batches_as_the_rules_say(files: Sample) -> None:
    items = (Item("a.txt"), Item("sub/a.txt"))
    for rules, expected in (("documented", 1), ("observed", 2)):
        case = JobCase(files, Files(items), JobSettings(mini_batch_size=2, rules=rules))  # type: ignore[arg-type]
        assert case.run(SOUND).total_mini_batches == expected


def test_csv_files_of_a_folder_stay_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n", encoding="utf-8")
    case = JobCase(Sample(tmp_path), Files((Item("a.csv"),)), JobSettings())
    entry = SimpleNamespace(run=lambda paths: [os.path.basename(path) for path in paths])
    assert case.run(entry).rows == ["a.csv"]


def test_the_input_of_a_case_goes_to_the_folder_asked_for(files: Sample, table: Sample, tmp_path: Path) -> None:
    case = JobCase(files, Files((Item("a.txt"),)), JobSettings())
    assert case.input(tmp_path) == str(tmp_path)
    assert os.listdir(tmp_path) == ["a.txt"]
    built = JobCase(table, Rows((1,), (Cell(0, "number", "nan"),)), JobSettings()).input()
    assert isinstance(built, pd.DataFrame)
    assert built["integer"].tolist() == [2]


def test_a_case_runs_on_the_fixture_of_the_entry_under_test_with_the_settings_drawn(files: Sample) -> None:
    seen: dict[str, Any] = {}
    result = object()

    class Fixture:
        def job(self, input: object, *, faults: Sequence[Fault], **settings: object) -> object:
            seen.update(settings, input=input, faults=faults)
            return result

    faults = (Fault.raises(ValueError, mini_batch=0, attempt=1),)
    case = JobCase(files, Files((Item("a.txt"),)), JobSettings(error_threshold=3, rules="observed"), faults)
    returned: object = case.run(Fixture())
    assert returned is result
    assert os.listdir(seen.pop("input")) == ["a.txt"]
    assert seen == {"faults": faults, "error_threshold": 3, "rules": case.settings.rules}


def test_an_entry_object_with_a_run_is_run_though_it_has_a_job(files: Sample) -> None:
    entry = SimpleNamespace(run=SOUND.run, job=lambda: 1 / 0)
    assert JobCase(files, Files((Item("a.txt"),)), JobSettings()).run(entry).status == "Completed"


def test_settings_of_the_sample_are_those_of_its_jobs(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x;y\n1;2\n", encoding="utf-8")
    sample = Sample(tmp_path / "a.csv", settings=JobSettings(profile="batch", timeout=5))
    for case in drawn(jobs(sample), 20):
        assert case.settings.profile == "batch"
        assert case.settings.timeout == 5
        assert isinstance(case.recipe, Files)


def test_jobs_have_twenty_items_at_most_unless_more_are_asked_for() -> None:
    table = pd.DataFrame({"x": range(50)})
    assert max(case.recipe.size for case in drawn(jobs(table), 60)) <= 20
    assert min(case.recipe.size for case in drawn(jobs(table, min_size=21, max_size=None), 10)) > 20


def test_a_case_is_built_again_from_its_repr(files: Sample, table: Sample, narrow: pd.DataFrame) -> None:
    for sample in (files, table):
        for case in drawn(jobs(sample, odd=True, kinds=FAULT_KINDS), 60):
            assert eval(repr(case), {**PUBLIC, "frame": narrow}) == case


def test_jobs_shrink_to_one_item_without_faults(files: Sample) -> None:
    case = smallest(jobs(files, odd=True), lambda case: True)
    assert case.recipe == Files((Item("a.txt"),))
    assert case.faults == ()
    assert case.settings.max_retries == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda sample: jobs(sample, min_size=30), "min_size=30 is more than max_size=20"),
        (lambda sample: jobs(sample, max_retries=-1), "max_retries=-1"),
        (lambda sample: jobs(sample, rules=["none"]), "rules: 'none'"),
        (lambda sample: jobs(sample, kinds=[ANY("none")]), "kinds: 'none'"),
        (lambda sample: jobs(sample, max_faults=ANY(None)), "max_faults=None"),
    ],
)
def test_a_wrong_argument_is_refused_at_once(make: Callable[[Sample], object], message: str, files: Sample) -> None:
    with pytest.raises(InvalidArgument, match=message):
        make(files)


def test_strategies_is_a_name_of_the_package() -> None:
    assert strategies is pytest_parallelrun.strategies


def test_thresholds_are_off_or_zero_or_small_each_and_percentages_anything() -> None:
    found = drawn(job_settings(), 200)
    assert {chosen.error_threshold for chosen in found} == {-1, 0, 1, 2, 3, 4, 5}
    assert {chosen.mini_batch_error_threshold for chosen in found} == {-1, 0, 1, 2, 3, 4, 5}
    percents = {chosen.allowed_failed_percent for chosen in found}
    assert {0, 100} <= percents
    assert len(percents) > 20
    assert {chosen.max_retries for chosen in found} == {0, 1, 2, 3}
    assert {chosen.rules.name for chosen in found} == {"documented", "observed"}


def test_what_is_drawn_is_always_set_so_that_no_option_changes_it() -> None:
    for chosen in drawn(job_settings(), 20):
        assert chosen.explicit == {
            "rules",
            "error_threshold",
            "mini_batch_error_threshold",
            "allowed_failed_percent",
            "max_retries",
        }


def test_retries_rules_and_sizes_are_those_asked_for() -> None:
    found = drawn(job_settings(max_retries=1, rules=["observed"], mini_batch_size=(2, 4)), 100)
    assert {chosen.max_retries for chosen in found} == {0, 1}
    assert {chosen.rules.name for chosen in found} == {"observed"}
    assert {chosen.mini_batch_size for chosen in found} == {2, 3, 4}


def test_a_batch_deployment_has_one_threshold() -> None:
    found = drawn(job_settings(profile="batch"), 50)
    assert {chosen.profile for chosen in found} == {"batch"}
    assert {chosen.error_threshold for chosen in found} > {-1, 0}


def test_settings_shrink_to_nothing_that_ends_a_job() -> None:
    chosen = smallest(job_settings(), lambda chosen: True)
    assert chosen == JobSettings(
        rules="documented",
        error_threshold=-1,
        mini_batch_error_threshold=-1,
        allowed_failed_percent=100,
        max_retries=0,
    )


def test_settings_are_built_again_from_their_repr() -> None:
    for chosen in drawn(job_settings(mini_batch_size=(1, 5)), 100):
        assert eval(repr(chosen), {"JobSettings": JobSettings}) == chosen


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"profile": "v3"}, r"profile: 'v3' is not one of its names. Allowed: batch, v1, v2"),
        ({"max_retries": -1}, r"max_retries=-1: must be a whole number of 0 or more"),
        ({"rules": ["observe"]}, r"rules: 'observe' is not one of its names. Did you mean 'observed'"),
        ({"mini_batch_size": 5}, r"mini_batch_size=5: give the smallest and the largest one, such as \(1, 10\)"),
        ({"mini_batch_size": (0, 5)}, r"smallest mini_batch_size=0: must be a whole number of 1 or more"),
        ({"mini_batch_size": (3, 2)}, r"largest mini_batch_size=2: must be a whole number of 3 or more"),
    ],
)
def test_a_wrong_argument_of_settings_is_refused_at_once(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        job_settings(**arguments)  # type: ignore[arg-type]
