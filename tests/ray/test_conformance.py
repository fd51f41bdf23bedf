"""The same jobs on the Ray engine and in this process: the same result, up to order and duration."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emulator.engines import test_conformance
from tests.emulator.engines.test_conformance import (
    jobs as jobs,
)
from tests.emulator.engines.test_conformance import (
    test_a_failure_has_the_same_fields_on_all_engines as test_a_failure_has_the_same_fields,
)
from tests.emulator.engines.test_conformance import (
    test_a_worker_that_fails_has_the_same_failure_on_all_engines as test_a_worker_that_fails_has_the_same_failure,
)
from tests.emulator.engines.test_conformance import (
    test_an_injected_failure_of_init_is_the_same_on_all_engines as test_an_injected_failure_of_init_is_the_same,
)
from tests.emulator.engines.test_conformance import (
    test_drawn_jobs_have_the_same_result_on_all_engines as test_drawn_jobs_have_the_same_result_on_all_engines,
)
from tests.emulator.engines.test_conformance import (
    test_each_fault_has_the_same_result_on_all_engines as test_each_fault_has_the_same_result,
)
from tests.emulator.engines.test_conformance import (
    test_several_workers_have_the_same_result_on_all_engines as test_several_workers_have_the_same_result,
)
from tests.emulator.engines.test_conformance import (
    test_tables_have_the_same_result_on_all_engines as test_tables_have_the_same_result,
)

__all__ = [
    "test_a_failure_has_the_same_fields",
    "test_a_worker_that_fails_has_the_same_failure",
    "test_an_injected_failure_of_init_is_the_same",
    "test_drawn_jobs_have_the_same_result_on_all_engines",
    "test_each_fault_has_the_same_result",
    "test_example_scripts_have_the_same_result",
    "test_several_workers_have_the_same_result",
    "test_tables_have_the_same_result",
]


@pytest.fixture(scope="module")
def engines() -> tuple[str, ...]:
    return ("inprocess", "ray")


@pytest.mark.parametrize("name", ["text_files", "sound/error_rows", "sound/class_based"])
def test_example_scripts_have_the_same_result(
    tmp_path: Path, engines: tuple[str, ...], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that come up at once; tables have a test of their own."""
    test_conformance.test_example_scripts_have_the_same_result_on_all_engines(tmp_path, engines, name, monkeypatch)
