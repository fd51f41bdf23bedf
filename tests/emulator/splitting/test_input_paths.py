from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from operator import methodcaller
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.splitting import input_paths as paths_module
from pytest_parallelrun.emulator.splitting.files import FileSplitter
from pytest_parallelrun.emulator.splitting.input_paths import LISTED_AT_ONCE, files_among, files_below, locate


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def link(path: Path, target: Path) -> None:
    try:
        path.symlink_to(target, target_is_directory=True)
    except OSError:
        pytest.skip("no right to make symbolic links")


def posix(names: list[str]) -> list[str]:
    return [name.replace(os.sep, "/") for name in names]


def test_files_of_a_folder_are_sorted_as_text_not_as_numbers(tmp_path: Path) -> None:
    make(tmp_path, *(f"{number}.csv" for number in (2, 11, 1, 100, 10)))
    assert locate(str(tmp_path), "/", must_exist=True).names == [
        "1.csv",
        "10.csv",
        "100.csv",
        "11.csv",
        "2.csv",
    ]


def test_files_of_sub_folders_are_sorted_by_their_whole_relative_path(tmp_path: Path) -> None:
    # "-" sorts before "/", which sorts before "0".
    make(tmp_path, "a/z.txt", "a0.txt", "a-b.txt", "a/b/c.txt")
    assert posix(files_below(os.path.join(tmp_path, ""))) == ["a-b.txt", "a/b/c.txt", "a/z.txt", "a0.txt"]


def test_names_are_sorted_by_their_posix_spelling_where_the_separator_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on Windows: "\\" sorts behind "0", "/" before it.
    monkeypatch.setattr(paths_module, "_POSIX_SPELLING", methodcaller("replace", "\\", "/"))
    make(tmp_path, "a0", "a\\z")
    assert files_below(os.path.join(tmp_path, "")) == ["a\\z", "a0"]
    assert locate("**/*" if os.sep == "\\" else "*", str(tmp_path), must_exist=True).names == ["a\\z", "a0"]


def test_names_with_spaces_and_non_ascii_letters_are_found(tmp_path: Path) -> None:
    folder = make(tmp_path / "my data é", "ü ber.txt")
    assert locate("my data é", str(tmp_path), must_exist=True).root == os.path.join(folder, "")
    assert locate("my data é", str(tmp_path), must_exist=True).names == ["ü ber.txt"]


def test_hidden_files_and_files_of_zero_bytes_belong_to_a_folder(tmp_path: Path) -> None:
    make(tmp_path, ".hidden", "empty")
    assert files_below(os.path.join(tmp_path, "")) == [".hidden", "empty"]


def test_a_linked_folder_is_followed(tmp_path: Path) -> None:
    make(tmp_path / "elsewhere", "x.txt")
    make(tmp_path / "data", "a.txt")
    link(tmp_path / "data" / "link", tmp_path / "elsewhere")
    assert posix(files_below(os.path.join(tmp_path / "data", ""))) == ["a.txt", "link/x.txt"]


def test_a_link_to_a_folder_above_itself_ends_there(tmp_path: Path) -> None:
    make(tmp_path, "sub/a.txt")
    link(tmp_path / "sub" / "loop", tmp_path)
    assert posix(files_below(os.path.join(tmp_path, ""))) == ["sub/a.txt"]


def test_links_that_lead_back_keep_no_other_folder_from_being_read(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        make(tmp_path, f"{name}/x.txt")
        link(tmp_path / name / "loop", tmp_path)
    assert posix(files_below(os.path.join(tmp_path, ""))) == ["a/x.txt", "b/x.txt", "c/x.txt"]


def test_two_links_to_one_folder_are_both_followed(tmp_path: Path) -> None:
    make(tmp_path / "elsewhere", "x.txt")
    (tmp_path / "data").mkdir()
    link(tmp_path / "data" / "one", tmp_path / "elsewhere")
    link(tmp_path / "data" / "two", tmp_path / "elsewhere")
    assert posix(files_below(os.path.join(tmp_path / "data", ""))) == ["one/x.txt", "two/x.txt"]


def test_a_link_to_itself_is_an_item_like_any_dangling_link(tmp_path: Path) -> None:
    link(tmp_path / "self", tmp_path / "self")
    link(tmp_path / "gone", tmp_path / "nowhere")
    assert files_below(os.path.join(tmp_path, "")) == ["gone", "self"]


def test_an_unreadable_folder_is_an_input_error_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "sub/a.txt")
    real = os.scandir

    def refuse(path: str) -> Iterator[os.DirEntry[str]]:
        if os.path.basename(os.path.normpath(path)) == "sub":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"sub.*cannot be read: Permission denied"):
        files_below(os.path.join(tmp_path, ""))


def test_a_glob_gives_files_only_relative_to_its_fixed_part(tmp_path: Path) -> None:
    make(tmp_path, "data/b.csv", "data/a.csv", "data/c.txt", "data/d.csv/e.csv")
    place = locate("data/*.csv", str(tmp_path), must_exist=True)
    assert (place.form, place.root) == ("glob", os.path.join(tmp_path, "data", ""))
    assert place.names == ["a.csv", "b.csv"]


def test_a_recursive_glob_gives_every_file_once(tmp_path: Path) -> None:
    make(tmp_path, "data/a/b/c.txt", "data/d.txt")
    assert posix(locate("data/**/**/*.txt", str(tmp_path), must_exist=True).names) == ["a/b/c.txt", "d.txt"]


def test_every_part_of_a_glob_must_match(tmp_path: Path) -> None:
    make(tmp_path, "data/a/x.txt", "data/a/x.csv", "data/b/y.txt", "data/b/deep/y.txt", "data/z.txt")
    assert posix(locate("data/*/*.txt", str(tmp_path), must_exist=True).names) == ["a/x.txt", "b/y.txt"]
    assert posix(locate("data/?/deep/*.txt", str(tmp_path), must_exist=True).names) == ["b/deep/y.txt"]


def test_brackets_in_the_base_folder_are_no_pattern(tmp_path: Path) -> None:
    base = make(tmp_path / "run [1]", "a.txt")
    assert locate("*.txt", str(base), must_exist=True).names == ["a.txt"]


def test_a_file_with_brackets_in_its_name_is_that_file(tmp_path: Path) -> None:
    make(tmp_path, "a[1].txt", "a1.txt")
    place = locate("a[1].txt", str(tmp_path), must_exist=True)
    assert (place.form, place.names) == ("file", ["a[1].txt"])


@pytest.mark.parametrize("must_exist", [True, False])
def test_a_glob_without_a_match_is_an_input_error(tmp_path: Path, must_exist: bool) -> None:
    with pytest.raises(InputError, match=r"'\*\.png': the pattern matches no file"):
        locate("*.png", str(tmp_path), must_exist=must_exist)


def test_a_glob_that_matches_folders_only_says_so(tmp_path: Path) -> None:
    make(tmp_path, "a/x.txt", "b/x.txt")
    with pytest.raises(InputError) as caught:
        locate("*/", str(tmp_path), must_exist=True)
    root = os.path.join(tmp_path, "")
    assert str(caught.value) == (
        f"input '*/': the pattern matches folders only; add '/*' for the files in them (looked in '{root}')."
    )


def test_the_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "data/a.txt")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert locate("~/data", "/", must_exist=True).names == ["a.txt"]
    assert locate("~/data/*.txt", "/", must_exist=True).names == ["a.txt"]


def test_paths_go_through_links_unresolved(tmp_path: Path) -> None:
    make(tmp_path / "real", "a.txt")
    link(tmp_path / "link", tmp_path / "real")
    assert locate("link", str(tmp_path), must_exist=True).root == os.path.join(tmp_path, "link", "")


@pytest.mark.parametrize(
    "path",
    [
        "azureml:data:1",
        "azureml://datastores/x/paths/y",
        "wasbs://c@a/x",
        "abfss://c@a/x",
        "https://a/x.csv",
        "HTTP://a/x",
    ],
)
def test_a_remote_path_is_refused_with_what_to_give_instead(path: str) -> None:
    with pytest.raises(InputError, match=r"remote inputs are not downloaded.*local folder: --parallelrun-input=sample"):
        locate(path, "/", must_exist=False)


@pytest.mark.parametrize("path", ["jdbc:sqlserver://a", "mssql+pyodbc://a/b", "postgresql://a"])
def test_databases_are_refused_by_name(path: str) -> None:
    with pytest.raises(InputError, match=r"databases and SQL queries are not emulated\. Save some of its rows"):
        locate(path, "/", must_exist=False)


@pytest.mark.parametrize(("path", "told"), [("azureml:data:1", "az ml data show"), ("https://a/x.csv", "azcopy copy")])
def test_how_a_local_sample_is_made_is_told_by_the_kind_of_place(path: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        locate(path, "/", must_exist=False)


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        locate("", "/", must_exist=False)
    assert str(caught.value) == "input '': an empty path. Give a folder, a glob or a file."


def test_a_missing_path_comes_with_the_nearest_name_beside_it(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png")
    with pytest.raises(InputError, match=r"'imagse' does not exist.*Did you mean 'images'\?"):
        locate("imagse", str(tmp_path), must_exist=True)


def test_a_path_that_breaks_off_early_names_the_first_missing_folder(tmp_path: Path) -> None:
    make(tmp_path, "data/images/a.png")
    with pytest.raises(InputError, match=r"no 'imgaes' in '.*data'\. Did you mean 'images'\?"):
        locate("data/imgaes/deep/a.png", str(tmp_path), must_exist=True)


def test_a_missing_path_without_a_near_name_makes_no_guess(tmp_path: Path) -> None:
    make(tmp_path, "zzz")
    with pytest.raises(InputError) as caught:
        locate("data", str(tmp_path), must_exist=True)
    assert str(caught.value) == f"input 'data' does not exist: there is no 'data' in '{tmp_path}'."


def test_names_are_compared_with_a_missing_one_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "images")
    monkeypatch.setattr(paths_module, "SUGGESTIONS_FROM", 0)
    with pytest.raises(InputError) as caught:
        locate("imagse", str(tmp_path), must_exist=True)
    assert "Did you mean" not in str(caught.value)


def test_a_path_below_a_file_says_that_it_is_no_folder(tmp_path: Path) -> None:
    make(tmp_path, "a.txt")
    with pytest.raises(InputError, match=r"a\.txt' is not a folder"):
        locate("a.txt/b.txt", str(tmp_path), must_exist=True)


def test_a_missing_path_in_an_unreadable_folder_is_still_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> Iterator[os.DirEntry[str]]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"there is no 'data' in"):
        locate("data", str(tmp_path), must_exist=True)


def test_a_missing_file_of_a_list_is_left_for_its_mini_batch(tmp_path: Path) -> None:
    place = locate("gone.png", str(tmp_path), must_exist=False)
    assert (place.form, place.names) == ("file", ["gone.png"])


def test_a_million_files_would_be_scanned_and_split_within_200_mb(monkeypatch: pytest.MonkeyPatch) -> None:
    files = 50_000

    @contextmanager
    def entries(path: str) -> Iterator[Iterator[SimpleNamespace]]:
        yield (
            SimpleNamespace(name=f"image_{number:08}.png", is_dir=lambda: False, is_file=lambda: True)
            for number in reversed(range(files))
        )

    monkeypatch.setattr(os, "scandir", entries)
    tracemalloc.start()
    try:
        split = FileSplitter("/in/", files_below("/in/"), 10, label="in 'in'")
        assert sum(len(split.load(one)) for one in split.mini_batches()) == files
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200e6 * files / 1_000_000


def test_many_paths_of_one_folder_are_looked_up_in_its_listing(tmp_path: Path) -> None:
    names = [f"{number}.txt" for number in range(LISTED_AT_ONCE)]
    make(tmp_path, *names[1:], "not asked for.txt")
    (tmp_path / "0.txt").mkdir()
    given = [str(tmp_path / name) for name in names]
    (tmp_path / names[1]).unlink()
    found = files_among(given)
    # A folder is none, and what is missing is left to be asked for.
    assert found >= set(given[2:])
    assert found.isdisjoint(given[:2])


def test_a_folder_that_is_missing_spoils_no_other(tmp_path: Path) -> None:
    names = [f"{number}.txt" for number in range(LISTED_AT_ONCE)]
    make(tmp_path, *names)
    sound = [str(tmp_path / name) for name in names]
    missing = [str(tmp_path / "gone" / name) for name in names]
    assert files_among([*missing, *sound]) == set(sound)


def test_few_paths_of_a_folder_are_left_to_be_asked_for(tmp_path: Path) -> None:
    names = [f"{number}.txt" for number in range(LISTED_AT_ONCE - 1)]
    make(tmp_path, *names)
    assert files_among([str(tmp_path / name) for name in names]) == frozenset()


@pytest.mark.parametrize("folder", ["data", "/data/../data", "/no such folder"])
def test_paths_that_are_relative_roundabout_or_of_no_folder_are_left_to_be_asked_for(folder: str) -> None:
    given = [folder + os.sep + str(number) for number in range(LISTED_AT_ONCE)]
    assert files_among(given) == frozenset()
