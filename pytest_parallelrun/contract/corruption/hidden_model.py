"""Errors of loading a model that a script catches, and then returns the same result for every item."""

from __future__ import annotations

import linecache
import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.contract.bounds import MAX_SEARCHED_BYTES
from pytest_parallelrun.contract.corruption.missing_files import CODE, names_a_model, side_files
from pytest_parallelrun.contract.entry.mini_batches import attempt, paths_of, rows_of
from pytest_parallelrun.contract.entry.observers import CaughtErrors
from pytest_parallelrun.contract.rows.errors import same_for_all
from pytest_parallelrun.emulator.models import MODEL_DIR, below_model_dir

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pytest_parallelrun.contract.corruption.attempts import CorruptionTrial
    from pytest_parallelrun.contract.rows.errors import SameForAll
    from pytest_parallelrun.emulator.events import Failure
    from pytest_parallelrun.emulator.probe import ProbeSession

_SHOWN_FOLDERS = 3
"""Parts of a path that may say what a file is: a project may be called model, too."""


class HiddenModel(NamedTuple):
    """A model that was not loaded, though the script continues. results: the same for all items.

    failure: the exception that import or init() caught; None if run() tried to open the path `absent`, or it was looked
    for. tried: whether anything tried to load it.
    """

    results: SameForAll
    failure: Failure | None
    absent: str = ""
    tried: bool = True


def hidden_model(trial: CorruptionTrial, unneeded: Collection[str]) -> HiddenModel | None:
    """The model without which the script gives all items the same result; None if there is none, or it has another.

    unneeded: paths of files that change no result, even if they are missing.
    """
    results = same_for_all(trial.valid_rows, trial.mini_batch.names, _contents(trial))
    if results is None:
        return None
    observations, items = trial.observations, paths_of(trial.mini_batch.payload)
    opened = [*trial.setting_up.read, *trial.valid.files.read]
    if not results.alone and any(
        file.is_model and file.paths for file in side_files(observations.entry, opened, items)
    ):
        # One column alone says less than the model that was given and read.
        return None

    def models_in(opened: Iterable[str]) -> list[str]:
        named = (path for path in opened if names_a_model(_tail(path)))
        return [path for path in named if path not in {*items, *unneeded} and not path.endswith(CODE)]

    if any(map(os.path.exists, models_in(opened))):
        return None
    with observations.entry.session(probe_limit=observations.probe_limit) as session:
        session.start(observer=CaughtErrors)
        models = models_in([*session.setting_up.read, *attempt(session, trial.mini_batch).files.read])
    if any(map(os.path.exists, models)):
        return None
    caught, looked_for = cast("tuple[list[Failure], list[str]]", session.observed[0])
    for failure in filter(_is_of_a_model, caught):
        return HiddenModel(results, failure)
    absent = next((path for path in (*models, *looked_for) if names_a_model(_tail(path))), None)
    return None if absent is None else HiddenModel(results, None, _shown(session, absent), absent in models)


def _shown(session: ProbeSession, path: str) -> str:
    """A path as the script may have written it."""
    below = below_model_dir(path)
    return session.folder_of(path) or path if below is None else os.path.join(f"${MODEL_DIR}", below)


def _is_of_a_model(failure: Failure) -> bool:
    lines = [linecache.getline(frame.file, frame.line).strip() for frame in failure.frames]
    error = failure.chain[0]
    if error.module and any("import" in line for line in lines[-1:]):
        return False
    said = _tail(error.path) if error.path else error.message
    return any(names_a_model(f"{said} {line}") for line in lines)


def _tail(path: str) -> str:
    return "/".join(path.replace("\\", "/").split("/")[-_SHOWN_FOLDERS:])


def _contents(trial: CorruptionTrial) -> list[object]:
    """What each item of the mini-batch contains: the text of a file, or the cells of a row."""
    if trial.observations.kind != "files":
        return list(rows_of(trial.mini_batch.payload).to_numpy().tolist())
    contents: list[object] = []
    for path in paths_of(trial.mini_batch.payload):
        with suppress(OSError), open(path, "rb") as stream:
            contents.append(stream.read(MAX_SEARCHED_BYTES).decode("utf-8", errors="replace"))
    return contents
