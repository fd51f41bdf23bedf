"""The report as one HTML page that opens offline. Needs the extra "html": Jinja2 and Plotly."""

from __future__ import annotations

from importlib.util import find_spec

NEEDED = ("jinja2", "plotly")
INSTALL = 'pip install "pytest-parallelrun[html]"'


def missing() -> list[str]:
    """Packages of the extra that are not installed."""
    return [name for name in NEEDED if find_spec(name) is None]
