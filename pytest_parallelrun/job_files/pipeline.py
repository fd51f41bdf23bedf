"""The parallel steps of a pipeline and of the pipelines inside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pytest_parallelrun.job_files.inputs import ALONE, StepContext, filled_inputs, local_path, read_inputs, read_outputs
from pytest_parallelrun.job_files.job_step import StepReading
from pytest_parallelrun.job_files.keys import PIPELINE, check_keys
from pytest_parallelrun.job_files.parallel import read_step
from pytest_parallelrun.job_files.script import GivenCode
from pytest_parallelrun.job_files.tree import Node, Problems, Table, present, shown, text_of
from pytest_parallelrun.job_files.yaml_reader import read_yaml

MAX_DEPTH = 10
"""Maximum nesting of pipelines."""
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
    return table.type == "parallel"


def is_pipeline(table: Table) -> bool:
    kind = table.type
    return kind == "pipeline" or (not kind and isinstance(table.entries.get("jobs"), Table))


@dataclass
class PipelineReader:
    """Reads one file and everything that it refers to.

    given: code next to the file. files: what was read. skipped: see JobFile.
    """

    given: GivenCode
    problems: Problems = field(default_factory=Problems)
    files: dict[Path, Table | None] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    _steps: int = 0

    def steps(
        self, table: Table, context: StepContext | None = None, prefix: str = "", above: tuple[Path, ...] = ()
    ) -> Iterator[StepReading]:
        """The parallel steps of a pipeline. context: its inputs and outputs, if a step of another one gives them."""
        node = table.get("component")
        if context is None and node is not None and "jobs" not in table.entries:
            yield from self._steps_of_component(table, node)
            return
        if context is None:
            context = StepContext(
                read_inputs(table.get("inputs"), ALONE, self.problems),
                read_outputs(table.get("outputs"), ALONE, self.problems),
            )
        check_keys(table, PIPELINE, self.problems, owner="a pipeline" if not prefix else "an inner pipeline")
        jobs = table.entries.get("jobs")
        if not isinstance(jobs, Table):
            location = table.location if jobs is None else jobs.location
            self.problems.add(
                location, f"a pipeline needs 'jobs', a mapping of steps; it is {jobs.kind if jobs else 'missing'}"
            )
            return
        for name, node in jobs.entries.items():
            self._steps += 1
            if self._steps > MAX_STEPS:
                self.problems.add(node.location, f"the pipeline has more than {MAX_STEPS} steps")
                return
            if isinstance(node, Table):
                yield from self._step(node, f"{prefix}{name}", context, (*above, table.location.file))
            else:
                self.problems.add(node.location, f"the step '{name}' must be a mapping, and is {node.kind}")

    def _steps_of_component(self, table: Table, node: Node) -> Iterator[StepReading]:
        """The steps of a job that is a pipeline component and the inputs for it."""
        check_keys(table, PIPELINE, self.problems, owner="a pipeline")
        above = (table.location.file,)
        component = self._component(node, "the pipeline", above)
        if component is None:
            return
        if is_pipeline(component):
            yield from self.steps(component, self._inside(table, component, ALONE), above=above)
        else:
            self.problems.add(node.location, "component must be that of a pipeline (type: pipeline)")

    def _step(self, table: Table, name: str, context: StepContext, above: tuple[Path, ...]) -> Iterator[StepReading]:
        kind = table.type
        if kind in NO_STEP_OF_OURS:
            return
        node = table.entries.get("component")
        component = self._component(node, f"step '{name}'", above) if node is not None else None
        if node is not None and component is None:
            return
        inner = table if component is None else component
        if is_parallel(inner):
            yield read_step(table, component, name, context, given=self.given)
        elif is_pipeline(inner):
            if len(above) > MAX_DEPTH:
                self.problems.add(table.location, f"pipelines are more than {MAX_DEPTH} deep inside of each other")
                return
            yield from self.steps(inner, self._inside(table, component, context), f"{name}.", above)
        elif kind == "parallel" and component is not None:
            other = component.text("type")
            type_text = f"type: {other}" if other else "no type"
            self.problems.add(table.location, f"the step '{name}' is parallel, and its component has {type_text}")
        elif not kind and component is None:
            self.problems.add(table.location, f"the step '{name}' has no type: write type: parallel where it is one")

    def _inside(self, table: Table, component: Table | None, context: StepContext) -> StepContext:
        """What the steps of an inner pipeline see."""
        inputs = read_inputs(table.get("inputs"), context, self.problems)
        outputs = read_outputs(table.get("outputs"), context, self.problems)
        if component is not None:
            declared = read_inputs(component.get("inputs"), ALONE, self.problems)
            inputs = filled_inputs(declared, inputs, component.location.origin, self.problems)
            outputs = {**read_outputs(component.get("outputs"), ALONE, self.problems), **outputs}
        return StepContext(inputs, outputs)

    def _component(self, node: Node, owner: str, above: tuple[Path, ...]) -> Table | None:
        """The value of `component`: a file, or a mapping; None if it is not here, or invalid."""
        if isinstance(node, Table):
            return node
        text = text_of(node)
        if not text:
            if present(node) is not None:
                self.problems.add(node.location, f"component must be the path of a file, and is {node.kind}")
            return None
        if text.startswith(REMOTE_COMPONENT):
            self.skipped.append(
                f"{owner} ({node.location.origin}) is not read: its component {text} is registered with the "
                "service. Write component: ./FILE to gate it"
            )
            return None
        file = Path(local_path(text, node.location))
        if not file.is_file():
            self.problems.add(node.location, f"component={text!r}: there is no file '{shown(file)}'")
            return None
        if file in above:
            self.problems.add(node.location, f"component={text!r} leads back to a pipeline that it is part of")
            return None
        if file not in self.files:
            self.files[file] = read_yaml(file, self.problems)
        return self.files[file]
