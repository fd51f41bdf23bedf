from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.job_files.environment import Packages
from tests.job_files.conftest import Write


def read(path: Path) -> Packages:
    listing = Packages()
    listing.add_file(path)
    return listing


def listed(listing: Packages) -> list[str]:
    # The library writes a URL with or without a space, by its version.
    return [str(package.requirement).replace(" @", "@") for package in listing.finished()]


def test_requirements_are_listed_with_their_lines(write: Write) -> None:
    listing = read(
        write(
            "requirements.txt",
            """
            # of the job
            pandas==2.2.3  # pinned
            scikit-learn[alldeps] >=1.4,<2 ; python_version < "3.13"

            torch @ https://example.org/torch-2.3-cp311-cp311-linux_x86_64.whl
            """,
        )
    )
    assert listed(listing) == [
        "pandas==2.2.3",
        'scikit-learn[alldeps]<2,>=1.4; python_version < "3.13"',
        "torch@ https://example.org/torch-2.3-cp311-cp311-linux_x86_64.whl",
    ]
    assert [package.origin for package in listing.packages] == [f"requirements.txt:{line}" for line in (2, 3, 5)]
    assert not listing.problems


def test_options_that_say_where_packages_come_from_list_nothing(write: Write) -> None:
    listing = read(
        write(
            "requirements.txt",
            """
            --index-url https://example.org/simple
            -i=https://example.org/simple
            --extra-index-url=https://example.org/more
            --pre
            numpy==1.26.4 \\
                --hash=sha256:aaaa \\
                --hash=sha256:bbbb
            """,
        )
    )
    assert listed(listing) == ["numpy==1.26.4"]
    assert not listing.problems


def test_other_files_are_read_from_the_folder_of_the_file_that_names_them(write: Write) -> None:
    write("more/base.txt", "-r ../requirements.txt\npillow\n")
    write("more/limits.txt", "Pandas<2\nnot_listed<1\n")
    listing = read(write("requirements.txt", "-r more/base.txt\n--constraint more/limits.txt\npandas\n"))
    assert listed(listing) == ["pillow", "pandas<2"]
    assert not listing.problems


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("git+https://example.org/repo.git@main#egg=rating-tools", "rating-tools"),
        ("-e git+https://example.org/repo.git#egg=rating_tools", "rating_tools"),
        ("./wheels/rating_tools-1.0-py3-none-any.whl", "rating-tools"),
        ("https://example.org/rating_tools-1.0-py3-none-any.whl#sha256=aa", "rating-tools"),
    ],
)
def test_a_path_or_url_that_tells_a_name_is_a_package(write: Write, line: str, name: str) -> None:
    listing = read(write("requirements.txt", f"{line}\n"))
    assert (listed(listing), listing.unread) == ([name], [])


def test_credentials_of_a_url_are_not_shown(write: Write) -> None:
    [shown] = read(write("requirements.txt", "git+https://user:hunter2@example.org/tools.git\n")).unread
    assert shown == "git+https://example.org/tools.git (requirements.txt:1)"


@pytest.mark.parametrize(
    "line", ["-e .", "--editable=../library", ".[gpu]", "git+ssh://example.org/x", "-r https://a/b"]
)
def test_one_that_tells_none_may_bring_any(write: Write, line: str) -> None:
    listing = read(write("requirements.txt", f"{line}\n"))
    assert (listed(listing), len(listing.unread), list(listing.problems)) == ([], 1, [])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pandas=1.5", "'pandas=1.5' is no requirement that pip can read: pip wants two signs, =="),
        ("pandas numpy", "'pandas numpy' is no requirement that pip can read. Write NAME or NAME==1.2.3"),
        ("--indx-url https://x", "--indx-url is no option of a requirements file"),
        ("-r missing.txt", "-r missing.txt: there is no file"),
        ("-r", "-r needs a path"),
    ],
)
def test_what_pip_would_refuse_is_a_problem_with_its_line(write: Write, line: str, message: str) -> None:
    [problem] = read(write("requirements.txt", f"numpy\n{line}\n")).problems
    assert str(problem).startswith("requirements.txt:2:1: ")
    assert message in str(problem)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_the_mark_of_an_encoding_is_heeded(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "requirements.txt"
    path.write_bytes("pandas==2.2.3\r\nnumpy\r\n".encode(encoding))
    listing = read(path)
    assert listed(listing) == ["pandas==2.2.3", "numpy"]
    assert not listing.problems
