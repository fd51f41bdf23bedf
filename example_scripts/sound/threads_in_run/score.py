"""Checks the links in web pages against a list of known hosts; pages are read by several threads at a time."""

from __future__ import annotations

import re
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HOSTS_FILE = Path(__file__).parent / "known_hosts.txt"
LINK = re.compile(r"""href=["']([^"']+)""")


def init() -> None:
    global known
    known = frozenset(HOSTS_FILE.read_text(encoding="utf-8").split())


def check(name: str) -> str:
    path = Path(name)
    try:
        links = LINK.findall(path.read_text(encoding="utf-8"))
        hosts = {urllib.parse.urlsplit(link).hostname for link in links}
    except (OSError, ValueError) as error:
        return f"{path.name}: error {error!r}"
    unknown = sorted(host for host in hosts if host and host not in known)
    return f"{path.name}: {', '.join(unknown) if unknown else 'all known'}"


def run(mini_batch: list[str]) -> list[str]:
    # The threads end with the call: none outlives run().
    with ThreadPoolExecutor(max_workers=4) as pool:
        return list(pool.map(check, mini_batch))
