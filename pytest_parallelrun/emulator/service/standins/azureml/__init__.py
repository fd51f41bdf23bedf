"""Stand-in for the package azureml."""
