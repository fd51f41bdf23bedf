from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.specs.job_file import read_job_file
from tests.specs.conftest import all_findings
from tests.specs.refusals import REFUSALS, Refusal


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.label)
def test_a_mistake_is_found_where_it_is_and_nothing_else(refusal: Refusal, corpus: Path) -> None:
    file = refusal.write(corpus)
    [finding] = all_findings(read_job_file(file))
    assert finding.startswith(f"{file.name}:{refusal.message}")


def test_labels_are_unique() -> None:
    labels = [refusal.label for refusal in REFUSALS]
    assert len(set(labels)) == len(labels)


def test_the_page_on_fidelity_lists_exactly_what_the_client_accepts() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "fidelity.md").read_text(encoding="utf-8")
    table = text.split("| mistake | why it is refused |\n|---|---|\n")[1].split("\n\n")[0]
    listed = [row.split(" | ")[0].removeprefix("| ") for row in table.splitlines()]
    assert listed == [refusal.label for refusal in REFUSALS if refusal.client_accepts]
