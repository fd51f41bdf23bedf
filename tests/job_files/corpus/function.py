"""Two steps, as the SDK builds them."""

from azure.ai.ml import Input, Output
from azure.ai.ml.constants import AssetTypes, InputOutputModes
from azure.ai.ml.parallel import RunFunction, parallel_run_function

RETRIES = dict(max_retries=2, timeout=60)
ENVIRONMENT = "azureml:scoring:1"

file_batch_inference = parallel_run_function(
    name="file_batch_score",
    display_name="Batch score with files",
    inputs=dict(
        job_data_path=Input(
            type=AssetTypes.MLTABLE, mode=InputOutputModes.EVAL_MOUNT, description="The data to be split"
        )
    ),
    outputs=dict(job_output_path=Output(type=AssetTypes.MLTABLE)),
    input_data="${{inputs.job_data_path}}",
    instance_count=2,
    max_concurrency_per_instance=1,
    mini_batch_size="1",
    mini_batch_error_threshold=1,
    retry_settings=RETRIES,
    logging_level="DEBUG",
    task=RunFunction(
        code="./src",
        entry_script="score.py",
        program_arguments="--job_output_path ${{outputs.job_output_path}}",
        environment=ENVIRONMENT,
    ),
)

table_batch_inference = parallel_run_function(
    name="table_batch_score",
    inputs={"table": Input(type=AssetTypes.MLTABLE), "cut_off": Input(type="number", default=0.5)},
    outputs={"rows": Output(type=AssetTypes.URI_FILE)},
    input_data="${{inputs.table}}",
    mini_batch_size="100kb",
    error_threshold=10,
    environment_variables={"STAGE": "test"},
    task=RunFunction(
        code="./src",
        entry_script="inner/" + "deep.py",
        program_arguments="--cut-off ${{inputs.cut_off}}",
        append_row_to="${{outputs.rows}}",
        environment=ENVIRONMENT,
    ),
)
