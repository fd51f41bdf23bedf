from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_parallelrun.emulator.ledger import Ledger
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import MiniBatch

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.splitting.model import InputKind

BATCH = MiniBatch(id=0, size=4, first_item=0, position=None)


def ledger(kind: InputKind = "files", total: int | None = 10, **settings: Any) -> Ledger:
    return Ledger(JobSettings(**settings), kind, total)


def counts(book: Ledger) -> tuple[int, int, int, int, int]:
    return (
        book.processed,
        book.succeeded_mini_batches,
        book.failed_mini_batches,
        book.succeeded_items,
        book.failed_items,
    )


def setting(book: Ledger) -> str | None:
    exceeded = book.exceeded()
    return None if exceeded is None else exceeded.setting


def test_a_mini_batch_counts_once_it_ended() -> None:
    book = ledger(max_retries=1)
    book.record(BATCH, "exception", number=1, returned=None)
    assert counts(book) == (0, 0, 0, 0, 0)
    book.record(BATCH, "succeeded", number=2, returned=4)
    assert counts(book) == (1, 1, 0, 4, 0)


def test_counts_come_from_the_last_attempt() -> None:
    book = ledger(max_retries=1)
    book.record(BATCH, "short", number=1, returned=3)
    book.record(BATCH, "exception", number=2, returned=None)
    assert counts(book) == (1, 0, 1, 0, 4)


def test_a_documented_short_return_counts_as_a_failed_mini_batch() -> None:
    book = ledger(max_retries=0)
    book.record(BATCH, "short", number=1, returned=3)
    assert counts(book) == (1, 0, 1, 3, 1)


def test_an_observed_short_return_counts_only_its_missing_items() -> None:
    book = ledger(rules="observed")
    book.record(BATCH, "short", number=1, returned=3)
    assert counts(book) == (1, 1, 0, 3, 1)


@pytest.mark.parametrize(("kind", "failed"), [("tabular", 1), ("files", 4)])
def test_a_given_up_partition_counts_as_one_item_of_a_table_alone(kind: InputKind, failed: int) -> None:
    book = ledger(kind, failed_unit="partition", max_retries=0)
    assert book.record(BATCH, "exception", number=1, returned=None).failed_items == failed
    assert counts(book) == (1, 0, 1, 0, failed)


def test_a_short_partition_counts_its_missing_rows() -> None:
    book = ledger("tabular", failed_unit="partition", max_retries=0)
    book.record(BATCH, "short", number=1, returned=1)
    assert counts(book) == (1, 0, 1, 1, 3)


def test_the_final_reading_does_not_count_what_awaits_its_retry() -> None:
    book = ledger(mini_batch_error_threshold=0)
    book.record(BATCH, "exception", number=1, returned=None)
    assert setting(book) is None


def test_the_pending_reading_counts_what_awaits_its_retry_for_as_long_as_it_does() -> None:
    book = ledger(mini_batch_error_threshold=0, threshold_check="pending")
    book.record(BATCH, "exception", number=1, returned=None)
    assert setting(book) == "mini_batch_error_threshold"
    book.record(BATCH, "succeeded", number=2, returned=4)
    assert setting(book) is None


def test_the_pending_reading_counts_a_mini_batch_once_however_often_it_fails() -> None:
    book = ledger(mini_batch_error_threshold=1, threshold_check="pending", max_retries=3)
    for number in (1, 2, 3, 4):
        book.record(BATCH, "exception", number=number, returned=None)
        assert setting(book) is None


def test_items_that_await_a_retry_exceed_nothing() -> None:
    book = ledger(error_threshold=0, threshold_check="pending")
    book.record(BATCH, "exception", number=1, returned=None)
    assert setting(book) is None


def test_the_percentage_of_a_table_is_checked_once_the_total_is_known() -> None:
    book = ledger("tabular", None, allowed_failed_percent=10, max_retries=0)
    book.record(BATCH, "exception", number=1, returned=None)
    assert setting(book) is None
    book.total_mini_batches = 9
    assert setting(book) == "allowed_failed_percent"


def test_a_mini_batch_without_rows_is_a_success_without_items() -> None:
    book = ledger("tabular", None)
    book.record(BATCH._replace(size=0), "succeeded", number=1, returned=0)
    assert counts(book) == (1, 1, 0, 0, 0)
