"""Stand-in for azureml.core: what scripts need of it inside a worker, without a workspace behind it."""

from __future__ import annotations

from .dataset import Dataset
from .experiment import Experiment
from .model import Model
from .run import Run
from .workspace import Workspace

__all__ = ["Dataset", "Experiment", "Model", "Run", "Workspace"]
