"""Releases what is on main: writes the version, commits, tags and pushes. The workflow of the tag does the rest.

python .ci/release.py 0.2.0             release it
python .ci/release.py --check v0.2.0    only see whether the tag fits the version and the changelog
"""

# ruff: noqa: T201  # printing is what it is for

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
from pathlib import Path

PROJECT, CHANGELOG = Path("pyproject.toml"), Path("CHANGELOG.md")
VERSION = re.compile(r'^version = "([^"]+)"$', re.MULTILINE)
UNRELEASED = "## [Unreleased]\n"
UNPUBLISHED = re.compile(r"<!-- before the first release -->\n.*?<!-- end -->\n\n?", re.DOTALL)
BRANCH, REMOTE = "main", "origin"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="such as 0.2.0; with --check the tag, such as v0.2.0")
    parser.add_argument("--check", action="store_true", help="change nothing")
    given = parser.parse_args()
    problem = what_is_wrong_with_tag(given.version) if given.check else what_stops(given.version)
    if problem:
        print(f"no release: {problem}", file=sys.stderr)
        return 1
    if not given.check:
        release(given.version)
    return 0


def what_is_wrong_with_tag(tag: str) -> str:
    """Why the checkout is not what the tag says, or ""."""
    version = current_version()
    if tag != f"v{version}":
        return f"the tag is {tag}, and pyproject.toml has version {version}"
    if f"\n## [{version}] - " not in CHANGELOG.read_text(encoding="utf-8"):
        return f"CHANGELOG.md has no section [{version}]"
    return ""


def what_stops(version: str) -> str:
    """Why this version cannot be released, or ""."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        return f"{version!r} is no version: write three numbers, such as 0.2.0"
    if git("status", "--porcelain"):
        return "there are changes that are not committed"
    if git("branch", "--show-current") != BRANCH:
        return f"releases are made on {BRANCH}"
    git("fetch", "--tags", REMOTE, BRANCH)
    if git("rev-parse", "HEAD") != git("rev-parse", "FETCH_HEAD"):
        return f"{BRANCH} is not what {REMOTE} has: pull or push first, and let CI pass"
    released = [tag[1:] for tag in git("tag", "--list", "v*").splitlines()]
    later = [other for other in released if numbers(other) >= numbers(version)]
    if later:
        return f"{max(later, key=numbers)} is released already"
    _, found, notes = CHANGELOG.read_text(encoding="utf-8").partition(UNRELEASED)
    if not found or not notes.partition("\n## ")[0].strip():
        return "CHANGELOG.md says nothing under Unreleased"
    return ""


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def current_version() -> str:
    found = VERSION.search(PROJECT.read_text(encoding="utf-8"))
    assert found is not None
    return found[1]


def release(version: str) -> None:
    project = PROJECT.read_text(encoding="utf-8")
    PROJECT.write_text(VERSION.sub(f'version = "{version}"', project, count=1), encoding="utf-8")
    day = datetime.datetime.now(datetime.timezone.utc).date()
    changes = CHANGELOG.read_text(encoding="utf-8")
    heading = f"{UNRELEASED}\n## [{version}] - {day.isoformat()}\n"
    CHANGELOG.write_text(changes.replace(UNRELEASED, heading, 1), encoding="utf-8")
    # What pages say until the package index has it; nothing is left of that after the first release.
    for page in (Path("README.md"), *sorted(Path("docs").rglob("*.md"))):
        text = page.read_text(encoding="utf-8")
        published = UNPUBLISHED.sub("", text).replace("pip install PATH_OF_THE_CLONE", "pip install pytest-parallelrun")
        if published != text:
            page.write_text(published, encoding="utf-8")
    git("commit", "--all", "--allow-empty", "--message", f"Release {version}")
    git("tag", "--annotate", f"v{version}", "--message", f"Version {version}")
    # Both or none.
    git("push", "--atomic", REMOTE, BRANCH, f"v{version}")
    print(f"pushed v{version}")


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], stdout=subprocess.PIPE, encoding="utf-8", check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
