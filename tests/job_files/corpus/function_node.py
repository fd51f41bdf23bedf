"""A step that gets settings and its input after the call."""

from pathlib import Path

from azure.ai.ml import Input
from azure.ai.ml.entities import RetrySettings
from azure.ai.ml.parallel import RunFunction, parallel_run_function

LIMIT = 10

rate = parallel_run_function(
    name="rate",
    inputs=dict(files=Input(type="uri_folder")),
    input_data="${{inputs.files}}",
    mini_batch_size="2",
    error_threshold=1,
    instance_count=1,
    task=RunFunction(code=Path(__file__).parent / "src", entry_script="score.py", environment="azureml:scoring:1"),
)
rate.error_threshold = LIMIT
rate.mini_batch_error_threshold = 5
rate.retry_settings = RetrySettings(max_retries=1, timeout=30)
rate.retry_settings.timeout = 600
rate.max_concurrency_per_instance = 3
rate.resources.instance_count = 2
