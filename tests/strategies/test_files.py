from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis.errors import InvalidArgument

from pytest_parallelrun.strategies import Files, Item, Sample, mini_batches, recipes
from pytest_parallelrun.strategies.files import ITEM_KINDS
from tests.strategies.conftest import CONTENTS
from tests.strategies.drawing import drawn, drawn_files, smallest_files

# Wrong on purpose, which a type checker would see.
ANY: Callable[[object], Any] = lambda value: value  # noqa: E731


def content(path: str) -> bytes:
    return Path(path).read_bytes()


def test_sound_recipes_are_any_files_in_any_order_each_once(files: Sample) -> None:
    recipes_ = drawn_files(recipes(files), 200)
    assert not any(recipe.odd for recipe in recipes_)
    assert all(len({item.name for item in recipe.items}) == recipe.size for recipe in recipes_)
    assert {recipe.size for recipe in recipes_} == {1, 2, 3, 4, 5}
    assert {item.name for recipe in recipes_ for item in recipe.items} == set(CONTENTS)
    names = [[item.name for item in recipe.items] for recipe in recipes_]
    assert any(some != sorted(some) for some in names)


def test_at_least_half_of_the_odd_recipes_have_something_odd_and_none_more_than_three_things(files: Sample) -> None:
    recipes_ = drawn_files(recipes(files, odd=True), 200)
    assert sum(recipe.odd for recipe in recipes_) >= 100
    for recipe in recipes_:
        duplicates = recipe.size - len({item.name for item in recipe.items})
        assert duplicates + sum(item.kind is not None for item in recipe.items) <= 3


def test_every_odd_thing_is_drawn(files: Sample) -> None:
    recipes_ = drawn_files(recipes(files, odd=True), 300)
    assert {item.kind for recipe in recipes_ for item in recipe.items} == {None, *ITEM_KINDS}
    assert any(len({item.name for item in recipe.items}) < recipe.size for recipe in recipes_)


def test_a_sound_mini_batch_is_copies_with_their_relative_names_in_the_order_of_the_recipe(
    files: Sample, tmp_path: Path
) -> None:
    recipe = Files(items=(Item("sub/ä b.dat"), Item("a.txt")))
    paths = recipe.build(files, tmp_path / "to here")
    assert paths == [str(tmp_path / "to here" / "sub" / "ä b.dat"), str(tmp_path / "to here" / "a.txt")]
    assert [content(path) for path in paths] == [CONTENTS["sub/ä b.dat"], CONTENTS["a.txt"]]


def test_every_mini_batch_has_a_folder_of_its_own(files: Sample) -> None:
    recipe = Files(items=(Item("a.txt"),))
    one, other = recipe.build(files)[0], recipe.build(files)[0]
    assert one != other
    os.remove(one)
    assert os.path.exists(other)


def test_no_path_is_handed_out_twice_and_none_of_the_users_own(files: Sample, folder: Path) -> None:
    own = {os.path.realpath(folder / name) for name in CONTENTS}
    for paths in drawn(mini_batches(files, odd=True), 50):
        assert isinstance(paths, list)
        folded = {os.path.realpath(str(path)).casefold() for path in paths}
        assert len(folded) == len(paths)
        assert not folded & {path.casefold() for path in own}


def test_the_users_files_stay_as_they_are(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_bytes(b"one\ntwo\n")
    sample = Sample(tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    for recipe in drawn_files(recipes(sample, odd=True), 50):
        for path in recipe.build(sample):
            Path(path).write_text("changed", encoding="utf-8")
            os.remove(path)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"one\ntwo\n"}


A = CONTENTS["a.txt"]


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("empty", "a.txt", b""),
        ("header_only", "a.txt", b"first line\n"),
        ("truncated", "a.txt", A[: len(A) // 2]),
        ("bom", "a.txt", b"\xef\xbb\xbf" + A),
        ("wrong_extension", "a.dat", A),
        ("spaces", "a with  spaces.txt", A),
        ("non_ascii", "a_äß_日本.txt", A),
    ],
)
def test_an_odd_file_is_what_it_says(kind: str, name: str, expected: bytes, files: Sample) -> None:
    (path,) = Files(items=(Item("a.txt", kind),)).build(files)  # type: ignore[arg-type]
    assert os.path.basename(path) == name
    assert content(path) == expected


def test_a_name_with_quotes_keeps_its_extension(files: Sample) -> None:
    (path,) = Files(items=(Item("sub/a.txt", "quotes"),)).build(files)
    folder, name = os.path.split(path)
    assert "'" in name
    assert os.name == "nt" or '"' in name
    assert name.endswith(".txt")
    assert os.path.basename(folder) == "sub"
    assert content(path) == CONTENTS["sub/a.txt"]


def test_random_bytes_are_no_text_and_the_same_every_time(files: Sample) -> None:
    (one,) = Files(items=(Item("a.txt", "bytes"),)).build(files)
    (again,) = Files(items=(Item("a.txt", "bytes"),)).build(files)
    (other,) = Files(items=(Item("b.txt", "bytes"),)).build(files)
    assert content(one) == content(again) != content(other)
    with pytest.raises(UnicodeDecodeError):
        content(one).decode("utf-8")


def test_zeros_are_null_bytes_and_not_too_few(files: Sample) -> None:
    (path,) = Files(items=(Item("a.txt", "zeros"),)).build(files)
    assert content(path) == b"\0" * max(64, len(CONTENTS["a.txt"]))


def test_a_file_without_a_line_end_is_its_own_header(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one line")
    (path,) = Files(items=(Item("a", "header_only"),)).build(Sample(tmp_path))
    assert content(path) == b"one line"


def test_the_wrong_extension_is_never_the_right_one(files: Sample) -> None:
    assert Item("sub/ä b.dat", "wrong_extension").target == "sub/ä b.bin"
    assert Item("no_extension", "wrong_extension").target == "no_extension.dat"


def test_an_item_listed_again_is_a_copy_under_another_name(files: Sample) -> None:
    recipe = Files(items=(Item("sub/a.txt"), Item("sub/a.txt"), Item("sub/a.txt", "empty")))
    assert recipe.odd
    assert recipe.targets == ("sub/a.txt", "sub/a (2).txt", "sub/a (3).txt")
    assert [content(path) for path in recipe.build(files)] == [CONTENTS["sub/a.txt"], CONTENTS["sub/a.txt"], b""]


def test_an_unchanged_item_keeps_its_name_though_a_changed_one_before_it_would_have_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    (tmp_path / "A.dat").touch()
    recipe = Files(items=(Item("a.txt", "wrong_extension"), Item("A.dat")))
    # Where the case of letters makes no difference they would be one file.
    assert recipe.targets == ("a (2).dat", "A.dat")


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="needs symbolic links")
@pytest.mark.parametrize("kind", [None, "empty"])
def test_what_cannot_be_read_becomes_what_cannot_be_read(kind: str | None, tmp_path: Path) -> None:
    (tmp_path / "dangling.txt").symlink_to(tmp_path / "nowhere")
    (path,) = Files(items=(Item("dangling.txt", kind),)).build(Sample(tmp_path))  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        content(path)
    assert os.path.lexists(path)


@pytest.mark.parametrize("odd", [False, True])
def test_sizes_stay_within_their_bounds(odd: bool, files: Sample) -> None:
    recipes_ = drawn_files(recipes(files, odd=odd, min_size=2, max_size=3), 100)
    assert {recipe.size for recipe in recipes_} == {2, 3}
    assert {recipe.size for recipe in drawn_files(recipes(files, odd=odd, max_size=1), 50)} == {1}
    assert {recipe.size for recipe in drawn_files(recipes(files, min_size=5), 50)} == {5}


def test_where_there_is_no_room_a_duplicate_takes_the_place_of_another_item(files: Sample) -> None:
    recipes_ = drawn_files(recipes(files, odd=True, min_size=2, max_size=2), 200)
    assert any(len({item.name for item in recipe.items}) == 1 for recipe in recipes_)


def test_recipes_shrink_to_the_first_file_with_nothing_odd(files: Sample) -> None:
    assert smallest_files(recipes(files, odd=True), lambda recipe: True) == Files(items=(Item("a.txt"),))
    odd = smallest_files(recipes(files, odd=True), lambda recipe: any(item.kind == "bom" for item in recipe.items))
    assert odd == Files(items=(Item("a.txt", "bom"),))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda sample: Files(items=()).build(sample), r"Files\(items=\(\)\): a mini-batch has at least one item"),
        (
            lambda sample: Files(items=(Item("b.tx"),)).build(sample),
            r"'b.tx' is not an item of .* Did you mean 'b.txt'",
        ),
        (lambda sample: Item("a.txt", ANY("emtpy")), r"Item\('a.txt', 'emtpy'\): .*Did you mean 'empty'\?"),
        (lambda sample: recipes(sample, odd=ANY(1)), r"odd=1: must be True or False"),
        (lambda sample: recipes(sample, min_size=0), r"min_size=0: must be a whole number of 1 or more"),
        (lambda sample: recipes(sample, max_size=ANY("3")), r"max_size='3': must be a whole number of 1 or more"),
        (lambda sample: recipes(sample, min_size=3, max_size=2), r"min_size=3 is more than max_size=2"),
        (
            lambda sample: recipes(sample, min_size=6),
            r"min_size=6: the sample has 5 items, and none is drawn twice\.$",
        ),
        (lambda sample: recipes(sample, min_size=6, odd=True), r"Duplicates of malformed mini-batches come on top"),
        (lambda sample: mini_batches(sample, min_size=6), r"min_size=6"),
    ],
)
def test_a_wrong_argument_is_refused_at_once(make: Callable[[Sample], object], message: str, files: Sample) -> None:
    with pytest.raises(InvalidArgument, match=message):
        make(files)


def test_large_files_are_copied_without_being_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_parallelrun.strategies.sample.MAX_BYTES_IN_MEMORY", 4)
    (tmp_path / "small.txt").write_bytes(b"1234")
    (tmp_path / "large.txt").write_bytes(b"12345")
    files = Sample(tmp_path)
    assert (files.content_of("small.txt"), files.content_of("large.txt")) == (b"1234", None)
    paths = Files((Item("small.txt", "truncated"), Item("large.txt", "truncated"), Item("large.txt"))).build(files)
    assert [Path(path).read_bytes() for path in paths] == [b"12", b"12", b"12345"]
