"""JobSettings: every knob of an emulated job, in one table, which is the body of the class.

The plan, the reference documentation and the program arguments are all made from that table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NoReturn, TypedDict, cast, get_args

from pytest_parallelrun.emulator.declaration import (
    V1_SDK,
    V2_YAML,
    RulesOrPreset,
    merged,
    read,
    resolve,
)
from pytest_parallelrun.emulator.declaration import Profile as Profile
from pytest_parallelrun.emulator.declaration import Setting as Setting
from pytest_parallelrun.emulator.errors import SettingsError
from pytest_parallelrun.emulator.rules import (
    CHOICES,
    AppendedRows,
    AttemptLimit,
    FailedUnit,
    FileGrouping,
    Rules,
    ShortReturn,
    ThresholdCheck,
)
from pytest_parallelrun.emulator.setting_types import (
    Choice,
    Delimiter,
    Encoding,
    FileName,
    Flag,
    NameList,
    Percent,
    Seconds,
    Size,
    TotalTries,
    Variables,
    WholeNumber,
)

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import Unpack

OutputAction = Literal["summary_only", "append_row"]
LoggingLevel = Literal["INFO", "WARNING", "DEBUG"]
Thread = Literal["main", "worker"]
ClockName = Literal["virtual", "real"]
InputType = Literal["uri_folder"]
AzuremlModules = Literal["standin", "installed"]

V2_SDK = "SDK reference of parallel_run_function"
GUIDE = "guide to parallel jobs in pipelines"
ADDITION = "addition of this emulator"

DEFAULT_FILES: Mapping[Profile, int] = {"v2": 1, "v1": 10, "batch": 10}
DEFAULT_BYTES = 1024**2
V1_REFUSED_IN_FILE_NAMES = '~"#%&*:<>?/\\{|}'
OBSERVED_OVERHEAD = 30


class SettingsValues(TypedDict, total=False):
    """The keywords of JobSettings: fields, then v1 names, then rules. None means "not set"."""

    profile: Profile | None
    rules: Rules | Literal["documented", "observed"] | None
    mini_batch_size: int | str | None
    partition_keys: Sequence[str] | None
    mini_batch_rows: int | None
    input_type: InputType | None
    error_threshold: int | None
    mini_batch_error_threshold: int | None
    allowed_failed_percent: float | None
    max_retries: int | None
    timeout: float | None
    task_overhead_timeout: float | None
    progress_update_timeout: float | None
    first_task_creation_timeout: float | None
    instance_count: int | None
    max_concurrency_per_instance: int | None
    output_action: OutputAction | None
    append_row_file_name: str | None
    append_row_dataframe_header: bool | None
    logging_level: str | None
    environment_variables: Mapping[str, str] | None
    thread: Thread | None
    clock: ClockName | None
    memory_limit: int | str | None
    encoding: str | None
    delimiter: str | None
    azureml: AzuremlModules | None

    allowed_failed_count: int | None
    run_max_try: int | None
    run_invocation_timeout: float | None
    node_count: int | None
    process_count_per_node: int | None

    short_return: ShortReturn | None
    appended_rows: AppendedRows | None
    attempt_limit: AttemptLimit | None
    file_grouping: FileGrouping | None
    failed_unit: FailedUnit | None
    threshold_check: ThresholdCheck | None


class JobSettings:
    """The settings of an emulated job: immutable, hashable, comparable, picklable.

    Takes every field below, its v1 name, and every rule (which then overrides that field of `rules`). A field
    that is not given, or None, has the default of its profile. SettingsError: a name that does not exist,
    a value that is not allowed, settings that exclude each other.
    """

    profile = Setting[Profile](Choice(get_args(Profile)), "v2", "whose defaults and checks apply", source=ADDITION)
    rules = Setting[Rules](
        RulesOrPreset(), Rules(), "reading of the service where its sources disagree", source=ADDITION
    )
    mini_batch_size = Setting[int | None](
        Size("files, or bytes of a table"),
        None,
        "files in a mini-batch, or bytes of a table; 1 file (v1, batch: 10) or 1 MB",
        disputed={"v2": "SDK reference of parallel_run_function: 10 files or 1 MB"},
    )
    partition_keys = Setting[tuple[str, ...]](NameList(), (), "one mini-batch for each combination of their values")
    mini_batch_rows = Setting[int | None](
        WholeNumber(1),
        None,
        "lines in a mini-batch of JSON lines, which run() gets as dicts; none: files of them are files",
        source="undocumented arguments of the runtime",
        argument="--amlbi_mini_batch_rows",
    )
    input_type = Setting[InputType | None](
        Choice(get_args(InputType)),
        None,
        "uri_folder: run() gets paths of files, whatever they hold; none: the input itself tells",
        source=f"{V2_YAML}: `type` of the input",
    )
    error_threshold = Setting[int](
        WholeNumber(-1),
        -1,
        "failed items that are tolerated; -1 tolerates all",
        v2_source=GUIDE,
        argument="--error_threshold",
    )
    mini_batch_error_threshold = Setting[int](
        WholeNumber(-1),
        -1,
        "failed mini-batches that are tolerated; -1 tolerates all",
        argument="--allowed_failed_count",
        v1_name="allowed_failed_count",
    )
    allowed_failed_percent = Setting[float](
        Percent(),
        100,
        "percentage of failed mini-batches that is tolerated; 100 tolerates all",
        v2_source=GUIDE,
        argument="--allowed_failed_percent",
    )
    max_retries = Setting[int](
        WholeNumber(0),
        2,
        "tries of a mini-batch after its first one failed",
        batch=3,
        disputed={"v2": "SDK reference of parallel_run_function: it counts all tries"},
        v1_name="run_max_try",
        v1_kind=TotalTries(),
    )
    timeout = Setting[float](Seconds(), 60, "seconds for one call of run()", batch=30, v1_name="run_invocation_timeout")
    task_overhead_timeout = Setting[float](
        Seconds(),
        600,
        "seconds for loading a mini-batch; under attempt_limit=with_overhead added to timeout, and 30",
        derive=lambda settings: OBSERVED_OVERHEAD if settings.rules.attempt_limit == "with_overhead" else 600,
        source=GUIDE,
        disputed=dict.fromkeys(get_args(Profile), f"{V2_YAML}: 30, taken under attempt_limit=with_overhead"),
        argument="--task_overhead_timeout",
    )
    progress_update_timeout = Setting[float](
        Seconds(),
        None,
        "seconds without progress after which the job ends; 3 * (timeout + task_overhead_timeout)",
        derive=lambda settings: 3 * (settings.timeout + settings.task_overhead_timeout),
        source=GUIDE,
        argument="--progress_update_timeout",
        emulated=False,
    )
    first_task_creation_timeout = Setting[float](
        Seconds(),
        600,
        "seconds in which the first mini-batch must be found",
        source=GUIDE,
        argument="--first_task_creation_timeout",
    )
    instance_count = Setting[int](WholeNumber(1), 1, "machines of the job", v1_name="node_count")
    max_concurrency_per_instance = Setting[int](
        WholeNumber(1),
        1,
        "workers on each machine",
        v2_source="schema of the parallel job in the azure-ai-ml SDK",
        disputed={
            "v2": f"{GUIDE} and {V2_YAML}: the cores of an instance, 1 where it has GPUs",
            "v1": "article on debugging the ParallelRunStep: the cores of an instance, 1 where it has GPUs",
        },
        v1_name="process_count_per_node",
    )
    output_action = Setting[OutputAction](
        Choice(get_args(OutputAction), case_insensitive=True),
        "summary_only",
        "append_row: the results are appended to one file",
        v1="append_row",
        batch="append_row",
        v2_source=V2_SDK,
    )
    append_row_file_name = Setting[str](
        FileName(),
        "parallel_run_step.txt",
        "name of that file",
        batch="predictions.csv",
        v2_source=f"{V1_SDK}; v2 names none",
    )
    append_row_dataframe_header = Setting[bool](
        Flag(),
        False,
        "that file starts with the columns of a returned DataFrame",
        source="undocumented argument of the runtime",
        argument="--append_row_dataframe_header",
    )
    logging_level = Setting[LoggingLevel](
        Choice(get_args(LoggingLevel), case_insensitive=True), "INFO", "level of the entry script's logger"
    )
    environment_variables = Setting[Mapping[str, str]](
        Variables(), MappingProxyType({}), "set before the entry script is imported"
    )
    thread = Setting[Thread](Choice(get_args(Thread)), "main", "thread that calls the entry script", source=ADDITION)
    clock = Setting[ClockName](
        Choice(get_args(ClockName)), "virtual", "real: time.sleep() really sleeps", source=ADDITION
    )
    memory_limit = Setting[int | None](
        Size("bytes"), None, "bytes that a worker may take", source=ADDITION, emulated=False
    )
    encoding = Setting[str](Encoding(), "utf-8", "encoding of delimited tables", source=ADDITION)
    delimiter = Setting[str](Delimiter(), ",", "delimiter of delimited tables", source=ADDITION)
    azureml = Setting[AzuremlModules](
        Choice(get_args(AzuremlModules)),
        "standin",
        "azureml packages in the worker: stand-ins, or those that are installed",
        source=ADDITION,
    )

    _written: Mapping[str, object]
    """What was set, by field or rule, as it would be written in a call: for repr, pickle and merging."""

    def __init__(self, **values: Unpack[SettingsValues]) -> None:
        self._fill(values, None)

    def _fill(self, values: Mapping[str, object], origin: str | None) -> None:
        written = read(values, setting_table(), origin)
        own = self.__dict__
        own["_written"] = MappingProxyType(written)
        # All defaults need the profile, some need the rules.
        own["profile"] = written.get("profile", "v2")
        if "rules" in self.explicit:
            overrides = {name: value for name, value in written.items() if name in CHOICES}
            base = Rules.preset(str(written.get("rules", "documented")))
            own["rules"] = dataclasses.replace(base, **cast("dict[str, Any]", overrides))
        for name, setting in setting_table().items():
            if name not in own and name in written:
                own[name] = setting.kind.parse(written[name])
            elif name not in own:
                own[name] = setting.effective_default(self)
        _check(self, origin)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object], origin: str | None = None) -> JobSettings:
        """Settings from native values or strings; errors name `origin` ("--parallelrun-set", "job.yml")."""
        settings = cls.__new__(cls)
        settings._fill(mapping, origin)
        return settings

    @property
    def explicit(self) -> frozenset[str]:
        """The fields that were set on purpose, by their v2 names; "rules" where a single rule was."""
        return frozenset("rules" if name in CHOICES else name for name in self._written)

    def replace(self, **changes: Unpack[SettingsValues]) -> JobSettings:
        """A copy with these changes. A field changed to None returns to its default."""
        given = cast("Mapping[str, object]", changes)
        table = setting_table()
        dropped = {resolve(name, None, table, None)[0] for name, value in given.items() if value is None}
        if "rules" in dropped:
            dropped.update(CHOICES)
        kept = {name: value for name, value in self._written.items() if name not in dropped}
        return JobSettings.from_mapping(merged(kept, read(given, table, None)))

    def over(self, lower: JobSettings) -> JobSettings:
        """A copy in which what is not explicit here is taken from what is explicit in `lower`.

        Environment variables are taken one by one.
        """
        # Each was checked alone; what is wrong now is wrong between the two.
        together = "settings of two sources together" if lower._written and self._written else None
        both = merged(lower._written, self._written)
        variables = {**lower.environment_variables, **self.environment_variables}
        if variables:
            both["environment_variables"] = variables
        return JobSettings.from_mapping(both, together)

    @property
    def files_per_mini_batch(self) -> int:
        """The mini-batch size for an input of files. SettingsError where it was written in bytes."""
        if self.mini_batch_size is None:
            return DEFAULT_FILES[self.profile]
        if not self.mini_batch_size_text.isdigit():
            raise SettingsError(
                f"mini_batch_size={self.mini_batch_size_text!r} is a size in bytes, but this input is files: "
                "give the number of files in a mini-batch, such as 10"
            )
        return self.mini_batch_size

    @property
    def bytes_per_mini_batch(self) -> int:
        """The mini-batch size for a table, in bytes; a number without a unit is bytes."""
        return DEFAULT_BYTES if self.mini_batch_size is None else self.mini_batch_size

    @property
    def mini_batch_size_text(self) -> str:
        """The mini-batch size as it was written, or its two defaults in words."""
        if "mini_batch_size" in self._written:
            return str(self._written["mini_batch_size"])
        files = DEFAULT_FILES[self.profile]
        return f"{files} file{'s' if files > 1 else ''}, or 1MB of a table"

    @property
    def unused(self) -> str | None:
        """What was set and has no effect beside another setting, as a sentence; None where there is nothing."""
        if "mini_batch_size" in self.explicit and self.partition_keys:
            what, instead = "mini_batch_size", "partition_keys decides on the mini-batches"
        elif "mini_batch_size" in self.explicit and self.mini_batch_rows is not None:
            what, instead = "mini_batch_size", "mini_batch_rows decides on the mini-batches"
        else:
            return None
        return f"{what}={self.mini_batch_size_text} is not looked at: {instead}"

    def _identity(self) -> tuple[object, ...]:
        def comparable(name: str) -> object:
            if name == "mini_batch_size":
                return self.mini_batch_size_text.lower()
            value: object = self.__dict__[name]
            return frozenset(value.items()) if isinstance(value, Mapping) else value

        return tuple((name, comparable(name)) for name in sorted(self.explicit))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobSettings) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        order = [*setting_table(), *CHOICES]
        given = [f"{name}={self._written[name]!r}" for name in order if name in self._written]
        return f"JobSettings({', '.join(given)})"

    def __reduce__(self) -> tuple[Callable[[dict[str, object]], JobSettings], tuple[dict[str, object]]]:
        return JobSettings.from_mapping, (dict(self._written),)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"JobSettings is immutable: use replace({name}=...)")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"JobSettings is immutable: use replace({name}=None)")


_TABLE: Mapping[str, Setting[object]] = MappingProxyType(
    {name: setting for name, setting in vars(JobSettings).items() if isinstance(setting, Setting)}
)


def setting_table() -> Mapping[str, Setting[object]]:
    """Every field of JobSettings by its name, in the order of the plan and of the documentation."""
    return _TABLE


def describe_default(name: str, profile: Profile) -> str:
    """Where the default of a field comes from: "default of profile v2 (YAML reference ...)", and who says otherwise."""
    setting = _TABLE[name]
    other = f"; but {setting.disputed[profile]}" if profile in setting.disputed else ""
    return f"default of profile {profile} ({setting.sources[profile]}{other})"


def _check(settings: JobSettings, origin: str | None) -> None:
    """Refuses settings that exclude each other. SettingsError."""
    conflict = _conflict(settings)
    if conflict is not None:
        raise SettingsError(f"{origin}: {conflict}" if origin else conflict)


def _conflict(settings: JobSettings) -> str | None:
    profile, explicit = settings.profile, settings.explicit
    if settings.partition_keys:
        if profile == "v1" and "mini_batch_size" in explicit:
            return "partition_keys and mini_batch_size exclude each other under profile v1: give one of them"
        if profile == "batch":
            return "partition_keys is not allowed under profile batch: a batch deployment hands files by their number"
        if settings.mini_batch_rows is not None:
            return "partition_keys and mini_batch_rows exclude each other: lines of JSON have no partitions"
    if profile == "batch":
        if settings.mini_batch_rows is not None:
            return (
                "mini_batch_rows is not allowed under profile batch: a batch deployment hands paths of files, and has "
                "no program arguments that would change that"
            )
        for name in ("mini_batch_error_threshold", "allowed_failed_percent"):
            if name in explicit:
                return f"{name} is not allowed under profile batch: a batch deployment has only error_threshold"
        if settings.output_action == "summary_only" and "append_row_file_name" in explicit:
            return (
                f"append_row_file_name={settings.append_row_file_name!r} needs output_action=append_row: "
                "a batch deployment refuses a file name with summary_only"
            )
    if profile == "v1":
        refused = [sign for sign in settings.append_row_file_name if sign in V1_REFUSED_IN_FILE_NAMES]
        if refused:
            return (
                f"append_row_file_name={settings.append_row_file_name!r} holds {refused[0]!r}: "
                f"profile v1 refuses {' '.join(V1_REFUSED_IN_FILE_NAMES)} in it"
            )
    return None
