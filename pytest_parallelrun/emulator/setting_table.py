"""Every setting of an emulated job, declared once: the table is the body of `SettingFields`.

The plan, the reference documentation and the program arguments are generated from it, and type checkers read from it
the keywords of `JobSettings()` and `replace()`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast, get_args

from pytest_parallelrun.emulator.errors import SettingsError, did_you_mean
from pytest_parallelrun.emulator.rules import CHOICES, PRESETS, Rules
from pytest_parallelrun.emulator.setting_types import (
    DELIMITER,
    ENCODING,
    FILE_NAME,
    FLAG,
    NAMES,
    PERCENT,
    SECONDS,
    TOTAL_ATTEMPTS,
    VARIABLES,
    SettingType,
    choice,
    size,
    whole_number,
)

if TYPE_CHECKING:
    from dataclasses import InitVar
    from typing import overload

    from typing_extensions import dataclass_transform

    from pytest_parallelrun.emulator import rules as rule_types
else:

    def dataclass_transform(**_):
        return lambda declared: declared


Raw = TypeVar("Raw", contravariant=True)
Value = TypeVar("Value", covariant=True)

Profile = Literal["v2", "v1", "batch"]
OutputAction = Literal["summary_only", "append_row"]
LoggingLevel = Literal["INFO", "WARNING", "DEBUG"]
Thread = Literal["main", "worker"]
ClockName = Literal["virtual", "real"]
InputType = Literal["uri_folder"]
AzuremlModules = Literal["standin", "installed"]

V2_YAML = "YAML reference of the parallel job"
V1_SDK = "SDK reference of ParallelRunConfig"
BATCH_YAML = "YAML reference of the batch deployment"
V2_SDK = "SDK reference of parallel_run_function"
GUIDE = "guide to parallel jobs in pipelines"
ADDITION = "addition of this emulator"

OBSERVED_OVERHEAD = 30

HINTS: Mapping[str, str] = {
    "allow_reuse": "Nothing is reused here: leave it out.",
    "append_row_to": "Set output_action=append_row, and append_row_file_name for its name.",
    "arguments": "Give program arguments with --parallelrun-args, or program_arguments= in Python.",
    "batch_size": "Set mini_batch_size.",
    "code": "Give the code root with --parallelrun-code, or code= in Python.",
    "compute": "There is no compute here: leave it out.",
    "compute_target": "There is no compute here: leave it out.",
    "concurrency": "Set max_concurrency_per_instance (workers on one instance) and instance_count.",
    "engine": "Choose the engine with --parallelrun-engine, or engine= in Python.",
    "entry_script": "Name the script with --parallelrun-entry, or entry= in Python.",
    "env": "Set environment_variables.",
    "environment": "The script runs in the Python of this process: leave it out.",
    "input_data": "Give the input with --parallelrun-input, or input= in Python.",
    "instance_type": "Machine sizes are not emulated: leave it out.",
    "output_file_name": "Set append_row_file_name.",
    "processes": "Set max_concurrency_per_instance.",
    "program_arguments": "Give program arguments with --parallelrun-args, or program_arguments= in Python.",
    "resources": "Set instance_count.",
    "retries": "Set max_retries.",
    "retry_settings": "Set max_retries and timeout.",
    "source_directory": "Give the code root with --parallelrun-code, or code= in Python.",
    "tries": "Set max_retries: all attempts but the first (run_max_try counts the first one too).",
    "workers": "Set instance_count and max_concurrency_per_instance: workers are their product.",
}
"""Names of other tools, and settings that are elsewhere, for which the nearest name would be a guess."""


@dataclass(frozen=True, eq=False)
class Setting(Generic[Raw, Value]):
    """A row of the table: a field of JobSettings that holds a Value and is set by a Raw.

    type: allowed values. default: under profile v2, and under v1 and batch unless those are given.
    derive: computes the default from the other fields instead; it may read the rows above its own.
    source: origin of the default; by default each profile has its own document, v2's v2_source.
    disputed: what other documents say instead, by profile.
    argument: the program argument that sets it. v1_name: its name in ParallelRunConfig, of type v1_type.
    emulated: False if the value has an effect only in worker processes; in-process it is named in reports.
    """

    type: SettingType[Value]
    default: Value | None
    help: str
    _: KW_ONLY
    v1: Value | None = None
    batch: Value | None = None
    derive: Callable[[SettingFields], Value] | None = None
    source: str | None = None
    v2_source: str = V2_YAML
    disputed: Mapping[Profile, str] = field(default_factory=dict)
    argument: str | None = None
    v1_name: str | None = None
    v1_type: SettingType[Value] | None = None
    emulated: bool = True

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: object) -> Setting[Raw, Value]: ...
        @overload
        def __get__(self, instance: SettingFields, owner: object) -> Value: ...
        def __get__(self, instance: SettingFields | None, owner: object) -> Setting[Raw, Value] | Value: ...
        def __set__(self, instance: SettingFields, value: Raw | None) -> None: ...

    def default_in(self, settings: SettingFields) -> Value:
        if self.derive is not None:
            return self.derive(settings)
        of_profile = {"v1": self.v1, "batch": self.batch}.get(settings.profile)
        return cast("Value", self.default if of_profile is None else of_profile)

    def source_of(self, profile: Profile) -> str:
        return self.source or {"v2": self.v2_source, "v1": V1_SDK, "batch": BATCH_YAML}[profile]


Plain = Setting[Value, Value]
"""A row whose field holds the given value, normalized."""


def _rules(raw: object) -> Rules | None:
    if isinstance(raw, str) and raw in PRESETS:
        return Rules.preset(raw)
    return raw if isinstance(raw, Rules) else None


RULES = SettingType(" or ".join(map(repr, PRESETS)) + ", or a Rules object", _rules)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def _typed(declared: type[Value]) -> type[Value]:
    return declared


@_typed
class SettingFields:
    """The table. Type checkers see a frozen dataclass: each field is a keyword of JobSettings, None for "not set"."""

    profile: Plain[Profile] = Setting(
        choice(get_args(Profile)), "v2", "which defaults and validations apply", source=ADDITION
    )
    rules: Setting[Rules | Literal["documented", "observed"], Rules] = Setting(
        RULES, Rules(), "which document to follow where Azure's documents disagree", source=ADDITION
    )
    mini_batch_size: Setting[int | str, int | None] = Setting(
        size("files, or bytes of a table"),
        None,
        "files in a mini-batch, or bytes of a table",
        disputed={"v2": "SDK reference of parallel_run_function: 10 files or 1 MB"},
    )
    partition_keys: Setting[Sequence[str], tuple[str, ...]] = Setting(
        NAMES, (), "one mini-batch for each combination of the values of these keys"
    )
    mini_batch_rows: Plain[int | None] = Setting(
        whole_number(1),
        None,
        "JSON lines in a mini-batch, passed to run() as dicts; unset: .jsonl files are passed as paths",
        source="undocumented arguments of the runtime",
        argument="--amlbi_mini_batch_rows",
    )
    input_type: Plain[InputType | None] = Setting(
        choice(get_args(InputType)),
        None,
        "uri_folder: always pass file paths to run(); unset: detect from the input",
        source=f"{V2_YAML}: `type` of the input",
    )
    error_threshold: Plain[int] = Setting(
        whole_number(-1),
        -1,
        "allowed failed items; -1 allows all",
        v2_source=GUIDE,
        argument="--error_threshold",
    )
    mini_batch_error_threshold: Plain[int] = Setting(
        whole_number(-1),
        -1,
        "allowed failed mini-batches; -1 allows all",
        argument="--allowed_failed_count",
        v1_name="allowed_failed_count",
    )
    allowed_failed_percent: Plain[float] = Setting(
        PERCENT,
        100,
        "allowed percentage of failed mini-batches; 100 allows all",
        v2_source=GUIDE,
        argument="--allowed_failed_percent",
    )
    max_retries: Plain[int] = Setting(
        whole_number(0),
        2,
        "retries of a mini-batch after a failed first attempt",
        batch=3,
        disputed={"v2": "SDK reference of parallel_run_function: it counts all attempts"},
        v1_name="run_max_try",
        v1_type=TOTAL_ATTEMPTS,
    )
    timeout: Plain[float] = Setting(
        SECONDS, 60, "seconds for one call of run()", batch=30, v1_name="run_invocation_timeout"
    )
    task_overhead_timeout: Plain[float] = Setting(
        SECONDS,
        600,
        "seconds for loading a mini-batch; with attempt_limit=with_overhead, added to timeout (default 30)",
        derive=lambda settings: OBSERVED_OVERHEAD if settings.rules.attempt_limit == "with_overhead" else 600,
        source=GUIDE,
        disputed=dict.fromkeys(get_args(Profile), f"{V2_YAML}: 30, taken under attempt_limit=with_overhead"),
        argument="--task_overhead_timeout",
    )
    progress_update_timeout: Plain[float] = Setting(
        SECONDS,
        None,
        "seconds without progress until the job fails; 3 * (timeout + task_overhead_timeout)",
        derive=lambda settings: 3 * (settings.timeout + settings.task_overhead_timeout),
        source=GUIDE,
        argument="--progress_update_timeout",
        emulated=False,
    )
    first_task_creation_timeout: Plain[float] = Setting(
        SECONDS,
        600,
        "seconds until the first mini-batch must be found",
        source=GUIDE,
        argument="--first_task_creation_timeout",
    )
    instance_count: Plain[int] = Setting(whole_number(1), 1, "machines of the job", v1_name="node_count")
    max_concurrency_per_instance: Plain[int] = Setting(
        whole_number(1),
        1,
        "workers on each machine",
        v2_source="schema of the parallel job in the azure-ai-ml SDK",
        disputed={
            "v2": f"{GUIDE} and {V2_YAML}: the cores of an instance, 1 where it has GPUs",
            "v1": "article on debugging the ParallelRunStep: the cores of an instance, 1 where it has GPUs",
        },
        v1_name="process_count_per_node",
    )
    output_action: Plain[OutputAction] = Setting(
        choice(get_args(OutputAction), case_insensitive=True),
        "summary_only",
        "append_row: append the results to a file",
        v1="append_row",
        batch="append_row",
        v2_source=V2_SDK,
    )
    append_row_file_name: Plain[str] = Setting(
        FILE_NAME,
        "parallel_run_step.txt",
        "name of that file",
        batch="predictions.csv",
        v2_source=f"{V1_SDK}; v2 names none",
    )
    append_row_dataframe_header: Plain[bool] = Setting(
        FLAG,
        False,
        "start that file with the column names of a DataFrame",
        source="undocumented argument of the runtime",
        argument="--append_row_dataframe_header",
    )
    output_folder: Plain[bool] = Setting(
        FLAG,
        None,
        "set AZUREML_BI_OUTPUT_PATH; always set under batch, with append_row, and in a v1 step with an output",
        derive=lambda settings: settings.profile != "v2" or settings.output_action == "append_row",
        source="guides to batch scoring scripts and to custom outputs",
    )
    logging_level: Setting[str, LoggingLevel] = Setting(
        choice(get_args(LoggingLevel), case_insensitive=True), "INFO", "level of the entry script's logger"
    )
    environment_variables: Plain[Mapping[str, str]] = Setting(
        VARIABLES, MappingProxyType({}), "environment variables, set before the entry script is imported"
    )
    thread: Plain[Thread] = Setting(
        choice(get_args(Thread)), "main", "the thread that calls the entry script", source=ADDITION
    )
    clock: Plain[ClockName] = Setting(
        choice(get_args(ClockName)), "virtual", "real: time.sleep() really sleeps", source=ADDITION
    )
    memory_limit: Setting[int | str, int | None] = Setting(
        size("bytes"), None, "memory that a worker may use, in bytes", source=ADDITION, emulated=False
    )
    encoding: Plain[str] = Setting(ENCODING, "utf-8", "encoding of delimited tables", source=ADDITION)
    delimiter: Plain[str] = Setting(DELIMITER, ",", "delimiter of delimited tables", source=ADDITION)
    azureml: Plain[AzuremlModules] = Setting(
        choice(get_args(AzuremlModules)),
        "standin",
        "azureml packages in the worker: stand-ins, or those that are installed",
        source=ADDITION,
    )

    if TYPE_CHECKING:
        # Keywords that set a field, or a part of `rules`, under another name.
        allowed_failed_count: InitVar[int | None] = None
        run_max_try: InitVar[int | None] = None
        run_invocation_timeout: InitVar[float | None] = None
        node_count: InitVar[int | None] = None
        process_count_per_node: InitVar[int | None] = None
        short_return: InitVar[rule_types.ShortReturn | None] = None
        appended_rows: InitVar[rule_types.AppendedRows | None] = None
        attempt_limit: InitVar[rule_types.AttemptLimit | None] = None
        file_grouping: InitVar[rule_types.FileGrouping | None] = None
        failed_unit: InitVar[rule_types.FailedUnit | None] = None
        threshold_check: InitVar[rule_types.ThresholdCheck | None] = None


_TABLE: Mapping[str, Setting[Any, object]] = MappingProxyType(
    {name: setting for name, setting in vars(SettingFields).items() if isinstance(setting, Setting)}
)
_V1_NAMES = {setting.v1_name: name for name, setting in _TABLE.items() if setting.v1_name}


def setting_table() -> Mapping[str, Setting[Any, object]]:
    """Every field of JobSettings by name, in the order of the plan and the documentation."""
    return _TABLE


def describe_default(name: str, profile: Profile) -> str:
    """The origin of a default: "default of profile v2 (YAML reference ...)", and who says otherwise."""
    setting = _TABLE[name]
    other = f"; but {setting.disputed[profile]}" if profile in setting.disputed else ""
    return f"default of profile {profile} ({setting.source_of(profile)}{other})"


def resolve_setting(name: str, raw: object = None, origin: str | None = None) -> tuple[str, SettingType[object]]:
    """The field or rule of a name, and its allowed values; SettingsError for an unknown name.

    origin: an option or a file that gave `raw`, for the message; None for a call.
    """
    if name in _TABLE:
        return name, _TABLE[name].type
    if name in CHOICES:
        return name, choice(CHOICES[name])
    if name in _V1_NAMES:
        setting = _TABLE[_V1_NAMES[name]]
        return _V1_NAMES[name], setting.v1_type or setting.type
    shown = f"{origin} {name}={raw}" if origin else f"JobSettings({name}={raw!r})"
    # "retry_settings.timeout" and "mini-batch-size" are spellings of job files and command lines.
    word = str(name).rpartition(".")[2].replace("-", "_").lower()
    advice = HINTS.get(word) or did_you_mean(word, [*_TABLE, *_V1_NAMES, *CHOICES])
    if advice.startswith("Allowed"):
        advice = f"Allowed: {', '.join(_TABLE)}."  # Without the v1 names and the rules: long enough.
    raise SettingsError(f"{shown}: unknown setting {name!r}. {advice}")
