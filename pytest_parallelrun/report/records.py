"""The data of a report: plain values, so that pytest-xdist can send them as JSON.

Also what every report says: findings in reading order, and what a gate can check at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Literal, cast

from pytest_parallelrun.contract.finding import Cause, Finding
from pytest_parallelrun.emulator.result import JobResult
from pytest_parallelrun.emulator.setting_table import describe_default, setting_table
from pytest_parallelrun.report.sanitize import count_of, first_line, masked

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.settings import JobSettings


CheckOutcome = Literal["passed", "failed", "advice", "accepted", "skipped"]
Verdict = Literal["passed", "failed", "incomplete"]
COUNTED_OUTCOMES: tuple[CheckOutcome, ...] = ("failed", "advice", "accepted", "skipped")
THRESHOLDS = ("error_threshold", "mini_batch_error_threshold", "allowed_failed_percent")

AcceptanceState = Literal["in force", "expired", "unneeded", "unmatched", "unknown"]
"""Of an accepted finding: in force; expired; its check found nothing; no entry matches; its check was not run."""

FACTS = (
    *("status", "reason", "exceeded", "total_mini_batches", "processed_mini_batches", "succeeded_mini_batches"),
    *("failed_mini_batches", "total_items", "succeeded_items", "failed_items"),
)
"""Values of a JobResult in every report."""
NOT_IN_JUNIT = ("reason", "exceeded", "processed_mini_batches")


@dataclass(frozen=True, kw_only=True)
class CheckRecord:
    """One check of one entry.

    reason: why a finding is accepted. skipped: why it was not made, without what the job says of itself. notes: what
    everybody should know, details: what only -v and the report files tell. finding: None where there is nothing but the
    message. source: lines of the script around the one it is about. output: what the script printed last. figures: what
    was measured. job, trace: the run of the whole sample, with the first check of a process that ran or shared it.
    """

    entry: str
    name: str
    outcome: CheckOutcome
    message: str = ""
    reason: str = ""
    skipped: str = ""
    notes: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    finding: Finding | None = None
    source: str = ""
    output: str = ""
    figures: Mapping[str, float | str] = field(default_factory=dict)
    init_calls: int = 0
    init_seconds: float = 0.0
    duration: float = 0.0
    job: Mapping[str, object] | None = None
    trace: Mapping[str, object] | None = None

    @property
    def headline(self) -> str:
        """Its headline: of its finding, or of its message if it broke otherwise."""
        return first_line(self.message if self.finding is None else self.finding.what)

    def as_json(self) -> dict[str, object]:
        finding = None if self.finding is None else self.finding.to_json()
        return {**asdict(replace(self, finding=None)), "finding": finding}

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> CheckRecord:
        fields = dict(values)
        for name in ("notes", "details"):
            fields[name] = tuple(cast("list[str]", fields[name]))
        if fields["finding"] is not None:
            fields["finding"] = Finding.from_json(cast("Mapping[str, object]", fields["finding"]))
        return cls(**fields)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class AcceptanceRecord:
    """A line of the ini file: accepts findings of `check` in entries whose node id matches `pattern`.

    until: its last day as YYYY-MM-DD. state, message: after a run.
    """

    line: str
    check: str
    pattern: str
    reason: str
    until: str | None
    state: AcceptanceState = "unknown"
    message: str = ""


@dataclass(kw_only=True)
class EntryReport:
    """Everything about one entry, filled as its checks end.

    path: of the script, absolute. catalogue: what each check finds that there is, in the order of the table. judging:
    names of those that judge the sample. strict: whether an entry whose sample was not judged fails, unless that was
    accepted. set_up: what was run, by name: input, program arguments and the like. set_up_notes: what is to be known of
    it, above all what a job definition says without effect here. pages: of the checks that found something.
    """

    entry: str
    path: str = ""
    catalogue: Mapping[str, str] = field(default_factory=dict)
    judging: frozenset[str] = frozenset()
    strict: bool = False
    settings: tuple[SettingRecord, ...] = ()
    pages: Mapping[str, str] = field(default_factory=dict)
    set_up: Mapping[str, str] = field(default_factory=dict)
    set_up_notes: tuple[str, ...] = ()
    checks: dict[str, CheckRecord] = field(default_factory=dict)
    job: Mapping[str, object] | None = None
    trace: Mapping[str, object] | None = None
    forecast: Mapping[str, object] | None = None
    init_calls: int = 0
    init_seconds: float = 0.0
    duration: float = 0.0
    interrupted: bool = False

    def add(self, record: CheckRecord) -> None:
        """Adds a check; a failure in its teardown is not hidden by an earlier pass."""
        known = self.checks.get(record.name)
        if known is None or known.outcome != "failed":
            self.checks[record.name] = record
        self.init_calls += record.init_calls
        self.init_seconds += record.init_seconds
        if self.job is None:
            self.job, self.trace = record.job, record.trace

    @property
    def verdict(self) -> Verdict:
        """An entry passes on evidence alone: its sample was judged, and nothing failed or was interrupted."""
        if self.interrupted or self.count("failed"):
            return "failed"
        if self.unjudged:
            return "failed" if self.strict and not self.count("accepted") else "incomplete"
        return "passed"

    @property
    def unjudged(self) -> str:
        """Why the sample was not judged; "" where it was."""
        records = [record for record in self.records if record.name in self.judging]
        if not records:
            return "no check that judges the sample was run"
        if all(record.outcome == "skipped" for record in records):
            return next(iter(self.not_checked()))
        if self.job is None or self.job["results"]:
            return ""
        if not self.job["answered_attempts"]:
            return "no attempt returned anything"
        # A script that returns nothing on purpose was judged.
        consents = any(setting.is_set for setting in self.settings if setting.name in THRESHOLDS)
        return "" if consents or self.count("accepted") else "no attempt returned any result"

    def not_checked(self) -> dict[str, list[str]]:
        """Names of the checks that were skipped, by the reason."""
        names: dict[str, list[str]] = {}
        for check in self.records:
            if check.outcome == "skipped":
                names.setdefault(check.skipped or check.message, []).append(check.name)
        return names

    @property
    def records(self) -> list[CheckRecord]:
        """Its checks in the order of the table, in whatever order they ended."""
        positions = {name: number for number, name in enumerate(self.catalogue)}
        return sorted(self.checks.values(), key=lambda record: positions.get(record.name, len(positions)))

    def count(self, outcome: CheckOutcome) -> int:
        return sum(check.outcome == outcome for check in self.checks.values())

    def counts(self) -> list[tuple[CheckOutcome, int]]:
        """How many checks ended otherwise than passed, by outcome, where there are any."""
        return [(outcome, number) for outcome in COUNTED_OUTCOMES if (number := self.count(outcome))]

    def properties(self) -> Iterator[tuple[str, str]]:
        """Values for JUnit files, by name."""
        yield "verdict", self.verdict
        yield "checks", str(len(self.checks))
        for outcome in COUNTED_OUTCOMES:
            yield outcome, str(self.count(outcome))
        yield "init_calls", str(self.init_calls)
        if self.job is not None:
            yield from ((name, str(self.job[name])) for name in (*FACTS, "attempts") if name not in NOT_IN_JUNIT)

    def figures(self) -> Mapping[str, float | str]:
        """Measurements of a check: the run time of run(), {} if there are none."""
        return next((check.figures for check in self.records if check.figures), {})


def gate_headline(reports: Sequence[EntryReport]) -> str:
    """The verdict of a run, with the number of its findings: such as "2 findings in 1 of 3 entry scripts"."""
    verdict, several = worst_verdict(reports), len(reports) != 1
    affected = sum(report.verdict == verdict for report in reports)
    scripts = f"{affected} of {len(reports)} entry scripts" if several else "1 entry script"
    failed = sum(len(grouped_findings(report, "failed")) for report in reports)
    advice = sum(len(grouped_findings(report, "advice")) for report in reports)
    if verdict == "passed":
        text = "The gate passed"
    elif verdict == "failed" and failed:
        text = f"{count_of(failed, 'finding')} in {scripts}"
    else:
        text = f"{scripts} {verdict}"
    return f"{text}, {advice} advice" if advice else text


def worst_verdict(reports: Iterable[EntryReport]) -> Verdict:
    """Of a run with several entries."""
    verdicts = {report.verdict for report in reports}
    ordered: tuple[Verdict, ...] = ("failed", "incomplete")
    return next((verdict for verdict in ordered if verdict in verdicts), "passed")


@dataclass(frozen=True, kw_only=True)
class GroupedFinding:
    """A finding with all checks that have its cause; `record` is that of the first one."""

    record: CheckRecord
    also: tuple[str, ...] = ()

    @property
    def finding(self) -> Finding:
        return self.record.finding or Finding(what=self.record.headline)

    def parts(self) -> Iterator[tuple[str, str]]:
        """Label and text of what is read below its first sentence: what to do before where it is."""
        yield from self.finding.labelled("fix")
        yield from self.finding.labelled("location", "counts", "service", "explained")
        if self.finding.remark:
            yield "remark", self.finding.remark

    def blocks(self) -> Iterator[tuple[str, str]]:
        """Title and lines of what is shown as it is."""
        for title, text in (
            ("traceback", self.finding.traceback),
            ("script", self.record.source),
            ("smallest example", self.finding.example),
            ("last output", self.record.output),
        ):
            if text:
                yield title, text

    @property
    def command(self) -> str:
        """The command that replays it, or ""."""
        return self.finding.replay.command if self.finding.replay else ""


def grouped_findings(report: EntryReport, *outcomes: CheckOutcome) -> list[GroupedFinding]:
    """One for each cause, most important first: errors before advice, then by number of checks, then by their order."""
    groups: dict[tuple[str, Cause | str], list[CheckRecord]] = {}
    for record in report.records:
        if record.outcome in (outcomes or ("failed", "advice")):
            cause = None if record.finding is None else record.finding.cause
            groups.setdefault((record.outcome, cause or record.name), []).append(record)
    ordered = sorted(groups.values(), key=lambda group: (group[0].outcome != "failed", -len(group)))
    return [GroupedFinding(record=first, also=tuple(record.name for record in others)) for first, *others in ordered]


def job_facts(result: JobResult) -> dict[str, object]:
    """Values of a job for reports, as JSON types."""
    return {
        **{name: getattr(result, name) for name in FACTS},
        "attempts": len(result.attempts),
        "answered_attempts": sum(attempt.returned is not None for attempt in result.attempts),
        "results": sum(attempt.returned or 0 for attempt in result.attempts),
        "duration": result.duration,
        "readings": dict(result.readings),
        "notes": list(result.notes),
    }


@dataclass(frozen=True, kw_only=True)
class SettingRecord:
    """One setting. is_set: it is not a default. emulated: False if it has no effect here."""

    name: str
    value: str
    origin: str
    is_set: bool
    emulated: bool


def setting_records(
    settings: JobSettings, origins: Mapping[str, str], *, engine: str = "inprocess"
) -> Iterator[SettingRecord]:
    """All settings in the order of their table. origins: of those that were set.

    engine: some settings have an effect only in worker processes.
    """
    for name, setting in setting_table().items():
        yield SettingRecord(
            name=name,
            value=_value(settings, name),
            origin=origins.get(name) or describe_default(name, settings.profile),
            is_set=name in origins,
            emulated=setting.emulated or engine != "inprocess",
        )


def _value(settings: JobSettings, name: str) -> str:
    if name == "mini_batch_size":
        return settings.mini_batch_size_text
    if name == "rules":
        return settings.rules.name
    value = getattr(settings, name)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={masked(key, text)}" for key, text in value.items()) or "none"
    return "none" if value in (None, ()) else str(value)


SIMULATED = (
    ("import", "by the dotted name below the code root, with that folder alone of yours on sys.path"),
    ("arguments", "those that the runtime adds to sys.argv, in its order, then yours"),
    ("splitting", "of files and of tables into mini-batches, by the settings"),
    ("workers", "each with its own copy of the script's modules, and its own init()"),
    ("retries", "at the end of the queue, up to max_retries, on any worker"),
    ("timeouts", "of run() and of loading; sleeping is skipped on a clock of the job"),
    ("thresholds", "checked after every mini-batch that ends, and the job is stopped"),
    ("output", "the appended file, as the service writes it"),
    ("modules of the service", "stand-ins for azureml_user, azureml.core and azureml.exceptions"),
)
"""(what, how); docs/reference/fidelity.md has the rules one by one, with their sources and tests."""

NOT_CHECKABLE = (
    ("identity, network, mounts, data stores", "the script runs as you, on local files; remote paths are refused"),
    (
        "images and environments",
        "the script runs in this Python, with its packages; `environment_provides_imports` compares them with those "
        "that `environment` lists",
    ),
    (
        "machines: spot preemption, loss of a node, GPU assignment, memory of a machine",
        "none of them by itself; a node of a Ray cluster that is lost costs attempts. `CUDA_VISIBLE_DEVICES` is left "
        "as it is",
    ),
    (
        "the order in which mini-batches are processed on several machines",
        "one possible order, always the same",
    ),
    (
        "mini-batches of a table without rows, where a CSV record is longer than the size",
        "none; the service has them, counts no item, and does not call `run()`",
    ),
)
"""(what, what happens here); rows of the page docs/explanation/limits.md for every engine."""
