"""The modules of the mltable package, kept apart from those that a worker sees.

While a worker is active, `azureml` is a stand-in and installed azureml packages are hidden; the reader imports some of
its own when it reads, and its native module can be loaded once in a process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_ROOTS = ("azureml", "mltable")
_OURS = "pytest_parallelrun."

_own: dict[str, ModuleType] = {}


@contextmanager
def reader_modules() -> Iterator[None]:
    """Inside, imports find the modules of the reader, whatever a worker sees."""
    finders = list(sys.meta_path)
    outside = _present() if _own else None
    if outside is not None:
        _replace(outside, _own)
    sys.meta_path[:] = [finder for finder in finders if not type(finder).__module__.startswith(_OURS)]
    try:
        yield
    finally:
        sys.meta_path[:] = finders
        _own.update(_present())
        if outside is not None:
            _replace(_own, outside)


def _present() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in _ROOTS}


def _replace(old: dict[str, ModuleType], new: dict[str, ModuleType]) -> None:
    for name in old:
        sys.modules.pop(name, None)
    sys.modules.update(new)
