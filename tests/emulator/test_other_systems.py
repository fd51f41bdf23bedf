"""Jobs on systems that lack what Linux has, simulated: Windows has no signal for alarms, no fork and no process groups;
macOS has no waitid().
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pytest_parallelrun.emulator import folders
from tests.emulator._scripts import make_job, outcomes

LACKING: dict[str, dict[ModuleType, tuple[str, ...]]] = {
    "Windows": {
        os: (
            "fork",
            "forkpty",
            "getuid",
            "killpg",
            "getpgid",
            "waitid",
            "register_at_fork",
            "pidfd_open",
            "O_NOFOLLOW",
        ),
        signal: ("SIGALRM", "SIGHUP", "alarm", "setitimer", "getitimer"),
    },
    "macOS": {os: ("waitid",)},
}
SCRIPT = """
    import subprocess, sys
    child = None
    def init():
        global child
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    def run(batch):
        if batch[0].endswith("0.txt"):
            raise ValueError("no")
        return batch
"""


@pytest.mark.parametrize(("system", "engine"), [("Windows", "inprocess"), ("macOS", "inprocess"), ("macOS", "process")])
def test_a_job_is_the_same_where_less_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, engine: str
) -> None:
    job = make_job(tmp_path, SCRIPT, files=2)
    job.engine = engine
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr("tempfile.tempdir", str(temporary))
        patched.setattr(folders, "_looked_for_abandoned", set())
        for module, names in LACKING[system].items():
            for name in names:
                patched.delattr(module, name, raising=False)
        # psutil remembers what there was when it was first asked.
        patched.setattr("psutil._psposix.can_use_pidfd_open", lambda: False, raising=False)
        if system == "Windows":
            patched.setitem(sys.modules, "fcntl", None)
        result = job.run()
        assert outcomes(result) == ["exception", "succeeded"]
        assert "the script left 1 process running, killed at the end of the job: " in " ".join(result.notes)
        if system == "Windows":
            assert any(note.startswith("timeouts: judged when run() returned") for note in result.notes)
        del result
        gc.collect()
        assert list(temporary.iterdir()) == []


def test_what_is_promised_is_what_is_tried() -> None:
    root = Path(__file__).parents[2]
    classifiers = (root / "pyproject.toml").read_text("utf-8")
    assert ("Operating System :: POSIX :: Linux" in classifiers, "Operating System :: MacOS" in classifiers) == (
        True,
        True,
    )
    assert "Windows" not in classifiers
    assert "Linux and macOS" in (root / "README.md").read_text("utf-8")
