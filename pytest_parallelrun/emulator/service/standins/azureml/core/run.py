"""Stand-in for azureml.core.run: accepts what scripts tell their run, and remembers it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import NoReturn

from pytest_parallelrun.emulator.service.missing_api import SIDE_INPUTS, NotCoveredKeyError, StandIn, not_covered

from .experiment import Experiment
from .workspace import Workspace

__all__ = ["Run"]


class _NoDatasets(Mapping[str, object]):
    def __getitem__(self, name: str) -> NoReturn:
        raise NotCoveredKeyError(not_covered(f"{Run.__module__}.Run.input_datasets[{name!r}]", SIDE_INPUTS))

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class Run(StandIn):
    """The run of this worker's job; parameters as in the SDK reference of Run."""

    def __init__(
        self,
        experiment: Experiment,
        run_id: str,
        outputs: str | None = None,
        *,
        parent: Run | None = None,
        **kwargs: object,
    ) -> None:
        self.experiment = experiment
        self.id = run_id
        self.name = run_id
        self.parent = parent
        self.status = "Running"
        self.tags: dict[str, str | None] = {}
        self.properties: dict[str, str] = {}
        self.input_datasets: Mapping[str, object] = _NoDatasets()
        self._logged: dict[str, list[object]] = {}
        self._uploaded: set[str] = set()

    @classmethod
    def get_context(cls, allow_offline: bool = True, used_for_context_manager: bool = False, **kwargs: object) -> Run:
        """The worker's run, the same object each time; a submitted one, so never an offline run."""
        return _RUN

    def get_status(self) -> str:
        return self.status

    def complete(self, _set_status: bool = True) -> None:
        self.status = "Completed"

    def fail(self, error_details: object = None, error_code: str | None = None, **kwargs: object) -> None:
        self.status = "Failed"

    def log(self, name: str, value: object, description: str = "", step: int | None = None) -> None:
        self._remember(name, value)

    def log_list(self, name: str, value: Iterable[object], description: str = "") -> None:
        self._remember(name, list(value))

    def log_row(self, name: str, description: str | None = None, **kwargs: object) -> None:
        self._remember(name, kwargs)

    def log_table(self, name: str, value: Mapping[str, object], description: str = "") -> None:
        self._remember(name, dict(value))

    def log_image(self, name: str, path: str | None = None, plot: object = None, description: str = "") -> None:
        self._remember(name, plot if path is None else path)

    def _remember(self, name: str, value: object) -> None:
        self._logged.setdefault(name, []).append(value)

    @property
    def metrics(self) -> dict[str, object]:
        """What was logged, by name."""
        return self.get_metrics()

    def get_metrics(self, name: str | None = None, **kwargs: object) -> dict[str, object]:
        """What was logged, under all names or one: the value, or a list of them where it was logged again."""
        return {
            key: values[0] if len(values) == 1 else list(values)
            for key, values in self._logged.items()
            if name is None or key == name
        }

    def flush(self, timeout_seconds: float = 300) -> None:
        """Nothing is buffered here."""

    def tag(self, key: str, value: str | None = None) -> None:
        self.tags[key] = value

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self.tags.update(tags)

    def get_tags(self) -> dict[str, str | None]:
        return dict(self.tags)

    def add_properties(self, properties: Mapping[str, str]) -> None:
        self.properties.update(properties)

    def get_properties(self) -> dict[str, str]:
        return dict(self.properties)

    def upload_file(self, name: str, path_or_stream: object, datastore_name: str | None = None) -> None:
        """Remembers the name; nothing is copied."""
        self._uploaded.add(name)

    def upload_files(self, names: Iterable[str], paths: Iterable[str], **kwargs: object) -> None:
        """Remembers the names; nothing is copied."""
        self._uploaded.update(names)

    def upload_folder(self, name: str, path: str, datastore_name: str | None = None) -> None:
        """Remembers the name of the folder; nothing is copied."""
        self._uploaded.add(name)

    def get_file_names(self) -> list[str]:
        """The names under which files and folders were uploaded."""
        return sorted(self._uploaded)

    def get_secret(self, name: str) -> str:
        """The environment variable of that name, in place of the key vault's secret."""
        if name not in os.environ:
            advice = f"Give its value as the environment variable {name!r}: --parallelrun-env {name}=VALUE."
            raise NotCoveredKeyError(not_covered(f"{type(self).__module__}.Run.get_secret({name!r})", advice))
        return os.environ[name]

    def get_secrets(self, secrets: Iterable[str]) -> dict[str, str]:
        """As get_secret, for several."""
        return {name: self.get_secret(name) for name in secrets}


class _OfflineRun(Run):
    """For scripts that ask whether they run offline; here as on the service no run is."""


_EXPERIMENT = Experiment(Workspace(), "parallelrun-local")
_RUN = Run(_EXPERIMENT, "parallelrun-local", parent=Run(_EXPERIMENT, "parallelrun-local-pipeline"))
