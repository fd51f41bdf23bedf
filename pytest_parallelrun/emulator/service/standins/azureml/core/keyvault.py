"""Stand-in for azureml.core.keyvault: secrets are environment variables."""

from __future__ import annotations

import os
from collections.abc import Iterable

from pytest_parallelrun.emulator.service.missing_api import NotCoveredKeyError, StandIn, not_covered

__all__ = ["Keyvault"]


def secret(name: str, asked: str) -> str:
    """The environment variable of that name. asked: the method that was called, for the message."""
    if name not in os.environ:
        advice = f"Give its value as the environment variable {name!r}: --parallelrun-env {name}=VALUE."
        raise NotCoveredKeyError(not_covered(f"{asked}({name!r})", advice))
    return os.environ[name]


class Keyvault(StandIn):
    def __init__(self, workspace: object) -> None:
        self.workspace = workspace

    def get_secret(self, name: str) -> str:
        return secret(name, f"{__name__}.Keyvault.get_secret")

    def get_secrets(self, secrets: Iterable[str]) -> dict[str, str]:
        return {name: self.get_secret(name) for name in secrets}
