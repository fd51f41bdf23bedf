"""Sorts letters by the language that they are written in, as far as a few common words tell.

Flawed on purpose: the conda file of the job does not list PyYAML, which the script imports. It is installed on the desk
where the script was written. On the service the import fails after the image was built and the machines were started.
"""

from __future__ import annotations

from pathlib import Path

# The flaw: conda.yml has no pyyaml.
import yaml

WORDS = yaml.safe_load(
    """
    english: [the, and, of, to]
    french: [le, la, et, de]
    german: [der, die, und, zu]
    """
)


def language(text: str) -> str:
    words = text.lower().split()
    return max(WORDS, key=lambda name: sum(word in WORDS[name] for word in words))


def run(mini_batch: list[str]) -> list[str]:
    rows = []
    for path in map(Path, mini_batch):
        try:
            rows.append(f"{path.name}: {language(path.read_text(encoding='utf-8'))}")
        except (OSError, UnicodeDecodeError) as error:
            rows.append(f"{path.name}: error, cannot be read: {type(error).__name__}")
    return rows
