"""A Ray cluster for the tests of this folder, which need the extra `ray`: python -m pytest tests/ray"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_parallelrun.emulator.engines.ray import cluster


@pytest.fixture(scope="session", autouse=True)
def _one_cluster() -> Iterator[None]:
    """Started by the first job, and ended after the last one."""
    cluster.keep_open()
    yield
    cluster.close()
