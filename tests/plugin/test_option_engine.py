from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run
from tests.plugin.counts import TOTAL, assert_gated


def test_the_engine_in_process_can_be_named(project: Path, gate: Run) -> None:
    assert_gated(gate("--parallelrun-engine=inprocess"), TOTAL)


def test_the_ini_twin_is_used(project: Path, pytester: pytest.Pytester, gate: Run) -> None:
    pytester.makeini("[pytest]\nparallelrun_engine = inproces")
    result = gate()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: parallelrun_engine in tox.ini=inproces: there is no such engine. Did you mean 'inprocess'?"]
    )


def test_an_unknown_engine_is_a_usage_error_that_names_those_there_are(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-engine=quantum")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --parallelrun-engine=quantum: there is no such engine. Allowed: inprocess*"])
