"""Stand-in for azureml_user, which the service puts into its workers and nobody can install."""
