"""What of the Ray engine must hold where Ray is not installed; tests/ray has the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_parallelrun import ParallelJob
from pytest_parallelrun.emulator.engines import engine_maker
from pytest_parallelrun.emulator.engines.ray import cluster
from pytest_parallelrun.emulator.errors import EntryScriptError, SettingsError
from tests.emulator.jobs import Names, make_files


def test_without_ray_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    script = tmp_path / "score.py"
    script.write_text("def run(paths):\n    return paths\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"^engine='ray' needs Ray, .*pip install 'pytest-parallelrun\[ray\]'$"):
        ParallelJob(script, make_files(tmp_path, 1), engine="ray")


def test_an_object_is_refused_as_its_nodes_cannot_get_it(tmp_path: Path) -> None:
    with pytest.raises(EntryScriptError, match=r"^engine='ray' takes the path of a script"):
        ParallelJob(Names(), make_files(tmp_path, 1), engine="ray")


def test_an_address_of_the_ray_client_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: "found")
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(SettingsError, match=r"RAY_ADDRESS=ray://head:10001: .* Run pytest on a node of the cluster"):
        cluster.check_possible()


def test_ray_is_not_imported_before_there_is_a_job_for_it() -> None:
    assert engine_maker("ray").__name__ == "StandingActors"
    ask = "import sys; from pytest_parallelrun.emulator.engines import engine_maker; engine_maker('ray')"
    done = subprocess.run([sys.executable, "-c", f"{ask}; sys.exit('ray' in sys.modules)"], check=False)
    assert done.returncode == 0
