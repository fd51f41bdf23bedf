"""Settings of jobs that decide what failures mean: thresholds, retries, mini-batch size, rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from pytest_parallelrun.emulator.rules import PRESETS
from pytest_parallelrun.emulator.setting_table import Profile
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.strategies.validation import check_names, check_whole_number, invalid

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

MAX_THRESHOLD = 5
MAX_RETRIES = 3


def job_settings(
    *,
    profile: Profile = "v2",
    max_retries: int = MAX_RETRIES,
    mini_batch_size: tuple[int, int] | None = None,
    rules: Sequence[str] = PRESETS,
) -> SearchStrategy[JobSettings]:
    """Settings with any combination of thresholds: switched off, 0, or small; percentages from 0 to 100.

    profile: whose thresholds; "batch" has `error_threshold` alone.
    max_retries: the largest that is drawn, from 0.
    mini_batch_size: smallest and largest, in files or in bytes of a table; None leaves it to its default.
    rules: presets of the rules, "documented" and "observed".

    They shrink to thresholds that are switched off and no retries. All but the size are always set, so that no
    other source of settings changes them.

    >>> job_settings(max_retries=1, rules=["documented"]).example()  # doctest: +SKIP
    JobSettings(rules='documented', error_threshold=2, mini_batch_error_threshold=-1, allowed_failed_percent=100, ...)
    """
    from hypothesis import strategies as st

    check_names("profile", [profile], get_args(Profile))
    check_whole_number("max_retries", max_retries, 0)
    check_names("rules", rules, PRESETS)
    fields: dict[str, SearchStrategy[object]] = {
        "rules": st.sampled_from(list(rules)),
        "error_threshold": st.just(-1) | st.integers(0, MAX_THRESHOLD),
        "max_retries": st.integers(0, max_retries),
    }
    if profile != "batch":
        fields["mini_batch_error_threshold"] = st.just(-1) | st.integers(0, MAX_THRESHOLD)
        fields["allowed_failed_percent"] = st.just(100) | st.integers(0, 100)
    if profile != "v2":
        fields["profile"] = st.just(profile)
    if mini_batch_size is not None:
        fields["mini_batch_size"] = st.integers(*_checked_range(mini_batch_size))
    return st.builds(JobSettings, **fields)


def _checked_range(sizes: object) -> tuple[int, int]:
    if not isinstance(sizes, tuple) or len(sizes) != 2:
        raise invalid(f"mini_batch_size={sizes!r}: give the smallest and the largest one, such as (1, 10).")
    smallest, largest = sizes
    check_whole_number("smallest mini_batch_size", smallest, 1)
    check_whole_number("largest mini_batch_size", largest, smallest)
    return smallest, largest
