"""Stand-ins for the modules that exist only on the service, and what they say about a worker."""

STAND_IN_PACKAGES = frozenset({"azureml", "azureml_user", "entry_script"})
