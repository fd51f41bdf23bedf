from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from pytest_parallelrun import JobSettings
from pytest_parallelrun.emulator.entry import find_entry
from pytest_parallelrun.emulator.errors import EntryScriptError, InputError, not_there, special_file
from pytest_parallelrun.emulator.models import find_models
from pytest_parallelrun.emulator.splitting import open_input


@pytest.fixture(params=["pipe", "socket"])
def special(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no such files on this platform")
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    if request.param == "pipe":
        os.mkfifo("x.py")
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("x.py")
    return tmp_path / "data" / "x.py"


def test_what_is_no_file_is_named_and_never_opened(special: Path) -> None:
    with pytest.raises(EntryScriptError, match=r"x\.py' is a (named pipe|socket), not a file"):
        find_entry(special)
    with pytest.raises(InputError, match=r"x\.py' is a (named pipe|socket), not a file; give"):
        find_models([str(special)])
    for given in (special, special.parent, special.parent / "*.py"):
        with pytest.raises(InputError, match=r"x\.py' is a (named pipe|socket), not a file: give"):
            open_input(str(given), JobSettings())


def test_devices_are_named_and_files_are_not(tmp_path: Path) -> None:
    assert special_file("/dev/null") == ("a device" if os.name == "posix" else "")
    assert special_file(tmp_path) == special_file(tmp_path / "none") == ""
    assert not_there(tmp_path / "none") == "does not exist"
