"""The API's versions, operations and errors."""

from enum import StrEnum

_EXTENSION = "   at Microsoft.Azure.WebJobs.Extensions.DurableTask"


class ExtensionVersion(StrEnum):
    """
    A version of the extension, with its storage provider.

    `V3` is 3.15.3 and newer, whose sub-orchestrations show `parentInstanceId`.
    """

    V2 = "v2"
    V3_15 = "v3.15"
    V3 = "v3"


class Operation(StrEnum):
    """The operations of the API."""

    START = "start"
    LIST_INSTANCES = "list_instances"
    GET_INSTANCE = "get_instance"
    PURGE_INSTANCES = "purge_instances"
    PURGE_INSTANCE = "purge_instance"
    RAISE_EVENT = "raise_event"
    TERMINATE = "terminate"
    SUSPEND = "suspend"
    RESUME = "resume"
    REWIND = "rewind"
    RESTART = "restart"
    LIST_ENTITIES = "list_entities"
    GET_ENTITY = "get_entity"
    SIGNAL_ENTITY = "signal_entity"
    DELETE_ENTITY = "delete_entity"
    MAKE_PRIMARY = "make_primary"


class ApiError(Exception):
    """A .NET exception, which the API turns into an error object."""

    status = 500
    sentence: str | None = None
    """Replaces the usual sentence for the status."""
    exception_type = "System.Exception"
    stack_trace = "   at System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw()"


class ArgumentInvalid(ApiError):
    """The storage provider rejects the value of a parameter."""

    status = 400
    exception_type = "System.ArgumentException"
    stack_trace = (
        "   at System.Enum.TryParse(Type enumType, ReadOnlySpan`1 value, Boolean ignoreCase)"
    )


class HistoryKeyDuplicated(ArgumentInvalid):
    """A history schedules two activities under one number."""

    stack_trace = "   at System.Collections.Generic.Dictionary`2.Add(TKey key, TValue value)"


class PageSizeInvalid(ArgumentInvalid):
    """A page size of 0, which v2's client library of Azure Tables rejects."""

    stack_trace = (
        "   at Microsoft.WindowsAzure.Storage.Table.TableQuery`1.set_TakeCount(Nullable`1 value)"
    )

    def __init__(self) -> None:
        super().__init__("Take count must be positive and greater than 0.")


class PageSizeNegative(ArgumentInvalid):
    """A negative page size, for which v2 cannot allocate a list."""

    exception_type = "System.ArgumentOutOfRangeException"
    stack_trace = "   at System.Collections.Generic.List`1..ctor(Int32 capacity)"

    def __init__(self) -> None:
        super().__init__("Non-negative number required. (Parameter 'capacity')")


class HubNameInvalid(ArgumentInvalid):
    """A hub name that v2 rejects as a table or container."""

    stack_trace = "   at Microsoft.WindowsAzure.Storage.NameValidator.ValidateTableName()"


class BasePathIncomplete(ApiError):
    """A request for the bare base path, without a slash."""

    status = 400
    exception_type = "System.ArgumentOutOfRangeException"
    stack_trace = "   at System.String.Substring(Int32 startIndex, Int32 length)"

    def __init__(self) -> None:
        super().__init__(
            "startIndex cannot be larger than length of string. (Parameter 'startIndex')"
        )


class ConnectionUnknown(ApiError):
    """The app has no setting for the connection."""

    exception_type = "System.InvalidOperationException"

    def __init__(self, connection: str) -> None:
        super().__init__(f"Unable to resolve the Azure Storage connection named '{connection}'.")


class TokenUnreadable(ApiError):
    """v2 cannot read a continuation token."""

    exception_type = "System.FormatException"
    stack_trace = "   at System.Convert.FromBase64String(String s)"

    def __init__(self) -> None:
        super().__init__(
            "The input is not a valid Base-64 string as it contains a non-base 64 character, more "
            "than two padding characters, or an illegal character among the padding characters."
        )


class StorageRefused(ApiError):
    """Azure Storage rejects a negative page size or an invalid hub name."""

    exception_type = "DurableTask.AzureStorage.Storage.DurableTaskStorageException"
    stack_trace = (
        "   at DurableTask.AzureStorage.Storage.ClientResponseExtensions.DecorateFailure()"
    )

    def __init__(
        self, message: str = "An error occurred while communicating with Azure Storage"
    ) -> None:
        super().__init__(message)


class JsonUnreadable(ApiError):
    """The body of a request is not JSON."""

    status = 400
    sentence = "Invalid JSON content"
    exception_type = "Newtonsoft.Json.JsonReaderException"
    stack_trace = "   at Newtonsoft.Json.JsonTextReader.ParseValue()"


class InstanceIdInvalid(ArgumentInvalid):
    """v2 rejects an instance id."""

    stack_trace = (
        "   at Microsoft.Azure.WebJobs.Extensions.DurableTask.DurableClient.StartNewAsync()"
    )


class FunctionUnknown(ArgumentInvalid):
    """The app has no such orchestrator; only v2 checks."""

    stack_trace = (
        "   at Microsoft.Azure.WebJobs.Extensions.DurableTask.DurableTaskExtension.Throw()"
    )


class InstanceUnknown(ArgumentInvalid):
    """There is no instance to restart."""

    sentence = "InstanceId does not match a valid orchestration instance."
    stack_trace = (
        "   at Microsoft.Azure.WebJobs.Extensions.DurableTask.DurableClient.RestartAsync()"
    )


class WaitTooShort(ArgumentInvalid):
    """The polling interval exceeds the timeout."""

    stack_trace = f"{_EXTENSION}.HttpApiHandler.Wait()"


class OperationInvalid(ApiError):
    """The state of the instance forbids the operation."""

    exception_type = "System.InvalidOperationException"
    stack_trace = f"{_EXTENSION}.DurableClient.ResumeAsync()"


class InstanceExists(ApiError):
    """An active instance has the id."""

    exception_type = "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException"
    stack_trace = (
        "   at DurableTask.AzureStorage.AzureStorageOrchestrationService."
        "CreateTaskOrchestrationAsync()"
    )


class RestartConflict(InstanceExists):
    """v3 cannot restart an active instance under its id."""

    status = 409
    sentence = "A non-terminal instance with this instance ID already exists."
