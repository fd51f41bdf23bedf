"""Where workers are, and how files get there: by path where a node sees the files of this machine, else by value."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.clock import real_monotonic
from pytest_parallelrun.emulator.engines.protocol import NoWorkersLeft
from pytest_parallelrun.emulator.engines.ray.file_transfer import (
    FilePayload,
    Signature,
    bundle_of,
    copy_back,
    side_inputs,
)
from pytest_parallelrun.emulator.entry import EntryFile

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines.ray.actor import ShutdownReport
    from pytest_parallelrun.emulator.engines.ray.actor_handle import ActorHandle
    from pytest_parallelrun.emulator.engines.ray.cluster import Cluster, Node
    from pytest_parallelrun.emulator.worker_plan import WorkerPlan

ANSWER_LIMIT = 120.0
"""Seconds in which an actor must be there and say what its node sees."""
_NAMES_SHOWN = 5


class NodePlacement:
    """The nodes of a job: an instance stays on one, until that is lost.

    on_this_node: whether all instances are on the node of this process.
    """

    on_this_node = False

    def __init__(self, cluster: Cluster, plan: WorkerPlan) -> None:
        self._cluster = cluster
        self._plan = plan
        self._home = cluster.home
        self._nodes: dict[int, Node] = {}
        self._sharing: dict[str, bool] = {self._home: True}
        self._folders: dict[tuple[str, str], bool] = {}
        self._bundle: object = None
        self._sent = Counter[str]()
        self._addresses: dict[str, str] = {}
        self._lost_files: list[str] = []
        self._replaced: list[str] = []
        self._unseen: dict[str, list[str]] = {self._home: []}
        """Side inputs that a node does not see."""

    def node_of(self, instance: int) -> Node:
        """The node of an instance: one after the other, the least loaded where one was lost."""
        alive = self._cluster.nodes()
        if self.on_this_node:
            alive = [node for node in alive if node.id == self._home] or alive
        if not alive:
            raise NoWorkersLeft("the Ray cluster has no node that is alive")
        node = self._nodes.get(instance)
        if node not in alive:
            load = Counter(other.id for other in self._nodes.values())
            node = min(alive, key=lambda each: load[each.id])
            self._nodes[instance] = node
        self._addresses[node.id] = node.address
        return node

    def bundle_for(self, handle: ActorHandle) -> object:
        """Code root and models for a node that does not see the folders of the job, None for one that does."""
        if self._shares(handle):
            return None
        if self._bundle is None:
            # Once into the object store, from where each node takes it once.
            self._bundle = self._cluster.ray.put(bundle_of(self._plan))
        return self._bundle

    def payload_for(self, handle: ActorHandle, mini_batch: int, paths: list[str]) -> list[str] | FilePayload:
        """The files of a mini-batch for a node. InputError where they are too large to be sent."""
        if self._sharing[handle.node.id]:
            return paths
        if all(self._sees_folder_of(handle, path) for path in paths):
            return paths
        self._sent[handle.node.id] += 1
        return FilePayload.of(paths, mini_batch)

    def copy_back(self, handle: ActorHandle, report: ShutdownReport) -> None:
        """The files that a worker wrote on a node that does not see the folders of the job."""
        if report.files:
            self._replaced += copy_back(report.files, self._plan)
        if report.lost:
            self._lost_files.append(f"node {handle.node.address}: {report.lost}")

    def lost_with(self, handle: ActorHandle) -> None:
        """The actor is gone with what its workers have printed; with their files where only its node has them."""
        if handle.workers:
            numbers = ", ".join(map(str, handle.workers))
            loss = f"what worker(s) {numbers} printed is lost"
            if not self._sharing.get(handle.node.id, True):
                loss = f"what worker(s) {numbers} printed, and all files that they wrote there, are lost"
            self._lost_files.append(f"an actor on node {handle.node.address} was lost: {loss}")

    def notes(self) -> list[str]:
        where = ", ".join(dict.fromkeys(self._addresses.values()))
        notes = [f"workers ran on {len(self._addresses)} node(s) of a Ray cluster: {where}"]
        for node, shares in self._sharing.items():
            if not shares and node in self._addresses:
                sent = "code and models were sent to it"
                if self._sent[node]:
                    sent += f", and the files of {self._sent[node]:,} mini-batch(es)"
                notes.append(f"node {self._addresses[node]} does not see the folders of this machine: {sent}")
                notes += [
                    f"'{path}', which arguments or the environment of the script name, was not sent to node "
                    f"{self._addresses[node]}, which does not see it: put it below the code root, or where all nodes "
                    "see it at the same path"
                    for path in self._unseen[node]
                ]
        notes += dict.fromkeys(self._lost_files)
        if names := list(dict.fromkeys(self._replaced)):
            more = f" and {len(names) - _NAMES_SHOWN:,} more" if len(names) > _NAMES_SHOWN else ""
            notes.append(
                f"{len(names):,} file(s) were there already when those of the same name came from a node of the "
                f"cluster, and are replaced: {', '.join(names[:_NAMES_SHOWN])}{more}"
            )
        return notes

    def _shares(self, handle: ActorHandle) -> bool:
        """Whether the node sees the folders of the job, its code and its models."""
        node = handle.node.id
        if node not in self._sharing:
            plan = self._plan
            token = plan.folder / "seen"
            token.write_text(str(real_monotonic()), encoding="utf-8")
            paths: list[Path] = [token, plan.code_root, *plan.models.values()]
            paths += [path for path in (plan.output_dir, plan.logs) if path is not None]
            if isinstance(plan.entry, EntryFile):
                paths.append(plan.entry.path)
            signatures = [signature for path in paths if (signature := Signature.of(str(path))) is not None]
            try:
                self._sharing[node] = all(handle.sees(signatures, limit=ANSWER_LIMIT))
            finally:
                token.unlink()
            if not self._sharing[node]:
                sides = [signature for path in side_inputs(plan) if (signature := Signature.of(path)) is not None]
                seen = handle.sees(sides, limit=ANSWER_LIMIT)
                self._unseen[node] = [side.path for side, is_seen in zip(sides, seen, strict=True) if not is_seen]
        return self._sharing[node]

    def _sees_folder_of(self, handle: ActorHandle, path: str) -> bool:
        """Whether the node sees the folder of an input file: shown by the first file of it."""
        key = handle.node.id, os.path.dirname(path)
        if key not in self._folders:
            signature = Signature.of(path)
            # What is missing here is missing there as well, and the script will hear of it.
            self._folders[key] = signature is None or all(handle.sees([signature], limit=ANSWER_LIMIT))
        return self._folders[key]
