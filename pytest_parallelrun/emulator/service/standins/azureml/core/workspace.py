"""Stand-in for azureml.core.workspace: names that say "local", and nothing behind them."""

from __future__ import annotations

from pytest_parallelrun.emulator.service.missing_api import StandIn

__all__ = ["Workspace"]


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
    def from_config(cls, path: str | None = None, auth: object = None, **kwargs: object) -> Workspace:
        """A local workspace; no config file is read, as in CI there is none."""
        return cls()

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
