"""Stand-in for azureml.core.model: registered models are the models on disk that the job was given."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.service.missing_api import StandIn

from ..exceptions import ModelNotFoundException, WebserviceException
from .workspace import Workspace

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.service.worker_info import WorkerInfo

__all__ = ["Model"]

# Put there by the loader.
_worker: WorkerInfo = globals()["_worker"]


def _models() -> tuple[Mapping[str, Path], str]:
    """Path by name, and where they come from."""
    if _worker.models:
        return _worker.models, "--parallelrun-model"
    folder = os.environ.get("AZUREML_MODEL_DIR", "")
    if os.path.isdir(folder):
        return {path.name: path for path in Path(folder).iterdir()}, f"AZUREML_MODEL_DIR={folder}"
    return {}, "--parallelrun-model"


def _find(name: str) -> tuple[Path | None, str]:
    """The model of that name (else of that file name, else of that file name without suffix), or why not."""
    models, source = _models()
    if name in models:
        return models[name], ""
    found = [path for path in models.values() if path.name == name]
    found = found or [path for path in models.values() if path.stem == name]
    if len(found) == 1:
        return found[0], ""
    known = ", ".join(sorted(models)) or "none"
    what = f"fits {len(found)} models" if found else "is none of the models"
    return None, f"Model {name!r} {what} of {source} ({known}). Give --parallelrun-model {name}=PATH."


class Model(StandIn):
    """A model on disk, looked up by its name; every version that is asked for is the one on disk.

    Source: SDK reference of Model. A model that is not there raises what the SDK raises:
    WebserviceException here, ModelNotFoundException from get_model_path.
    """

    def __init__(
        self,
        workspace: Workspace | None,
        name: str | None = None,
        id: str | None = None,
        tags: object = None,
        properties: object = None,
        version: int | None = None,
        **kwargs: object,
    ) -> None:
        if name is None and id is not None:
            name, _, number = id.partition(":")
            version = int(number) if number.isdecimal() else version
        if not name:
            raise WebserviceException("Model needs the name or the id of a model.")
        path, reason = _find(name)
        if path is None:
            raise WebserviceException(f"ModelNotFound: {reason}")
        self.workspace = workspace
        self.name = name
        self.version = 1 if version is None else version
        self.id = f"{name}:{self.version}"
        self.path = str(path)

    @staticmethod
    def get_model_path(model_name: str, version: int | None = None, _workspace: object = None) -> str:
        """Path of the model's file or folder."""
        path, reason = _find(model_name)
        if path is None:
            raise ModelNotFoundException(reason)
        return str(path)

    def download(self, target_dir: str = ".", exist_ok: bool = False, exists_ok: bool | None = None) -> str:
        """Copies the model into target_dir, and returns the path of the copy.

        exists_ok is the older name of exist_ok. A copy that is there already raises WebserviceException
        unless it may be overwritten.
        """
        source = Path(self.path)
        copy = Path(target_dir) / source.name
        if copy.exists() and not (exist_ok or exists_ok):
            raise WebserviceException(f"{copy} exists already. Give exist_ok=True to overwrite it.")
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, copy)
        return str(copy)
