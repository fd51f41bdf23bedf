"""Sorts product titles into departments.

Flawed on purpose: the job's `code:` is the folder above this one, and only that folder is on sys.path. Started by
hand, the script finds `cleaning` beside it; a worker does not, and the job ends before it has scored a title.
"""

from __future__ import annotations

from pathlib import Path

# The flaw: below the code root this module is called scoring.cleaning.
from cleaning import words

DEPARTMENTS = {
    "garden": {"hose", "rake", "seeds", "shovel"},
    "kitchen": {"pan", "kettle", "whisk", "knife"},
    "office": {"stapler", "paper", "desk", "chair"},
}


def department(title: str) -> str:
    found = words(title)
    return max(DEPARTMENTS, key=lambda name: len(DEPARTMENTS[name] & found))


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            results.append(f"{path.name}: {department(path.read_text(encoding='utf-8'))}")
        except (OSError, UnicodeDecodeError) as error:
            results.append(f"{path.name}: error {error!r}")
    return results
