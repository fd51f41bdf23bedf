"""What a gate can say at all: simulated as on the service, and not checkable here whatever a script does.

docs/reference/fidelity.md has the rules one by one, with their sources and tests.
"""

from __future__ import annotations

SIMULATED = (
    ("import", "by the dotted name below the code root, with that folder alone of yours on sys.path"),
    ("arguments", "those that the runtime adds to sys.argv, in its order, then yours"),
    ("splitting", "of files and of tables into mini-batches, by the settings"),
    ("workers", "each with its own copy of the script's modules, and its own init()"),
    ("retries", "at the end of the queue, up to max_retries, on any worker"),
    ("timeouts", "of run() and of loading; sleeping is skipped on a clock of the job"),
    ("thresholds", "checked after every mini-batch that ends, and the job is stopped"),
    ("output", "the appended file, as the service writes it"),
    ("modules of the service", "stand-ins for azureml_user, azureml.core and azureml.exceptions"),
)
"""(what, how)."""

NOT_CHECKABLE = (
    ("identity, network, mounts, data stores", "the script runs as you, on local files; remote paths are refused"),
    (
        "images and environments",
        "the script runs in this Python, with its packages. `environment` is not looked at",
    ),
    (
        "machines: spot preemption, loss of a node, GPU assignment, memory of a machine",
        "none of them by itself; a node of a Ray cluster that is lost costs attempts. `CUDA_VISIBLE_DEVICES` is left "
        "as it is",
    ),
    (
        "the order in which mini-batches are processed on several machines",
        "one possible order, always the same",
    ),
    (
        "mini-batches of a table without rows, where a CSV record is longer than the size",
        "none; the service has them, counts no item, and does not call `run()`",
    ),
)
"""(what, what happens here); rows of the page on fidelity that hold for every engine."""
