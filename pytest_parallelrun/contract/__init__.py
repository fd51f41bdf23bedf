"""What a good entry script does, as tests that are generated for it.

One module a check, in `checks`. The modules are executed anew for every entry, so that two entries never share a test
function; `CHECKS` gives the order, the level and what a check needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "advice"]


@dataclass(frozen=True, kw_only=True)
class CheckSpec:
    """One check: `checks/<name>.py` holds `test_<name>`.

    needs_environment: it is there only where somebody names the environment of the job.
    shares_process: what it finds may come from workers being in one process, so it is confirmed in worker processes.
    """

    name: str
    level: Level = "error"
    needs_input: bool = True
    needs_environment: bool = False
    shares_process: bool = False
    finds: str


CHECKS = (
    CheckSpec(
        name="entry_imports",
        shares_process=True,
        needs_input=False,
        finds="the import fails the way a worker imports",
    ),
    CheckSpec(
        name="environment_provides_imports",
        level="advice",
        needs_input=False,
        needs_environment=True,
        finds="the environment of the job lacks what the script imports or the runtime needs",
    ),
    CheckSpec(
        name="entry_defines_run",
        needs_input=False,
        finds="run() is missing or has a wrong number of parameters, init() takes some, run() is async or a generator",
    ),
    CheckSpec(
        name="accepts_runtime_arguments",
        shares_process=True,
        needs_input=False,
        finds="the runtime's own arguments in sys.argv break the script",
    ),
    CheckSpec(
        name="init_runs_in_every_worker",
        shares_process=True,
        needs_input=False,
        finds="the init() of a second worker fails or disturbs the first",
    ),
    CheckSpec(name="returns_valid_type", finds="run() returns neither list, tuple nor DataFrame"),
    CheckSpec(name="returns_one_result_per_item", finds="run() returns fewer results than items"),
    CheckSpec(name="returns_same_columns", level="advice", finds="columns, order or types differ between mini-batches"),
    CheckSpec(
        name="reports_failures",
        shares_process=True,
        finds="an item that cannot be read, or a missing model, is swallowed",
    ),
    CheckSpec(
        name="one_bad_item_costs_one_item",
        level="advice",
        finds="one bad item fails its whole mini-batch, and a job that tolerates single bad items",
    ),
    CheckSpec(
        name="independent_of_history",
        shares_process=True,
        finds="a warm worker answers differently from a fresh one",
    ),
    CheckSpec(
        name="retry_is_harmless",
        shares_process=True,
        finds="a retry or a second delivery changes rows, or leaves other files than one delivery does",
    ),
    CheckSpec(
        name="independent_of_mini_batch_size",
        shares_process=True,
        finds="size 1 and size n give different results",
    ),
    CheckSpec(
        name="independent_of_order",
        shares_process=True,
        finds="the order of mini-batches or the choice of a worker changes results",
    ),
    CheckSpec(
        name="workers_do_not_collide",
        shares_process=True,
        finds="two workers write the same file with different content, or append to one",
    ),
    CheckSpec(
        name="leaves_input_unchanged",
        finds="input files are modified, moved or deleted, or files are written beside them",
    ),
    CheckSpec(
        name="runs_off_main_thread",
        shares_process=True,
        level="advice",
        finds="signals, event loops or other calls that only the main thread may make",
    ),
    CheckSpec(
        name="output_round_trips",
        level="advice",
        finds="values that the appended file cannot carry: newlines, abbreviated arrays, objects as their repr",
    ),
    CheckSpec(
        name="rows_name_their_item", level="advice", finds="nothing in the output tells which item a row came from"
    ),
    CheckSpec(
        name="handles_generated_mini_batches",
        shares_process=True,
        finds="mini-batches that Hypothesis makes of the sample: sound ones fail, odd ones hang, crash or spoil others",
    ),
    CheckSpec(
        name="behaves_under_error_thresholds",
        shares_process=True,
        finds="in generated jobs, counts, retries and verdict are not what the thresholds allow",
    ),
    CheckSpec(name="job_completes", finds="the sample fails under the settings of the job"),
    CheckSpec(name="no_silent_losses", finds="the job completes although items failed, and nobody said that they may"),
    CheckSpec(
        name="keeps_its_files", level="advice", finds="files at relative paths, which are gone with the worker's folder"
    ),
    CheckSpec(name="fits_timeout", level="advice", finds="a mini-batch takes more than half of its timeout"),
)
