from __future__ import annotations

import pytest

from tests.optional_packages import VARIABLE


@pytest.mark.parametrize(("value", "outcomes"), [("", {"skipped": 2}), ("1", {"failed": 1, "errors": 1})])
def test_a_missing_package_skips_or_fails_in_ci(
    value: str, outcomes: dict[str, int], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    pytester.makepyfile(
        test_one="import pytest\n\ndef test_it():\n    pytest.importorskip('nowhere')",
        test_two="import pytest\n\npytest.importorskip('nowhere')\n\ndef test_it():\n    pass",
    )
    options = ("-p", "tests.optional_packages", "-p", "no:cacheprovider", "--continue-on-collection-errors", "-rs")
    result = pytester.runpytest_inprocess(*options)
    result.assert_outcomes(**outcomes)
    assert "could not import 'nowhere'" in result.stdout.str()
