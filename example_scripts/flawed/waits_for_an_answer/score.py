"""Asks a service about the words of each page.

Flawed on purpose: nothing asks for an empty page, and the script waits for the answer all the same, without a limit.
"""

from __future__ import annotations

import os
import socket


def run(mini_batch: list[str]) -> list[str]:
    rows = []
    for path in mini_batch:
        with open(path, encoding="utf-8", errors="replace") as stream:
            question = stream.read().strip()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            # It stands for the service: it gives back as many bytes as there are words.
            theirs.sendall(b"x" * len(question.split()))
            # The flaw: recv() waits for the first byte, and there may be none.
            answer = ours.recv(1000)
        rows.append(f"{os.path.basename(path)},{len(answer)}")
    return rows
