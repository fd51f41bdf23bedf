from __future__ import annotations

import pytest

from pytest_parallelrun.emulator.errors import SettingsError
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.forecast.request import FullJob, Range, read_request

OPTION = "--parallelrun-forecast"


@pytest.mark.parametrize(
    ("texts", "size", "given"),
    [
        (["1000000"], 1_000_000, {}),
        (["250GB"], 250 * 1024**3, {}),
        (["10", "20"], 20, {}),
        (["10", "node_start=60-120"], 10, {"node_start": Range(60, 120)}),
        (["node_memory=64GB", "10", "node_cores=16"], 10, {"node_memory": Range(64 * 1024**3, 64 * 1024**3)}),
        (["10", "failure_rate=0"], 10, {"failure_rate": Range(0, 0)}),
        (["10", " init_time = 30 ", "init_time=40"], 10, {"init_time": Range(40, 40)}),
    ],
)
def test_size_and_assumptions_are_read(texts: list[str], size: int, given: dict[str, Range]) -> None:
    request = read_request((text, OPTION) for text in texts)
    assert request is not None
    assert request.size == size
    assert given.items() <= request.given.items()


def test_without_the_option_there_is_none() -> None:
    assert read_request([]) is None


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["many"], "many: must be the size of the full job, a number of files such as 1000000"),
        (["0"], "0: must be the size"),
        (["250 GB"], "bytes of a table such as 250GB"),
        (["999999999999999999"], "at most 1,048,576,000,000,000"),
        (["node_cores=4"], "node_cores=4: the size of the full job is missing"),
        (["10", "cores=4"], "cores=4: unknown name 'cores'. Did you mean 'node_cores'?"),
        (["10", "failure_rate=2"], "must be a share from 0 to 1"),
        (["10", "init_time=soon"], "must be a number of seconds"),
        (["10", "init_time=40-20"], "must be a number of seconds"),
        (["10", "init_time=nan"], "must be a number of seconds"),
        (["10", "run_time=0"], "must be a number of seconds"),
        (["10", "scheduling_rate=0"], "must be a number above 0"),
        (["10", "node_memory=4"], None),
        (["10", "node_memory=much"], "must be one number of bytes, such as 64GB"),
        (["10", "node_memory=4GB-8GB"], "must be one number of bytes, such as 64GB"),
        (["10", "node_cores=4-8"], "must be one number above 0"),
    ],
)
def test_a_wrong_value_is_named_with_its_origin(texts: list[str], message: str | None) -> None:
    if message is None:
        assert read_request((text, OPTION) for text in texts)
        return
    with pytest.raises(SettingsError) as error:
        read_request((text, OPTION) for text in texts)
    assert str(error.value).startswith(f"{OPTION}=")
    assert message in str(error.value)


@pytest.mark.parametrize(("text", "fits"), [("1000", True), ("1KB", False)])
def test_bytes_are_refused_where_the_input_is_files(text: str, fits: bool) -> None:
    request = read_request([(text, OPTION)])
    assert request is not None
    request.check_kind("tabular")
    if fits:
        request.check_kind("files")
        return
    with pytest.raises(SettingsError, match=r"1KB: is a size in bytes, but this input is files\. Give the number"):
        request.check_kind("files")


@pytest.mark.parametrize(
    ("text", "bytes_per_item", "items", "mini_batches"),
    [("101", 0, 10, 11), ("100", 0, 10, 10), ("1MB", 1024, 100, 11)],
)
def test_mini_batches_of_the_full_job(text: str, bytes_per_item: float, items: float, mini_batches: int) -> None:
    request = read_request([(text, OPTION)])
    assert request is not None
    kind = "tabular" if bytes_per_item else "files"
    job = FullJob(request=request, settings=JobSettings(), kind=kind, bytes_per_item=bytes_per_item, items=items)  # type: ignore[arg-type]
    assert job.mini_batches == mini_batches
