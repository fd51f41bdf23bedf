"""Stand-in for azureml.core.workspace: its names, and nothing behind them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pytest_parallelrun.emulator.service.missing_api import NotCoveredAttributeError, StandIn, not_covered

from ..exceptions import UserErrorException
from .keyvault import Keyvault

__all__ = ["Workspace"]

_FOLDERS = (".azureml", "aml_config", "")
_FILES = ("config.json", "project.json")


class Workspace(StandIn):
    """Parameters as in the SDK reference of Workspace; what was not given is "local"."""

    def __init__(
        self,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        workspace_name: str | None = None,
        **kwargs: object,
    ) -> None:
        self.subscription_id = subscription_id or "local"
        self.resource_group = resource_group or "local"
        self.name = workspace_name or "local"
        self.location = "local"

    @classmethod
    def from_config(
        cls, path: str | None = None, auth: object = None, _logger: object = None, _file_name: str | None = None
    ) -> Workspace:
        """That of a config.json: `path`, or in .azureml, in aml_config or directly in it or a folder above it.

        UserErrorException where there is none, as in the temporary folder that a worker starts in. Source: SDK
        reference of from_config.
        """
        start = Path(os.path.abspath(path or "."))
        found = start if start.is_file() else _find_config(start, (_file_name,) if _file_name else _FILES)
        if found is None:
            raise UserErrorException(
                f"There is no config.json of a workspace in '{start}' or above it. A worker starts in a temporary "
                "folder: give the path of the file, or take the workspace of Run.get_context().experiment."
            )
        values = json.loads(found.read_text(encoding="utf-8"))
        return cls(values.get("subscription_id"), values.get("resource_group"), values.get("workspace_name"))

    @classmethod
    def get(
        cls,
        name: str,
        auth: object = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        **kwargs: object,
    ) -> Workspace:
        return cls(subscription_id, resource_group, name)

    def get_default_keyvault(self) -> Keyvault:
        return Keyvault(self)

    def get_mlflow_tracking_uri(self, _with_auth: bool = False) -> str:
        if "MLFLOW_TRACKING_URI" not in os.environ:
            advice = "Give --parallelrun-env MLFLOW_TRACKING_URI=URI."
            raise NotCoveredAttributeError(not_covered(f"{__name__}.Workspace.get_mlflow_tracking_uri()", advice))
        return os.environ["MLFLOW_TRACKING_URI"]


def _find_config(start: Path, files: tuple[str, ...]) -> Path | None:
    """A folder that is nearer comes first, but .azureml anywhere before aml_config."""
    candidates = (parent / folder / file for folder in _FOLDERS for file in files for parent in (start, *start.parents))
    return next((path for path in candidates if path.is_file()), None)
