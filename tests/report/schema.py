"""The JSON Schema of the report, for all tests that read one."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "report.schema.json"


def closed(schema: Any) -> Any:
    """The schema with no key allowed but those it names, so that the tests see one that nobody described."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(part) for name, part in schema.items()}
    if "properties" in made and "required" in made:
        made["additionalProperties"] = False
    return made


@cache
def validator() -> Draft202012Validator:
    pytest.importorskip("jsonschema")
    from jsonschema import Draft202012Validator

    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(closed(schema))


def read_valid(path: Path) -> dict[str, Any]:
    """The report of a file. AssertionError where it is not as its schema says."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    errors = [f"{error.json_path}: {error.message}" for error in validator().iter_errors(content)]
    assert not errors, "\n".join(errors)
    return content
