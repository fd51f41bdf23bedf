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
    """One check. `family`: the module in `families` that holds `test_<name>`."""

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
    CheckSpec("returns_same_columns", "output", "advice", True, "columns, order or types differ between mini-batches"),
    CheckSpec(
        "reports_failures",
        "failures",
        "error",
        True,
        "an item that cannot be read, or a missing model, is swallowed",
    ),
    CheckSpec("one_bad_item_costs_one_item", "failures", "advice", True, "one bad item fails its whole mini-batch"),
    CheckSpec(
        "retry_is_harmless",
        "repetition",
        "error",
        True,
        "a retry or a second delivery changes rows, or leaves other files than one delivery does",
    ),
    CheckSpec(
        "independent_of_mini_batch_size", "independence", "error", True, "size 1 and size n give different results"
    ),
    CheckSpec(
        "independent_of_order",
        "independence",
        "error",
        True,
        "the order of mini-batches or the choice of a worker changes results",
    ),
    CheckSpec(
        "independent_of_history", "independence", "error", True, "a warm worker answers differently from a fresh one"
    ),
    CheckSpec(
        "workers_do_not_collide",
        "repetition",
        "error",
        True,
        "two workers write the same file with different content, or append to one",
    ),
    CheckSpec("leaves_input_unchanged", "surroundings", "error", True, "input files are modified, moved or deleted"),
    CheckSpec(
        "runs_off_main_thread",
        "surroundings",
        "advice",
        True,
        "signals, event loops or other calls that only the main thread may make",
    ),
    CheckSpec(
        "output_round_trips",
        "output",
        "advice",
        True,
        "values that the appended file cannot carry: newlines, objects as their repr",
    ),
    CheckSpec(
        "rows_name_their_item", "output", "advice", True, "nothing in the output tells which item a row came from"
    ),
    CheckSpec(
        "handles_generated_mini_batches",
        "generated",
        "error",
        True,
        "mini-batches that Hypothesis makes of the sample: sound ones fail, odd ones hang, crash or spoil others",
    ),
    CheckSpec(
        "behaves_under_error_thresholds",
        "generated",
        "error",
        True,
        "in generated jobs, counts, retries and verdict are not what the thresholds allow",
    ),
    CheckSpec("job_completes", "outcome", "error", True, "the sample fails under the settings of the job"),
    CheckSpec(
        "no_silent_losses",
        "outcome",
        "error",
        True,
        "the job completes although items failed, and nobody said that they may",
    ),
    CheckSpec("fits_timeout", "cost", "advice", True, "a mini-batch takes more than half of its timeout"),
)
