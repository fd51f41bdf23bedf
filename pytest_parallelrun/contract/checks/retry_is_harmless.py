"""A retry or a second delivery changes rows, or leaves other files than one delivery does."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.contract.cases.case import Case
from pytest_parallelrun.contract.dependence.redelivery import (
    deliver_after_a_failure,
    deliver_again,
    deliver_once,
    is_named_after_its_process,
    to_deliver,
    why_not_again,
)
from pytest_parallelrun.contract.dependence.state import KEPT, dependence
from pytest_parallelrun.contract.dependence.written_files import changed
from pytest_parallelrun.contract.entry.preconditions import require_answers, skip_without_worker, why_random
from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.emulator.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.dependence.redelivery import Redeliveries, Redelivery
    from pytest_parallelrun.contract.dependence.written_files import Content, Snapshot, WrittenFile
    from pytest_parallelrun.contract.entry.observations import Observations, RunOutcome, SampleMiniBatch
    from pytest_parallelrun.emulator.probe import ProbeResult


_TWICE = (
    "a mini-batch is delivered at least once: after a failure, a timeout or a lost worker it is run again, and what "
    "the earlier attempt wrote stays"
)


_TO_THE_SAME = "a second delivery to the same worker"


_TO_ANOTHER = "a second delivery to another worker"


_AFTER_A_FAILURE = "a retry after an attempt that failed in the middle"


class _Difference(NamedTuple):
    """What `delivery` leaves other than one delivery does."""

    delivery: str
    file: WrittenFile
    what: str


def test_retry_is_harmless(parallelrun_observations: Observations, parallelrun_check: Check) -> None:
    """A mini-batch that is delivered again leaves the rows and files that one delivery does."""
    __tracebackhide__ = True
    trials, check = parallelrun_observations, parallelrun_check
    with skip_without_worker(check):
        require_answers(trials, check)
        group = to_deliver(trials)
        found = deliver_again(trials, group)
        if found.once.answer.rows is None:
            check.cannot_decide(f"run() {found.once.answer.told()}, so there is nothing to compare")
        undecided = _compare_rows(trials, check, group, found)
        differences = _differences(trials, group, found)
        failed = None if differences else deliver_after_a_failure(trials, group)
        if failed is not None:
            undecided = undecided or _compare_retry(trials, check, group, found.once, *failed)
            differences += _after_a_failure(trials, group, found, failed[1])
        _report_files(trials, check, group, differences)
        if undecided:
            check.cannot_decide(undecided)


def _compare_rows(trials: Observations, check: Check, group: SampleMiniBatch, found: Redeliveries) -> str:
    """Fails where a second delivery is answered differently; returns why that cannot be told, or ""."""
    __tracebackhide__ = True
    once = found.once.answer
    changing = trials.changing
    if changing is not None and changing.all_rows:
        return why_random(changing)
    for worker, delivery, answer in ((0, _TO_THE_SAME, found.again.answer), (1, _TO_ANOTHER, found.elsewhere.answer)):
        told = trials.unlike(once, answer)
        if told is None:
            continue
        why = why_not_again(trials, group, worker=worker)
        if why:
            return why
        check.fail(_of_rows(trials, group, delivery, once, answer, told))
    return "" if changing is None or changing.harmless else why_random(changing)


def _compare_retry(
    trials: Observations,
    check: Check,
    group: SampleMiniBatch,
    once: Redelivery,
    failed: ProbeResult,
    retried: Redelivery,
) -> str:
    __tracebackhide__ = True
    told = trials.unlike(once.answer, retried.answer)
    if told is None:
        return ""
    known = dependence(trials)
    if known is not None and known.origin == "random numbers":
        return "run() draws random numbers from a generator that was seeded once, so a retry gets others"
    # Once more, since a difference that comes and goes is no fault of the retry.
    more = deliver_after_a_failure(trials, group)
    if more is None or trials.unlike(once.answer, more[1].answer) is None:
        return f"a retry of mini-batch {group.id} was answered differently, but not every time"
    check.fail(_of_rows(trials, group, _AFTER_A_FAILURE, once.answer, retried.answer, told, failed))


def _of_rows(
    trials: Observations,
    group: SampleMiniBatch,
    delivery: str,
    once: RunOutcome,
    answer: RunOutcome,
    told: tuple[str, str],
    failed: ProbeResult | None = None,
) -> Finding:
    known = dependence(trials)
    kept = delivery == _TO_THE_SAME and known is not None and known.origin == "memory" and answer.rows is not None
    failure = answer.ended.failure if answer.rows is None else None
    before = ""
    if failed is not None and failed.ended.failure is not None:
        before = trials.shown(f" (which failed with {failed.ended.failure.error})")
    case = None
    if failed is None:
        case = Case(
            kind=trials.kind,
            mini_batches=(group.payload,),
            faults=(Fault.delivers_twice(mini_batch=group.id, attempt=1),) if delivery == _TO_THE_SAME else (),
            expected_rows=None if once.rows is None else tuple(once.rows),
            ignoring=trials.ignoring,
            identities=((group.id, group.first_item),),
            partitions=(group.partition,),
        )
    return Finding(
        what=(
            f"A mini-batch that is delivered again is answered differently: the first time run() {told[0]}; "
            f"in {delivery}{before} it {told[1]}."
        ),
        location=Location(phase="run", mini_batch=group.id, items=group.items(), attempt=2, attempts=2),
        traceback="" if failure is None else failure.traceback,
        service=_TWICE,
        fix=_fix_of_rows(answer, delivery),
        cause=KEPT if kept else None if failure is None else Cause.of_attempt(answer.ended),
        case=case,
    )


def _fix_of_rows(answer: RunOutcome, delivery: str) -> str:
    failure = answer.ended.failure
    if answer.rows is None and failure is not None and "FileExistsError" in failure.error:
        return "let run() replace what an earlier attempt left: os.makedirs(path, exist_ok=True), open(path, 'w')."
    if answer.rows is None:
        return "let run() start anew whatever an earlier attempt did: what it needs may not be used up or moved away."
    if delivery == _TO_ANOTHER:
        return (
            "look for what the workers do not have in common, such as their names, and for files of the first delivery "
            "that the second one finds. A result may depend on its own item alone."
        )
    return (
        "do not skip or collect what was seen before: return a result for each item of each call. What is done already "
        "may be read from a file, as long as its result is returned again."
    )


def _differences(trials: Observations, group: SampleMiniBatch, found: Redeliveries) -> list[_Difference]:
    """Files that a second delivery leaves and one delivery does not, or leaves otherwise."""
    same = list(_of_files(_TO_THE_SAME, found.once.files, found.again.files))
    if same:
        return _beyond_chance(trials, group, found.once, found.again.files, same)
    other = list(_of_files(_TO_ANOTHER, found.again.files, found.elsewhere.files))
    if other:
        return _beyond_chance(trials, group, found.once, found.elsewhere.files, other)
    return [
        _Difference(_TO_ANOTHER, file, "is named after the process, so that another one leaves a second file")
        for file in found.once.files.keys() - found.before.keys()
        if is_named_after_its_process(file)
    ]


def _of_files(delivery: str, before: Snapshot, after: Snapshot) -> Iterator[_Difference]:
    for file in sorted(after.keys() - before.keys()):
        yield _Difference(delivery, file, "is a file that one delivery does not leave")
    for file in sorted(before.keys() - after.keys()):
        yield _Difference(delivery, file, "is gone, which one delivery leaves")
    for file in sorted(before.keys() & after.keys()):
        what = changed(before[file], after[file], None)
        if what is not None:
            yield _Difference(delivery, file, f"is not what it is after one delivery: {what}")


def _beyond_chance(
    trials: Observations, group: SampleMiniBatch, once: Redelivery, after: Snapshot, found: list[_Difference]
) -> list[_Difference]:
    """Those that are more than what two single deliveries differ in, such as the time in a file."""
    contents = [difference for difference in found if difference.file in once.files and difference.file in after]
    if not contents:
        return found
    alike = deliver_once(trials, group).files
    kept = [difference for difference in found if difference not in contents]
    for delivery, file, _ in contents:
        what = changed(once.files[file], after[file], _pair(once.files[file], alike.get(file)))
        if what is not None:
            kept.append(_Difference(delivery, file, f"is not what it is after one delivery: {what}"))
    return kept


def _pair(one: Content, other: Content | None) -> tuple[Content, Content] | None:
    return None if other is None else (one, other)


def _after_a_failure(
    trials: Observations, group: SampleMiniBatch, found: Redeliveries, retried: Redelivery
) -> list[_Difference]:
    """The same for a retry, whose failed attempt may have left a report of its failure."""
    differences = [
        difference
        for difference in _of_files(_AFTER_A_FAILURE, found.once.files, retried.files)
        if not difference.file.reports_failures
    ]
    return _beyond_chance(trials, group, found.once, retried.files, differences)


def _report_files(trials: Observations, check: Check, group: SampleMiniBatch, differences: list[_Difference]) -> None:
    __tracebackhide__ = True
    for difference in differences:
        if difference.file.is_log:
            check.note(f"{difference.file} has more in it after {difference.delivery}, as logs have")
    counted = [difference for difference in differences if not difference.file.is_log]
    if not counted:
        return
    delivery, file, what = counted[0]
    others = f" {len(counted) - 1} more: {', '.join(str(other.file) for other in counted[1:4])}." if counted[1:] else ""
    check.fail(
        Finding(
            what=f"A mini-batch that is delivered again leaves other files: after {delivery} {file} {what}.{others}",
            location=Location(phase="run", mini_batch=group.id, items=group.items(), attempt=2, attempts=2),
            service=_TWICE,
            fix=(
                "name a file after its item or mini-batch, write it as a whole with mode 'w', under another name and "
                "then os.replace(), and never append. Rows that are returned need no file: append_row collects them."
            ),
        )
    )
