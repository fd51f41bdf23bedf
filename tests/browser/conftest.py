"""A headless Chromium, and the report of a job in which everything that a user controls is hostile."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1000",
)

HOSTILE = (
    "<script>window.hacked=1<!-- .txt",
    '"onmouseover=window.hacked=2 x=".txt',
    "'><img src=x onerror=window.hacked=3>.txt",
    "javascript:window.hacked=4.txt",
    "new\nline \u202e emoji \U0001f600.txt",
    "{{ 7 * 6 }}%{x} & <b>bold<.txt",
)
"""Names of items; none has a `/`, which no name can have."""

SCRIPT = r"""
import os

def run(mini_batch):
    name = os.path.basename(mini_batch[0])
    if name.startswith("javascript"):
        raise ValueError("</script><script>window.hacked=5</script>\u2028<svg onload=window.hacked=6>")
    if name.startswith("new"):
        raise KeyError("<a href=javascript:window.hacked=7>click</a> ${window.hacked=8} `")
    if name.startswith('"'):
        return []
    return ["<img src=x onerror=window.hacked=9>" for _ in mini_batch]
"""


CHECKS = "imports or one_result or order or completes or losses or timeout"
"""Few, since this is about what is told of them."""


@dataclass(frozen=True)
class Reports:
    """The files of one run."""

    html: Path
    json: Path


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Reports:
    """Two entries; the folder and the script of the second have hostile names too."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "score.py").write_text("def run(mini_batch):\n    return list(mini_batch)\n")
    second = folder / "<img src=x onerror=window.hacked=10>"
    second.mkdir()
    (second / "score.py").write_text(SCRIPT, encoding="utf-8")
    data = folder / "data"
    data.mkdir()
    for name in HOSTILE:
        (data / name).write_text("x")
    html, json = folder / "gate.html", folder / "gate.json"
    command = [
        sys.executable,
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", CHECKS),
        *("--parallelrun-entry=score.py", f"--parallelrun-entry={second / 'score.py'}", f"--parallelrun-input={data}"),
        *("--parallelrun-set=error_threshold=2", "--parallelrun-env=X=</style><script>window.hacked=11</script>"),
        *(f"--parallelrun-report={html}", f"--parallelrun-report={json}"),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    return Reports(html, json)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Debian's Chromium with a new profile."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert browser, "there is no chromium: apt-get install chromium chromium-driver"
    assert driver, "there is no chromedriver: apt-get install chromium-driver"
    options = ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = Chrome(options=options, service=ChromeService(driver))
    yield made
    made.quit()
