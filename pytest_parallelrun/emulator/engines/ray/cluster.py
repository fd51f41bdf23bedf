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
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from textwrap import shorten
from typing import Any, cast

from pytest_parallelrun.emulator.engines.ray.actor import WorkerActor
from pytest_parallelrun.emulator.engines.ray.files import signature
from pytest_parallelrun.emulator.engines.tracebacks import describe_exception
from pytest_parallelrun.emulator.errors import SettingsError

OBJECT_STORE_BYTES = 128 * 1024 * 1024
"""Of a cluster that is started here: mini-batches and results pass through it; what is larger goes to disk."""
OF_OURS = {"worker_niceness": 0, "prestart_worker_first_driver": False}
"""For a cluster started here. Ray would give workers only spare memory, and start a process for each CPU."""
ENVIRONMENT = {"RAY_kill_child_processes_on_worker_exit": "0"}
"""For actors. Otherwise Ray would kill only the worker process, before its descendants can be ended."""
ARRIVAL = 120.0
"""Seconds for an actor to start and to answer quick calls."""
CONNECT_LIMIT = 10.0
"""Seconds for the head of a cluster to accept a connection."""
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""How a gRPC client starts, with empty settings (RFC 9113, 3.4)."""
_SETTINGS = b"\4"
"""Type of the frame with which a server answers, after three bytes with the length."""
GROUPS = {"post": "posts", "ask": "questions", "unseen": "questions"}
"""Concurrency groups of the methods of an actor that need not wait for others."""


def check_ray_possible() -> None:
    """Refuses if Ray is missing, or the address is of an unsupported kind. SettingsError."""
    if find_spec("ray") is None:
        raise SettingsError("engine='ray' needs Ray, which is not installed: pip install 'pytest-parallelrun[ray]'")
    address = os.environ.get("RAY_ADDRESS", "")
    scheme, separator, _ = address.partition("://")
    if separator:
        raise SettingsError(
            f"RAY_ADDRESS={address}: an address that begins with {scheme}:// goes through a proxy, and files and "
            "limits need a driver that is on the cluster. Run pytest on a node of the cluster, with "
            "RAY_ADDRESS=HOST:PORT or RAY_ADDRESS=auto."
        )


class Cluster:
    """A connection to a cluster. started: whether the cluster is ours, and ends with the connection."""

    started = False

    def __init__(self) -> None:
        self.idle: dict[str, list[ActorHandle]] = defaultdict(list)
        """The idle actors of each node. Ray ends those of which nobody has a handle."""
        self._closing = ExitStack()
        with _quietly():
            import ray

            self.ray: Any = ray
            if not ray.is_initialized():
                self._connect()
        self.actor_class: Any = ray.remote(
            num_cpus=0, concurrency_groups=dict.fromkeys(GROUPS.values(), 1), runtime_env={"env_vars": ENVIRONMENT}
        )(WorkerActor)

    def _connect(self) -> None:
        address = os.environ.get("RAY_ADDRESS") or "local"
        self.started = address == "local"
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        # Not TMPDIR, which may be too long for the paths of Ray's sockets.
        base = os.environ.get("RAY_TMPDIR", "/tmp")
        if self.started:
            options.update(include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES, _system_config=OF_OURS)
            problem = "engine='ray': no Ray cluster could be started on this machine"
            advice = (
                f"It needs free ports, room in '{base}' (RAY_TMPDIR), and {OBJECT_STORE_BYTES >> 20} MB of shared "
                "memory. Or name a cluster with RAY_ADDRESS=HOST:PORT, or use engine='process'."
            )
        else:
            check_listening(address)
            # Nodes get this package from here, whether or not it is installed there.
            options["runtime_env"] = {"py_modules": [str(Path(__file__).parents[3])]}
            problem = f"RAY_ADDRESS={address}: this cluster cannot be joined"
            advice = "Its nodes need the same Python and Ray. Without RAY_ADDRESS a cluster is started on this machine."
        try:
            if self.started:
                folder = options["_temp_dir"] = tempfile.mkdtemp(prefix="ray-", dir=base)
                self._closing.callback(shutil.rmtree, folder, ignore_errors=True)
                # Processes of a failed start end with this process, and write until then.
                atexit.register(shutil.rmtree, folder, ignore_errors=True)
            self._closing.callback(self.ray.shutdown)
            self.ray.init(address=address, **options)
        except Exception as error:
            # Of many types, Exception itself among them.
            self.close()
            _failed.append(error)
            raise SettingsError(f"{problem}: {in_short(error)}. {advice}") from error
        # Ray prints the last log lines of a lost node, which no option prevents.
        module = self.ray._private.worker
        self._closing.callback(setattr, module, "print_to_stdstream", getattr(module, "print_to_stdstream", None))
        module.print_to_stdstream = lambda *arguments, **named: None

    def close(self) -> None:
        """Leaves the cluster, and ends it if it is ours, even if it started only partly."""
        self.idle.clear()
        with _quietly():
            self._closing.close()

    @property
    def home(self) -> str:
        """The id of the node that this process is on."""
        return str(self.ray.get_runtime_context().get_node_id())

    def nodes(self) -> dict[str, str]:
        """Living nodes, id -> address, this one first; nodes without a CPU, such as many heads, are left out."""
        alive = [node for node in self.ray.nodes() if node["Alive"]]
        able = [node for node in alive if node["Resources"].get("CPU", 0) > 0] or alive
        home = self.home
        able.sort(key=lambda node: (node["NodeID"] != home, node["NodeManagerAddress"], node["NodeID"]))
        return {node["NodeID"]: node["NodeManagerAddress"] for node in able}


class ActorHandle:
    """An actor on a node, whose address is for messages.

    lost: Ray's error if there is no answer any more, for any reason: actor, node, memory, disk, time.
    """

    lost: BaseException | None = None

    def __init__(self, cluster: Cluster, node: str, address: str) -> None:
        self.node, self.address = node, address
        self._ray = cluster.ray
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
        self._actor = cluster.actor_class.options(scheduling_strategy=strategy).remote()

    def call(self, method: str, *arguments: object, **named: object) -> Any:
        """Calls a method, and returns the reference to its answer. Ray makes a call at most once."""
        return getattr(self._actor, method).options(concurrency_group=GROUPS.get(method)).remote(*arguments, **named)

    def get(self, reference: object, otherwise: object, limit: float | None = None) -> Any:
        """The answer behind a reference; `otherwise` if the actor is lost."""
        try:
            return self._ray.get(reference, timeout=limit)
        except self._ray.exceptions.RayError as error:
            self.lost = error
            return otherwise

    def ask(self, method: str, *arguments: object, otherwise: object = None, limit: float = ARRIVAL) -> Any:
        """The answer of a method; `otherwise` if the actor is lost."""
        return otherwise if self.lost else self.get(self.call(method, *arguments), otherwise, limit)

    def unseen(self, paths: Iterable[str]) -> set[str]:
        """The paths that its node does not see."""
        # A file that is missing here is missing there too, and the script will notice.
        signatures = {path: known for path in paths if (known := signature(path)) is not None}
        return cast("set[str]", self.ask("unseen", signatures, otherwise=set()))

    def kill(self) -> None:
        # One that is gone already is fine too.
        with suppress(Exception):
            self._ray.kill(self._actor)


_failed: list[Exception] = []
"""Why clusters could not be started. Ray ends its processes with this process; until then they belong to the error, and
would cause a warning if it were collected.
"""
_current: Cluster | None = None
_users = 0


def join() -> Cluster:
    """The cluster of this process; each call needs one of `leave`. SettingsError."""
    global _current, _users
    check_ray_possible()
    if _current is not None and not _current.ray.is_initialized():
        # Something else has ended it.
        _current.close()
        _current = None
    if _current is None:
        _current = Cluster()
    _users += 1
    return _current


def leave() -> None:
    """Closes the connection when nobody uses it any more."""
    global _users
    _users -= 1
    if _users <= 0:
        close()


def keep_open() -> None:
    """Keeps the connection between jobs until `close`: a gate has a hundred of them."""
    global _users
    _users += 1


def close() -> None:
    """Ends the connection, and the cluster if it was started here."""
    global _current, _users
    cluster, _current, _users = _current, None, 0
    if cluster is not None:
        cluster.close()


@contextmanager
def _quietly() -> Iterator[None]:
    """Keeps what Ray changes in this process from those whose process it is."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    debugger = os.environ.get("PYTHONBREAKPOINT")
    terminated = signal.getsignal(signal.SIGTERM)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if threading.current_thread() is threading.main_thread() and terminated is not None:
            signal.signal(signal.SIGTERM, terminated)
        os.environ.pop("PYTHONBREAKPOINT", None)
        if debugger is not None:
            os.environ["PYTHONBREAKPOINT"] = debugger


def check_listening(address: str) -> None:
    """SettingsError if nothing, or something else, listens: Ray itself would try for many minutes."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()):
        return
    reason = "what listens there is no Ray cluster"
    encrypted = os.environ.get("RAY_USE_TLS", "0").lower() not in ("0", "false")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_LIMIT) as connection:
            connection.sendall(_HTTP2)
            if encrypted or connection.recv(4, socket.MSG_WAITALL)[3:] == _SETTINGS:
                return
    except (OSError, OverflowError) as error:
        reason = str(error)
    raise SettingsError(
        f"RAY_ADDRESS={address}: no Ray cluster can be reached there: {reason}. Give HOST:PORT of its head (PORT "
        "is 6379 by default, not that of the dashboard), or leave it out for a cluster of this machine."
    )


def in_short(error: BaseException, most: int = 300) -> str:
    """Ray's errors are long: what they say without the details, which are indented, or the error of ours behind one."""
    cause = getattr(error, "cause", None)
    text = str(error) if cause is None else describe_exception(cause)
    lines = [line for line in text.splitlines() if not line[:1].isspace()]
    return shorten(" ".join(lines).rstrip("."), most, placeholder="...") or type(error).__name__
