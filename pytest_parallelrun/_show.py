"""--parallelrun-explain: the page of a check, printed; nothing is run. Findings name it.

The pages are part of the wheel, so that they say what the installed version does, and open without a network.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from pytest_parallelrun._options import Given
from pytest_parallelrun.contract import CHECKS
from pytest_parallelrun.emulator.errors import did_you_mean

_PACKAGE = Path(__file__).parent
FOLDERS = (_PACKAGE / "pages", _PACKAGE.parent / "docs" / "checks")
"""Where the pages are: in a wheel, and in a checkout that is installed in place."""


_COMMENT = re.compile(r"^<!-- .* -->\n", re.MULTILINE)


def explain_command(check: str) -> str:
    """What prints the page of a check; "" for a generated test that has none."""
    return f"pytest --parallelrun-explain={check}" if any(spec.name == check for spec in CHECKS) else ""


def print_pages(given: list[Given]) -> None:
    """Prints the page of each check. UsageError for a name that is none."""
    text = "\n".join(_page(item) for item in given)
    # A console may lack characters of the page.
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))


def _page(given: Given) -> str:
    name = given.value.strip().rpartition("::")[2].removeprefix("test_")
    names = [check.name for check in CHECKS]
    if name not in names:
        raise pytest.UsageError(f"{given.origin}={given.value}: there is no such check. {did_you_mean(name, names)}")
    files = [folder / f"{name}.md" for folder in FOLDERS]
    for file in files:
        if file.is_file():
            return _COMMENT.sub("", file.read_text(encoding="utf-8"))
    raise pytest.UsageError(
        f"{given.origin}={given.value}: the page is missing from this installation, looked for as "
        f"{' and '.join(str(file) for file in files)}. Install the package again."
    )
