"""Every value of the corpus as azure-ai-ml itself reads it, and which definitions it refuses.

Needs the extra `azure`; run by .ci/run in an environment of its own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.specs.job_file import read_job_file
from tests.azure.clients_view import client_views, our_views

CORPUS = Path(__file__).parents[1] / "specs" / "corpus"
FILES = sorted(file for file in CORPUS.iterdir() if file.suffix in (".yml", ".py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_value_is_that_of_the_client(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    assert our_views(read_job_file(file)) == client_views(file)
