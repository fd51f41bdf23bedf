"""Known causes of exceptions in a script, and their fixes.

A script fixed as each sentence says then passes: see tests/contract/test_repairs.py.
"""

from __future__ import annotations

import errno
import glob
import importlib.metadata
import importlib.util
import json
import os
import pkgutil
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.bounds import MAX_SEARCHED_FILES
from pytest_parallelrun.contract.environment.packages import listed_elsewhere
from pytest_parallelrun.contract.phrases import indented, sentences
from pytest_parallelrun.contract.script_source import (
    changes_folder,
    local_of_init,
    returns_of_none,
    set_under_main_guard,
)
from pytest_parallelrun.emulator.folders import is_in_job_folder
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
    from pytest_parallelrun.emulator.events import ErrorInfo, Failure

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
"""Errors of import and init() that are not about the location of a model."""
_BYTE_ORDER_MARKS = ("\ufeff", r"\ufeff", "UTF-8 BOM", "\xef\xbb\xbf")
"""How a byte order mark appears in errors: itself, its repr, in json, in Latin-1."""
_RELATIVE_IMPORT = ("attempted relative import with no known parent package", "attempted relative import beyond")


def hints(failures: Iterable[Failure], subject: EntryUnderTest) -> str:
    """Fixes for the errors, a sentence or two per line; "" if none is known."""
    failures = list(failures)
    errors = [error for failure in failures for error in failure.chain]
    found = [
        *_missing_modules(errors, subject),
        *_hints(errors, subject),
        *_model_hints(failures, subject),
        *(hint for failure in failures for hint in _of_source(failure)),
        *(hint for failure in failures if failure.returned_type == "None" for hint in _of_none(subject.entry)),
    ]
    if not found:
        found = [hint for failure in failures for hint in _missing_files(failure, subject)]
    return "\n".join(dict.fromkeys(found))


def _hints(errors: Sequence[ErrorInfo], subject: EntryUnderTest) -> Iterator[str]:
    entry = subject.entry
    if any(error.type == "argparse.SystemExit" for error in errors):
        yield (
            'Give the arguments of the job: --parallelrun-args="--NAME VALUE" or `program_arguments` of the job file. '
            f"The script was given: {shlex.join(subject.arguments) or 'none'}."
        )
    for variable, hint in _VARIABLES.items():
        if any(error.type == "KeyError" and error.message == repr(variable) for error in errors):
            yield hint
    if any(error.errno == errno.EADDRINUSE for error in errors):
        yield (
            "Another worker of the same machine holds that port, also one of an earlier check here. Let the system "
            "choose a free one (port 0)."
        )
    if any(mark in error.message for error in errors for mark in _BYTE_ORDER_MARKS):
        yield (
            "The file begins with a byte order mark, as Excel and PowerShell write it. Open it with "
            'encoding="utf-8-sig", which reads files with and without one.'
        )
    if any(error.type == "UnicodeDecodeError" and "byte 0xff in position 0" in error.message for error in errors):
        yield 'The file begins with the byte order mark of UTF-16. Open it with encoding="utf-16".'
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
    """The location of the models, for a script that looks elsewhere."""
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
    """A path relative to AZUREML_MODEL_DIR. given: its value, if the user has set it."""
    if given is None:
        return below_model_dir(path)
    relative = os.path.relpath(path, given)
    return None if relative.startswith(os.pardir) else relative


def model_layout(entries: Mapping[str, Path], looked_for: Sequence[str] = ()) -> str:
    """The tree below AZUREML_MODEL_DIR. looked_for: paths relative to it; the text says where they are instead."""
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
    """The parts of the path of a missing file, if there is exactly one."""
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


def _of_source(failure: Failure) -> Iterator[str]:
    """A fix derived from the script around the line that failed."""
    if failure.frame is None:
        return
    guarded = set_under_main_guard(failure.frame)
    if guarded is not None:
        name, line = guarded
        yield (
            f"'{name}' is set below `if __name__ == \"__main__\":` (line {line}) alone, which no worker runs: the "
            f"service imports the script, so its name is another one. Set '{name}' in init(), with `global {name}`."
        )
    error = failure.chain[0] if failure.chain else None
    local = None if error is None else local_of_init(failure.frame, error)
    if local is not None:
        name, function, line = local
        yield (
            f"{function}() sets '{name}' in line {line} as a local variable, which is lost when {function}() ends. Add "
            f"`global {name}` at the start of {function}()."
        )
    line_of_chdir = changes_folder(failure.frame.file)
    if line_of_chdir is not None and error is not None and error.path and not os.path.isabs(error.path):
        yield (
            f"The script changes the working folder (os.chdir() in line {line_of_chdir}), and '{error.path}' is "
            "looked for in that one, which is another in each call. Leave the working folder alone and use absolute "
            "paths: os.path.join(folder, name)."
        )


def _of_none(entry: EntryFile) -> Iterator[str]:
    """Where run() may end without a result."""
    ends = returns_of_none(str(entry.path))
    if ends:
        yield (
            f"None comes from {' or '.join(ends)}. Return the list of results there, or let the exception propagate "
            "where there are none."
        )


def _missing_files(failure: Failure, subject: EntryUnderTest) -> Iterator[str]:
    """Where a missing file was searched, if nothing better is known."""
    for error in failure.chain[:1]:
        if error.type != "FileNotFoundError" or not error.path or is_in_job_folder(error.path):
            continue
        entry = subject.entry
        if not subject.models and reads_model_dir(entry):
            yield f"The script reads {MODEL_DIR}, and no model is given. {_VARIABLES[MODEL_DIR]}"
            continue
        where = (
            "That path does not exist here, and on the service no folder of this machine does"
            if os.path.isabs(error.path)
            else f"It is looked for in the working folder of the worker, which is a new and empty one, and "
            f"'{entry.code_root}' does not have it either"
        )
        yield (
            f"{where}. Put the file below the code root and open it by os.path.join(os.path.dirname(__file__), "
            f"{json.dumps(os.path.basename(error.path))}); a model goes to --parallelrun-model=PATH."
        )


def _missing_modules(errors: Sequence[ErrorInfo], subject: EntryUnderTest) -> Iterator[str]:
    """Where a module is that a worker does not find, or what is there instead."""
    for error in errors:
        if error.type != "ModuleNotFoundError" or not error.module:
            continue
        name, *below = error.module.split(".")
        root = subject.entry.code_root
        if error.message.endswith("is not a package"):
            own = root / f"{name}.py"
            if own.is_file():
                yield f"'{own}' hides the package '{name}'. Give your file another name."
                continue
        elsewhere = _near_by(name, subject.entry)
        if below and (inside := _missing_below(name, below, root)):
            yield inside
        elif elsewhere is not None:
            yield elsewhere
        else:
            yield listed_elsewhere(name, subject.environment) or _nowhere(name, root)


def _missing_below(name: str, below: Sequence[str], root: Path) -> str:
    """For an installed package that lacks a module; "" if it is not installed."""
    own = root / name
    if own.is_dir():
        folders, origin = [str(own)], f"'{own}'"
    else:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            spec = None
        if spec is None or not spec.submodule_search_locations:
            return ""
        folders = list(spec.submodule_search_locations)
        origin = f"'{name}'{_version_of(name)}, which is installed,"
    for part in below[:-1]:
        inside = [os.path.join(folder, part) for folder in folders if os.path.isdir(os.path.join(folder, part))]
        if not inside:
            break
        folders = inside
    modules = [module.name for module in pkgutil.iter_modules(folders) if not module.name.startswith("_")]
    near = get_close_matches(below[-1], modules, 1)
    if not near and len(modules) <= 8:
        near = modules
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    repair = "add the file" if own.is_dir() else "install a version that has it"
    return f"{origin} has no module '{'.'.join(below)}'.{hint} Correct the name in the import, or {repair}."


def _version_of(name: str) -> str:
    with suppress(Exception):
        distribution = importlib.metadata.packages_distributions()[name][0]
        return f" {importlib.metadata.version(distribution)}"
    return ""


def _near_by(name: str, entry: EntryFile) -> str | None:
    """The fix for a module in a folder that is not on sys.path in a worker; None if there is none."""
    root = entry.code_root
    above = [folder for folder in root.parents if folder != Path(root.anchor)][:3]
    folders = [entry.path.parent, *_folders_below(root), *above]
    folders += [folder for parent in above[:1] for folder in _folders_below(parent, levels=1)]
    folders += [Path(folder) for folder in sys.path if folder]
    for folder in folders:
        path = next((path for path in (folder / f"{name}.py", folder / name / "__init__.py") if path.is_file()), None)
        if path is None or folder == root:
            continue
        found = f"'{path}' exists, but of your folders only the code root '{root}' is on sys.path in a worker"
        if folder.is_relative_to(root):
            dotted = ".".join((*folder.relative_to(root).parts, name))
            return (
                f"{found}. Import it as '{dotted}', or add its folder to sys.path first: "
                f"sys.path.insert(0, {_folder_expression(folder, entry)})."
            )
        if root.is_relative_to(folder):
            return (
                f"{found}. Move it there, or make the folder above both the code root: "
                f"--parallelrun-code={folder}, and `code` of the job."
            )
        return f"{found}. Copy it there: nothing else is uploaded with the script."
    return None


def _folder_expression(folder: Path, entry: EntryFile) -> str:
    relative = Path(os.path.relpath(folder, entry.path.parent)).as_posix()
    here = "os.path.dirname(os.path.abspath(__file__))"
    return here if relative == "." else f'os.path.join({here}, "{relative}")'


def _folders_below(root: Path, levels: int = 3) -> Iterator[Path]:
    found = (path for level in range(1, levels + 1) for path in root.glob("/".join("*" * level)))
    with suppress(OSError):
        for path in islice(found, MAX_SEARCHED_FILES):
            if path.is_dir() and not path.name.startswith((".", "__")):
                yield path


def _nowhere(name: str, root: Path) -> str:
    modules = [module.name for module in pkgutil.iter_modules([str(root)])]
    near = get_close_matches(name, modules, 1) or get_close_matches(name, sorted(sys.stdlib_module_names), 1, 0.85)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return (
        f"There is no '{name}' in the code root '{root}', nor an installed package of that name.{hint} Copy a module "
        "of your own to the code root, which alone is uploaded with the script; install a package here, and list it in "
        "the environment of the job."
    )
