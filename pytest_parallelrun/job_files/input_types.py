"""The type of the input that is split: which samples it takes, and what run() gets of them.

Sources: YAML reference of the parallel job (`uri_folder`, the default, and `mltable`), the client, which makes a folder
of the path of any other, and public notes of jobs (*Input format UriFile is not supported*).
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_parallelrun.emulator.splitting.formats import ROW_MODE
from pytest_parallelrun.emulator.splitting.mltable import NAME as MLTABLE
from pytest_parallelrun.job_files.inputs import InputValue
from pytest_parallelrun.job_files.problems import Finding, Place

FOLDER = "uri_folder"


@dataclass(frozen=True)
class TypedInput:
    """What a type says of a sample.

    as_files: where it is written that run() gets paths, whatever the files hold; None where nothing says so.
    findings: what the service would refuse, or not find. notes: what is done here where its reading is not known.
    """

    as_files: Place | None = None
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def refused_type(value: InputValue) -> Finding | None:
    """The finding for an input of a type that is split in row mode alone."""
    if value.type != "uri_file":
        return None
    return Finding(
        value.type_place or value.place,
        f"the input '{value.name}' is a uri_file, which the service does not split: Input format UriFile is not "
        f"supported. Write type: {FOLDER} with the folder of the file to hand paths, type: mltable with the folder of "
        f"an MLTable file to hand a table, or add the program arguments {ROW_MODE!r} to hand lines of JSON",
    )


def typed_input(value: InputValue, given: Sequence[str] | None, *, row_mode: bool) -> TypedInput:
    """What the type of an input says of its sample.

    given: paths of an option, in whose place the service has other data; None for the path in the file itself, which
    is what it will get. row_mode: lines of JSON are handed.
    """
    if given is None:
        wrong = _wrong_path(value)
        if wrong:
            return TypedInput(findings=(Finding(value.place, wrong),))
    paths = [value.path or ""] if given is None else list(given)
    described = [path for path in paths if os.path.isfile(os.path.join(path, MLTABLE))]
    place = value.type_place or value.place
    where = f"the input '{value.name}' is {_article(value.type or FOLDER)} ({place.origin})"
    if row_mode:
        return TypedInput()
    if value.type == FOLDER or (value.type is None and given is None):
        note = f"{where}: run() gets paths of files, that of the {MLTABLE} file too; with type: mltable it is read"
        return TypedInput(as_files=place, notes=(note,) if described else ())
    if value.type == "mltable" and not described:
        note = f"{where}, and the sample has no {MLTABLE} file: what run() gets is told by the sample alone"
        return TypedInput(notes=(note,))
    if value.type not in ("mltable", None):
        note = f"{where}, which no document lists for input_data: what run() gets is told by the sample alone"
        return TypedInput(notes=(note,))
    return TypedInput()


def _wrong_path(value: InputValue) -> str | None:
    """What is wrong with the path of a file for its type; a path that does not exist is told when it is opened."""
    path, kind = value.path, value.type
    assert path is not None
    if glob.has_magic(path) and not os.path.lexists(path):
        return f"the input '{value.name}' is a pattern, and a job takes no patterns: give the folder of the files"
    if kind == "mltable":
        if os.path.isfile(path):
            hint = "give its folder" if os.path.basename(path) == MLTABLE else _described(path)
            return f"the input '{value.name}' is an mltable, and its path is a file: {hint}"
        if os.path.isdir(path) and not os.path.isfile(os.path.join(path, MLTABLE)):
            return (
                f"the input '{value.name}' is an mltable, and its folder has no file named {MLTABLE}: add one, or "
                f"write type: {FOLDER} to hand paths of files"
            )
    elif kind in (FOLDER, None) and os.path.isfile(path):
        what = f"is a {FOLDER}" if kind else f"has no type, and so is a {FOLDER}"
        hint = f"give its folder to hand paths of files; to hand a table, {_described(path)}"
        return f"the input '{value.name}' {what}, and its path is a file: {hint}"
    elif kind == "uri_file" and os.path.isdir(path):
        return f"the input '{value.name}' is a uri_file, and its path is a folder: give the file, or type: {FOLDER}"
    return None


def _described(path: str) -> str:
    return f"put '{os.path.basename(path)}' into a folder with an {MLTABLE} file, and give that with type: mltable"


def _article(kind: str) -> str:
    return f"an {kind}" if kind.startswith("m") else f"a {kind}"
