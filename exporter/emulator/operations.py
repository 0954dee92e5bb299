"""The operations of the API."""

from enum import StrEnum


class Operation(StrEnum):
    """What can be asked of the API."""

    LIST_INSTANCES = "list_instances"
    GET_INSTANCE = "get_instance"
    LIST_ENTITIES = "list_entities"
    GET_ENTITY = "get_entity"
