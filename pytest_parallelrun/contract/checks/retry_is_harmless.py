"""Running a mini-batch again changes its rows or leaves other files.

A mini-batch is run by a worker, by the same one again, by another one, and after a failure halfway. A retry does this,
and so does a queue that delivers at least once.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.contract.check import SkipReason
from pytest_parallelrun.contract.corruption.items import ends_for_bad_items, reads_no_items
from pytest_parallelrun.contract.dependence.kept_state import kept_state
from pytest_parallelrun.contract.dependence.randomness import Generators
from pytest_parallelrun.contract.dependence.state import (
    STATE_KEPT,
    case_of_history,
    dependence,
    of_left_files,
    traceback_of,
)
from pytest_parallelrun.contract.dependence.written_files import FileDifference, WrittenFiles, changed, file_differences
from pytest_parallelrun.contract.entry.mini_batches import answer_of, joined_answers, merged
from pytest_parallelrun.contract.entry.preconditions import (
    pass_unless_random,
    require_answers,
    skip_if_written_late,
    skip_without_worker,
    why_random,
)
from pytest_parallelrun.contract.entry.sample_attempts import OFF_MAIN_THREAD
from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.contract.phrases import sentences
from pytest_parallelrun.contract.script_source import changes_folder
from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.probe import WorkerStartError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.dependence.concurrency import ConcurrentRun
    from pytest_parallelrun.contract.dependence.written_files import Snapshot, WrittenFile
    from pytest_parallelrun.contract.entry.mini_batches import RunOutcome, SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.probe import ProbeResult, ProbeSession

_TWICE = (
    "a mini-batch is delivered at least once: after a failure, a timeout or a lost worker it is run again, and what "
    "the earlier attempt wrote stays"
)
_TO_THE_SAME = "a second delivery to the same worker"
_TO_ANOTHER = "a second delivery to another worker"
_AFTER_A_FAILURE = "a retry after an attempt that failed in the middle"


class _Delivery(NamedTuple):
    """A delivery: the answer, and the files that existed afterwards."""

    answer: RunOutcome
    files: Snapshot


class _Deliveries(NamedTuple):
    """Deliveries of a mini-batch. before: the files that init() made. elsewhere: the delivery to a second worker."""

    before: Snapshot
    once: _Delivery
    again: _Delivery
    elsewhere: _Delivery


def test_retry_is_harmless(parallelrun_observations: Observations, parallelrun_check: Check) -> None:
    """A mini-batch that is delivered again leaves the rows and files of one delivery."""
    __tracebackhide__ = True
    observations, check = parallelrun_observations, parallelrun_check
    with skip_without_worker(check):
        require_answers(observations, check)
        skip_if_written_late(observations, check)
        mini_batch = _to_deliver(observations)
        if _was_screened(observations, check, mini_batch):
            return
        deliveries = _deliver_again(observations, mini_batch)
        if deliveries.once.answer.rows is None:
            check.cannot_decide(f"run() {deliveries.once.answer.told()}, so there is nothing to compare")
        undecided = _compare_rows(observations, check, mini_batch, deliveries)
        differences = _compare_files(observations, mini_batch, deliveries)
        duplicates = _duplicates(observations, mini_batch, deliveries, differences)
        known = {difference.file.without_random_parts for difference in duplicates}
        differences = [difference for difference in differences if difference not in duplicates]
        if duplicates and not differences:
            on_another = file_differences(_TO_ANOTHER, deliveries.again.files, deliveries.elsewhere.files)
            differences = [one for one in on_another if one.file.without_random_parts not in known]
        failed, retried = (None, None) if differences else _deliver_after_a_failure(observations, mini_batch)
        if failed is not None and retried is not None:
            undecided = undecided or _compare_retry(
                observations, check, mini_batch, deliveries.once.answer, failed, retried.answer
            )
            of_retry = _compare_files_of_retry(observations, mini_batch, deliveries.once, retried)
            differences += [difference for difference in of_retry if difference.file.without_random_parts not in known]
        _report_files(observations, check, mini_batch, differences)
        if duplicates and not undecided:
            check.advise(_of_duplicates(mini_batch, duplicates))
        if undecided:
            check.cannot_decide(SkipReason(undecided, workers_differ=True))


def _to_deliver(observations: Observations) -> SampleMiniBatch:
    """A mini-batch of two items, if possible, so that it can fail halfway; or two files in one."""
    answered = observations.answered
    several = next((mini_batch for mini_batch in answered if mini_batch.size > 1), None)
    unmixed = observations.kind != "files" or bool(observations.entry.settings.partition_keys)
    if several is not None or unmixed or len(answered) < 2 or not observations.groups:
        return several or answered[0]
    return merged(answered[:2])


def _was_screened(observations: Observations, check: Check, mini_batch: SampleMiniBatch) -> bool:
    """Whether two workers have shown that a second delivery is harmless, and a third that a retry is."""
    __tracebackhide__ = True
    screening = observations.screening
    run = screening.pair
    if run is None or not screening.agrees or _named_after_the_time(run.left, {}):
        return False
    before, differences = run.left, list[FileDifference]()
    for delivery, after in zip((_TO_THE_SAME, _TO_ANOTHER), run.left_again, strict=True):
        differences += file_differences(delivery, before, after)
        before = after
    if any(not one.file.is_log for one in differences) or any(file.names_its_process for file in before):
        return False
    if observations.kind == "files" and not reads_no_items(observations):
        # Off the main thread unless it hangs there: equal results show that the thread does not matter either.
        thread = "worker" if ends_for_bad_items(observations) else None
        try:
            _, retried = _deliver_after_a_failure(observations, mini_batch, thread)
        except WorkerStartError:
            # Only there, perhaps: runs_off_main_thread reports it.
            if thread is None:
                raise
            thread = None
            _, retried = _deliver_after_a_failure(observations, mini_batch)
        # Without a failure there is no retry, and the two workers have shown what a second delivery does.
        if retried is not None and not _is_as_screened(observations, run, mini_batch, retried):
            return False
        if thread is not None:
            observations.remember(OFF_MAIN_THREAD, lambda: True)
    _report_files(observations, check, mini_batch, differences)
    pass_unless_random(observations, check)
    return True


def _is_as_screened(
    observations: Observations, run: ConcurrentRun, mini_batch: SampleMiniBatch, retried: _Delivery
) -> bool:
    """Whether a retry gives the known rows, and leaves the files of one delivery of these items."""
    items, in_turn = set(mini_batch.names), observations.screening.in_turn
    parts = {one.id: one for one, _ in in_turn.attempts if items.issuperset(one.names)}
    known = [one for one in parts.values() if one.names == mini_batch.names][:1] or list(parts.values())
    answers = [answer_of(result.ended) for one, result in in_turn.attempts if any(one is other for other in known)]
    if not answers or observations.first_difference(joined_answers(answers), retried.answer) is not None:
        return False
    left = {file: content for file, content in retried.files.items() if not (file.is_log or file.reports_failures)}
    expected = {file for part in parts for file in run.written_for.get(part, ()) if file in run.left}
    return all(file in left or file.is_log for file in expected) and all(
        file in run.left and changed(run.left[file], content, None) is None for file, content in left.items()
    )


def _deliver_again(observations: Observations, mini_batch: SampleMiniBatch) -> _Deliveries:
    """Delivers it to the first of two fresh workers, to the same one again, and to the second."""
    with _workers(observations, 2) as (session, files):
        before = files.snapshot()
        once = _deliver(observations, session, files, mini_batch)
        if _named_after_the_time(once.files, before):
            # A second delivery in the same second would write the same files.
            time.sleep(1.01 - time.time() % 1)
        again = _deliver(observations, session, files, mini_batch)
        elsewhere = _deliver(observations, session, files, mini_batch, worker=1, number=2)
        return _Deliveries(before, once, again, elsewhere)


def _deliver_after_a_failure(
    observations: Observations, mini_batch: SampleMiniBatch, thread: str | None = None
) -> tuple[ProbeResult | None, _Delivery | None]:
    """An attempt while its last item is missing, and a retry; None twice if that attempt does not fail, or for rows.

    thread: another one than that of the settings; then there is always a second attempt.
    """
    if observations.kind != "files":
        return None, None
    path = str(mini_batch.payload[mini_batch.size - 1])
    with _workers(observations, 1, thread) as (session, files):
        session.start(0)
        away = str(observations.entry.new_folder("away") / os.path.basename(path))
        os.rename(path, away)
        try:
            failed = observations.attempt(session, mini_batch)
        finally:
            os.rename(away, path)
        files.saw(failed.files)
        if failed.ended.outcome not in ("exception", "short") and thread is None:
            return None, None
        return failed, _deliver(observations, session, files, mini_batch, number=2)


@contextmanager
def _workers(
    observations: Observations, workers: int, thread: str | None = None
) -> Iterator[tuple[ProbeSession, WrittenFiles]]:
    """Running workers in their own folders."""
    redirected = observations.entry.redirected()
    observations.restore()
    with observations.entry.session(
        workers=workers,
        probe_limit=observations.probe_limit,
        arguments=redirected.arguments,
        environment_variables=redirected.environment,
        thread=thread or observations.entry.settings.thread,
    ) as session:
        for worker in range(workers):
            session.start(worker)
        files = WrittenFiles(session, redirected.folders, observations.root)
        files.saw(session.setting_up)
        yield session, files
    observations.restore()


def _deliver(
    observations: Observations,
    session: ProbeSession,
    files: WrittenFiles,
    mini_batch: SampleMiniBatch,
    *,
    worker: int = 0,
    number: int = 1,
) -> _Delivery:
    result = observations.attempt(session, mini_batch, worker=worker, number=number)
    files.saw(result.files, worker)
    return _Delivery(answer_of(result.ended), files.snapshot())


def _named_after_the_time(after: Snapshot, before: Snapshot) -> bool:
    """Whether the name of a new file contains the current second."""
    now = time.time()
    moments = [now - seconds for seconds in range(-1, 10)]
    seconds = {time.strftime("%H%M%S", clock(moment)) for moment in moments for clock in (time.localtime, time.gmtime)}
    seconds.update(str(int(moment)) for moment in moments)
    return any(text in re.sub(r"\D", "", file.name) for file in after.keys() - before.keys() for text in seconds)


def _compare_rows(
    observations: Observations, check: Check, mini_batch: SampleMiniBatch, deliveries: _Deliveries
) -> str:
    """Fails if a second delivery gives other results; returns why that is unknown, or ""."""
    __tracebackhide__ = True
    once, nondeterministic = deliveries.once.answer, observations.nondeterministic
    if nondeterministic is not None and nondeterministic.all_rows:
        return why_random(nondeterministic)
    second = ((0, _TO_THE_SAME, deliveries.again.answer), (1, _TO_ANOTHER, deliveries.elsewhere.answer))
    for worker, delivery, answer in second:
        difference = observations.first_difference(once, answer)
        if difference is None:
            continue
        undecided = _why_not_again(observations, mini_batch, worker=worker)
        if undecided:
            return undecided
        state = dependence(observations) if delivery == _TO_THE_SAME else None
        faults = (Fault.delivers_twice(mini_batch=mini_batch.id, attempt=1),) if delivery == _TO_THE_SAME else ()
        case = replace(case_of_history(observations, (mini_batch,), once), faults=faults)
        finding = replace(_of_rows(mini_batch, delivery, answer, difference), case=case)
        if state is not None and state.origin == "files":
            check.fail(of_left_files(observations, mini_batch, finding))
        if delivery == _TO_THE_SAME:
            changes = kept_state(observations, mini_batch)
            finding = replace(finding, what=sentences(finding.what, changes.evidence), fix=changes.fix or finding.fix)
        kept = state is not None and state.origin == "memory"
        check.fail(replace(finding, cause=STATE_KEPT if kept else finding.cause or observations.cause_of_process))
    return "" if nondeterministic is None or nondeterministic.harmless else why_random(nondeterministic)


def _why_not_again(observations: Observations, mini_batch: SampleMiniBatch, *, worker: int) -> str:
    """Why two deliveries with the same random numbers give the same results; "" if they do not."""
    with Generators() as generators, _workers(observations, worker + 1) as (session, files):
        generators.remember(session, worker + 1)
        first = _deliver(observations, session, files, mini_batch)
        moved = generators.moved(session)
        generators.reset(session, worker)
        second = _deliver(observations, session, files, mini_batch, worker=worker, number=2)
    if observations.first_difference(first.answer, second.answer) is not None:
        return ""
    if moved:
        return (
            "run() draws random numbers from a generator that was seeded once, so a second delivery gets others. Seed "
            "from the item to make results repeatable."
        )
    return f"mini-batch {mini_batch.id} gave a different result when it was delivered again, but not every time"


def _compare_retry(
    observations: Observations,
    check: Check,
    mini_batch: SampleMiniBatch,
    once: RunOutcome,
    failed: ProbeResult,
    retried: RunOutcome,
) -> str:
    """The same for a retry after a failure."""
    __tracebackhide__ = True
    difference = observations.first_difference(once, retried)
    if difference is None:
        return ""
    state = dependence(observations)
    if state is not None and state.origin == "random numbers":
        return "run() draws random numbers from a generator that was seeded once, so a retry gets others"
    # Once more, since an intermittent difference is not caused by the retry.
    _, more = _deliver_after_a_failure(observations, mini_batch)
    if more is None or observations.first_difference(once, more.answer) is None:
        return f"a retry of mini-batch {mini_batch.id} gave a different result, but not every time"
    failure = failed.ended.failure
    before = "" if failure is None else observations.shown(f" (which failed with {failure.error})")
    kept = state is not None and state.origin == "memory"
    finding = _of_rows(mini_batch, _AFTER_A_FAILURE + before, retried, difference)
    check.fail(replace(finding, cause=STATE_KEPT) if kept else finding)


def _of_rows(mini_batch: SampleMiniBatch, delivery: str, answer: RunOutcome, difference: tuple[str, str]) -> Finding:
    return Finding(
        what=(
            f"A retried mini-batch gives a different result: the first time run() {difference[0]}; in {delivery} it "
            f"{difference[1]}."
        ),
        location=Location(phase="run", mini_batch=mini_batch.id, items=mini_batch.items(), attempt=2, attempts=2),
        traceback=traceback_of(answer),
        service=_TWICE,
        fix=_fix_of_rows(answer, delivery),
        cause=None if answer.rows is not None or answer.ended.failure is None else Cause.of_attempt(answer.ended),
    )


def _fix_of_rows(answer: RunOutcome, delivery: str) -> str:
    failure = answer.ended.failure if answer.rows is None else None
    if failure is not None and any(error.type == "FileExistsError" for error in failure.chain):
        return "let run() replace what an earlier attempt left: os.makedirs(path, exist_ok=True), open(path, 'w')."
    if answer.rows is None:
        return (
            "let run() work whatever an earlier attempt did: what it needs must not be used up, moved away, or still "
            "be held. Release locks and files with `with` or try/finally."
        )
    if delivery == _TO_ANOTHER:
        return (
            "look for what the workers do not have in common, such as their names, and for files of the first delivery "
            "that the second one finds. A result may depend on its own item only."
        )
    return (
        "return a result for each item of each call: make the list of results in run(), and keep nothing there for "
        "later calls. What is done already may be read from a file, as long as its result is returned again."
    )


def _compare_files(
    observations: Observations, mini_batch: SampleMiniBatch, deliveries: _Deliveries
) -> list[FileDifference]:
    """Files that a second delivery leaves in addition or with another content."""
    once, again, elsewhere = deliveries.once, deliveries.again, deliveries.elsewhere
    same = list(file_differences(_TO_THE_SAME, once.files, again.files))
    if same:
        return _beyond_chance(observations, mini_batch, once, again, same)
    other = list(file_differences(_TO_ANOTHER, again.files, elsewhere.files))
    if other:
        return _beyond_chance(observations, mini_batch, once, elsewhere, other)
    return [
        FileDifference(_TO_ANOTHER, file, "is named after the process, so that another one leaves a second file")
        for file in once.files.keys() - deliveries.before.keys()
        if file.names_its_process
    ]


def _duplicates(
    observations: Observations, mini_batch: SampleMiniBatch, deliveries: _Deliveries, differences: list[FileDifference]
) -> list[FileDifference]:
    """Those that are a file of the first delivery once more, under another random name."""
    once, again = deliveries.once.files, deliveries.again.files
    first: dict[WrittenFile | None, list[WrittenFile]] = {}
    for file in once.keys() - deliveries.before.keys():
        first.setdefault(file.without_random_parts, []).append(file)
    renamed = [
        difference
        for difference in differences
        if difference.file.without_random_parts in first.keys() - {None}
        and difference.file in again.keys() - once.keys()
    ]
    if not renamed:
        return []
    with _workers(observations, 1) as (session, files):
        fresh = _deliver(observations, session, files, mini_batch).files
    alike = {file.without_random_parts: content for file, content in fresh.items()}

    def is_same(difference: FileDifference) -> bool:
        after, name = again[difference.file], difference.file.without_random_parts
        if any(changed(once[file], after, None) is None for file in first[name]):
            return True
        # What two single deliveries differ in, such as the time, says nothing.
        before = once[first[name][0]]
        return len(first[name]) == 1 and name in alike and changed(before, after, (before, alike[name])) is None

    return [difference for difference in renamed if is_same(difference)]


def _of_duplicates(mini_batch: SampleMiniBatch, duplicates: list[FileDifference]) -> Finding:
    others = f" and {len(duplicates) - 1} more" if duplicates[1:] else ""
    return Finding(
        what=f"A mini-batch that is delivered again leaves its files twice, under random names: {duplicates[0].file}"
        f"{others}.",
        location=Location(phase="run", mini_batch=mini_batch.id, items=mini_batch.items(), attempt=2, attempts=2),
        service=_TWICE + "; who reads all files counts its items twice",
        fix="name a file after its item or mini-batch, so that a second delivery replaces it; or let readers drop "
        "duplicates",
    )


def _compare_files_of_retry(
    observations: Observations, mini_batch: SampleMiniBatch, once: _Delivery, retried: _Delivery
) -> list[FileDifference]:
    """The same for a retry, whose failed attempt may have left an error report."""
    differences = [
        difference
        for difference in file_differences(_AFTER_A_FAILURE, once.files, retried.files)
        if not difference.file.reports_failures
    ]
    return _beyond_chance(observations, mini_batch, once, retried, differences)


def _beyond_chance(
    observations: Observations,
    mini_batch: SampleMiniBatch,
    once: _Delivery,
    later: _Delivery,
    differences: list[FileDifference],
) -> list[FileDifference]:
    """Those beyond the differences of two single deliveries, such as the time in a file."""
    before, after = once.files, later.files
    contents = [difference for difference in differences if difference.file in before and difference.file in after]
    if not contents:
        return differences
    with _workers(observations, 1) as (session, files):
        alike = _deliver(observations, session, files, mini_batch).files
    kept = [difference for difference in differences if difference not in contents]
    for delivery, file, _ in contents:
        change = changed(before[file], after[file], (before[file], alike[file]) if file in alike else None)
        if change is not None:
            kept.append(FileDifference(delivery, file, f"is not what it is after one delivery: {change}"))
    return kept


def _report_files(
    observations: Observations, check: Check, mini_batch: SampleMiniBatch, differences: list[FileDifference]
) -> None:
    __tracebackhide__ = True
    for difference in differences:
        if difference.file.is_log:
            check.note(f"{difference.file} has more in it after {difference.delivery}, as logs have")
    counted = [difference for difference in differences if not difference.file.is_log]
    if not counted:
        return
    delivery, file, description = counted[0]
    line = changes_folder(str(observations.entry.entry.path))
    others = f" {len(counted) - 1} more: {', '.join(str(other.file) for other in counted[1:4])}." if counted[1:] else ""
    check.fail(
        Finding(
            what=f"A mini-batch that is delivered again leaves other files: after {delivery} {file} {description}."
            f"{others}",
            location=Location(phase="run", mini_batch=mini_batch.id, items=mini_batch.items(), attempt=2, attempts=2),
            service=_TWICE,
            fix=("" if line is None else f"leave the working folder alone (os.chdir() in line {line}); ")
            + (
                "name a file after its item or mini-batch, write it as a whole with mode 'w', under another name and "
                "then os.replace(), and never append. Rows that are returned need no file: append_row collects them."
            ),
        )
    )
