"""The entry under test: immutable, and safe inside @given, since every job builds all it needs anew."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pytest_parallelrun.contract.sample import SampleCopy, copy_file, copy_of
from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.job import ParallelJob
from pytest_parallelrun.emulator.rehearsal import Rehearsal, rehearse
from pytest_parallelrun.emulator.splitting import open_input

if TYPE_CHECKING:
    import pandas as pd

    from pytest_parallelrun.emulator.entry import EntryFile, EntryFunctions
    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.result import JobResult
    from pytest_parallelrun.emulator.settings import JobSettings

MOST_ALONE = 50
"""Items of a mini-batch that are run one by one to find the one without a result."""

Input = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass
class Cost:
    """What the checks of an entry cost: real init() calls load models for many seconds."""

    init_calls: int = 0

    def take(self) -> int:
        """The calls since the last question."""
        calls, self.init_calls = self.init_calls, 0
        return calls


@dataclass(frozen=True, kw_only=True)
class EntryUnderTest:
    """An entry script with the settings, arguments, models and sample that the options give it.

    folder: where copies of the sample go. `sample` is None without an input.
    """

    entry: EntryFile
    settings: JobSettings
    arguments: tuple[str, ...]
    models: Mapping[str, Path]
    sample: str | tuple[str, ...] | None
    folder: Path
    engine: str = "inprocess"
    cost: Cost = field(default_factory=Cost, compare=False)

    def job(
        self,
        input: Input | pd.DataFrame | None = None,
        *,
        faults: Sequence[Fault] = (),
        output: Path | None = None,
        **settings: object,
    ) -> JobResult:
        """Runs a job with this entry; `settings` are fields of JobSettings, over those of the options.

        Without an input it runs on a fresh copy of the sample.
        """
        if input is None:
            input = self.copy_sample().input
        return self._run(input, self.settings.replace(**settings), faults, output)  # type: ignore[arg-type]

    def rehearse(
        self,
        *,
        workers: int = 1,
        runtime_arguments: bool = True,
        init: bool = True,
        first_attempt: bool = False,
        look: Callable[[EntryFunctions], None] | None = None,
    ) -> Rehearsal:
        """Brings workers up without a job; `first_attempt` then runs the first mini-batch of the sample."""
        input: Input = self.copy_sample().input if first_attempt else []
        self.cost.init_calls += workers if init else 0
        return rehearse(
            self._job(input, self.settings),
            workers=workers,
            runtime_arguments=runtime_arguments,
            init=init,
            first_attempt=first_attempt,
            look=look,
        )

    def items_without_result(self, attempt: AttemptEnded) -> tuple[str, ...]:
        """Items of a mini-batch of files for which run() returns nothing when they are alone."""
        splitter = open_input(self.copy_sample().input, self.settings)
        folder = Path(tempfile.mkdtemp(prefix="alone-", dir=self.folder))
        paths = cast("list[str]", splitter.load(attempt.mini_batch))
        named = zip(paths, splitter.item_names(attempt.mini_batch), strict=True)
        for path, name in islice(named, MOST_ALONE):
            copy_file(path, str(folder / name))
        off = {"error_threshold": -1}
        if self.settings.profile != "batch":
            off.update(mini_batch_error_threshold=-1, allowed_failed_percent=100)
        alone = self.settings.replace(mini_batch_size=1, max_retries=0, **off)  # type: ignore[arg-type]
        result = self._run(folder, alone)
        return tuple(
            result.item_names(batch.id)[0]
            for batch in result.mini_batches
            if batch.attempts and batch.attempts[0].returned == 0
        )

    def where_is(self, error: str) -> str:
        """A hint where a module that a worker does not find lies, if it is near by."""
        missing = re.search(r"No module named '([^'.]+)", error)
        if missing is None:
            return ""
        name = missing.group(1)
        for folder in (str(self.entry.path.parent), *sys.path):
            for place in (Path(folder) / f"{name}.py", Path(folder) / name / "__init__.py"):
                if folder and place.is_file() and Path(folder) != self.entry.code_root:
                    return (
                        f"'{place}' would be it, but that folder is not on sys.path in a worker. Move it below the "
                        "code root, make the folder above both the code root (--parallelrun-code=DIR), or add "
                        "the folder of __file__ to sys.path in the script."
                    )
        return f"If '{name}' is a package to install, it is missing in this Python."

    def _run(
        self,
        input: Input | pd.DataFrame,
        settings: JobSettings,
        faults: Sequence[Fault] = (),
        output: Path | None = None,
    ) -> JobResult:
        result = self._job(input, settings, faults, output).run()
        self.cost.init_calls += result.init_calls
        return result

    def _job(
        self,
        input: Input | pd.DataFrame,
        settings: JobSettings,
        faults: Sequence[Fault] = (),
        output: Path | None = None,
    ) -> ParallelJob:
        return ParallelJob(
            self.entry.path,
            input,
            settings=settings,
            program_arguments=self.arguments,
            faults=faults,
            engine=self.engine,
            code=self.entry.code_root,
            # A name that is the path's own may have a "=" in it.
            models=[str(path) if name == path.name else f"{name}={path}" for name, path in self.models.items()],
            output=output,
        )

    def copy_sample(self) -> SampleCopy:
        """A fresh copy of the sample, for no check may touch the user's own; relative paths stay as they are."""
        if self.sample is None:
            raise InputError("there is no input: give --parallelrun-input=PATH.")
        return copy_of(self.sample, Path(tempfile.mkdtemp(prefix="sample-", dir=self.folder)))
