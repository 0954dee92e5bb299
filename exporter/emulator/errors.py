"""What goes wrong inside the API, as the .NET exceptions that its error bodies name."""


class ApiError(Exception):
    """An exception that the API turns into an error object; the message goes to the caller."""

    status = 500
    exception_type = "System.Exception"
    stack_trace = "   at System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw()"


class ArgumentInvalid(ApiError):
    """A parameter has a value that the storage provider cannot use."""

    status = 400
    exception_type = "System.ArgumentException"
    stack_trace = (
        "   at System.Enum.TryParse(Type enumType, ReadOnlySpan`1 value, Boolean ignoreCase)"
    )


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


class StorageRefused(ApiError):
    """Azure Storage rejects the request: a negative page size, an illegal hub name."""

    exception_type = "DurableTask.AzureStorage.Storage.DurableTaskStorageException"
    stack_trace = (
        "   at DurableTask.AzureStorage.Storage.ClientResponseExtensions.DecorateFailure()"
    )

    def __init__(self) -> None:
        super().__init__("An error occurred while communicating with Azure Storage")
