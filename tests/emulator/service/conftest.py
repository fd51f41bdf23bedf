from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Literal, Protocol

import pytest

from pytest_parallelrun.emulator.service.stand_ins import StandIns
from pytest_parallelrun.emulator.service.worker_info import WorkerInfo

ROOTS = ("azureml", "azureml_user", "entry_script")


class Activate(Protocol):
    def __call__(
        self,
        *,
        agent_name: str = ...,
        output_dir: Path | None = ...,
        logging_level: str = ...,
        models: Mapping[str, Path] | None = ...,
        azureml: Literal["standin", "installed"] = ...,
    ) -> StandIns: ...


@pytest.fixture
def code_root(tmp_path: Path) -> Path:
    folder = tmp_path / "mein Code"
    folder.mkdir()
    return folder


@pytest.fixture
def log_dir(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "user" / "entry_script_log" / "instance0"


@pytest.fixture
def activate(code_root: Path, log_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Activate]:
    """Makes a fresh worker's stand-ins importable, as the emulator does when it switches to a worker."""
    path, meta_path = list(sys.path), list(sys.meta_path)
    service_modules = _take_service_modules()
    monkeypatch.delenv("AZUREML_MODEL_DIR", raising=False)
    started: list[StandIns] = []

    def activate(
        *,
        agent_name: str = "process000",
        output_dir: Path | None = None,
        logging_level: str = "INFO",
        models: Mapping[str, Path] | None = None,
        azureml: Literal["standin", "installed"] = "standin",
    ) -> StandIns:
        _take_service_modules()
        facts = WorkerInfo(
            agent_name=agent_name,
            output_dir=output_dir,
            working_dir=code_root,
            entry_dir=code_root / "src",
            log_dir=log_dir,
            logging_level=logging_level,
            models=models or {},
        )
        started.append(StandIns(facts, code_root=code_root, azureml=azureml))
        sys.meta_path[:] = [started[-1], *meta_path]
        importlib.invalidate_caches()
        return started[-1]

    yield activate
    for stand_ins in started:
        stand_ins.close()
    _take_service_modules()
    sys.modules.update(service_modules)
    sys.path[:], sys.meta_path[:] = path, meta_path


def _take_service_modules() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] in ROOTS]
    return {name: sys.modules.pop(name) for name in names}


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    importlib.invalidate_caches()
    return folder
