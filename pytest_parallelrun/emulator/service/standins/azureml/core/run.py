"""Stand-in for azureml.core.run: accepts what scripts log, and remembers it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pytest_parallelrun.emulator.service.missing_api import NotCoveredKeyError, StandIn, not_covered

from .experiment import Experiment
from .keyvault import secret
from .model import Model
from .workspace import Workspace

__all__ = ["Run"]


class _Datasets(Mapping[str, str]):
    """Paths by name: where an input is mounted, the service has its path in the environment variable of its name too.

    It cannot be told which variables are inputs, so it has no length and no items.
    """

    def __init__(self, attribute: str) -> None:
        self._attribute = attribute

    def __getitem__(self, name: str) -> str:
        if name not in os.environ:
            advice = f"Give its path as the environment variable of its name: --parallelrun-env {name}=PATH."
            raise NotCoveredKeyError(not_covered(f"{Run.__module__}.Run.{self._attribute}[{name!r}]", advice))
        return os.environ[name]

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
        name: str | None = None,
        **kwargs: object,
    ) -> None:
        self.experiment = experiment
        self.id = run_id
        self.name = self.display_name = name or run_id
        self.description: str | None = None
        self.parent = parent
        self.status = "Running"
        self.tags: dict[str, str | None] = {}
        self.properties: dict[str, str] = {}
        self.input_datasets: Mapping[str, str] = _Datasets("input_datasets")
        self.output_datasets: Mapping[str, str] = _Datasets("output_datasets")
        self._children: list[Run] = []
        self._logged: dict[str, list[object]] = {}
        self._uploaded: set[str] = set()

    @classmethod
    def get_context(cls, allow_offline: bool = True, used_for_context_manager: bool = False, **kwargs: object) -> Run:
        """The worker's run, the same object each time; a submitted one, so never an offline run."""
        return _RUN

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if kind is None:
            self.complete()
        else:
            self.fail(error)

    def child_run(self, name: str | None = None, run_id: str | None = None, outputs: str | None = None) -> Run:
        """A child run, which remembers what is logged to it."""
        run_id = run_id or f"{self.id}_{len(self._children)}"
        child = Run(self.experiment, run_id, outputs, parent=self, name=name)
        self._children.append(child)
        return child

    def create_children(
        self, count: int | None = None, tag_key: str | None = None, tag_values: Sequence[str] | None = None
    ) -> list[Run]:
        children = [self.child_run() for _ in tag_values or range(count or 0)]
        for child, value in zip(children, tag_values or (), strict=False):
            child.tag(str(tag_key), value)
        return children

    def start(self) -> None:
        self.status = "Running"

    def cancel(self) -> None:
        self.status = "Canceled"

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

    def log_confusion_matrix(self, name: str, value: object, description: str = "") -> None:
        self._remember(name, value)

    log_accuracy_table = log_residuals = log_predictions = log_confusion_matrix

    def _remember(self, name: str, value: object) -> None:
        self._logged.setdefault(name, []).append(value)

    @property
    def metrics(self) -> dict[str, object]:
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

    def remove_tags(self, tags: Iterable[str]) -> None:
        for tag in tags:
            self.tags.pop(tag, None)

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
        self._uploaded.update(names)

    def upload_folder(self, name: str, path: str, datastore_name: str | None = None) -> None:
        """Remembers the name of the folder; nothing is copied."""
        self._uploaded.add(name)

    def get_file_names(self) -> list[str]:
        """The names under which files and folders were uploaded."""
        return sorted(self._uploaded)

    def register_model(
        self,
        model_name: str,
        model_path: str | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        model_framework: str | None = None,
        model_framework_version: str | None = None,
        description: str | None = None,
        **kwargs: object,
    ) -> Model:
        """Remembers the model in this worker; nothing is sent."""
        workspace = self.experiment.workspace
        return Model.register(workspace, model_path or model_name, model_name, tags, properties, description)

    def get_secret(self, name: str) -> str:
        """The environment variable of that name, in place of the key vault's secret."""
        return secret(name, f"{type(self).__module__}.Run.get_secret")

    def get_secrets(self, secrets: Iterable[str]) -> dict[str, str]:
        return {name: self.get_secret(name) for name in secrets}


class _OfflineRun(Run):
    """For scripts that ask whether they run offline; here as on the service no run is."""


_EXPERIMENT = Experiment(Workspace(), "parallelrun-local")
_RUN = Run(_EXPERIMENT, "parallelrun-local", parent=Run(_EXPERIMENT, "parallelrun-local-pipeline"))
