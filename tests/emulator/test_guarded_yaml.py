from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_parallelrun import JobSettings
from pytest_parallelrun.emulator import guarded_yaml
from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.guarded_yaml import MAX_FILE_BYTES, read_guarded
from pytest_parallelrun.emulator.splitting import open_input

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 10)
)
"""It stands for 10**10 values."""
REFUSED = {
    "aliases": (BOMB, "x cannot be read: its aliases (*name) stand for more than 20000 values."),
    "itself": ("&a [*a]", "x cannot be read: its aliases (*name) stand for more than 20000 values."),
    "depth": ("[" * 100, "x cannot be read: it is nested more than 60 levels deep in line 1."),
    "number": (f"\nbase: 1{':59' * 100_000}", "x cannot be read: a number has more than 1000 digits in line 2."),
    "size": ("#" * (MAX_FILE_BYTES + 1), "x cannot be read: it has 524,289 bytes. Allowed: 524,288."),
    "documents": ("a: 1\n---\nb: 2", "x cannot be read: it has more than one document."),
    "tag": ("!!python/object:os.system x", "x cannot be read: could not determine a constructor for the tag "),
    "date": ("2024-13-45", "x cannot be read: month must be in 1..12."),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_yaml_that_cannot_be_read_in_bounded_time_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.yml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_guarded(tmp_path / "x.yml", "x")
    assert str(caught.value).startswith(message)


def test_aliases_that_stand_for_little_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text("a: &a {b: 1}\nc: [*a, *a]\nd: {<<: *a}\n", encoding="utf-8")
    assert read_guarded(tmp_path / "x.yml", "x") == {"a": {"b": 1}, "c": [{"b": 1}, {"b": 1}], "d": {"b": 1}}
    (tmp_path / "x.yml").write_text("# nothing", encoding="utf-8")
    assert read_guarded(tmp_path / "x.yml", "x") is None


def test_an_mltable_with_a_bomb_never_reaches_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mltable", None)
    (tmp_path / "MLTable").write_text(BOMB, encoding="utf-8")
    with pytest.raises(InputError, match="its MLTable cannot be read: its aliases"):
        open_input(str(tmp_path), JobSettings())


def test_a_text_with_too_many_values_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_yaml, "MAX_NODES", 3)
    (tmp_path / "x.yml").write_text("[1, 2, 3]", encoding="utf-8")
    with pytest.raises(InputError, match="there are more than 3 values"):
        read_guarded(tmp_path / "x.yml", "x")


def test_of_many_documents_two_are_kept(tmp_path: Path) -> None:
    assert len(guarded_yaml.compose("a\n---\nb\n---\nc\n")) == 2
