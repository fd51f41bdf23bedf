"""Stand-in for azureml.core.dataset: there is no datastore, and every use raises an error."""

from __future__ import annotations

from pytest_parallelrun.emulator.service.missing_api import SIDE_INPUTS, StandIn

__all__ = ["Dataset"]


class Dataset(StandIn):
    """For imports, annotations and isinstance; get_by_name and everything else is refused."""

    advice = SIDE_INPUTS
