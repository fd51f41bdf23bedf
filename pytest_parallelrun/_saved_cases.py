"""Saves the mini-batches that show a finding, and says how to replay them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_parallelrun._entries import EntryPlan
from pytest_parallelrun._options import STEP, command_line_values
from pytest_parallelrun.contract.cases.case import NotSaved, save_case
from pytest_parallelrun.contract.finding import Finding, Replay
from pytest_parallelrun.report.sanitize import first_line, masked, masked_arguments, masked_text


class CaseSaver:
    """Saves the case of each finding below --parallelrun-save, or in pytest's cache."""

    def __init__(self, config: pytest.Config, save: Path | None) -> None:
        self._config = config
        self._save = save

    def keep(self, plan: EntryPlan, check: str, finding: Finding, *, test: bool = True) -> Finding:
        """The finding with its replay command and, as `test`, a regression test; unchanged if it has no case."""
        if finding.case is None:
            return finding
        seed = str(self._config.getoption("hypothesis_seed", None))
        try:
            folder = self._folder() / plan.target.folder_name / check
            remarks = save_case(
                folder,
                replace(finding.case, seed=finding.case.seed or (int(seed) if seed.isdigit() else None)),
                entry=plan.nodeid,
                check=check,
                finding=plan.redaction.text(first_line(finding.what)),
                settings=plan.settings,
                is_secret=lambda text: plan.redaction.text(text) != text,
            )
        except (NotSaved, OSError) as error:
            return replace(finding, replay=Replay(unavailable=str(error)))
        kept, copy = self._in_repository(plan, check, folder) if test else (folder, "")
        replay = Replay(
            command=self._command(plan, folder),
            copy=copy,
            test=tuple(self._test(plan, check, kept)) if test else (),
            remarks=tuple(remarks),
        )
        return replace(finding, replay=replay)

    def _folder(self) -> Path:
        if self._save is not None:
            return self._save
        cache = getattr(self._config, "cache", None)
        if cache is None:
            raise NotSaved("pytest's cache is switched off; --parallelrun-save=DIR keeps them")
        return Path(cache.mkdir("parallelrun"))

    def _in_repository(self, plan: EntryPlan, check: str, folder: Path) -> tuple[Path, str]:
        """The folder that a test can load the case from, and the command that copies it there, or "".

        The cache of pytest is no part of a repository, and what is elsewhere is none of others who run the test.
        """
        root = self._config.rootpath
        if self._save is not None and root in folder.parents:
            return folder, ""
        tests = root / "tests"
        parent = (tests if tests.is_dir() else root) / "cases" / plan.target.folder_name
        source, target = self._relative(folder), self._relative(parent)
        if os.name == "nt":
            into = subprocess.list2cmdline(["xcopy", "/E", "/I", source.replace("/", "\\"), str(parent / check)])
            return parent / check, into
        return parent / check, f"mkdir -p {shlex.quote(target)} && cp -r {shlex.quote(source)} {shlex.quote(target)}/"

    def _command(self, plan: EntryPlan, folder: Path) -> str:
        """The options of this run that the entry needs; those of the ini file apply anyway."""
        words = ["pytest", f"--parallelrun-entry={self._relative(plan.entry.path)}"]
        for name in ("job", "code", "args", "env", "model", "set"):
            for item in command_line_values(self._config, name):
                if name == "job" and plan.step is not None:
                    # Of several job files the one with the step.
                    word = f"{item.origin}={plan.target.job}{STEP}{plan.step.name}"
                    words += [word] if word not in words else []
                else:
                    words.append(f"{item.origin}={_shown(name, item.value)}")
        if plan.step is not None:
            # Its program arguments may name inputs.
            words += [str(item) for item in command_line_values(self._config, "input")]
        words.append(f"--parallelrun-replay={self._relative(folder)}")
        return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)

    def _test(self, plan: EntryPlan, check: str, folder: Path) -> list[str]:
        """A regression test to paste."""
        arguments = [repr(self._relative(plan.entry.path))]
        if plan.arguments.argv:
            arguments.append(f"program_arguments={masked_arguments(plan.arguments.argv)!r}")
        if plan.entry.code_root != plan.entry.path.parent:
            arguments.append(f"code={self._relative(plan.entry.code_root)!r}")
        if plan.models:
            models = [f"{name}={self._relative(path)}" for name, path in plan.models.items()]
            arguments.append(f"models={models!r}")
        script = re.sub(r"\W", "_", plan.entry.path.stem)
        return [
            "from pytest_parallelrun import load_case",
            f"def test_{script}_{check}():",
            f"    case = load_case({self._relative(folder)!r})",
            f"    result = case.run({', '.join(arguments)})",
            "    assert not case.problem(result), result.explain()",
        ]

    def _relative(self, path: Path) -> str:
        try:
            return Path(os.path.relpath(path, self._config.invocation_params.dir)).as_posix()
        except ValueError:
            # On another drive.
            return str(path)


def _shown(option: str, value: str) -> str:
    if option == "env":
        name, _, content = value.partition("=")
        return f"{name}={masked(name, content)}"
    if option == "args":
        try:
            return masked_arguments(shlex.split(value))
        except ValueError:
            return masked_text(value)
    return masked_text(value)
