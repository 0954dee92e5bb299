"""The API's versions, operations and errors."""

from enum import StrEnum


class ExtensionVersion(StrEnum):
    """
    A version of the durable task extension, with the storage provider that it brings.

    `V3` is 3.15.3 and newer, whose rows of sub-orchestrations name the parent.
    """

    V2 = "v2"
    V3_15 = "v3.15"
    V3 = "v3"


class Operation(StrEnum):
    """What can be asked of the API."""

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


_EXTENSION = "   at Microsoft.Azure.WebJobs.Extensions.DurableTask"


class ApiError(Exception):
    """An exception that the API turns into an error object; the message goes to the caller."""

    status = 500
    sentence: str | None = None
    """What is said instead of the usual sentence for the status."""
    exception_type = "System.Exception"
    stack_trace = "   at System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw()"


class ArgumentInvalid(ApiError):
    """A parameter has a value that the storage provider cannot use."""

    status = 400
    exception_type = "System.ArgumentException"
    stack_trace = (
        "   at System.Enum.TryParse(Type enumType, ReadOnlySpan`1 value, Boolean ignoreCase)"
    )


class HistoryKeyDuplicated(ArgumentInvalid):
    """A history schedules two activities under one number, which its merging does not take."""

    stack_trace = "   at System.Collections.Generic.Dictionary`2.Add(TKey key, TValue value)"


class PageSizeInvalid(ArgumentInvalid):
    """A page of no rows, which the tables' client library of v2 does not ask for."""

    stack_trace = (
        "   at Microsoft.WindowsAzure.Storage.Table.TableQuery`1.set_TakeCount(Nullable`1 value)"
    )

    def __init__(self) -> None:
        super().__init__("Take count must be positive and greater than 0.")


class PageSizeNegative(ArgumentInvalid):
    """A page of less than no rows, for which v2 cannot make a list."""

    exception_type = "System.ArgumentOutOfRangeException"
    stack_trace = "   at System.Collections.Generic.List`1..ctor(Int32 capacity)"

    def __init__(self) -> None:
        super().__init__("Non-negative number required. (Parameter 'capacity')")


class HubNameInvalid(ArgumentInvalid):
    """A hub name of which no table or container can be made, as v2 finds out by itself."""

    stack_trace = "   at Microsoft.WindowsAzure.Storage.NameValidator.ValidateTableName()"


class BasePathIncomplete(ApiError):
    """The base path was asked for without anything behind it, not even a slash."""

    status = 400
    exception_type = "System.ArgumentOutOfRangeException"
    stack_trace = "   at System.String.Substring(Int32 startIndex, Int32 length)"

    def __init__(self) -> None:
        super().__init__(
            "startIndex cannot be larger than length of string. (Parameter 'startIndex')"
        )


class ConnectionUnknown(ApiError):
    """The app has no setting of the connection's name."""

    exception_type = "System.InvalidOperationException"

    def __init__(self, connection: str) -> None:
        super().__init__(f"Unable to resolve the Azure Storage connection named '{connection}'.")


class TokenUnreadable(ApiError):
    """A continuation token is not what v2 wrote."""

    exception_type = "System.FormatException"
    stack_trace = "   at System.Convert.FromBase64String(String s)"

    def __init__(self) -> None:
        super().__init__(
            "The input is not a valid Base-64 string as it contains a non-base 64 character, more "
            "than two padding characters, or an illegal character among the padding characters."
        )


class StorageRefused(ApiError):
    """Azure Storage rejects the request: a negative page size, an illegal hub name."""

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
    """An id that v2 does not let an orchestration have."""

    stack_trace = (
        "   at Microsoft.Azure.WebJobs.Extensions.DurableTask.DurableClient.StartNewAsync()"
    )


class FunctionUnknown(ArgumentInvalid):
    """The app has no orchestrator of the name, which only v2 looks up."""

    stack_trace = (
        "   at Microsoft.Azure.WebJobs.Extensions.DurableTask.DurableTaskExtension.Throw()"
    )


class InstanceUnknown(ArgumentInvalid):
    """There is nothing to start again."""

    sentence = "InstanceId does not match a valid orchestration instance."
    stack_trace = (
        "   at Microsoft.Azure.WebJobs.Extensions.DurableTask.DurableClient.RestartAsync()"
    )


class WaitTooShort(ArgumentInvalid):
    """The status would be asked for less often than once."""

    stack_trace = f"{_EXTENSION}.HttpApiHandler.Wait()"


class OperationInvalid(ApiError):
    """The instance is in a state in which that cannot be done."""

    exception_type = "System.InvalidOperationException"
    stack_trace = f"{_EXTENSION}.DurableClient.ResumeAsync()"


class InstanceExists(ApiError):
    """An instance of the id has not ended."""

    exception_type = "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException"
    stack_trace = (
        "   at DurableTask.AzureStorage.AzureStorageOrchestrationService."
        "CreateTaskOrchestrationAsync()"
    )


class RestartConflict(InstanceExists):
    """An instance that has not ended cannot be started again under its id, as v3 says it."""

    status = 409
    sentence = "A non-terminal instance with this instance ID already exists."
