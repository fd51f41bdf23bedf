"""The script hides that an item cannot be read or that the model is missing."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_parallelrun.contract.bounds import MAX_DEPENDENCY_FILES
from pytest_parallelrun.contract.corruption.attempts import AN_ERROR_ROW
from pytest_parallelrun.contract.corruption.hidden_model import hidden_model
from pytest_parallelrun.contract.corruption.injection import numeric_columns
from pytest_parallelrun.contract.corruption.items import require_corruption_trial
from pytest_parallelrun.contract.corruption.misread_text import misread_text
from pytest_parallelrun.contract.corruption.missing_files import missing_model, side_files
from pytest_parallelrun.contract.entry.mini_batches import attempt, paths_of, rows_of
from pytest_parallelrun.contract.finding import Finding, Location
from pytest_parallelrun.contract.known_causes import hints, model_layout
from pytest_parallelrun.contract.phrases import OVERVIEW, sentences, shown_for
from pytest_parallelrun.contract.rows.comparison import NO_SUCH_ROW, difference, row_text
from pytest_parallelrun.contract.rows.errors import ValidRows, all_say_the_same_error, keeps_a_value, says_nothing
from pytest_parallelrun.contract.rows.values import name_of
from pytest_parallelrun.emulator.models import below_model_dir, model_dir_entries
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.probe import WorkerStartError
from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.corruption.attempts import CorruptedAttempt, CorruptionTrial
    from pytest_parallelrun.contract.corruption.hidden_model import HiddenModel
    from pytest_parallelrun.contract.corruption.misread_text import MisreadText
    from pytest_parallelrun.contract.corruption.missing_files import DependencyFile, State
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.events import AttemptEnded


Reaction = Literal["reported", "wrong type", "error rows", "other rows", "same rows"]


class _MissingFileTrial(NamedTuple):
    """The result of a valid mini-batch when a file is missing. ended: None if no worker started.

    row: a row that it returned instead, as text. in_init: whether init() or the import looked for it and continued.
    """

    file: DependencyFile
    reaction: Reaction
    ended: AttemptEnded | None = None
    row: str = ""
    in_init: bool = False


def test_reports_failures(parallelrun_observations: Observations, parallelrun_check: Check) -> None:
    """An unreadable item or missing model shows: run() raises, returns fewer results, or a row names the error."""
    __tracebackhide__ = True
    check = parallelrun_check
    trial = require_corruption_trial(parallelrun_observations, check)
    if parallelrun_observations.kind != "files":
        columns = len(numeric_columns(rows_of(trial.mini_batch.payload)))
        if len(trial.attempts) < columns:
            check.note(f"put a bad cell into {len(trial.attempts):,} of {columns:,} numeric columns")
    for corrupted in trial.attempts:
        if corrupted.ended.outcome == "wrong_type":
            check.fail(_into_a_wrong_type(trial, corrupted))
    misread = misread_text(parallelrun_observations)
    if misread is not None:
        if misread.is_lost:
            check.fail(_of_misread_text(trial, misread))
        check.advise(_of_misread_text(trial, misread))
        return
    unneeded: dict[str, None] = {}
    hidden = _hidden_loss(trial, check, unneeded)
    if hidden is not None:
        check.fail(_goes_on(trial, hidden))
    never_found = _never_found_model(trial)
    if never_found is not None:
        check.fail(_never_found(trial, never_found))
    model = hidden_model(trial, unneeded)
    if model is not None:
        if model.tried and model.results.alone:
            check.fail(_the_same_for_all(trial, model))
        check.advise(_the_same_for_all(trial, model))
        return
    for corrupted in trial.attempts:
        if corrupted.need == "needed" and corrupted.ended.outcome == "succeeded" and not trial.names_error(corrupted):
            check.advise(_like_any_other(trial, corrupted))
            return
    for corrupted in trial.attempts:
        if corrupted.ended.outcome == "timeout":
            check.note(
                f"run() hangs until its timeout, on every attempt, for an item that cannot be read "
                f"({corrupted.description})"
            )
    reason = trial.why_undecided()
    if reason:
        check.cannot_decide(reason)


def _hidden_loss(trial: CorruptionTrial, check: Check, unneeded: dict[str, None]) -> _MissingFileTrial | None:
    """The first dependency file whose loss the script hides; None if there is none. Adds those that change nothing."""
    opened = dict.fromkeys([*trial.setting_up.read, *trial.valid.files.read])
    files = side_files(trial.observations.entry, opened, paths_of(trial.mini_batch.payload))
    if len(files) > MAX_DEPENDENCY_FILES:
        check.note(f"took away {MAX_DEPENDENCY_FILES} of the {len(files):,} other files that the script reads")
    for file in files[:MAX_DEPENDENCY_FILES]:
        missing = _try_without(trial, file)
        if missing.reaction in ("wrong type", "error rows") or (file.is_model and missing.reaction == "other rows"):
            return missing
        # The model's results may have gone to files of the script, since rows do not show them.
        if missing.reaction == "same rows":
            unneeded.update(dict.fromkeys(file.paths))
        same = missing.reaction == "same rows" and file.is_model and bool(file.paths)
        if same and trial.valid.files.written:
            return missing
        if missing.reaction == "other rows":
            # A file that may be missing on purpose must still not be garbage: a script that continues then catches
            # everything.
            garbage = _try_without(trial, file, "garbage")
            if garbage.reaction in ("other rows", "wrong type") and _same_rows(missing, garbage):
                return missing
            check.note(f"without {file.description} run() continues with other results, as if it were optional")
        if same:
            check.note(f"without {file.description} run() returns the same rows, although it opens it")
    return None


def _never_found_model(trial: CorruptionTrial) -> _MissingFileTrial | None:
    """The model that was missing while the sample succeeded, if every row is an error or garbage is hidden as well.

    None if it found its model, looked for none, or may do without it.
    """
    opened = dict.fromkeys([*trial.setting_up.read, *trial.valid.files.read])
    file = missing_model(trial.observations.entry, opened, paths_of(trial.mini_batch.payload))
    if file is None:
        return None
    if all_say_the_same_error(trial.valid_rows, trial.item_texts):
        return _MissingFileTrial(file, "error rows", in_init=_is_among(trial.setting_up.read, file))
    garbage = _try_without(trial, file, "garbage")
    return garbage if garbage.reaction == "same rows" else None


def _try_without(trial: CorruptionTrial, file: DependencyFile, state: State = "missing") -> _MissingFileTrial:
    """A fresh worker with the file missing or corrupted runs the valid mini-batch."""
    entry, probe_limit = trial.observations.entry, trial.observations.probe_limit
    with entry.session(probe_limit=probe_limit, **file.session_without(entry, state)) as session:  # type: ignore[arg-type]
        try:
            ended = attempt(session, trial.mini_batch).ended
        except WorkerStartError:
            return _MissingFileTrial(file, "reported")
        rows = as_rows(ended.value)
        in_init = _is_among(session.setting_up.read, file)
    if ended.outcome == "wrong_type":
        return _MissingFileTrial(file, "wrong type", ended, in_init=in_init)
    if ended.outcome != "succeeded":
        return _MissingFileTrial(file, "reported", ended)
    valid = ValidRows(trial.valid_rows, trial.mini_batch.names)
    row = _other_row(trial, rows)
    if row is not None and (file.looks_like_a_model or in_init):
        # It serves all items, so that no row of an item is the place to tell it. What may be there by choice leaves
        # something of the results.
        by_choice = not file.is_model and keeps_a_value(trial.valid_rows, rows, trial.item_texts)
        errors = all(map(valid.is_unlike, rows)) or all_say_the_same_error(rows, trial.item_texts)
        if errors and not by_choice:
            return _MissingFileTrial(file, "error rows", ended, row=row, in_init=in_init)
    if any(valid.names_error(row) for row in rows):
        return _MissingFileTrial(file, "reported", ended)
    if row is None:
        return _MissingFileTrial(file, "same rows", ended, in_init=in_init)
    return _MissingFileTrial(file, "other rows", ended, row=row, in_init=in_init)


def _is_among(opened: Iterable[str], file: DependencyFile) -> bool:
    """Whether the file was opened, be it in another folder."""
    names = {os.path.basename(path) for path in file.paths}
    return any(os.path.basename(path) in names for path in opened)


def _other_row(trial: CorruptionTrial, rows: Sequence[object]) -> str | None:
    """A row that differs from the one with the file; None if all are the same, apart from random values."""
    differing = difference(trial.valid_rows, rows)
    random = trial.observations.nondeterministic if differing is not None else None
    if random is not None:
        differing = None if random.all_rows else difference(trial.valid_rows, rows, ignoring=random.keys)
    return None if differing is None else f"{differing[1]} where it returned {differing[0]}"


def _same_rows(first: _MissingFileTrial, second: _MissingFileTrial) -> bool:
    if first.ended is None or second.ended is None:
        return False
    return difference(as_rows(first.ended.value), as_rows(second.ended.value)) is None


def _into_a_wrong_type(trial: CorruptionTrial, corrupted: CorruptedAttempt) -> Finding:
    return Finding(
        what=f"run() swallows the error when {corrupted.item} cannot be read ({corrupted.description}): "
        + corrupted.error,
        location=trial.location(),
        counts=f"results with that item intact: {trial.mini_batch.size} of {trial.mini_batch.size}",
        service=shown_for("wrong_type") + ". The original error is in none of the service's logs",
        fix=sentences(
            f"let the exception propagate, or {AN_ERROR_ROW}",
            hints([corrupted.ended.failure] if corrupted.ended.failure else [], trial.observations.entry),
        ),
        case=trial.case_of(corrupted),
    )


def _like_any_other(trial: CorruptionTrial, corrupted: CorruptedAttempt) -> Finding:
    rows = as_rows(corrupted.ended.value)
    differing = difference(trial.valid_rows, rows)
    if differing is not None and differing[1] == NO_SUCH_ROW:
        came_back = f"it has no row, and no threshold counts it, because {len(rows)} rows of other items are enough"
    else:
        shown = differing[1] if differing else f"the same rows as with an intact item, such as {row_text(rows[0])}"
        blank = any(map(says_nothing, rows)) and not any(map(says_nothing, trial.valid_rows))
        result = "a row that says nothing of it" if blank else "a result like any other"
        came_back = f"it comes back as {result}, so no threshold counts it: {shown}"
    return Finding(
        what=f"run() hides that {corrupted.item} cannot be read ({corrupted.description}): {came_back}",
        location=trial.location(),
        counts=f"{count_text(trial.mini_batch.size, 'item')} in, one of them bad, "
        f"{count_text(corrupted.ended.returned or 0, 'result')} out, 0 failed",
        service=f"no error: the item counts as succeeded in {OVERVIEW}",
        fix=f"let the exception propagate, return no row for it, or {AN_ERROR_ROW}",
        case=trial.case_of(corrupted),
    )


def _of_misread_text(trial: CorruptionTrial, misread: MisreadText) -> Finding:
    return Finding(
        what=f"Text is read in the wrong encoding: {misread.what}.",
        location=replace(trial.location(), mini_batch=misread.mini_batch.id, items=misread.mini_batch.items()),
        service="no error is raised: rows are wrong",
        fix=misread.fix,
    )


def _goes_on(trial: CorruptionTrial, missing: _MissingFileTrial) -> Finding:
    assert missing.ended is not None
    failure = missing.ended.failure
    subject = "init() swallows the error and run() continues" if missing.in_init else "run() swallows the error"
    if missing.reaction == "wrong type" and failure is not None:
        outcome = failure.error
    elif missing.reaction == "error rows":
        outcome = f"all items come back as error rows: {missing.row}"
    elif missing.reaction == "same rows":
        outcome = "it returns the same rows, and its own files are written without the model"
    else:
        outcome = f"it returns {missing.row}"
    silent = f"no error: all items succeed in {OVERVIEW}"
    return Finding(
        what=f"{subject} when {missing.file.description} is missing: {outcome}",
        location=trial.location(),
        service=shown_for("wrong_type") if missing.reaction == "wrong type" else silent,
        fix="let init() raise when it cannot be loaded, so that the job stops with the cause in its log"
        if missing.in_init
        else "load it in init(), and let the exception propagate, so that the job stops with the cause in its log",
    )


def _never_found(trial: CorruptionTrial, missing: _MissingFileTrial) -> Finding:
    models = missing.file.models
    looked_for = [path for path in map(below_model_dir, missing.file.paths) if path]
    phase = "init" if missing.in_init else "run"
    option = "" if missing.file.is_model else ", or give the model with --parallelrun-model=PATH"
    return Finding(
        what=f"The script tries to open '{missing.file.paths[0]}', which does not exist; {phase}() ignores the error, "
        + "and "
        + ("all items come back as error rows." if missing.reaction == "error rows" else "every item succeeds."),
        location=trial.location(),
        service=f"no error: all items succeed in {OVERVIEW}",
        fix=sentences(
            f"let init() raise, and load the model from its real path{option}",
            model_layout(model_dir_entries(models), looked_for) if looked_for else "",
        ),
    )


def _the_same_for_all(trial: CorruptionTrial, model: HiddenModel) -> Finding:
    failure, observations = model.failure, trial.observations
    phase = "run" if failure is None and model.tried else "init"
    error = f"'{model.absent}' does not exist" if failure is None else f"{failure.error}, which is caught"
    shared = "result" if model.results.alone else ", ".join(map(name_of, model.results.values))
    return Finding(
        what=f"{phase}() hides that the model cannot be loaded: {error}. All rows have the same {shared}, as in "
        f"{row_text(trial.valid_rows[0])}.",
        location=Location(phase=phase),
        traceback="" if failure is None else failure.traceback,
        service=f"no error: all items succeed in {OVERVIEW}",
        fix=sentences(
            "let init() raise, so that the job stops with the cause in its log. Then correct what the error names.",
            hints([failure] if failure else [], observations.entry)
            or "A model that is not part of the code goes to --parallelrun-model=PATH.",
        ),
    )
