"""Stand-in for azureml.core: what scripts use of it inside a worker, without a workspace."""

from __future__ import annotations

from .dataset import Dataset
from .datastore import Datastore
from .experiment import Experiment
from .keyvault import Keyvault
from .model import Model
from .run import Run
from .workspace import Workspace

__all__ = ["Dataset", "Datastore", "Experiment", "Keyvault", "Model", "Run", "Workspace"]
