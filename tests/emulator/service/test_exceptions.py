from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.service.conftest import Activate


@pytest.fixture
def exceptions(activate: Activate) -> Any:
    activate()
    import azureml.exceptions

    return azureml.exceptions


@pytest.mark.parametrize("code", ["Retry.NoRetry", "Retry.RestartProcess", "Retry.StopProcess", "Retry.Sleep", None])
def test_a_retry_code_of_the_service_is_accepted(exceptions: Any, code: str | None) -> None:
    error = exceptions.ParallelRunException("busy", code=code, delay_seconds=2.5)
    assert (error.message, error.code, error.delay_seconds) == ("busy", code, 2.5)
    assert str(error) == "busy"


def test_a_message_alone_means_no_code_and_no_delay(exceptions: Any) -> None:
    error = exceptions.ParallelRunException("busy")
    assert (error.code, error.delay_seconds) == (None, 0)


def test_another_retry_code_is_an_assertion_error_that_lists_the_codes(exceptions: Any) -> None:
    with pytest.raises(AssertionError) as caught:
        exceptions.ParallelRunException("busy", code="NoRetry")
    message = str(caught.value)
    assert "code='NoRetry'" in message
    assert "Retry.NoRetry, Retry.RestartProcess, Retry.StopProcess, Retry.Sleep" in message


def test_arguments_for_the_service_are_accepted(exceptions: Any) -> None:
    assert exceptions.ParallelRunException("busy", target="model").message == "busy"


@pytest.mark.parametrize(
    "name",
    [
        "ActivityFailedException",
        "AuthenticationException",
        "AzureMLAggregatedException",
        "ComputeTargetException",
        "DatasetTimestampMissingError",
        "DiscoveryUrlNotFoundException",
        "ExperimentExecutionException",
        "ModelNotFoundException",
        "ModelPathNotFoundException",
        "ParallelRunException",
        "ProjectSystemException",
        "RunConfigurationException",
        "RunEnvironmentException",
        "ServiceException",
        "SnapshotException",
        "TrainingException",
        "UserErrorException",
        "WebserviceException",
        "WorkspaceException",
        "WorkspacePrivateEndpointException",
    ],
)
def test_every_exception_is_caught_as_an_azureml_exception(exceptions: Any, name: str) -> None:
    error = getattr(exceptions, name)("what happened")
    assert isinstance(error, exceptions.AzureMLException)
    assert error.message == "what happened"


def test_a_failed_authentication_is_a_user_error(exceptions: Any) -> None:
    assert issubclass(exceptions.AuthenticationException, exceptions.UserErrorException)
