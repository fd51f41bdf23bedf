"""The Ray cluster of this process, joined or started here, and its idle actors.

`RAY_ADDRESS` names a cluster to join. If this process has initialised Ray already, that is used and left as it is.
Otherwise a cluster of this machine is started.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from pytest_parallelrun.emulator.clock import real_monotonic
from pytest_parallelrun.emulator.engines.protocol import NoWorkersLeft
from pytest_parallelrun.emulator.engines.ray.actor import WorkerActor
from pytest_parallelrun.emulator.engines.ray.files import (
    PARCEL_LIMIT,
    FilePayload,
    bundle_of,
    pack,
    side_inputs,
    signature,
    unpack,
    written_to,
)
from pytest_parallelrun.emulator.entry import EntryFile
from pytest_parallelrun.emulator.errors import InputError, SettingsError
from pytest_parallelrun.emulator.splitting.model import count_text
from pytest_parallelrun.emulator.worker_plan import WorkerPlan

OBJECT_STORE_BYTES = 128 * 1024 * 1024
"""Of a cluster that is started here: groups of mini-batches and results pass through it; what is larger goes to disk.
"""
_MAX_FOLDER_LENGTH = 30
"""Maximum characters of a folder for Ray's sockets, whose paths may have 107 bytes of ASCII."""
DISTRUST = 60.0
"""Seconds without new actors on a node that has lost one, if there are others: a node may be dead that long before the
cluster says so.
"""
OF_OURS = {"worker_niceness": 0, "prestart_worker_first_driver": False}
"""For a cluster started here. Ray would give workers only spare memory, and start a process for each CPU."""
ENVIRONMENT = {"RAY_kill_child_processes_on_worker_exit": "0"}
"""For actors. Otherwise Ray would kill only the worker process, before its descendants can be ended."""
ARRIVAL = 120.0
"""Seconds for an actor to start and to answer quick calls."""
_NAMES_SHOWN = 5
_MAX_REASON_LENGTH = 300
"""Characters of Ray's reason that are shown."""
CONNECT_LIMIT = 10.0
"""Seconds for the head of a cluster to accept a connection."""
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""How a gRPC client starts, with empty settings (RFC 9113, 3.4)."""
_SETTINGS = b"\4"
"""Type of the frame with which a server answers, after three bytes with the length."""
_CAUSES = ("The actor died because", "The actor is dead because", "The actor's node", "Worker exit detail")
CONTROL, POSTS = "control", "posts"
"""Concurrency groups of calls that need not wait for others."""


def check_ray_possible() -> None:
    """Refuses if Ray is missing, or the address is of an unsupported kind. SettingsError."""
    if find_spec("ray") is None:
        raise SettingsError("engine='ray' needs Ray, which is not installed: pip install 'pytest-parallelrun[ray]'")
    address = os.environ.get("RAY_ADDRESS", "")
    scheme = address.partition("://")[0] if "://" in address else ""
    if scheme:
        raise SettingsError(
            f"RAY_ADDRESS={address}: an address that begins with {scheme}:// goes through a proxy, and files and "
            "limits need a driver that is on the cluster. Run pytest on a node of the cluster, with "
            "RAY_ADDRESS=HOST:PORT or RAY_ADDRESS=auto."
        )


class Cluster:
    """A connection to a cluster. started: whether the cluster is ours, and ends with the connection."""

    started = False
    _folder: str | None = None
    _print: Any = None

    def __init__(self) -> None:
        self.idle: dict[str, list[Any]] = defaultdict(list)
        """The idle actors of each node."""
        self._distrusted: dict[str, float] = {}
        options: dict[str, Any] = {"num_cpus": 0, "concurrency_groups": {CONTROL: 1, POSTS: 1}}
        with _quietly():
            import ray

            self.ray: Any = ray
            self._joined = not ray.is_initialized()
            if self._joined:
                self._connect()
                self._silence()
            else:
                options["runtime_env"] = {"env_vars": ENVIRONMENT}
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
        self._on_node: Any = NodeAffinitySchedulingStrategy
        self._actor_class: Any = self.ray.remote(**options)(WorkerActor)
        self.lost: type[Exception] = ray.exceptions.RayError
        """Errors of Ray for an unavailable answer, for any reason: actor, node, memory, disk, time."""
        self.died: type[Exception] = ray.exceptions.ActorDiedError
        """The error for an actor that is known to have ended."""

    def _connect(self) -> None:
        address = os.environ.get("RAY_ADDRESS") or "local"
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        environment: dict[str, Any] = {"env_vars": ENVIRONMENT}
        base = tempfile.gettempdir()
        base = base if len(base) < _MAX_FOLDER_LENGTH and base.isascii() else "/tmp"
        if address != "local":
            check_listening(address)
            # Nodes get this package from here, whether or not it is installed there.
            environment["py_modules"] = [str(Path(__file__).parents[3])]
            problem = f"RAY_ADDRESS={address}: this cluster cannot be joined"
            advice = (
                "Its nodes need the versions of Python and Ray that are here. Without RAY_ADDRESS a cluster is started "
                "on this machine."
            )
        else:
            self.started = True
            options |= {
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES,
                "_system_config": OF_OURS,
            }
            problem = "engine='ray': no Ray cluster could be started on this machine"
            advice = (
                f"It needs free ports, room in '{base}' (TMPDIR), and {OBJECT_STORE_BYTES >> 20} MB of shared memory. "
                "Or name a cluster with RAY_ADDRESS=HOST:PORT, or use engine='process'."
            )
        try:
            if self.started:
                self._folder = options["_temp_dir"] = tempfile.mkdtemp(prefix="ray-", dir=base)
                # Processes of a failed start end with this process, and write until then.
                atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
            self.ray.init(address=address, runtime_env=environment, **options)
        except Exception as error:
            # Of many types, Exception itself among them.
            self.close()
            _failed.append(error)
            raise SettingsError(f"{problem}: {in_short(error, _MAX_REASON_LENGTH)}. {advice}") from error

    def _silence(self) -> None:
        """Ray prints the last log lines of a lost node, which no option prevents."""
        module = self.ray._private.worker
        self._print = getattr(module, "print_to_stdstream", None)
        module.print_to_stdstream = lambda *arguments, **named: None

    def close(self) -> None:
        """Leaves the cluster, and ends it if it is ours, even if it started only partly."""
        if self.ray.is_initialized():
            for actors in self.idle.values():
                for actor in actors:
                    self.kill(actor)
        if self._joined:
            with _quietly():
                self.ray.shutdown()
        if self._print is not None:
            self.ray._private.worker.print_to_stdstream = self._print
        self.idle.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def is_open(self) -> bool:
        return bool(self.ray.is_initialized())

    @property
    def home(self) -> str:
        """The id of the node that this process is on."""
        return str(self.ray.get_runtime_context().get_node_id())

    def nodes(self) -> dict[str, str]:
        """Living nodes, id -> address, this one first; nodes without a CPU, such as many heads, are left out."""
        alive = [node for node in self.ray.nodes() if node["Alive"]]
        able = [node for node in alive if node["Resources"].get("CPU", 0) > 0] or alive
        now = real_monotonic()
        able = [node for node in able if self._distrusted.get(node["NodeID"], 0.0) < now] or able
        home = self.home
        able.sort(key=lambda node: (node["NodeID"] != home, node["NodeManagerAddress"], node["NodeID"]))
        return {node["NodeID"]: node["NodeManagerAddress"] for node in able}

    def quarantine(self, node: str) -> None:
        """An actor was lost there, and possibly the node. This node is not lost."""
        if node != self.home:
            self._distrusted[node] = real_monotonic() + DISTRUST

    def actor_on(self, node: str) -> Any:
        if self.idle[node]:
            return self.idle[node].pop()
        return self._actor_class.options(scheduling_strategy=self._on_node(node, soft=False)).remote()

    def kill(self, actor: Any) -> None:
        # One that is gone already is fine too.
        with suppress(Exception):
            self.ray.kill(actor, no_restart=True)


@dataclass(eq=False)
class Node:
    """A node of the cluster, as a job knows it. address: its name in messages.

    blind: whether it does not see the folders of the job, None if unknown. unseen: side inputs that it does not see.
    folders: whether it does not see those of inputs. sent: number of mini-batches sent to it.
    """

    id: str
    address: str
    blind: bool | None
    unseen: list[str] = field(default_factory=list)
    folders: dict[str, bool] = field(default_factory=dict)
    sent: int = 0


class ActorHandle:
    """An actor of a job. begun: whether it knows the job. workers: numbers of the workers that it has held."""

    def __init__(self, cluster: Cluster, node: Node) -> None:
        self.node = node
        self.begun = False
        self.workers: list[int] = []
        self._cluster = cluster
        self.actor = cluster.actor_on(node.id)

    def call(self, method: str, *arguments: object, group: str | None = None) -> Any:
        """Calls a method, and returns the reference to its answer. Ray makes a call at most once.

        group: of methods that need not wait for others.
        """
        remote = getattr(self.actor, method)
        return (remote if group is None else remote.options(concurrency_group=group)).remote(*arguments)

    def ask(self, method: str, *arguments: object, limit: float = ARRIVAL, group: str | None = CONTROL) -> Any:
        """The answer of a method, by default of one that need not wait. `Cluster.lost`."""
        return self._cluster.ray.get(self.call(method, *arguments, group=group), timeout=limit)

    def unseen(self, paths: Iterable[str | Path]) -> list[str]:
        """The paths that its node does not see. `Cluster.lost`."""
        # A file that is missing here is missing there too, and the script will notice.
        signatures = {str(path): known for path in paths if (known := signature(path)) is not None}
        return cast("list[str]", self.ask("unseen", signatures))


class NodePlacement:
    """The nodes of a job, and what they see of its files: an instance stays on its node until that is lost.

    on_this_node: whether all instances are on the node of this process.
    """

    on_this_node = False

    def __init__(self, cluster: Cluster, plan: WorkerPlan) -> None:
        self._cluster = cluster
        self._plan = plan
        self._home = cluster.home
        self._nodes: dict[str, Node] = {}
        self._of_instance: dict[int, str] = {}
        self._bundle: object = None
        self._lost_files: dict[str, None] = {}
        self._replaced: dict[str, None] = {}

    def node_of(self, instance: int) -> Node:
        """The node of an instance: round robin, the least loaded one if one was lost."""
        alive = self._cluster.nodes()
        if self.on_this_node and self._home in alive:
            alive = {self._home: alive[self._home]}
        if not alive:
            raise NoWorkersLeft("the Ray cluster has no node that is alive")
        if self._of_instance.get(instance) not in alive:
            load = Counter(self._of_instance.values())
            self._of_instance[instance] = min(alive, key=lambda node: load[node])
        node = self._of_instance[instance]
        return self._nodes.setdefault(node, Node(node, alive[node], False if node == self._home else None))

    def bundle_for(self, handle: ActorHandle) -> object:
        """Code root and models for a node that does not see the folders of the job, otherwise None."""
        node, plan = handle.node, self._plan
        if node.blind is None:
            token = plan.folder / "seen"
            token.write_text(str(real_monotonic()), encoding="utf-8")
            paths = [token, plan.code_root, *map(Path, plan.python_path), *plan.models.values(), *written_to(plan)]
            if isinstance(plan.entry, EntryFile):
                paths.append(plan.entry.path)
            try:
                blind = bool(handle.unseen(paths))
            finally:
                token.unlink()
            node.unseen = handle.unseen(side_inputs(plan)) if blind else []
            node.blind = blind
        if node.blind and self._bundle is None:
            # Once into the object store, from which each node gets it once.
            self._bundle = self._cluster.ray.put(bundle_of(plan))
        return self._bundle if node.blind else None

    def payload_for(self, handle: ActorHandle, mini_batch: int, paths: list[str]) -> list[str] | FilePayload:
        """The files of a mini-batch for a node. InputError if they are too large to be sent."""
        node = handle.node
        if not node.blind:
            return paths
        for path in paths:
            # The first file of a folder decides.
            if (folder := os.path.dirname(path)) not in node.folders:
                node.folders[folder] = bool(handle.unseen([path]))
        if not any(node.folders[os.path.dirname(path)] for path in paths):
            return paths
        node.sent += 1
        paths = [os.path.abspath(path) for path in paths]
        copies = pack(paths, PARCEL_LIMIT)
        if copies is None:
            raise InputError(
                f"mini-batch {mini_batch}: its files have more than {PARCEL_LIMIT:,} bytes, and a node of the cluster "
                f"does not see '{paths[0]}'. Put the input on storage that all nodes see at the same path, or make "
                "mini_batch_size smaller."
            )
        return FilePayload(paths, copies)

    def take_leave(self, handle: ActorHandle, limit: float) -> None:
        """Fetches the files of workers, from a node that does not see the folders of the job. `Cluster.lost`."""
        node = handle.node
        if handle.begun and node.blind:
            files, lost = handle.ask("leave", limit=limit, group=None)
            # On shared storage the last writer wins too.
            self._replaced |= dict.fromkeys(unpack(files))
            if lost:
                self._lost_files[f"node {node.address}: {lost}"] = None
        self._cluster.idle[node.id].append(handle.actor)

    def lost_with(self, handle: ActorHandle) -> None:
        """The actor is gone with the files that only its node has."""
        if handle.workers and handle.node.blind:
            workers = ("worker " if len(handle.workers) == 1 else "workers ") + ", ".join(map(str, handle.workers))
            loss = f"the output of {workers}, and all files written there, are lost"
            self._lost_files[f"an actor on node {handle.node.address} was lost: {loss}"] = None

    def notes(self) -> list[str]:
        nodes = self._nodes.values()
        where = ", ".join(dict.fromkeys(node.address for node in nodes))
        notes = [f"workers ran on {count_text(len(nodes), 'node')} of a Ray cluster: {where}"]
        for node in nodes:
            if not node.blind:
                continue
            files = f", and the files of {count_text(node.sent, 'mini-batch')}" if node.sent else ""
            notes.append(
                f"node {node.address} does not see the folders of this machine: code and models were sent to it{files}"
            )
            notes += [
                f"'{path}', which arguments or the environment of the script name, was not sent to node "
                f"{node.address}, which does not see it: put it below the code root, or where all nodes see it at the "
                "same path"
                for path in node.unseen
            ]
        notes += self._lost_files
        if names := list(self._replaced):
            more = f" and {len(names) - _NAMES_SHOWN:,} more" if len(names) > _NAMES_SHOWN else ""
            notes.append(
                f"{count_text(len(names), 'file')} replaced by a file of the same name from a node of the cluster: "
                f"{', '.join(names[:_NAMES_SHOWN])}{more}"
            )
        return notes


_failed: list[Exception] = []
"""Why clusters could not be started. Ray ends its processes with this process; until then they belong to the error, and
would cause a warning if it were collected.
"""
_current: Cluster | None = None
_users = 0
_kept = False


def join() -> Cluster:
    """The cluster of this process; each call needs one of `leave`. SettingsError."""
    global _current, _users
    check_ray_possible()
    if _current is not None and not _current.is_open:
        # Something else has ended it.
        _current.close()
        _current = None
    if _current is None:
        _current = Cluster()
    _users += 1
    return _current


def leave() -> None:
    """Closes the connection when nobody uses it any more, but where it is kept."""
    global _users
    _users -= 1
    if _users <= 0 and not _kept:
        close()


def keep_open() -> None:
    """Keeps the connection between jobs until `close`: a gate has a hundred of them."""
    global _kept
    _kept = True
    atexit.register(close)


def close() -> None:
    """Ends the connection, and the cluster if it was started here."""
    global _current, _users, _kept
    cluster, _current = _current, None
    _users, _kept = 0, False
    atexit.unregister(close)
    if cluster is not None:
        cluster.close()


@contextmanager
def _quietly() -> Iterator[None]:
    """Keeps what Ray changes in this process from those whose process it is."""
    debugger = os.environ.get("PYTHONBREAKPOINT")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    main = threading.current_thread() is threading.main_thread()
    terminated = signal.getsignal(signal.SIGTERM)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if main and terminated is not None:
            signal.signal(signal.SIGTERM, terminated)
        if debugger is None:
            os.environ.pop("PYTHONBREAKPOINT", None)
        else:
            os.environ["PYTHONBREAKPOINT"] = debugger


def check_listening(address: str) -> None:
    """SettingsError if nothing, or something else, listens: Ray itself would try for minutes."""
    host, separator, port = address.rpartition(":")
    if not (separator and port.isdigit()):
        return
    reason = "what listens there is no Ray cluster"
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_LIMIT) as connection:
            if os.environ.get("RAY_USE_TLS", "0").lower() not in ("0", "false"):
                return
            connection.sendall(_HTTP2)
            if connection.recv(4, socket.MSG_WAITALL)[3:] == _SETTINGS:
                return
    except (OSError, OverflowError) as error:
        reason = str(error)
    raise SettingsError(
        f"RAY_ADDRESS={address}: no Ray cluster can be reached there: {reason}. Give HOST:PORT of its head (PORT "
        "is 6379 by default, not that of the dashboard), or leave it out for a cluster of this machine."
    )


def in_short(error: BaseException, most: int) -> str:
    """Ray's errors are long: the first line, and the one that says why an actor has ended."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    causes = (line for line in lines[1:] if line.startswith(_CAUSES))
    text = " ".join([first, *causes])
    return text.rstrip(".") if len(text) <= most else f"{text[:most]}..."
