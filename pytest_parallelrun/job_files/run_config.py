"""A parallel job of v1: ParallelRunConfig() and ParallelRunStep(), and the YAML files of both."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_parallelrun.emulator.errors import SettingsError
from pytest_parallelrun.emulator.settings import V1_REFUSED_IN_FILE_NAMES
from pytest_parallelrun.job_files.bindings import Binding, BindingError
from pytest_parallelrun.job_files.environment import read_environment
from pytest_parallelrun.job_files.inputs import InputValue, local_path
from pytest_parallelrun.job_files.job_step import JobFile, JobStep, ReadSettings, StepReading
from pytest_parallelrun.job_files.keys import CONFIG, CONFIG_STEP, PIPELINE_STEP, check_keys
from pytest_parallelrun.job_files.script import GivenCode, check_found, find_script
from pytest_parallelrun.job_files.settings import check_arguments, check_exclusive, read_settings
from pytest_parallelrun.job_files.tree import (
    STARS,
    Listing,
    Node,
    Opaque,
    Problems,
    Scalar,
    SourceLocation,
    Table,
    shown,
    text_of,
)
from pytest_parallelrun.job_files.yaml_reader import read_yaml

NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
"""Of a step of v1, which the client checks: azureml-pipeline-core 1.62."""
PYTHON = (".py", ".pyw", ".ipynb")
CONFIG_FILE = "parallel_run_config"
"""The key of a file for ParallelRunConfig.load_yaml(), and of a step that names one."""


def is_config_file(table: Table) -> bool:
    """Whether a file is one that ParallelRunConfig.load_yaml() reads."""
    return CONFIG_FILE in table.entries


def is_pipeline_v1(table: Table) -> bool:
    """Whether a file is a pipeline of the CLI v1."""
    pipeline = table.entries.get("pipeline")
    return isinstance(pipeline, Table) and "steps" in pipeline.entries


def config_of(table: Table, folder: Path) -> Node:
    """The result of ParallelRunConfig.load_yaml() for a file. folder: of the file that refers to it.

    The client resolves paths against its working folder, which is more likely that folder than the one of the YAML
    file.
    """
    config = table.entries[CONFIG_FILE]
    if not isinstance(config, Table):
        return config
    source = config.entries.get("source_directory")
    if isinstance(source, Scalar) and isinstance(source.value, str) and (folder / source.value).is_dir():
        path = Scalar(source.location, os.path.abspath(folder / source.value))
        config = config.with_entries(Table(config.location, {"source_directory": path}, {}))
    return config


def read_config_file(table: Table, file: Path, given: GivenCode) -> JobFile:
    """A file for ParallelRunConfig.load_yaml() alone."""
    name = table.text("name") or file.stem
    step = read_config(config_of(table, file.parent), None, name, given=given, unread=())
    return JobFile(path=file, steps=(step,), files=frozenset({file}))


def read_pipeline_v1(table: Table, file: Path, given: GivenCode) -> JobFile:
    """A pipeline of the CLI v1. Source: YAML reference of pipelines of the CLI v1."""
    pipeline = table.entries["pipeline"]
    assert isinstance(pipeline, Table)
    steps, files = pipeline.entries["steps"], {file}
    if not isinstance(steps, Table):
        problems = Problems()
        problems.add(steps.location, f"'steps' must be a mapping of steps, and is {steps.described}")
        return JobFile(path=file, problems=tuple(problems), files=frozenset(files))
    readings = tuple(
        _read_step(step, name, pipeline, files, given)
        for name, step in steps.entries.items()
        if isinstance(step, Table) and (step.type == "parallelrunstep" or CONFIG_FILE in step.entries)
    )
    return JobFile(path=file, steps=readings, files=frozenset(files))


def _read_step(step: Table, key: str, pipeline: Table, files: set[Path], given: GivenCode) -> StepReading:
    """A step of such a pipeline. files: receives the file of its config."""
    name, problems, dropped = step.text("name") or key, Problems(), dict[str, str]()
    check_keys(step, PIPELINE_STEP, problems, owner=f"the step '{key}'", dropped=dropped)
    config = _config_of_step(step, problems, files)
    if problems or config is None:
        return StepReading.failed(name, None, problems)
    entries: dict[str, Node] = {**step.entries, CONFIG_FILE: config}
    entries["inputs"] = Listing(step.location, list(_named(step.entries.get("inputs"))))
    if isinstance(step.entries.get("arguments"), Listing):
        entries["arguments"] = Listing(step.entries["arguments"].location, list(_filled(step, pipeline)))
    if "outputs" in entries:
        entries["output"] = entries["outputs"]
    call = Table(step.location, entries, {**dict.fromkeys(entries, step.location), **step.keys})
    call = call.without(*(name for name in entries if name not in CONFIG_STEP))
    reading = read_config(config, call, name, given=given, unread=())
    if reading.step is None:
        return reading
    return replace(reading, step=replace(reading.step, notes={**dropped, **reading.step.notes}))


def _config_of_step(step: Table, problems: Problems, files: set[Path]) -> Node | None:
    node = step.entries.get(CONFIG_FILE)
    text = text_of(node)
    if node is None or not text:
        if node is not None:
            problems.add(node.location, f"{CONFIG_FILE} must be the path of a file, and is {node.described}")
        return None
    file = Path(local_path(text, node.location))
    if not file.is_file():
        problems.add(node.location, f"{CONFIG_FILE}={text!r}: there is no file '{shown(file)}'")
        return None
    files.add(file)
    table = read_yaml(file, problems)
    if table is not None and not is_config_file(table):
        problems.add(table.location, f"there is no '{CONFIG_FILE}' in this file, which {node.location.origin} names")
        return None
    return None if table is None else config_of(table, node.location.file.parent)


def _named(inputs: Node | None) -> Iterator[Node]:
    """The inputs as a call of ParallelRunStep() has them."""
    for name, node in inputs.entries.items() if isinstance(inputs, Table) else ():
        source = (node.text("source") if isinstance(node, Table) else None) or name
        yield Opaque(node.location, source, "", input_name=name)


def _filled(step: Table, pipeline: Table) -> Iterator[Node]:
    """The arguments, with `parameter:NAME` and `output:NAME` filled in."""
    arguments = step.entries["arguments"]
    assert isinstance(arguments, Listing)
    for item in arguments.items:
        kind, _, name = (text_of(item) or "").partition(":")
        if kind == "output":
            yield Opaque(item.location, f"{kind}:{name}", "it is an output", output_name=name)
        elif kind == "parameter":
            source = text_of(_below(step, "parameters", name, "source")) or name
            default = _below(pipeline, "parameters", source, "default")
            if isinstance(default, Scalar) and default.value is not None:
                yield Scalar(item.location, default.value)
            else:
                yield Opaque(item.location, f"{kind}:{name}", f"the pipeline has no default for '{source}'")
        elif kind in ("input", "side_input"):
            yield Opaque(item.location, f"{kind}:{name}", "it is a data set of the service", input_name=name)
        else:
            yield item


def _below(table: Table, *names: str) -> Node | None:
    node: Node | None = table
    for name in names:
        node = node.entries.get(name) if isinstance(node, Table) else None
    return node


def read_config(
    config: Node | None, step: Table | None, name: str, *, given: GivenCode, unread: Sequence[Opaque]
) -> StepReading:
    """A ParallelRunStep() with its config, or a config alone. unread: arguments that are not literals."""
    problems = Problems()
    if step is not None:
        stars = step.entries.get(STARS)
        unread = [*unread, *([stars] if isinstance(stars, Opaque) else [])]
        check_keys(step, CONFIG_STEP, problems, owner="ParallelRunStep()", unread=unread)
    if not isinstance(config, Table):
        if config is not None:
            problems.add(
                config.location, f"parallel_run_config must be ParallelRunConfig(...), and is {config.described}"
            )
        return StepReading.failed(name, None, problems)
    # In a file for load_yaml() both may be given to that.
    in_python = all(key.file.suffix.lower() in PYTHON for key in (*config.keys.values(), config.location))
    of_file = () if in_python else ("environment", "compute_target")
    optional = CONFIG if unread else of_file
    check_keys(
        config, CONFIG, problems, owner="ParallelRunConfig()", optional=optional, unread=unread if step is None else ()
    )

    names = ("source_directory", "entry_script")
    # By default the client uses its working folder.
    source = config.entries.get("source_directory", Scalar(config.location, "."))
    entry = find_script(source, config.entries.get("entry_script"), problems, names=names, given=given)

    read = ReadSettings()
    read.put("profile", "v1", config.location)
    read_settings(config, CONFIG, _no_binding, problems, read)
    _check_together(config, problems, read)
    inputs = {} if step is None else _inputs(step.entries.get("inputs"))
    split = tuple(inputs)
    arguments, location = _arguments(None if step is None else step.get("arguments"), problems, read, inputs)
    if step is not None:
        for key in ("side_inputs", "allow_reuse"):
            if key in step.entries:
                read.not_emulated.append(f"{key} ({step.keys[key].origin})")
        _check_output(step, read, problems)
        _check_name(step.entries.get("name"), problems)
    check_found(entry, config.location, problems)
    if problems or entry is None:
        return StepReading.failed(name, entry, problems)
    job_step = JobStep(
        name=name,
        location=config.location if step is None else step.location,
        profile="v1",
        entry=entry,
        **vars(read),
        arguments=arguments,
        arguments_location=location,
        inputs=inputs,
        split=split,
        environment=read_environment(config.get("environment")),
    )
    return StepReading(name, entry.path, job_step)


def _no_binding(binding: Binding, location: SourceLocation) -> InputValue:
    raise BindingError(f"{binding.text} is of v2, and means nothing to ParallelRunConfig()")


def _check_together(config: Table, problems: Problems, read: ReadSettings) -> None:
    check_exclusive(config, problems)
    file_name = str(read.values.get("append_row_file_name", ""))
    refused = [sign for sign in file_name if sign in V1_REFUSED_IN_FILE_NAMES]
    if refused:
        problems.add(
            read.locations["append_row_file_name"],
            f"append_row_file_name={file_name!r} holds {refused[0]!r}; v1 refuses {' '.join(V1_REFUSED_IN_FILE_NAMES)}",
        )


def _check_output(step: Table, read: ReadSettings, problems: Problems) -> None:
    """The client requires an output unless nothing is appended."""
    if "output" in step.entries:
        return
    if str(read.values.get("output_action", "")).lower() == "append_row":
        problems.add(step.location, "ParallelRunStep() needs the key 'output', since output_action is append_row")
    else:
        read.put("output_folder", False, step.location)


def _check_name(node: Node | None, problems: Problems) -> None:
    name = text_of(node)
    if node is not None and name is not None and not (3 <= len(name) <= 32 and NAME.fullmatch(name)):
        problems.add(
            node.location,
            f"name={name!r}: a ParallelRunStep() is named by 3 to 32 small letters, digits and '-', the first one a "
            "letter and the last one no '-'",
        )


def _arguments(
    node: Node | None, problems: Problems, read: ReadSettings, inputs: dict[str, InputValue]
) -> tuple[tuple[str, ...], SourceLocation | None]:
    """The list of program arguments; numbers become strings.

    Data and outputs become bindings, like those of v2. inputs: receives data that are not there yet.
    """
    if node is None:
        return (), None
    if not isinstance(node, Listing):
        if isinstance(node, Opaque):
            _leave_arguments("arguments", node, read)
        else:
            problems.add(node.location, f"arguments must be a list, and is {node.described}")
        return (), node.location
    texts: list[str] = []
    for item in node.items:
        if isinstance(item, Scalar) and isinstance(item.value, (str, int, float)):
            texts.append(str(item.value))
        elif isinstance(item, Opaque) and item.output_name:
            texts.append(f"${{{{outputs.{item.output_name}}}}}")
        elif isinstance(item, Opaque) and item.input_name:
            inputs.setdefault(item.input_name, _input(item.input_name, item))
            texts.append(f"${{{{inputs.{item.input_name}}}}}")
        elif isinstance(item, Opaque):
            _leave_arguments("an argument", item, read)
        else:
            problems.add(item.location, f"an argument must be a text or a number, and is {item.described}")
    if "program_arguments" not in read.unresolved:
        try:
            check_arguments(texts, "v1")
        except SettingsError as error:
            problems.add(node.location, str(error))
    return tuple(texts), node.location


def _leave_arguments(subject: str, node: Opaque, read: ReadSettings) -> None:
    if "program_arguments" not in read.unresolved:
        message = f"{subject} is {node.described}, or give all with --parallelrun-args=ARGUMENTS"
        read.leave("program_arguments", node.location, message)


def _inputs(node: Node | None) -> dict[str, InputValue]:
    """The inputs, named by `as_named_input("name")`, otherwise input_0, input_1: they are data sets of the service."""
    items = node.items if isinstance(node, Listing) else [] if node is None else [node]
    inputs: dict[str, InputValue] = {}
    for number, item in enumerate(items):
        name = (item.input_name if isinstance(item, Opaque) else None) or text_of(item) or f"input_{number}"
        inputs[name] = _input(name, item)
    return inputs


def _input(name: str, node: Node) -> InputValue:
    text = node.text if isinstance(node, Opaque) else node.described
    return InputValue(name=name, location=node.location, why=f"is `{text}`, a data set of the service", elsewhere=True)
