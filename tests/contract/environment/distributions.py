"""Distributions that are "installed" in a folder, so that tests know what an environment has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

DISTRIBUTIONS = {
    "rating-tools": ("2.1.0", ["rating/__init__.py"], ["small-store>=1", 'gpu-rating; extra == "gpu"']),
    "small-store": ("1.4.2", ["store.py"], ['win-only; sys_platform == "win32"', 'old-only; python_version < "3.9"']),
    "gpu-rating": ("0.3.0", ["gpu_rating/__init__.py"], []),
    "other-rating": ("1.0.0", ["other_rating/__init__.py"], []),
    "azure-first": ("1.0.0", ["azure/first/__init__.py"], []),
    "azure-second": ("1.0.0", ["azure/second/__init__.py"], []),
    "loads-resources": ("1.0.0", ["loads_resources/__init__.py"], []),
}


def install(
    folder: Path, distributions: Mapping[str, tuple[str, Sequence[str], Sequence[str]]] = DISTRIBUTIONS
) -> Path:
    """Writes metadata and modules as pip does. Each: its version, its files, what it requires."""
    for name, (version, files, required) in distributions.items():
        information = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        information.mkdir(parents=True)
        extras = "Provides-Extra: gpu\n" if name == "rating-tools" else ""
        requires = "".join(f"Requires-Dist: {requirement}\n" for requirement in required)
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{extras}{requires}"
        )
        (information / "RECORD").write_text("".join(f"{file},sha256=x,0\n" for file in files))
        for file in files:
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("import pkg_resources\n" if name == "loads-resources" else "")
    return folder
