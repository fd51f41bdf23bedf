"""Every value of the corpus as azure-ai-ml itself reads it, and which definitions it refuses.

Needs the extra `azure`; run by .ci/run in an environment of its own.
"""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from pytest_parallelrun.job_files.job_file import read_job_file
from pytest_parallelrun.job_files.job_object import read_object
from pytest_parallelrun.job_files.script import NO_CODE
from tests.azure.clients_view import client_objects, client_views, load_with_client, our_views
from tests.job_files.refusals import CORPUS, REFUSALS, Refusal

FILES = sorted(file for file in CORPUS.iterdir() if file.suffix in (".yml", ".py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_value_is_that_of_the_client(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    assert our_views(read_job_file(file)) == client_views(file)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_object_has_the_settings_of_its_file(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent if file.suffix == ".py" else tmp_path)
    views = [our_views(read_object(job, NO_CODE)) for job in client_objects(file)]
    assert {name: view for each in views for name, view in each.items()} == our_views(read_job_file(file))


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.label)
def test_the_client_takes_or_refuses_a_mistake_as_it_is_listed(
    refusal: Refusal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(CORPUS, corpus)
    monkeypatch.chdir(corpus)
    file = refusal.write(corpus)
    with nullcontext() if refusal.client_accepts else pytest.raises(Exception):  # noqa: PT011  # of many kinds
        load_with_client(file)


def test_what_the_client_needs_and_this_project_does_not(tmp_path: Path) -> None:
    file = tmp_path / "deployment.yml"
    shutil.copytree(CORPUS / "src", tmp_path / "src")
    text = (CORPUS / "deployment_summary.yml").read_text(encoding="utf-8")
    file.write_text(text.replace("  mini_batch_size: 3\n", ""), encoding="utf-8")
    assert our_views(read_job_file(file))["rate"]["output_action"] == "summary_only"
    with pytest.raises(TypeError, match="mini_batch_size"):
        load_with_client(file)
