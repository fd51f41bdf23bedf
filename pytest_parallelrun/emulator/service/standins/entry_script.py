"""Where older documents import EntryScript from."""

from __future__ import annotations

from azureml_user.parallel_run import EntryScript

__all__ = ["EntryScript"]
