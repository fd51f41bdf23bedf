"""The checks that look at one run of the script. Their tests say which of them catch a flaw, and need no others."""

from __future__ import annotations

from tests.contract.conftest import Judge, Judged

FIRST = (
    "entry_imports",
    "entry_defines_run",
    "accepts_runtime_arguments",
    "init_runs_in_every_worker",
    "returns_valid_type",
    "returns_one_result_per_item",
    "job_completes",
    "no_silent_losses",
)


def by_the_first_checks(judge: Judge) -> Judge:
    """Gates with these checks alone."""

    def judge_first(script: str, *arguments: str, input: str | None = "data", name: str = "score.py") -> Judged:
        return judge(script, "-k", " or ".join(FIRST), *arguments, input=input, name=name)

    return judge_first
