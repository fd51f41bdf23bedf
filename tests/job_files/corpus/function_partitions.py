"""Partitions, with the function under another name."""

from azure.ai.ml import Input
from azure.ai.ml import parallel as jobs

KEYS = ["store"]

forecast = jobs.parallel_run_function(
    name="forecast",
    inputs=dict(sales=Input(type="mltable", mode="direct")),
    input_data="${{inputs.sales}}",
    partition_keys=KEYS + ["brand"],
    instance_count=3,
    instance_type="Standard_D4",
    shm_size="2g",
    docker_args="--ulimit core=0",
    is_deterministic=False,
    task=jobs.RunFunction(code="src", entry_script="score.py", environment="azureml:scoring:1"),
)
