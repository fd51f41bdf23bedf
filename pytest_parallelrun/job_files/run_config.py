"""ParallelRunConfig() and ParallelRunStep() of v1. Source: SDK reference of both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pytest_parallelrun.emulator.errors import SettingsError
from pytest_parallelrun.emulator.settings import V1_REFUSED_IN_FILE_NAMES
from pytest_parallelrun.job_files.bindings import Binding, BindingError
from pytest_parallelrun.job_files.entry_place import find_script
from pytest_parallelrun.job_files.inputs import InputValue
from pytest_parallelrun.job_files.job_step import JobStep
from pytest_parallelrun.job_files.keys import CONFIG, CONFIG_STEP, check_keys, problem
from pytest_parallelrun.job_files.problems import Finding, Findings, Place
from pytest_parallelrun.job_files.reading import StepReading
from pytest_parallelrun.job_files.settings import Read, check_arguments, check_exclusive, read_settings
from pytest_parallelrun.job_files.tree import Listing, Node, Opaque, Scalar, Table, present, text_of

NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
"""Of a step of v1, which the client checks: azureml-pipeline-core 1.62."""


def read_config(
    config: Node | None, step: Table | None, name: str, *, other_root: Path | None, unread: Sequence[Opaque]
) -> StepReading:
    """A ParallelRunStep() with its config, or a config alone. unread: arguments that are no literals."""
    findings = Findings()
    for argument in unread:
        findings.add(argument.place, f"`{argument.text}` cannot be read: {argument.why}")
    if step is not None:
        check_keys(step, CONFIG_STEP, findings, what="ParallelRunStep()", optional=tuple(CONFIG_STEP) if unread else ())
    if not isinstance(config, Table):
        if config is not None:
            findings.add(config.place, f"parallel_run_config must be ParallelRunConfig(...), and is {problem(config)}")
        return StepReading(name, None, None, tuple(findings.found))
    check_keys(config, CONFIG, findings, what="ParallelRunConfig()", optional=tuple(CONFIG) if unread else ())

    names = ("source_directory", "entry_script")
    # Without it the client takes the folder that it runs in.
    source = config.entries.get("source_directory", Scalar(config.place, "."))
    entry = find_script(source, config.entries.get("entry_script"), findings, names=names, other_root=other_root)

    read = Read()
    read.put("profile", "v1", config.place)
    read_settings(config, CONFIG, _no_binding, findings, read)
    _check_together(config, findings, read)
    arguments, place = _arguments(None if step is None else step.entries.get("arguments"), findings, read)
    inputs = {} if step is None else _inputs(step.entries.get("inputs"))
    if step is not None:
        for key in ("side_inputs", "allow_reuse"):
            if key in step.entries:
                read.not_emulated.append(f"{key} ({step.keys[key].origin})")
        _check_output(step, read, findings)
        _check_name(step.entries.get("name"), findings)
    if findings or entry is None:
        return StepReading(name, None if entry is None else entry.path, None, tuple(findings.found))
    made = JobStep(
        name=name,
        place=config.place if step is None else step.place,
        profile="v1",
        entry=entry,
        values=read.values,
        origins=read.origins,
        arguments=arguments,
        arguments_place=place,
        inputs=inputs,
        split=tuple(inputs),
        unresolved=read.unresolved,
        not_emulated=tuple(read.not_emulated),
    )
    return StepReading(name, entry.path, made, ())


def _no_binding(binding: Binding, place: Place) -> InputValue:
    raise BindingError(f"{binding.text} is of v2, and means nothing to ParallelRunConfig()")


def _check_together(config: Table, findings: Findings, read: Read) -> None:
    check_exclusive(config, findings)
    file_name = str(read.values.get("append_row_file_name", ""))
    refused = [sign for sign in file_name if sign in V1_REFUSED_IN_FILE_NAMES]
    if refused:
        findings.add(
            read.places["append_row_file_name"],
            f"append_row_file_name={file_name!r} holds {refused[0]!r}; v1 refuses {' '.join(V1_REFUSED_IN_FILE_NAMES)}",
        )


def _check_output(step: Table, read: Read, findings: Findings) -> None:
    """The client asks for an output unless nothing is appended."""
    if "output" not in step.entries and str(read.values.get("output_action", "")).lower() == "append_row":
        findings.add(step.place, "ParallelRunStep() needs the key 'output', since output_action is append_row")


def _check_name(node: Node | None, findings: Findings) -> None:
    name = text_of(node)
    if node is not None and name is not None and not (3 <= len(name) <= 32 and NAME.fullmatch(name)):
        findings.add(
            node.place,
            f"name={name!r}: a ParallelRunStep() is named by 3 to 32 small letters, digits and '-', the first one a "
            "letter and the last one no '-'",
        )


def _arguments(node: Node | None, findings: Findings, read: Read) -> tuple[tuple[str, ...], Place | None]:
    """The list of program arguments; numbers are texts to a command line."""
    node = present(node)
    if node is None:
        return (), None
    if not isinstance(node, Listing):
        if isinstance(node, Opaque):
            read.unresolved["program_arguments"] = _unreadable("arguments", node)
        else:
            findings.add(node.place, f"arguments must be a list, and is {problem(node)}")
        return (), node.place
    texts: list[str] = []
    for item in node.items:
        if isinstance(item, Scalar) and isinstance(item.value, (str, int, float)):
            texts.append(str(item.value))
        elif isinstance(item, Opaque):
            read.unresolved.setdefault("program_arguments", _unreadable("an argument", item))
        else:
            findings.add(item.place, f"an argument must be a text or a number, and is {problem(item)}")
    if "program_arguments" not in read.unresolved:
        try:
            check_arguments(texts, "v1")
        except SettingsError as error:
            findings.add(node.place, str(error))
    return tuple(texts), node.place


def _unreadable(what: str, node: Opaque) -> Finding:
    return Finding(
        node.place, f"{what} is the expression `{node.text}`: {node.why}, or give all with --parallelrun-args=ARGUMENTS"
    )


def _inputs(node: Node | None) -> dict[str, InputValue]:
    """The inputs, named as `as_named_input("name")` does, else input_0, input_1: they are data sets of the service."""
    items = node.items if isinstance(node, Listing) else [] if node is None else [node]
    inputs: dict[str, InputValue] = {}
    for number, item in enumerate(items):
        name = (item.input_name if isinstance(item, Opaque) else None) or text_of(item) or f"input_{number}"
        what = item.text if isinstance(item, Opaque) else problem(item)
        inputs[name] = InputValue(name, item.place, why=f"is `{what}`, a data set of the service")
    return inputs
