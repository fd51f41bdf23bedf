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


class ActivityFailedException(AzureMLException):
    pass


class AzureMLAggregatedException(AzureMLException):
    pass


class ComputeTargetException(AzureMLException):
    pass


class DatasetTimestampMissingError(AzureMLException):
    pass


class DiscoveryUrlNotFoundException(AzureMLException):
    pass


class ExperimentExecutionException(AzureMLException):
    pass


class ModelNotFoundException(AzureMLException):
    pass


class ModelPathNotFoundException(AzureMLException):
    pass


class ProjectSystemException(AzureMLException):
    pass


class RunConfigurationException(AzureMLException):
    pass


class RunEnvironmentException(AzureMLException):
    pass


class ServiceException(AzureMLException):
    pass


class SnapshotException(AzureMLException):
    pass


class TrainingException(AzureMLException):
    pass


class UserErrorException(AzureMLException):
    pass


class WebserviceException(AzureMLException):
    pass


class WorkspaceException(AzureMLException):
    pass


class WorkspacePrivateEndpointException(AzureMLException):
    pass


class AuthenticationException(UserErrorException):
    pass


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
