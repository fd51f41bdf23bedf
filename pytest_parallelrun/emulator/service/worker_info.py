"""The stand-ins of a worker process, made from values that cross into it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from pytest_parallelrun.emulator.service import StandIns, WorkerFacts

if TYPE_CHECKING:
    from collections.abc import Mapping


def plain_facts(facts: WorkerFacts, code_root: Path, azureml: str) -> dict[str, object]:
    """What `stand_ins_from` makes the stand-ins of, in texts alone."""
    return {
        "agent_name": facts.agent_name,
        "output_dir": None if facts.output_dir is None else str(facts.output_dir),
        "working_dir": str(facts.working_dir),
        "entry_dir": str(facts.entry_dir),
        "log_dir": str(facts.log_dir),
        "logging_level": facts.logging_level,
        "models": {name: str(path) for name, path in facts.models.items()},
        "arguments": list(facts.arguments),
        "code_root": str(code_root),
        "azureml": azureml,
    }


def stand_ins_from(plain: Mapping[str, object]) -> StandIns:
    """The stand-ins of the worker that these are the facts of."""

    def folder(name: str) -> Path:
        return Path(str(plain[name]))

    models = cast("Mapping[str, str]", plain["models"])
    return StandIns(
        WorkerFacts(
            agent_name=str(plain["agent_name"]),
            output_dir=None if plain["output_dir"] is None else folder("output_dir"),
            working_dir=folder("working_dir"),
            entry_dir=folder("entry_dir"),
            log_dir=folder("log_dir"),
            logging_level=str(plain["logging_level"]),
            models={name: Path(path) for name, path in models.items()},
            arguments=tuple(cast("list[str]", plain["arguments"])),
        ),
        code_root=folder("code_root"),
        azureml=cast("Literal['standin', 'installed']", plain["azureml"]),
    )
