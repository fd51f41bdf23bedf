"""Prints the lower bounds of pyproject.toml's dependencies as constraints for pip: `pandas>=2.2.3` -> `pandas==2.2.3`.

Of the tests' own tools only what is part of the tests is held back, not the linters.
"""

# ruff: noqa: T201  # printing is what it is for

from __future__ import annotations

import re
from importlib.metadata import requires

EXTRAS_OF_USERS = ("html", "parquet")
"""The others are for those who work on the project."""
LOWER_BOUND = re.compile(r"([\w-]+)(?:\[[\w,]+\])?\s*>=\s*([\w.]+)\s*$")


def main() -> None:
    # The metadata of the installed package: Python 3.10 has no reader of TOML.
    for requirement in requires("pytest-parallelrun") or ():
        bound, _, marker = requirement.partition(";")
        if "extra ==" in marker and not any(re.search(rf"['\"]{extra}['\"]", marker) for extra in EXTRAS_OF_USERS):
            continue
        match = LOWER_BOUND.match(bound.strip())
        if match is None:
            raise SystemExit(f"{requirement!r}: a dependency needs a lower bound, and nothing but it")
        print(f"{match[1]}=={match[2]}")


main()
