"""What the service would have shown: people who search for it should find it here.

Statuses and paths are those of the troubleshooting guide of the parallel run step and of batch endpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.events import Outcome, Phase

ERROR_LOG = "logs/user/error/<node>/process000.txt"
OVERVIEW = "logs/job_progress_overview.<timestamp>.txt"
REPORT = "logs/sys/job_report/processed_mini-batches.csv"

_OF_OUTCOMES: dict[Outcome, str] = {
    "short": f"the missing results are failed items, counted in {OVERVIEW} and in the column Failed of {REPORT}",
    "exception": f"status RUN_EXCEPTION in {REPORT}, the traceback in {ERROR_LOG}; every try fails alike",
    "timeout": f"status RUN_TIMEOUT in {REPORT}; the worker is killed, and its init() runs again in a new process",
    "wrong_type": f"the attempt fails with a type error in {ERROR_LOG} and is tried again; all its items are lost",
    "crashed": "the process is gone without a traceback; logs/sys/node/<node>/_main.txt names its exit code",
    "load_error": f"the mini-batch cannot be loaded: its status in {REPORT}, the error in logs/sys/error/<node>/",
}
_OF_PHASES: dict[Phase, str] = {
    "import": f"the job fails with exit code 42 (SystemExit: 42); the error is in {ERROR_LOG}",
    "define": f"the job fails with exit code 42 (SystemExit: 42); the error is in {ERROR_LOG}",
    "init": (
        "the job fails with exit code 42 after 3 x max_concurrency_per_instance failed init() calls; the traceback "
        f"is in {ERROR_LOG}"
    ),
}


def shown_for(outcome: Outcome) -> str:
    """What an attempt with this outcome leaves in the logs."""
    return _OF_OUTCOMES[outcome]


def shown_for_phase(phase: Phase) -> str:
    """What a worker that does not come up leaves in the logs; "" for the phases of an attempt."""
    return _OF_PHASES.get(phase, "")
