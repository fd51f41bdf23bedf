"""Whether anybody listens at an address, and what Ray says where it cannot reach somebody, in short."""

from __future__ import annotations

import os
import socket
from typing import NamedTuple

from pytest_parallelrun.emulator.errors import SettingsError

CONNECT_LIMIT = 10.0
"""Seconds in which the head of a cluster must accept a connection."""
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""How a client of gRPC begins, with settings that are empty (RFC 9113, 3.4)."""
_SETTINGS = b"\4"
"""Type of the frame with which a server answers; it follows three bytes with the length."""
_CAUSES = ("The actor died because", "The actor is dead because", "The actor's node", "Worker exit detail")


class Node(NamedTuple):
    """A node of the cluster; address: how messages name it. port: where its manager listens."""

    id: str
    address: str
    port: int

    def is_deserted(self) -> bool:
        """Whether nobody listens there: its manager has ended, and all actors with it. The cluster hears of it late."""
        try:
            socket.create_connection((self.address, self.port), timeout=1.0).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return False


def check_listening(address: str) -> None:
    """SettingsError where nobody listens, or somebody else does: Ray itself would try for minutes."""
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
        "is 6379 unless told otherwise, not that of the dashboard), or leave it out for a cluster of this machine."
    )


def in_short(error: BaseException, most: int) -> str:
    """Ray explains at length: the first line, and the one that says why an actor has ended."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    causes = (line for line in lines[1:] if line.startswith(_CAUSES))
    text = " ".join([first, *causes])
    return text.rstrip(".") if len(text) <= most else f"{text[:most]}..."
