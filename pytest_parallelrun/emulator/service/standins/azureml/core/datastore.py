"""Stand-in for azureml.core.datastore: there is none, and every use raises an error."""

from __future__ import annotations

from pytest_parallelrun.emulator.service.missing_api import SIDE_INPUTS, StandIn

__all__ = ["Datastore"]


class Datastore(StandIn):
    """For imports, annotations and isinstance; get and everything else is refused."""

    advice = SIDE_INPUTS
