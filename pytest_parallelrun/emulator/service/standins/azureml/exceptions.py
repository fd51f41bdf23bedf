"""Stand-in for azureml.exceptions: how a script controls its retries, and the errors that scripts catch.

All public names of the SDK reference are here: an installed azureml, whose other modules stay importable,
takes them from this module.
"""

from __future__ import annotations

_RETRY_CODES = ("Retry.NoRetry", "Retry.RestartProcess", "Retry.StopProcess", "Retry.Sleep")


class AzureMLException(Exception):
    """Base of the others."""

    def __init__(self, exception_message: str, **kwargs: object) -> None:
        super().__init__(exception_message)
        self.message = exception_message


class ModelNotFoundException(AzureMLException):
    pass


class UserErrorException(AzureMLException):
    pass


class WebserviceException(AzureMLException):
    pass


class AuthenticationException(UserErrorException):
    pass


# Those that differ in their names only.
for _name in (
    "ActivityFailedException",
    "AzureMLAggregatedException",
    "ComputeTargetException",
    "DatasetTimestampMissingError",
    "DiscoveryUrlNotFoundException",
    "ExperimentExecutionException",
    "ModelPathNotFoundException",
    "ProjectSystemException",
    "RunConfigurationException",
    "RunEnvironmentException",
    "ServiceException",
    "SnapshotException",
    "TrainingException",
    "WorkspaceException",
    "WorkspacePrivateEndpointException",
):
    globals()[_name] = type(_name, (AzureMLException,), {"__module__": __name__})


class ParallelRunException(AzureMLException):
    """Raised by run() to say what is to become of the mini-batch and of the worker.

    code: "Retry.NoRetry", "Retry.RestartProcess", "Retry.StopProcess" or "Retry.Sleep", which is meant
    where none is given. delay_seconds: how long the worker sleeps before its next mini-batch.
    Another code raises AssertionError, as on the service. Source: SDK reference of ParallelRunException.
    """

    def __init__(
        self,
        exception_message: str,
        code: str | None = None,
        delay_seconds: float = 0,
        **kwargs: object,
    ) -> None:
        if code and code not in _RETRY_CODES:
            raise AssertionError(
                f"ParallelRunException got code={code!r}. Allowed: {', '.join(_RETRY_CODES)}, or none."
            )
        super().__init__(exception_message, **kwargs)
        self.code = code
        self.delay_seconds = delay_seconds
