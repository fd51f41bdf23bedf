"""Job definitions that are refused, each a file of the corpus with one mistake, and what azure-ai-ml makes of the same.

`tests/azure` asks the client itself; where it accepts, docs/reference/fidelity.md has a row with the label.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Refusal:
    """A mistake. base: the file of the corpus. old, new: what is replaced; without `old`, `new` is added at the end.

    message: the start of the finding behind "NAME:". client_accepts: whether azure-ai-ml 1.35 takes it, if with a
    warning.
    """

    label: str
    base: str
    new: str
    message: str
    old: str = ""
    client_accepts: bool = False

    def write(self, folder: Path) -> Path:
        """Writes the file with the mistake; `folder` has the other files of the corpus."""
        text = (CORPUS / f"{self.base}.yml").read_text(encoding="utf-8")
        assert self.old in text
        changed = text.replace(self.old, self.new, 1) if self.old else f"{text}{self.new}\n"
        path = folder / f"{self.base}_{'x' * 3}.yml"
        path.write_text(changed, encoding="utf-8")
        return path


MINIMAL = "component_minimal"
STEP = "pipeline_component"
INLINE = "pipeline_inline"
ROOT = "deployment_minimal"
TYPED = "deployment_summary"

REFUSALS = (
    Refusal(
        "an unknown key",
        MINIMAL,
        "mini_batch_sise: '3'",
        "12:1: there is no key 'mini_batch_sise' in a parallel component. Did you mean 'mini_batch_size'?",
        client_accepts=True,
    ),
    Refusal(
        "an unknown key of a step",
        STEP,
        'mini_batch_sise: "5"',
        "15:5: there is no key 'mini_batch_sise' in the parallel step 'score'. Did you mean 'mini_batch_size'?",
        old='mini_batch_size: "5"',
        client_accepts=True,
    ),
    Refusal(
        "an unknown key of a pipeline", STEP, "jbos: {}", "24:1: there is no key 'jbos' in a pipeline. Did you mean"
    ),
    Refusal(
        "an unknown key of retry_settings",
        MINIMAL,
        "retry_settings: {tries: 3}",
        "12:18: there is no key 'tries' in 'retry_settings'. Did you mean 'max_retries'?",
        client_accepts=True,
    ),
    Refusal(
        "an unknown key of resources",
        MINIMAL,
        "resources: {instance_cuont: 3}",
        "12:13: there is no key 'instance_cuont' in 'resources'. Did you mean 'instance_count'?",
        client_accepts=True,
    ),
    Refusal(
        "a key at the wrong level",
        MINIMAL,
        "max_retries: 3",
        "12:1: there is no key 'max_retries' in a parallel component. It belongs below 'retry_settings': "
        "retry_settings.max_retries.",
        client_accepts=True,
    ),
    Refusal(
        "a v1 name in v2",
        MINIMAL,
        "run_max_try: 3",
        "12:1: there is no key 'run_max_try' in a parallel component. Here it is retry_settings.max_retries.",
        client_accepts=True,
    ),
    Refusal(
        "a number that is no text", MINIMAL, "mini_batch_size: 10", "12:18: mini_batch_size must be a text, and is 10"
    ),
    Refusal(
        "a size with a space",
        MINIMAL,
        "mini_batch_size: 100 kb",
        "12:18: mini_batch_size='100 kb': must be a whole number",
    ),
    Refusal("a size with two units", MINIMAL, "mini_batch_size: 1KBMB", "12:18: mini_batch_size='1KBMB': must be"),
    Refusal("a size in bytes", MINIMAL, "mini_batch_size: 10B", "12:18: mini_batch_size='10B': must be"),
    Refusal("a size of 0", MINIMAL, "mini_batch_size: '0'", "12:18: mini_batch_size='0': must be", client_accepts=True),
    Refusal(
        "partition_keys that are a text", MINIMAL, "partition_keys: a", "12:17: partition_keys='a': must be a list"
    ),
    Refusal(
        "a partition key twice",
        MINIMAL,
        "partition_keys: [a, a]",
        "12:17: partition_keys=['a', 'a']: must be a list of distinct names",
        client_accepts=True,
    ),
    Refusal(
        "a threshold below -1",
        MINIMAL,
        "error_threshold: -2",
        "12:18: error_threshold=-2: must be a whole number of -1 or more",
        client_accepts=True,
    ),
    Refusal(
        "a fraction",
        MINIMAL,
        "mini_batch_error_threshold: 1.5",
        "12:29: mini_batch_error_threshold=1.5: must be a whole number",
        client_accepts=True,
    ),
    Refusal("a truth value", MINIMAL, "error_threshold: true", "12:18: error_threshold=True: must be a whole number"),
    Refusal(
        "a timeout of 0",
        MINIMAL,
        "retry_settings: {timeout: 0}",
        "12:27: timeout=0: must be a number of seconds above 0 and at most 259200",
        client_accepts=True,
    ),
    Refusal(
        "a timeout above three days",
        MINIMAL,
        "retry_settings: {timeout: 259201}",
        "12:27: timeout=259201: must be",
        client_accepts=True,
    ),
    Refusal(
        "retries below 0",
        MINIMAL,
        "retry_settings: {max_retries: -1}",
        "12:31: max_retries=-1: must be a whole number of 0 or more",
        client_accepts=True,
    ),
    Refusal(
        "no workers",
        MINIMAL,
        "max_concurrency_per_instance: 0",
        "12:31: max_concurrency_per_instance=0: must be a whole number of 1 or more",
        client_accepts=True,
    ),
    Refusal(
        "no instance",
        MINIMAL,
        "resources: {instance_count: 0}",
        "12:29: instance_count=0: must be a whole number of 1 or more",
        client_accepts=True,
    ),
    Refusal(
        "a level in small letters", MINIMAL, "logging_level: debug", "12:16: logging_level='debug': must be spelled"
    ),
    Refusal(
        "a level that does not exist", MINIMAL, "logging_level: ERROR", "12:16: logging_level='ERROR': must be 'INFO'"
    ),
    Refusal(
        "a key twice",
        MINIMAL,
        "error_threshold: 1\nerror_threshold: 2",
        "13:1: the key 'error_threshold' is there already, in line 12: remove one",
        client_accepts=True,
    ),
    Refusal("no name", MINIMAL, "", "1:1: a parallel component needs the key 'name'", old="name: minimal\n"),
    Refusal(
        "no environment",
        MINIMAL,
        "",
        "8:3: 'task' needs the key 'environment'",
        old="  environment: azureml:scoring:1\n",
    ),
    Refusal("no task type", MINIMAL, "", "8:3: 'task' needs the key 'type'", old="  type: run_function\n"),
    Refusal(
        "a task type that does not exist",
        MINIMAL,
        "type: run",
        "8:9: there is no task type 'run'",
        old="type: run_function",
    ),
    Refusal("no code", MINIMAL, "", "8:3: 'task' needs the key 'code'", old="  code: ./src\n", client_accepts=True),
    Refusal(
        "no entry_script",
        MINIMAL,
        "",
        "8:3: 'task' needs the key 'entry_script'",
        old="  entry_script: score.py\n",
        client_accepts=True,
    ),
    Refusal(
        "no input_data",
        MINIMAL,
        "",
        "1:1: a parallel component needs the key 'input_data'",
        old="input_data: ${{inputs.files}}\n",
        client_accepts=True,
    ),
    Refusal(
        "input_data that is no input",
        MINIMAL,
        "input_data: ./data",
        "6:13: input_data must be ${{inputs.NAME}}, and is './data'",
        old="input_data: ${{inputs.files}}",
        client_accepts=True,
    ),
    Refusal(
        "input_data of another name",
        MINIMAL,
        "input_data: ${{inputs.file}}",
        "6:13: input_data: ${{inputs.file}}: the step has no input 'file'. Did you mean 'files'?",
        old="input_data: ${{inputs.files}}",
        client_accepts=True,
    ),
    Refusal(
        "append_row_to of another name",
        MINIMAL,
        "  append_row_to: ${{outputs.rows}}",
        "12:18: append_row_to=${{outputs.rows}}: there is no output 'rows'",
        client_accepts=True,
    ),
    Refusal(
        "program arguments with an input of another name",
        MINIMAL,
        "  program_arguments: --files ${{inputs.file}}",
        "12:22: ${{inputs.file}}: the step has no input 'file'",
        client_accepts=True,
    ),
    Refusal(
        "program arguments that are a wrong setting",
        MINIMAL,
        "  program_arguments: --allowed_failed_percent 200",
        "12:22: allowed_failed_percent='200' (from program arguments): must be a percentage from 0 to 100",
        client_accepts=True,
    ),
    Refusal(
        "a quote that is not closed",
        MINIMAL,
        "  program_arguments: --name 'a",
        "12:22: program_arguments: no closing quotation",
        client_accepts=True,
    ),
    Refusal(
        "a script that does not exist",
        MINIMAL,
        "entry_script: scor.py",
        "10:17: task.entry_script='scor.py': entry script",
        old="entry_script: score.py",
        client_accepts=True,
    ),
    Refusal(
        "a code folder that does not exist",
        MINIMAL,
        "code: ./scr",
        "9:9: task.code='./scr' is no folder",
        old="code: ./src",
    ),
    Refusal(
        "an input of a type that does not exist", MINIMAL, "folder", "5:11: there is no type 'folder'", old="uri_folder"
    ),
    Refusal(
        "an unknown key of an input",
        MINIMAL,
        "    type: uri_folder\n    pth: x",
        "6:5: there is no key 'pth' in an input. Did you mean 'path'?",
        old="    type: uri_folder",
    ),
    Refusal(
        "a mode that does not exist, in a component",
        MINIMAL,
        "    type: uri_folder\n    mode: ro_mont",
        "6:11: input 'files': there is no mode 'ro_mont'. Did you mean 'ro_mount'?",
        old="    type: uri_folder",
    ),
    Refusal(
        "a mode that does not exist",
        INLINE,
        "mode: mount",
        "16:53: input 'files': there is no mode 'mount'. Did you mean 'rw_mount'?",
        old="mode: download",
    ),
    Refusal(
        "a mode of tables for a folder",
        INLINE,
        "mode: eval_mount",
        "16:53: input 'files': there is no mode 'eval_mount'.",
        old="mode: download",
    ),
    Refusal(
        "a mode of inputs for an output",
        INLINE,
        "        type: uri_file\n        mode: ro_mount",
        "21:15: output 'rows': there is no mode 'ro_mount'. Did you mean 'rw_mount'?",
        old="        type: uri_file",
    ),
    Refusal(
        "an input that the component does not have",
        STEP,
        "cut_of: 0.75",
        "11:15: the component component_full.yml:1 has no input 'cut_of'. Did you mean 'cut_off'?",
        old="cut_off: 0.75",
        client_accepts=True,
    ),
    Refusal(
        "a component file that does not exist",
        STEP,
        "component_ful.yml",
        "8:16: component='./component_ful.yml': there is no file",
        old="component_full.yml",
    ),
    Refusal(
        "0 over the component's threshold",
        STEP,
        'mini_batch_size: "5"\n    mini_batch_error_threshold: 0',
        "16:33: mini_batch_error_threshold=0 does not hold",
        old='mini_batch_size: "5"',
        client_accepts=True,
    ),
    Refusal(
        "a variable that is a number",
        "pipeline_bound",
        "    environment_variables: {A: 1}",
        "24:32: environment_variables.A must be a text: put it in quotes",
    ),
    Refusal(
        "a binding to an input of another name",
        "pipeline_bound",
        "parent.inputs.failure}}",
        "15:22: error_threshold: ${{parent.inputs.failure}}: the pipeline has no input 'failure'",
        old="parent.inputs.failures}}",
        client_accepts=True,
    ),
    Refusal("two documents", MINIMAL, "---\nname: other", "13:1: the file has 2 documents", old=""),
    Refusal(
        "a tag of Python",
        MINIMAL,
        "description: !!python/name:os.system",
        "12:14: the tag tag:yaml.org,2002:python/name:os.system is not allowed",
    ),
    Refusal("a tab", MINIMAL, "\terror_threshold: 1", "12:1: this is not valid YAML: ", old=""),
    Refusal(
        "program arguments of a deployment",
        ROOT,
        "program_arguments: --x",
        "7:1: there is no key 'program_arguments' in a batch deployment. Here it is environment_variables",
    ),
    Refusal(
        "a threshold that a deployment does not have",
        ROOT,
        "mini_batch_error_threshold: 1",
        "7:1: there is no key 'mini_batch_error_threshold' in a batch deployment. Here it is error_threshold",
    ),
    Refusal(
        "settings without a type", ROOT, "settings: {mini_batch_size: 3}", "7:1: 'settings' needs type: model beside it"
    ),
    Refusal(
        "a setting at the root, with a type",
        TYPED,
        "mini_batch_size: 3",
        "15:1: with type: model 'mini_batch_size' belongs below 'settings': settings.mini_batch_size",
    ),
    Refusal(
        "a threshold at the root, with a type",
        TYPED,
        "error_threshold: 3",
        "15:1: with type: model 'error_threshold' belongs below 'settings': settings.error_threshold",
        client_accepts=True,
    ),
    Refusal(
        "an unknown key of settings",
        TYPED,
        "  mini_batch_sise: 3",
        "15:3: there is no key 'mini_batch_sise' in 'settings'. Did you mean 'mini_batch_size'?",
    ),
    Refusal(
        "output_file_name with summary_only",
        ROOT,
        "output_file_name: a.csv\noutput_action: summary_only",
        "7:19: output_file_name='a.csv' needs output_action: append_row",
        client_accepts=True,
    ),
    Refusal(
        "an output_action that does not exist", ROOT, "output_action: append", "7:16: output_action='append': must be"
    ),
    Refusal(
        "a level that does not exist, of a deployment",
        ROOT,
        "logging_level: ERROR",
        "7:16: logging_level='ERROR': must be",
        client_accepts=True,
    ),
    Refusal(
        "a variable of a deployment that is a number",
        ROOT,
        "environment_variables: {A: 1}",
        "7:28: environment_variables.A must be a text: put it in quotes",
        client_accepts=True,
    ),
    Refusal(
        "no script to gate",
        ROOT,
        "",
        "1:1: there is no script to gate",
        old="code_configuration: {code: src, scoring_script: score.py}\n",
        client_accepts=True,
    ),
)
