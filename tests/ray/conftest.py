"""A Ray cluster of three nodes for the tests of this folder, which need the extra `ray`: python -m pytest tests/ray"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_parallelrun.emulator.engines.ray import cluster
from pytest_parallelrun.emulator.engines.ray.cluster import OF_OURS

OBJECT_STORE_BYTES = 80_000_000


class Nodes:
    """The nodes of the cluster beside the head, which is the one of this process."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from ray.cluster_utils import Cluster

            # What it does without: a process that would start more nodes, and one that reads the logs.
            head = {**self._arguments(), "_system_config": OF_OURS, "no_monitor": True}
            self._cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        self.address = str(self._cluster.address)
        self.others = [self._cluster.add_node(**self._arguments()) for _ in range(2)]

    def kill(self, node: object) -> None:
        """As a machine goes that loses its power."""
        self._cluster.remove_node(node, allow_graceful=False)
        self.others.remove(node)

    def shutdown(self) -> None:
        self._cluster.shutdown()

    @staticmethod
    def _arguments() -> dict[str, object]:
        return {
            "num_cpus": 1,
            "object_store_memory": OBJECT_STORE_BYTES,
            "include_dashboard": False,
            "include_log_monitor": False,
        }


@pytest.fixture(scope="session")
def nodes() -> Iterator[Nodes]:
    """The cluster, named by RAY_ADDRESS; all tests are one driver."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        nodes = Nodes()
        try:
            patch.setenv("RAY_ADDRESS", nodes.address)
            yield nodes
        finally:
            cluster.close()
            nodes.shutdown()


@pytest.fixture(autouse=True)
def _on_the_cluster(nodes: Nodes) -> None:
    """All tests of the folder need it. A gate that has ended has left it: jobs after it share a connection again."""
    cluster.keep_open()
