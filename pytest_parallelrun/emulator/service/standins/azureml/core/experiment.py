"""Stand-in for azureml.core.experiment."""

from __future__ import annotations

from pytest_parallelrun.emulator.service.missing_api import StandIn

from .workspace import Workspace

__all__ = ["Experiment"]


class Experiment(StandIn):
    """A name in a workspace."""

    def __init__(self, workspace: Workspace, name: str, **kwargs: object) -> None:
        self.workspace = workspace
        self.name = name
