"""Finds the longest word of each review."""

import os


def run(mini_batch):
    results = []
    for path in mini_batch:
        with open(path, encoding="latin-1") as file:
            words = file.read().split()
        results.append(f"{os.path.basename(path)} {max(words, key=len)}")
    return results
