"""The operations of the API."""

from enum import StrEnum


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
