"""Sentences that findings of several checks have in common."""

from __future__ import annotations

import errno
import glob
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.models import (
    MODEL_DIR,
    below_model_dir,
    model_dir_entries,
    model_tree,
    reads_model_dir,
)

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.emulator.entry import EntryFile
    from pytest_parallelrun.emulator.events import ErrorInfo, Failure, Outcome, Phase
    from pytest_parallelrun.emulator.ledger import JobOutcome
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import ItemName


THRESHOLDS = ("error_threshold", "mini_batch_error_threshold", "allowed_failed_percent")


def sentences(*texts: str) -> str:
    """One text of several, each on lines of its own; empty ones are left out."""
    return "\n".join(text.rstrip() for text in texts if text)


def indented(text: str) -> str:
    """A traceback or list, set off from the sentences around it."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def thresholds_set(settings: JobSettings) -> list[str]:
    """The thresholds that somebody set on purpose, -1 too."""
    return [name for name in THRESHOLDS if name in settings.explicit]


def consenting(settings: JobSettings, outcome: JobOutcome) -> list[str]:
    """Those of the thresholds set that count what was lost, and so allowed it; none where one loss is counted by none.

    error_threshold counts every failed item. The other two count failed mini-batches alone (YAML reference of the
    parallel job), and say nothing of items that are lost in a mini-batch that did not fail.
    """
    set_on_purpose = thresholds_set(settings)
    of_items = [name for name in set_on_purpose if name == "error_threshold"]
    of_mini_batches = [name for name in set_on_purpose if name not in of_items] if outcome.failed_mini_batches else []
    if not outcome.failed_items or (outcome.missing_items and not of_items):
        return []
    return of_items + of_mini_batches


def values_text(settings: JobSettings, names: Iterable[str]) -> str:
    """Thresholds with their values."""
    return ", ".join(f"{name}={getattr(settings, name):g}" for name in names)


def items_text(names: tuple[str, ...], most: int = 5) -> str:
    """Names of items, the first few in full."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def rows_text(names: tuple[ItemName, ...]) -> str:
    """Names of consecutive rows as a range, such as "rows 1-60 of t.csv"."""
    first, last = names[0], names[-1]
    if len(names) == 1 or first.row is None or last.row is None:
        return items_text(names)
    of_file = f" of {first.file}" if first.file else ""
    return f"rows {first.row}-{last.row}{of_file}"


def appended_output(settings: JobSettings) -> str:
    """Where it would be seen that rows are appended: the beginning of a sentence."""
    if settings.output_action == "append_row":
        return "In the appended output"
    return "With output_action=append_row, which is not set here,"


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


_VARIABLES = {
    "AZUREML_BI_OUTPUT_PATH": (
        "AZUREML_BI_OUTPUT_PATH is set in a batch deployment (--parallelrun-set=profile=batch), in a v1 step with an "
        "output (profile=v1), and in a parallel job with append_row_to (output_action=append_row). In any other one "
        "give the script a folder as a program argument, such as --out ${{outputs.NAME}}."
    ),
    "AZUREML_MODEL_DIR": (
        "The service sets AZUREML_MODEL_DIR in batch deployments only; here --parallelrun-model=PATH sets it."
    ),
}
_NOT_OF_A_MODEL = ("ImportError", "ModuleNotFoundError", "SyntaxError", "KeyError", "SystemExit")
"""Errors of import and init() that have nothing to do with where a model lies."""
_RELATIVE_IMPORT = ("attempted relative import with no known parent package", "attempted relative import beyond")


def hints(failures: Iterable[Failure], subject: EntryUnderTest) -> str:
    """What helps against the errors, a sentence or two a line; "" where nothing is known."""
    failures = list(failures)
    errors = [error for failure in failures for error in failure.chain]
    return "\n".join(dict.fromkeys([*_hints(errors, subject.entry), *_model_hints(failures, subject)]))


def _hints(errors: Sequence[ErrorInfo], entry: EntryFile) -> Iterator[str]:
    for variable, hint in _VARIABLES.items():
        if any(error.type == "KeyError" and error.message == repr(variable) for error in errors):
            yield hint
    if any(error.errno == errno.EADDRINUSE for error in errors):
        yield (
            "Another worker of the same machine holds that port, also one of an earlier check here. Let the system "
            "choose a free one (port 0)."
        )
    for error in errors:
        if error.type == "FileNotFoundError" and error.path:
            yield from _beside_the_script(error.path, entry)
    if any(error.type == "ImportError" and error.message.startswith(_RELATIVE_IMPORT) for error in errors):
        parent = entry.code_root.parent
        yield (
            f"The script is imported as '{entry.module_name}', below no package that has what it imports. Make the "
            f"folder above it the code root: --parallelrun-code={parent}; its name is then "
            f"'{entry.code_root.name}.{entry.module_name}'. On the service it must be the code folder too."
        )


def _model_hints(failures: Sequence[Failure], subject: EntryUnderTest) -> Iterator[str]:
    """Where the models lie, for a script that looks elsewhere."""
    given = subject.settings.environment_variables.get(MODEL_DIR)
    if given is None:
        entries = model_dir_entries(subject.models)
    else:
        entries = {path.name: path for path in Path(given).iterdir()} if os.path.isdir(given) else {}
    if not entries and given is None:
        of_none = (error.type == "TypeError" and "NoneType" in error.message for error in _errors_coming_up(failures))
        if any(of_none) and reads_model_dir(subject.entry):
            yield _VARIABLES[MODEL_DIR]
        return
    paths = [error.path for failure in failures for error in failure.chain if error.path]
    looked_for = [path for path in (_below_model_dir(path, given) for path in paths) if path is not None]
    unexplained = any(error.type not in _NOT_OF_A_MODEL for error in _errors_coming_up(failures))
    messages = [error.message for failure in failures for error in failure.chain]
    named = any((given or f"{os.sep}{MODEL_DIR}") in message for message in messages)
    if looked_for or named or (unexplained and reads_model_dir(subject.entry)):
        yield model_layout(entries, looked_for)


def _errors_coming_up(failures: Sequence[Failure]) -> Iterator[ErrorInfo]:
    """The errors that import and init() ended with."""
    return (failure.chain[0] for failure in failures if failure.phase in ("import", "init") and failure.chain)


def _below_model_dir(path: str, given: str | None) -> str | None:
    """A path relative to AZUREML_MODEL_DIR. given: its value, where the user has set it."""
    if given is None:
        return below_model_dir(path)
    relative = os.path.relpath(path, given)
    return None if relative.startswith(os.pardir) else relative


def model_layout(entries: Mapping[str, Path], looked_for: Sequence[str] = ()) -> str:
    """The tree below AZUREML_MODEL_DIR. looked_for: paths relative to it; where they are instead is told."""
    places = [
        f'Use os.path.join(os.environ["{MODEL_DIR}"], {", ".join(map(json.dumps, place))}).'
        for place in dict.fromkeys(_found_elsewhere(entries, looked_for))
    ]
    return sentences(
        f"A model that is a folder lies below {MODEL_DIR} under its own name, a file lies in it, as on the service.",
        *places,
        f"${MODEL_DIR} holds:",
        indented("\n".join(model_tree(entries))),
    )


def _found_elsewhere(entries: Mapping[str, Path], looked_for: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The parts of the one path that a file has which was looked for, if it has one."""
    for name, relative in ((os.path.basename(relative), relative) for relative in looked_for if relative):
        same = [
            (own, *file.relative_to(path).parts)
            for own, path in entries.items()
            for file in ([path] if own == name else path.rglob(glob.escape(name)))
        ]
        if len(same) == 1 and os.path.join(*same[0]) != relative:
            yield same[0]


def _beside_the_script(name: str, entry: EntryFile) -> Iterator[str]:
    folder = entry.path.parent
    if os.path.isabs(name):
        return
    for path in (folder / name, entry.code_root / name):
        if path.exists():
            relative = Path(os.path.relpath(path, folder)).as_posix()
            yield (
                f"'{name}' exists in '{path.parent}', but workers run in another folder. Use "
                f'os.path.join(os.path.dirname(__file__), "{relative}").'
            )
            return
