"""The report as one HTML page that opens offline. Needs the extra "html": Jinja2."""

from __future__ import annotations

from importlib.util import find_spec

NEEDED = ("jinja2",)
INSTALL = 'pip install "pytest-parallelrun[html]"'


def missing() -> list[str]:
    """Packages of the extra that are not installed."""
    return [name for name in NEEDED if find_spec(name) is None]
