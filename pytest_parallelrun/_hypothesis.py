"""Loads Hypothesis for the generated tests, in a fraction of the time that pytest would take for it.

pytest rewrites the asserts of every distribution that has a plugin, and Hypothesis' two hundred modules are one. That
takes seconds wherever no bytecode is written, as in many containers, and its asserts are none of a script's.
"""

from __future__ import annotations

import sys


def load_hypothesis() -> None:
    """Imports Hypothesis with the import system as it is without pytest's hook."""
    if "hypothesis.strategies" in sys.modules:
        return
    hooks = [finder for finder in sys.meta_path if type(finder).__name__ == "AssertionRewritingHook"]
    before = list(sys.meta_path)
    sys.meta_path[:] = [finder for finder in before if finder not in hooks]
    try:
        import hypothesis.strategies  # noqa: F401 - imported for its effect on sys.modules
    finally:
        sys.meta_path[:] = before
