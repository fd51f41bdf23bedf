"""Stand-in for azureml.core.model: registered models are the local models of the job."""

from __future__ import annotations

import builtins
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.service.missing_api import StandIn, record_gap

from ..exceptions import ModelNotFoundException, WebserviceException
from .workspace import Workspace

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.service.worker_info import WorkerInfo

__all__ = ["Model"]

# Set by the loader.
_worker: WorkerInfo = globals()["_worker"]


_registered: dict[str, list[Model]] = {}
"""Models that the script registered: versions by name. Nothing is sent."""


def _models() -> tuple[Mapping[str, Path], str]:
    """Paths by name, and their origin."""
    if _worker.models:
        return _worker.models, "--parallelrun-model"
    folder = os.environ.get("AZUREML_MODEL_DIR", "")
    if os.path.isdir(folder):
        return {path.name: path for path in Path(folder).iterdir()}, f"AZUREML_MODEL_DIR={folder}"
    return {}, "--parallelrun-model"


def _find(name: str) -> list[Path]:
    """The model of that name, otherwise those of that file name, otherwise without suffix."""
    models, _ = _models()
    if name in models:
        return [models[name]]
    same_file = [path for path in models.values() if path.name == name]
    return same_file or [path for path in models.values() if path.stem == name]


def _why_not(name: str, found: Sequence[Path]) -> str:
    """Why that is not exactly one model. A name without a model is a gap of the setup."""
    if "/" in name or "\\" in name:
        return _instead_of_path(name)
    models, source = _models()
    known = ", ".join(sorted(models)) or "none"
    what = f"fits {len(found)} models" if found else "is none of the models"
    advice = f"Give --parallelrun-model {name}=PATH."
    record_gap(f"the model {name!r}", advice)
    return f"Model {name!r} {what} of {source} ({known}). {advice}"


def _instead_of_path(path: str) -> str:
    """What to write instead of a path."""
    parts = [part for part in path.replace("\\", "/").split("/") if part]
    name, rest = "NAME", parts[-1:]
    for position, part in enumerate(parts):
        if len(found := _find(part)) == 1:
            name, rest = part, parts[position + 1 :] if found[0].is_dir() else []
            break
    call = f'Model.get_model_path("{name}")'
    join = f"os.path.join({', '.join([call, *(json.dumps(part) for part in rest)])})" if rest else call
    where = "" if name != "NAME" else ", with the name that the model is registered under"
    return f"A model is found by its name, and {path!r} is a path, which the service does not find. Use {join}{where}."


class Model(StandIn):
    """A local model, looked up by its name; any requested version is the local one.

    It matches any tags and properties. Source: SDK reference of Model. A missing model raises the SDK's error:
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
        run_id: str | None = None,
        model_framework: str | None = None,
        expand: bool = True,
        **kwargs: object,
    ) -> None:
        if name is None and id is not None:
            name, _, number = id.partition(":")
            version = int(number) if number.isdecimal() else version
        models, _ = _models()
        if not name and (tags or properties) and len(models) == 1:
            [name] = models
        if not name:
            raise WebserviceException(
                "Model needs the name or the id of a model. Here the tags and properties of models are not known."
            )
        versions = _registered.get(name, [])
        found = [Path(versions[-1].path)] if versions else _find(name)
        if len(found) != 1:
            raise WebserviceException(f"ModelNotFound: {_why_not(name, found)}")
        self._describe(workspace, name, found[0], version or len(versions) or 1, tags, properties)
        self.model_framework, self.run_id = model_framework, run_id

    def _describe(
        self,
        workspace: Workspace | None,
        name: str,
        path: Path,
        version: int,
        tags: object,
        properties: object,
        description: str | None = None,
    ) -> None:
        self.workspace = workspace
        self.name = name
        self.version = version
        self.id = f"{name}:{version}"
        self.path = str(path)
        self.tags = _pairs(tags)
        self.properties = _pairs(properties)
        self.description = description
        changed = path.stat().st_mtime if path.exists() else 0.0
        self.created_time = datetime.fromtimestamp(changed, timezone.utc)

    @staticmethod
    def get_model_path(model_name: str, version: int | None = None, _workspace: object = None) -> str:
        """Path of the model's file or folder."""
        found = _find(model_name)
        if len(found) != 1:
            raise ModelNotFoundException(_why_not(model_name, found))
        return str(found[0])

    @staticmethod
    def list(
        workspace: Workspace | None,
        name: str | None = None,
        tags: object = None,
        properties: object = None,
        run_id: str | None = None,
        latest: bool = False,
        dataset_id: str | None = None,
        expand: bool = True,
        page_count: int = 255,
        model_framework: str | None = None,
    ) -> builtins.list[Model]:
        """The local models and those registered here, all or those of a name."""
        if name is None:
            names = dict.fromkeys([*_models()[0], *_registered])
            return [Model(workspace, each, tags=tags, properties=properties) for each in names]
        if name not in _registered and not _find(name):
            _why_not(name, [])
            return []
        return [Model(workspace, name, tags=tags, properties=properties)]

    @staticmethod
    def register(
        workspace: Workspace | None,
        model_path: str,
        model_name: str,
        tags: object = None,
        properties: object = None,
        description: str | None = None,
        **kwargs: object,
    ) -> Model:
        """Records the model in this worker; nothing is sent."""
        versions = _registered.setdefault(model_name, [])
        model = Model.__new__(Model)
        path = Path(os.path.abspath(model_path))
        model._describe(workspace, model_name, path, len(versions) + 1, tags, properties, description)
        model.model_framework = model.run_id = None
        versions.append(model)
        return model

    def add_tags(self, tags: Mapping[str, str]) -> None:
        self.tags.update(tags)

    def add_properties(self, properties: Mapping[str, str]) -> None:
        self.properties.update(properties)

    def download(self, target_dir: str = ".", exist_ok: bool = False, exists_ok: bool | None = None) -> str:
        """Copies the model into target_dir, and returns the path of the copy.

        exists_ok is the older name of exist_ok. An existing copy raises WebserviceException unless it may be
        overwritten.
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


def _pairs(filter: object) -> dict[str, str]:
    """Tags or properties of a filter: a dict, or a list of keys and of pairs."""
    if isinstance(filter, Mapping):
        return dict(filter)
    pairs = [
        [each, ""] if isinstance(each, str) else [*each, ""]
        for each in (filter if isinstance(filter, Iterable) else ())
    ]
    return {pair[0]: pair[1] for pair in pairs}


class _ModelsByName(dict[str, Model]):
    """Finds the models that `Model(workspace, name)` finds; a name without a model is a gap."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__({model.name: model for model in Model.list(workspace)})
        self._workspace = workspace

    def __missing__(self, name: str) -> Model:
        try:
            return Model(self._workspace, name)
        except WebserviceException as error:
            raise KeyError(error.message) from None


# Here, because a model knows its workspace.
Workspace.models = property(_ModelsByName)  # type: ignore[attr-defined]
