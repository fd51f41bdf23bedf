"""The parallel steps of a pipeline, with those of the pipelines inside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pytest_parallelrun.job_files.inputs import ALONE, StepContext, given_inputs, local_path, read_inputs, read_outputs
from pytest_parallelrun.job_files.job_step import StepReading
from pytest_parallelrun.job_files.keys import PIPELINE, check_keys
from pytest_parallelrun.job_files.parallel import read_step
from pytest_parallelrun.job_files.tree import Node, Problems, Table, entry_text, kind_of, present, shown, text_of
from pytest_parallelrun.job_files.yaml_reader import read_yaml

MAX_DEPTH = 10
"""Pipelines inside of each other."""
MAX_STEPS = 200
REMOTE_COMPONENT = ("azureml:", "azureml://")
NO_STEP_OF_OURS = (
    "command",
    "sweep",
    "spark",
    "automl",
    "data_transfer",
    "import",
    "do_while",
    "if_else",
    "finetuning",
)


def is_parallel(table: Table) -> bool:
    return (entry_text(table, "type") or "").lower() == "parallel"


def is_pipeline(table: Table) -> bool:
    kind = (entry_text(table, "type") or "").lower()
    return kind == "pipeline" or (not kind and isinstance(table.entries.get("jobs"), Table))


@dataclass
class PipelineReader:
    """Reads one file and all that it refers to.

    other_root: a code root given otherwise. files: what was read. skipped: see JobFile.
    """

    other_root: Path | None
    findings: Problems = field(default_factory=Problems)
    files: dict[Path, Table | None] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    _steps: int = 0

    def steps(
        self, table: Table, around: StepContext | None = None, prefix: str = "", above: tuple[Path, ...] = ()
    ) -> Iterator[StepReading]:
        """The parallel steps of a pipeline. around: its inputs and outputs, where a step of another one gives them."""
        if around is None:
            around = StepContext(
                read_inputs(table.entries.get("inputs"), ALONE, self.findings),
                read_outputs(table.entries.get("outputs"), ALONE, self.findings),
            )
        check_keys(table, PIPELINE, self.findings, what="a pipeline" if not prefix else "an inner pipeline")
        jobs = table.entries.get("jobs")
        if not isinstance(jobs, Table):
            place = table.place if jobs is None else jobs.place
            self.findings.add(
                place, f"a pipeline needs 'jobs', a mapping of steps; it is {kind_of(jobs) if jobs else 'missing'}"
            )
            return
        for name, node in jobs.entries.items():
            self._steps += 1
            if self._steps > MAX_STEPS:
                self.findings.add(node.place, f"the pipeline has more than {MAX_STEPS} steps")
                return
            if isinstance(node, Table):
                yield from self._step(node, f"{prefix}{name}", around, (*above, table.place.file))
            else:
                self.findings.add(node.place, f"the step '{name}' must be a mapping, and is {kind_of(node)}")

    def _step(self, table: Table, name: str, around: StepContext, above: tuple[Path, ...]) -> Iterator[StepReading]:
        kind = (entry_text(table, "type") or "").lower()
        if kind in NO_STEP_OF_OURS:
            return
        node = table.entries.get("component")
        component = self._component(node, name, above) if node is not None else None
        if node is not None and component is None:
            return
        if is_parallel(component if component is not None else table):
            yield read_step(table, component, name, around, other_root=self.other_root)
        elif is_pipeline(component if component is not None else table):
            inner = component if component is not None else table
            if len(above) > MAX_DEPTH:
                self.findings.add(table.place, f"pipelines are more than {MAX_DEPTH} deep inside of each other")
                return
            yield from self.steps(inner, self._inside(table, component, around), f"{name}.", above)
        elif kind == "parallel" and component is not None:
            other = entry_text(component, "type")
            what = f"type: {other}" if other else "no type"
            self.findings.add(table.place, f"the step '{name}' is parallel, and its component has {what}")
        elif not kind and component is None:
            self.findings.add(table.place, f"the step '{name}' has no type: write type: parallel where it is one")

    def _inside(self, table: Table, component: Table | None, around: StepContext) -> StepContext:
        """What the steps of an inner pipeline see."""
        inputs = read_inputs(table.entries.get("inputs"), around, self.findings)
        outputs = read_outputs(table.entries.get("outputs"), around, self.findings)
        if component is not None:
            declared = read_inputs(component.entries.get("inputs"), ALONE, self.findings)
            inputs = given_inputs(declared, inputs, component.place.origin, self.findings)
            outputs = {**read_outputs(component.entries.get("outputs"), ALONE, self.findings), **outputs}
        return StepContext(inputs, outputs)

    def _component(self, node: Node, name: str, above: tuple[Path, ...]) -> Table | None:
        """What `component` refers to: a file, or a mapping in its place; None where it is not here, or not valid."""
        if isinstance(node, Table):
            return node
        text = text_of(node)
        if not text:
            if present(node) is not None:
                self.findings.add(node.place, f"component must be the path of a file, and is {kind_of(node)}")
            return None
        if text.startswith(REMOTE_COMPONENT):
            self.skipped.append(
                f"step '{name}' ({node.place.origin}) is not read: its component {text} is registered with the "
                "service. Write component: ./FILE to gate it"
            )
            return None
        file = Path(local_path(text, node.place))
        if not file.is_file():
            self.findings.add(node.place, f"component={text!r}: there is no file '{shown(file)}'")
            return None
        if file in above:
            self.findings.add(node.place, f"component={text!r} leads back to a pipeline that this step is part of")
            return None
        if file not in self.files:
            self.files[file] = read_yaml(file, self.findings)
        return self.files[file]
