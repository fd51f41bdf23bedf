"""Keeps the parts of each page in a folder of its own while it counts them.

Flawed on purpose: os.chdir() goes one folder deeper with every page, and nothing goes back.
"""

from __future__ import annotations

import os


def run(mini_batch: list[str]) -> list[str]:
    rows = []
    for path in mini_batch:
        with open(path, encoding="utf-8") as stream:
            words = stream.read().split()
        # The flaw: from here on "parts" is another folder.
        if not os.path.isdir("parts"):
            os.mkdir("parts")
            os.chdir("parts")
        with open("parts.tmp", "w", encoding="utf-8") as stream:
            stream.write("\n".join(words))
        rows.append(
            f"{os.path.basename(path)},{len(words)},{len(os.path.relpath(os.getcwd(), '/tmp').split('parts')) - 1}"
        )
    return rows
