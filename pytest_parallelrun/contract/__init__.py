"""What a good entry script does, as tests that are generated for it.

One module a family. The modules are executed anew for every entry, so that two entries never share a test
function; `CHECKS` gives the order, the level and what a check needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "advice"]


@dataclass(frozen=True)
class CheckSpec:
    """One check. `family`: the module below this package that holds `test_<name>`."""

    name: str
    family: str
    level: Level
    needs_input: bool
    finds: str


CHECKS = (
    CheckSpec("entry_imports", "loading", "error", False, "the import fails the way a worker imports"),
    CheckSpec(
        "entry_defines_run",
        "loading",
        "error",
        False,
        "run() is missing or has a wrong number of parameters, init() takes some, run() is async or a generator",
    ),
    CheckSpec(
        "accepts_runtime_arguments",
        "loading",
        "error",
        False,
        "the runtime's own arguments in sys.argv break the script",
    ),
    CheckSpec(
        "init_runs_in_every_worker",
        "loading",
        "error",
        False,
        "the init() of a second worker fails or disturbs the first",
    ),
    CheckSpec("returns_valid_type", "returns", "error", True, "run() returns neither list, tuple nor DataFrame"),
    CheckSpec("returns_one_result_per_item", "returns", "error", True, "run() returns fewer results than items"),
    CheckSpec("job_completes", "outcome", "error", True, "the sample fails under the settings of the job"),
    CheckSpec(
        "no_silent_losses",
        "outcome",
        "error",
        True,
        "the job completes although items failed, and nobody said that they may",
    ),
)

FAMILIES = tuple(dict.fromkeys(check.family for check in CHECKS))
