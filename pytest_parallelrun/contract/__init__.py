"""The checks: tests that are generated for an entry script.

Each check is a module in `checks`. `CHECKS` defines their order, level and needs.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["error", "advice"]


class CheckSpec(NamedTuple):
    """One check: `checks/<name>.py` holds `test_<name>`.

    needs_environment, needs_golden: it runs only if the environment of the job, or the golden output, is named.
    shares_process: a finding may be caused by workers sharing a process, so it is confirmed in worker processes.
    """

    name: str
    finds: str
    level: Level = "error"
    needs_input: bool = True
    needs_environment: bool = False
    needs_golden: bool = False
    shares_process: bool = False


CHECKS = (
    CheckSpec(
        name="entry_imports",
        shares_process=True,
        needs_input=False,
        finds="the script cannot be imported the way a worker imports it",
    ),
    CheckSpec(
        name="environment_provides_imports",
        level="advice",
        needs_input=False,
        needs_environment=True,
        finds="the job's environment lacks packages that the script imports or the runtime needs",
    ),
    CheckSpec(
        name="entry_defines_run",
        needs_input=False,
        finds="run() is missing, has the wrong parameters, is async or a generator; init() takes parameters",
    ),
    CheckSpec(
        name="same_in_worker_processes",
        finds="rows differ in two worker processes: order of sets, hash(), what only the process of pytest provides",
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
        finds="the script hides that an item cannot be read or that the model is missing",
    ),
    CheckSpec(
        name="one_bad_item_costs_one_item",
        level="advice",
        finds="one bad item fails its whole mini-batch, and a job that tolerates single bad items",
    ),
    CheckSpec(
        name="independent_of_history",
        shares_process=True,
        finds="results depend on earlier mini-batches",
    ),
    CheckSpec(
        name="retry_is_harmless",
        shares_process=True,
        finds="running a mini-batch again changes its rows or leaves other files",
    ),
    CheckSpec(
        name="independent_of_mini_batch_size",
        shares_process=True,
        finds="results depend on mini_batch_size",
    ),
    CheckSpec(
        name="independent_of_order",
        shares_process=True,
        finds="results depend on the order of mini-batches or on the worker",
    ),
    CheckSpec(
        name="workers_do_not_collide",
        shares_process=True,
        finds="two workers write different content to the same file, or append to it",
    ),
    CheckSpec(
        name="leaves_input_unchanged",
        finds="input files are modified, moved or deleted, or files are written beside them",
    ),
    CheckSpec(
        name="runs_off_main_thread",
        shares_process=True,
        level="advice",
        finds="signals, event loops or other calls that work only on the main thread",
    ),
    CheckSpec(
        name="output_round_trips",
        level="advice",
        finds="values that are lost in the appended file: newlines, abbreviated arrays, objects",
    ),
    CheckSpec(name="rows_name_their_item", level="advice", finds="rows do not identify their item"),
    CheckSpec(
        name="handles_generated_mini_batches",
        shares_process=True,
        finds="of generated mini-batches, valid ones fail, or malformed ones hang, crash or break others",
    ),
    CheckSpec(
        name="behaves_under_error_thresholds",
        shares_process=True,
        finds="in generated jobs, a retry loses items or the verdict does not follow from the thresholds",
    ),
    CheckSpec(
        name="matches_golden_output",
        needs_golden=True,
        finds="the output of the sample is not the accepted one",
    ),
    CheckSpec(name="job_completes", finds="the sample fails under the settings of the job"),
    CheckSpec(
        name="no_silent_losses",
        finds="the job completes although items failed and no threshold is set, or threads work on after run()",
    ),
    CheckSpec(
        name="keeps_its_files", level="advice", finds="files at relative paths, deleted with the worker's folder"
    ),
    CheckSpec(name="fits_timeout", level="advice", finds="a mini-batch takes more than half of its timeout"),
)
