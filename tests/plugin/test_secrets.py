"""No secret of a run is in anything that the run writes or prints."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.conftest import Run, Write

TELLS = """
    import json, os
    from urllib.parse import quote
    def run(mini_batch):
        token = os.environ["DB_PASS"]
        print("connecting with", token, repr(token), json.dumps(token), quote(token))
        print("Authorization: Bearer abc.DEF-123456", os.environ["TARGET"])
        raise ValueError(f"{os.environ['TARGET']} does not let us in with {token!r}, nor {json.dumps(token)}")
"""
SECRET = 'pä"ss/w0rd'
FORMS = [SECRET, repr(SECRET)[1:-1], json.dumps(SECRET)[1:-1], quote(SECRET), "sesame99", "abc.DEF-123456"]


def test_no_output_of_a_run_has_a_secret(project: Path, gate: Run, write: Write) -> None:
    pytest.importorskip("jinja2")
    write("score.py", TELLS)
    result = gate(
        f"--parallelrun-env=DB_PASS={SECRET}",
        "--parallelrun-env=TARGET=postgresql://me:sesame99@db/x",
        "--parallelrun-args=--key-column customer_id",
        *(f"--parallelrun-report=out/gate.{ending}" for ending in ("json", "html", "md")),
        "--parallelrun-logs=out/logs",
        "--parallelrun-save=out/cases",
        "--junitxml=out/junit.xml",
        "-rA",
        "-v",
    )
    written = [path for path in (project / "out").rglob("*") if path.is_file()]
    names = {path.name for path in written}
    assert names >= {"gate.json", "gate.html", "gate.md", "junit.xml", "case.json", "process000.stdout.txt"}
    texts = {path: path.read_text("utf-8") for path in written} | {Path("terminal"): result.stdout.str()}
    found = {(path.name, form) for path, text in texts.items() for form in FORMS if form in text}
    assert found == set()
    assert "connecting with *** " in texts[project / "out/logs/logs/user/stdout/instance0/process000.stdout.txt"]
    assert "--key-column customer_id" in texts[project / "out/gate.json"]
