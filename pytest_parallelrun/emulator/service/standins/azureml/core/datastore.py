"""Stand-in for azureml.core.datastore: there is none, and every use says so."""

from __future__ import annotations

from pytest_parallelrun.emulator.service.missing_api import SIDE_INPUTS, StandIn

__all__ = ["Datastore"]


class Datastore(StandIn):
    """Can be imported, and named in annotations and isinstance; get and all else is refused."""

    advice = SIDE_INPUTS
