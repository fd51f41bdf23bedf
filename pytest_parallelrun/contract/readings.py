"""The verdict on the sample under each set of rules, judged once from one run.

The checks that depend on a rule use this. If one set has no error at all, an error of the other is advice: the gate
must not fail a job that the service completes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.finding import Finding
from pytest_parallelrun.contract.phrases import consenting, sentences, values_text
from pytest_parallelrun.emulator.events import AttemptEnded
from pytest_parallelrun.emulator.rule_comparison import other_preset
from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.emulator.ledger import JobOutcome
    from pytest_parallelrun.emulator.result import JobResult
    from pytest_parallelrun.emulator.settings import JobSettings

SOURCES = {
    "short_return": {
        "documented": "The guide to parallel jobs says that a mini-batch fails if it returns fewer results than items.",
        "observed": (
            "Official samples count the missing items alone: one of them returns [] for 99 mini-batches under "
            "mini_batch_error_threshold 5, and completes."
        ),
    },
    "attempt_limit": {
        "documented": "The guide to parallel jobs gives loading a mini-batch a limit of its own.",
        "observed": "Jobs were cut after timeout + task_overhead_timeout, for loading and run() together.",
    },
    "failed_unit": {
        "documented": "The documents count the rows of a mini-batch that is given up.",
        "observed": "The runtime of 2020 counted a given-up mini-batch of a table as one failed item.",
    },
    "threshold_check": {
        "documented": "The guide to parallel jobs says that a mini-batch fails once all its retries failed.",
        "observed": "The reference of ParallelRunConfig counts a mini-batch that awaits its retry as failed.",
    },
}
"""The sources, by rule and preset; docs/explanation/rules.md explains them."""


def needs_attempts_beyond(settings: JobSettings) -> bool:
    """Whether a set of rules may have no error although a threshold ended the run: losses are allowed."""
    return "error_threshold" in settings.explicit and not settings.preset_is_set


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict under one set of rules. consent: thresholds that allow its losses. errors: the checks that fail."""

    preset: str
    outcome: JobOutcome
    consent: tuple[str, ...]
    errors: frozenset[str]


class Readings:
    """Both verdicts. own: under the rules of the job. other: None if the attempts do not show it."""

    def __init__(self, result: JobResult) -> None:
        self._settings = result.settings
        self._comparison = result.comparison
        attempts = [event for event in result.events.others if isinstance(event, AttemptEnded)]
        # A threshold allows losses, but not a script that never works.
        self._nothing_returned = bool(result.attempts) and all(a.returned is None for a in result.attempts)
        self._has_short_returns = any(attempt.outcome == "short" for attempt in attempts)
        self.own = self._judge(result.settings.preset, result.outcome)
        self.other_preset = other_preset(result.settings).preset
        outcome = self._comparison.outcomes[self.other_preset]
        self.other = None if outcome is None else self._judge(self.other_preset, outcome)

    def _judge(self, preset: str, outcome: JobOutcome) -> Judgement:
        consent = consenting(self._settings, outcome)
        completes = outcome.status == "Completed"
        errors = set()
        if self._has_short_returns and not (consent and completes):
            errors.add("returns_one_result_per_item")
        if not completes:
            errors.add("job_completes")
        elif outcome.failed_items and (not consent or self._nothing_returned):
            errors.add("no_silent_losses")
        return Judgement(preset=preset, outcome=outcome, consent=tuple(consent), errors=frozenset(errors))

    @property
    def counting(self) -> Judgement:
        """The one that counts: that of the job, unless only the other has no error and nobody chose."""
        if self.own.errors and self.other is not None and not self.other.errors and not self._settings.preset_is_set:
            return self.other
        return self.own

    def conclude(self, check: Check, finding: Finding, *, headline: str = "") -> None:
        """Ends a check with an error under the job's rules: it fails, or advises if the other set counts.

        headline: the first line of advice, instead of that of the finding.
        """
        __tracebackhide__ = True
        if self.counting is self.own:
            check.fail(finding.saying(self._remark()))
        check.advise(self._explained(replace(finding, what=headline or finding.what)))

    def advise_on_other(self, check: Check, finding: Finding) -> bool:
        """Advises and returns True if this check fails only under the other set of rules."""
        __tracebackhide__ = True
        if self.own.errors or self.other is None or self._settings.preset_is_set:
            return False
        if check.spec.name not in self.other.errors:
            return False
        check.advise(self._explained(finding))
        return True

    def _explained(self, finding: Finding) -> Finding:
        """The finding with the verdict of each set, its sources, and how to choose."""
        assert self.other is not None
        fails, passes = (self.own, self.other) if self.own.errors else (self.other, self.own)
        choice = (
            "Azure's documents disagree here. If you know what holds for your job, say so: "
            f"--parallelrun-set=rules={passes.preset}, or rules={fails.preset}, which makes this an error."
        )
        return replace(
            finding,
            what=sentences(finding.what, self._line(fails), self._line(passes)),
            fix=sentences(choice, finding.fix),
        )

    def _line(self, judgement: Judgement) -> str:
        said = " ".join(SOURCES[rule][judgement.preset] for rule in self._deciding())
        return f"rules={judgement.preset}: {self._consequence(judgement)}. {said}"

    def _deciding(self) -> list[str]:
        """The rules that each make the difference on their own."""
        return [
            rule
            for rule, outcome in self._comparison.by_rule.items()
            if outcome is not None and bool(self._judge(self.own.preset, outcome).errors) != bool(self.own.errors)
        ]

    def _consequence(self, judgement: Judgement) -> str:
        outcome = judgement.outcome
        lost = count_text(outcome.failed_items, "failed item")
        if outcome.status == "Failed":
            return f"the job fails: {outcome.reason}"
        if judgement.consent:
            return f"the job completes with {lost}, which {values_text(self._settings, judgement.consent)} allows"
        if outcome.failed_items:
            return f"the job completes with {lost}, which no threshold allows"
        return "the job completes, though run() returned too little" if judgement.errors else "the job completes"

    def _remark(self) -> str:
        """The verdict of the other set on a job that fails the gate, if it differs."""
        name = self.other_preset
        if self.other is None:
            return (
                f"the verdict with rules={name} cannot be derived from these attempts: run again with "
                f"--parallelrun-set=rules={name}"
            )
        if not self.other.errors:
            return f"rules={self.own.preset} was set; under rules={name} {self._consequence(self.other)}"
        if self.other.outcome.status != self.own.outcome.status:
            return f"under rules={name} the gate fails too: {self._consequence(self.other)}"
        return ""
