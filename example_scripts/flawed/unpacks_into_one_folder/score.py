"""Counts the lines of logs in archives, which it unpacks into one folder for all of them."""

import glob
import os
import tempfile
import zipfile

FOLDER = os.path.join(tempfile.gettempdir(), "machine_logs")


def init():
    os.makedirs(FOLDER, exist_ok=True)


def run(mini_batch):
    results = []
    for path in mini_batch:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(FOLDER)
        lines = 0
        for log in glob.glob(os.path.join(FOLDER, "*.log")):
            with open(log, encoding="utf-8") as file:
                lines += len(file.readlines())
        results.append({"archive": os.path.basename(path), "lines": lines})
    return results
