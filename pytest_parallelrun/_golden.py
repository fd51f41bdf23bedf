"""--parallelrun-golden and --parallelrun-update-golden: where the accepted output of each entry is."""

from __future__ import annotations

import glob
import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_parallelrun._options import flag, folder_to_write, read_last, usage_error
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.job_files.tree import shown
from pytest_parallelrun.report.sanitize import masked_arguments, printable_line

if TYPE_CHECKING:
    from pytest_parallelrun.contract.golden_file import GoldenRequest

SUFFIX = ".golden"
UPDATE = "--parallelrun-update-golden"
_TEST = "::test_matches_golden_output"
_OF_ROWS = ("profile", "mini_batch_rows", "partition_keys", "input_type", "encoding", "delimiter", "azureml")
"""Settings that affect rows, next to mini_batch_size."""
CI_VARIABLES = (
    "CI", "bamboo.buildKey", "BUILD_ID", "BUILD_NUMBER", "BUILDKITE", "CIRCLECI", "CONTINUOUS_INTEGRATION",
    "GITHUB_ACTIONS", "HUDSON_URL", "JENKINS_URL", "TEAMCITY_VERSION", "TRAVIS",
)  # fmt: skip
"""Those by which inline-snapshot recognizes CI. PyCharm sets one of them too, and PYCHARM_HOSTED."""


class UpdateWatch:
    """Refuses --parallelrun-update-golden on the command line if no test that writes is part of the run, and says what
    was not written.
    """

    def __init__(self) -> None:
        self._outcomes: dict[str, str] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if not session.testsfailed and not session.config.option.collectonly:
            self.pytest_xdist_node_collection_finished([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        if not any(nodeid.endswith(_TEST) for nodeid in ids):
            raise usage_error(f"{UPDATE} would write nothing: test_matches_golden_output is not part of this run.")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.nodeid.endswith(_TEST) and (report.when == "call" or not report.passed):
            self._outcomes[report.nodeid.removesuffix(_TEST)] = report.outcome

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._outcomes and "passed" not in self._outcomes.values() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for entry in (entry for entry, outcome in self._outcomes.items() if outcome != "passed"):
            text = f"golden output of {entry} was not written: see above"
            terminalreporter.write_line(printable_line(text), red=True, bold=True)


@dataclass(frozen=True)
class GoldenFolder:
    """The folder, whether it is written, and the command that accepts the output of this run."""

    folder: Path
    origin: str
    update: bool
    command: str

    def request(
        self,
        script: Path,
        step: str,
        settings: JobSettings,
        arguments: Sequence[str],
        models: Mapping[str, Path],
    ) -> GoldenRequest:
        """What the check needs to know for an entry. step: of a job file, "" where no other has the script."""
        from pytest_parallelrun.contract.golden_file import GoldenRequest

        # Names start where they depend neither on the working folder nor on where the repository lies.
        base = self.folder if self.folder in script.parents else self.folder.parent
        file = self._file(script, step, base)
        return GoldenRequest(
            file=file,
            shown=shown(file),
            base=str(base),
            update=self.update,
            settings=_settings(settings, arguments, models, base),
            command=self.command,
        )

    def check(self, requests: Mapping[str, GoldenRequest], inputs: Iterable[str]) -> None:
        """UsageError for a file that two entries share, or that would be an item of an input; requests: by node id."""
        users: dict[str, str] = {}
        for entry, request in requests.items():
            other = users.setdefault(str(request.file).casefold(), entry)
            if other != entry:
                raise usage_error(
                    f"{self.origin}: {other} and {entry} would share the file {request.shown}: check them in two runs, "
                    "each with its own folder."
                )
            for path in inputs:
                if _is_item(request.file, path):
                    raise usage_error(
                        f"{self.origin}: the folder is in the input {path}, so its files would be items of the sample: "
                        "give a folder elsewhere."
                    )

    def _file(self, script: Path, step: str, base: Path) -> Path:
        try:
            parts = [part for part in Path(os.path.relpath(script, base)).parts if part != os.pardir]
        except ValueError:
            # On another drive.
            parts = [script.name]
        if step:
            parts[-1] += "." + re.sub(r"[^\w.-]", "_", step)
        return self.folder.joinpath(*parts[:-1], parts[-1] + SUFFIX)


def read_golden_folder(config: pytest.Config) -> GoldenFolder | None:
    """The options; None without a folder. UsageError if it is to be written in CI, or is not given."""
    update = flag(config, "update-golden")
    if update and (variable := ci_variable()):
        raise usage_error(
            f"{UPDATE} is refused in CI ({variable} is set): accept the output on your machine, review the files and "
            "commit them."
        )
    golden = read_last(
        config, "golden", lambda item: GoldenFolder(folder_to_write(item), str(item), update, _command(config))
    )
    if update and golden is None:
        raise usage_error(f"{UPDATE} needs the folder of the golden output: add --parallelrun-golden=DIR.")
    return golden


def ci_variable() -> str:
    """The environment variable that says that this is CI, or ""."""
    if os.environ.get("PYCHARM_HOSTED"):
        return ""
    return next((name for name in CI_VARIABLES if os.environ.get(name)), "")


def _is_item(file: Path, path: str) -> bool:
    pattern = os.path.abspath(os.path.expanduser(path))
    if os.path.isdir(pattern):
        return Path(pattern) in file.parents
    return fnmatch(str(file), pattern) if "**" in path else glob.has_magic(path) and file.match(pattern)


def _command(config: pytest.Config) -> str:
    # The last -k counts.
    words = [*map(str, config.invocation_params.args), "-k", "matches_golden_output", UPDATE]
    if os.name == "nt":
        return "pytest " + subprocess.list2cmdline(words)
    return "pytest " + masked_arguments(words)


def _settings(
    settings: JobSettings, arguments: Sequence[str], models: Mapping[str, Path], base: Path
) -> dict[str, str]:
    """The settings that affect rows and have no default value, as texts; no values of environment variables."""
    default = _of_rows(JobSettings())
    texts = {name: text for name, text in _of_rows(settings).items() if text != default[name]}
    texts["program arguments"] = masked_arguments([_portable(argument, base) for argument in arguments])
    texts["environment variables"] = ", ".join(sorted(settings.environment_variables))
    texts["models"] = ", ".join(f"{name}={_portable(str(path), base)}" for name, path in sorted(models.items()))
    return {name: text for name, text in texts.items() if text}


def _of_rows(settings: JobSettings) -> dict[str, str]:
    values = {name: getattr(settings, name) for name in _OF_ROWS}
    values |= {"mini_batch_size": settings.mini_batch_size_text, "file_grouping": settings.rules.file_grouping}
    return {name: ", ".join(value) if isinstance(value, tuple) else str(value) for name, value in values.items()}


def _portable(text: str, base: Path) -> str:
    """An argument in which an absolute path is relative to `base` or, elsewhere, a name."""
    name, separator, value = text.rpartition("=")
    if not os.path.isabs(value):
        return text
    path = Path(value)
    return f"{name}{separator}{path.relative_to(base).as_posix() if base in path.parents else path.name}"
