"""Stand-in for azureml.core.dataset: there is no datastore to read from, and every use says so."""

from __future__ import annotations

from pytest_parallelrun.emulator.service.missing_api import SIDE_INPUTS, StandIn

__all__ = ["Dataset"]


class Dataset(StandIn):
    """Can be imported, and named in annotations and isinstance; get_by_name and all else is refused."""

    advice = SIDE_INPUTS
